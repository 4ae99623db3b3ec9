"""Builds nathb's own Python environment, and puts it in its place in one step.

    environment.py /opt/nathb [DESTDIR]

It is made beside its place and moved there when complete: what fails leaves the old one as it was,
and a running daemon never meets half of each. With DESTDIR it is staged: put below DESTDIR, fit for
the place alone. pip takes its usual settings from the environment (PIP_INDEX_URL, PIP_NO_INDEX,
PIP_FIND_LINKS …). The environment refers to the interpreter that runs this. EXTRAS names what is
wanted besides, by setup.cfg's names with commas: metrics,plot.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
NEEDED_TO_BUILD = ("nathb", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
# The daemon's installer; nothing in the environment needs it, and security scanners dislike it.
NEEDED_NO_MORE = ("pip", "setuptools")


def main(place: Path, destdir: str) -> None:
    """Build the environment for `place`, below `destdir` if there is one."""
    target = Path(f"{destdir}{place}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nathb-", dir=target.parent) as workshop:
        fresh = Path(workshop, "new")
        _make(fresh)
        _install(fresh)
        _move_in_thought(fresh, place)
        _compile(fresh, place)
        fresh.chmod(0o755)
        if target.exists():
            target.rename(Path(workshop, "old"))
        fresh.rename(target)


def _make(fresh: Path) -> None:
    # By its versioned name: the packages below lib/python3.11 are of no use to a python3 that has
    # become 3.13 with the next release of the system.
    real = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    if real != os.path.realpath(sys.executable):
        raise SystemExit(f"{sys.executable} is a virtual environment; run {real} instead")
    sys._base_executable = real  # type: ignore[attr-defined]  # where venv looks for it
    venv.create(fresh, symlinks=True, with_pip=True)


def _install(fresh: Path) -> None:
    python = fresh / "bin" / "python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(prefix="nathb-source-") as folder:
        for name in NEEDED_TO_BUILD:  # a copy, for setuptools leaves its traces where it builds
            here = SOURCE / name
            copy = shutil.copytree if here.is_dir() else shutil.copy
            copy(here, Path(folder, name))
        extras = ",".join(["completion", *filter(None, os.environ.get("EXTRAS", "").split(","))])
        wanted = f"{folder}[{extras}]"
        _run(*pip, "install", "--no-compile", "--use-pep517", wanted)
        _run(*pip, "uninstall", "--yes", *NEEDED_NO_MORE)
    for left in fresh.glob("lib/*/site-packages/nathb-*/direct_url.json"):
        left.unlink()  # names the copy, which is gone


def _run(*command: str | Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    if subprocess.run(command, env=env, check=False).returncode != 0:
        raise SystemExit(f"not installed; what is wrong is said above by: {_shown(command)}")


def _shown(command: tuple[str | Path, ...]) -> str:
    return " ".join(map(str, command))


def _move_in_thought(fresh: Path, place: Path) -> None:
    """Replace where it was built by where it will be, in scripts and settings."""
    for cache in [*fresh.rglob("__pycache__")]:
        shutil.rmtree(cache)
    for file in (fresh / "pyvenv.cfg", *(fresh / "bin").iterdir()):
        if not file.is_symlink():
            text = file.read_text()
            file.write_text(text.replace(str(fresh), str(place)))


def _compile(fresh: Path, place: Path) -> None:
    """Compile it all: who runs the daemon may not write here, and would compile at each start."""
    compileall.compile_dir(
        fresh / "lib",
        quiet=2,  # packages bring files for other versions of Python
        workers=0,
        stripdir=str(fresh),
        prependdir=str(place),
        # A package's archive, or a copy, may change the time of a file, and never its content.
        invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
    )


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), os.path.abspath(sys.argv[2]) if sys.argv[2:] and sys.argv[2] else "")
