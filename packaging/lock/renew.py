"""Writes the lock files beside it anew: the newest versions that setup.cfg allows.

    renew.py [PACKAGE ...]

With names of packages only those are renewed; the others stay as they are locked. Each file has the
hashes of all files of a version, and one version for every Python from the oldest that nathb takes,
on each architecture. It is written by uv, of the version that uv.txt locks; uv asks the index that
UV_DEFAULT_INDEX names.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable
from configparser import ConfigParser
from pathlib import Path

LOCK = Path(__file__).resolve().parent
SOURCE = LOCK.parent.parent
ALL = "dev"
"""The file that has every package; the others take its versions."""


def main(packages: list[str]) -> None:
    """Renew every lock file, in these `packages` or, without any, in all."""
    settings = ConfigParser()
    settings.read(SOURCE / "setup.cfg")
    extras = dict(settings["options.extras_require"])
    needed = settings["options"]["install_requires"]
    oldest = settings["options"]["python_requires"].removeprefix(">=")
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())
    build = "\n".join(project["build-system"]["requires"])
    renewed = [option for name in packages for option in ("--upgrade-package", name)]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tool = Path(folder, "bin")
        install = ["install", "--quiet", "--require-hashes", "--requirement", LOCK / "uv.txt"]
        _run([tool / "python", "-m", "pip", *install])
        compiled = [
            tool / "uv", "pip", "compile", "-", "--quiet", "--universal", "--generate-hashes",
            "--fork-strategy=fewest", "--no-annotate", "--custom-compile-command=make lock",
            f"--python-version={oldest}", *(renewed or ["--upgrade"]),
        ]  # fmt: skip
        _compile(compiled, ALL, (needed, build, *extras.values()))
        compiled += ["--constraint", LOCK / f"{ALL}.txt"]
        _compile(compiled, "build", (build,))
        _compile(compiled, "nathb", (needed,))
        for extra in extras.keys() - {ALL}:
            _compile(compiled, extra, (extras[extra],))
        _compile(compiled, "uv", ("uv",))


def _compile(command: list[str | Path], name: str, requirements: Iterable[str]) -> None:
    output = ["--output-file", LOCK / f"{name}.txt"]
    _run([*command, *output], "\n".join(requirements))


def _run(command: list[str | Path], text: str = "") -> None:
    if subprocess.run(command, input=text, text=True, check=False).returncode != 0:
        raise SystemExit("not renewed; what is wrong is said above")


if __name__ == "__main__":
    main(sys.argv[1:])
