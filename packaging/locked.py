"""Virtual environments that pip fills with the packages of packaging/lock, and no others.

A lock file names one version of each package and the hashes of its files: pip installs those or
nothing, from wherever it takes them. pip takes its usual settings from the environment
(PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS …).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
LOCK = SOURCE / "packaging" / "lock"
ALWAYS = ("nathb", "completion")
NOT_INSTALLED = ("build", "dev", "uv")
BUILD = ("--use-pep517", "--no-build-isolation")
"""pip would fetch setuptools for each package that it builds, and hold that to no lock."""
WHEELS = "--only-binary=:all:"
"""Wheels are unpacked. A source would be compiled, by code of its own and as root."""
WITHOUT_WHEEL = "systemd-python"
"""The one package that has no wheels: it is the system's, or else it is compiled here."""


def locks(extras: str) -> list[Path]:
    """Return the lock files of nathb with `extras`, setup.cfg's names with commas.

    SystemExit when there is no such extra.
    """
    names = [*ALWAYS, *filter(None, (name.strip() for name in extras.split(",")))]
    known = {file.stem for file in LOCK.glob("*.txt")} - set(NOT_INSTALLED)
    if unknown := sorted(set(names) - known):
        offered = ", ".join(sorted(known - set(ALWAYS)))
        raise SystemExit(f"EXTRAS={extras}: no extra is called {unknown[0]}; there are: {offered}")
    return [LOCK / f"{name}.txt" for name in dict.fromkeys(names)]


def interpreter() -> str:
    """Return the path of the interpreter itself, whichever link or environment has led to it."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def make(place: Path) -> None:
    """Make a virtual environment at `place` for this interpreter, with what it takes to build."""
    # By its versioned name: the packages below lib/python3.11 are of no use to a python3 that has
    # become 3.13 with the next release of the system.
    sys._base_executable = interpreter()  # type: ignore[attr-defined]  # where venv looks for it
    venv.create(place, symlinks=True, with_pip=True)
    pip(place, "install", "--no-compile", WHEELS, *held(LOCK / "build.txt"))


def held(*files: Path) -> list[str | Path]:
    """Return pip's options for the packages of these lock files."""
    return ["--require-hashes", *(part for file in files for part in ("--requirement", file))]


def fetched(wanted: list[Path], folder: Path, *, from_system: bool) -> list[str | Path]:
    """Return pip's options for the packages of these lock files, as wheels.

    The one that has none is left out when the system brings it; `folder` takes what is written.
    """
    if not from_system:
        return [WHEELS, f"--no-binary={WITHOUT_WHEEL}", *held(*wanted)]
    left = []
    for file in wanted:
        copy = folder / file.name
        whole = rf"^{WITHOUT_WHEEL}==(?:.*\\\n)+.*\n"
        copy.write_text(re.sub(whole, "", file.read_text(), flags=re.M))
        left.append(copy)
    return [WHEELS, *held(*left)]


def pip(place: Path, *arguments: str | Path) -> None:
    """Run the pip of the environment at `place`; SystemExit when it fails."""
    run(place / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def run(*command: str | Path, quiet: bool = False) -> None:
    """Run a command that Python's own settings must not reach; SystemExit when it fails."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    stdout = subprocess.DEVNULL if quiet else None
    if subprocess.run(command, env=env, stdout=stdout, check=False).returncode != 0:
        shown = " ".join(map(str, command))
        raise SystemExit(f"not installed; what is wrong is said above by: {shown}")
