"""What the system's own packages bring: systemd-python, which has no wheel, and the interpreter.

    python -I distribution.py

Prints as JSON where the system's systemd-python is, for the interpreter that runs this; exits with
1 when there is none. A copy that no package of the system has brought (by pip, by hand) does not
count: nobody has checked it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

NAME = "systemd-python"


@dataclass(frozen=True)
class Package:
    """A package of the system. `kind` is deb or rpm."""

    kind: str
    name: str
    version: str


@dataclass(frozen=True)
class Journal:
    """The system's systemd-python: its files, its version, and the package that it belongs to."""

    version: str
    paths: tuple[Path, ...]
    package: Package


def journal(python: str) -> Journal | None:
    """Return the systemd-python that the system has for this interpreter; None for none."""
    # By itself (-I), so that neither PYTHONPATH nor somebody's home has a say.
    command = [python, "-I", "-B", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    said = json.loads(done.stdout)
    paths = tuple(Path(path) for path in said["paths"])
    return Journal(said["version"], paths, Package(**said["package"]))


def package_of(path: Path) -> Package | None:
    """Return the package of the system that has brought a file; None when none has."""
    if found := _said("dpkg-query", "--search", str(path)):
        name = found.splitlines()[-1].partition(":")[0]
        return Package("deb", name, _said("dpkg-query", "--showformat=${Version}", "--show", name))
    if found := _said("rpm", "-qf", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\n", str(path)):
        return Package("rpm", *found.splitlines()[0].split())
    return None


def _said(*command: str) -> str:
    """Return what a command prints; nothing where there is no such command, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def main() -> None:
    """Print where it is."""
    try:
        from systemd import journal as module  # noqa: PLC0415

        found = metadata.distribution(NAME)
    except ImportError:
        raise SystemExit(1) from None
    folder = Path(module.__file__).parent
    package = package_of(folder / "__init__.py")
    if package is None:
        raise SystemExit(1)
    about = Path(os.fspath(found.locate_file(""))) / f"{NAME.replace('-', '_')}-{found.version}"
    paths = [folder, *(path for path in about.parent.glob(f"{about.name}*-info"))]
    said = {
        "version": found.version,
        "paths": [str(path) for path in paths],
        "package": package.__dict__,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
    sys.exit(0)
