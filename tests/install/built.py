"""The package, built once for all tests of a run, and a clone to make more, without any network."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

CHECKOUT = Path(__file__).parents[2]
WHEELS = CHECKOUT / ".venv" / "wheels"
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PYTHON = Path("/usr/bin") / VERSION
"""The system's own, of the version that the wheels are for."""
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": WHEELS.as_uri(),  # pip splits what it finds there at each space
    "PIP_NO_CACHE_DIR": "1",
    "PIP_CONFIG_FILE": os.devnull,
    "DPKG_DEB_COMPRESSOR_TYPE": "none",
}


CLONED = (
    *("Makefile", "README.md", "LICENSE", "pyproject.toml", "setup.cfg"),
    *("nathb", "systemd", "etc", "docs", "packaging"),
)
"""Of a clone, what an installation reads."""


@dataclass(frozen=True)
class Built:
    """The package file, and the tree that is in it."""

    package: Path
    tree: Path


def clone(place: Path) -> Path:
    """Copy the checkout to `place`, to change it there."""
    for name in CLONED:
        here, there = CHECKOUT / name, place / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, there)
    return place


def release(folder: Path, name: str, code: str) -> Path:
    """Write a wheel of a version that is newer than any."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-99.0-py3-none-any.whl"
    about = f"{name}-99.0.dist-info"
    with ZipFile(wheel, "w") as archive:
        for file, text in {
            f"{name}/__init__.py": code,
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{about}/RECORD": "",
        }.items():
            archive.writestr(file, text)
    return wheel


def make(
    *goals: str, at: Path = CHECKOUT, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run make without network; it may fail. stdout and stderr are one."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    return subprocess.run(
        ["make", "--no-print-directory", *goals],
        cwd=at,
        env=kept | OFFLINE | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )


def build(place: Path) -> Built:
    """Build the package in `place`, or wait until somebody else has."""
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "tree").exists():
            env = {**os.environ, **OFFLINE, "PYTHON": str(PYTHON)}
            done = subprocess.run(
                [CHECKOUT / "packaging" / "debian" / "build", place],
                env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout
            (package,) = place.glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", package, place / "half"], check=True)
            (place / "half").rename(place / "tree")
    (package,) = place.glob("*.deb")
    return Built(package, place / "tree")
