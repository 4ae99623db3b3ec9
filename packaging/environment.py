"""Builds nathb's own Python environment, and puts it in its place in one step.

    environment.py /opt/nathb [DESTDIR]

It is made beside its place, of the packages that packaging/lock names, and moved there when it has
shown that it works: what fails leaves the old one as it was, and a running daemon never meets half
of each. With DESTDIR it is staged: put below DESTDIR, fit for the place alone. The environment
refers to the interpreter that runs this. EXTRAS names what is wanted besides, by setup.cfg's names
with commas: metrics,plot.

What it was made of is in bom.json in the environment; in short it is printed.
"""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import shutil
import sys
import tempfile
from email import message_from_string
from pathlib import Path
from typing import Any

import bill
from distribution import Journal, journal, package_of
from locked import BUILD, SOURCE, fetched, interpreter, locks, make, pip, run

NEEDED_TO_BUILD = ("nathb", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
# The daemon's installer; nothing in the environment needs it, and security scanners dislike it.
NEEDED_NO_MORE = ("pip", "setuptools")


def main(place: Path, destdir: str) -> None:
    """Build the environment for `place`, below `destdir` if there is one."""
    if (real := interpreter()) != os.path.realpath(sys.executable):
        raise SystemExit(f"{sys.executable} is a virtual environment; run {real} instead")
    wanted = locks(os.environ.get("EXTRAS", ""))
    target = Path(f"{destdir}{place}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nathb-", dir=target.parent) as workshop:
        fresh = Path(workshop, "new")
        make(fresh)
        found = journal(real)
        made_of = _install(fresh, wanted, found, Path(workshop))
        _move_in_thought(fresh, place)
        _compile(fresh, place)
        _prove(fresh, target)
        fresh.chmod(0o755)
        if target.exists():
            target.rename(Path(workshop, "old"))
        fresh.rename(target)
    print(f"{bill.summary(made_of)}. The bill: {target / bill.FILE}")


def _install(
    fresh: Path, wanted: list[Path], found: Journal | None, workshop: Path
) -> dict[str, Any]:
    """Fill the environment, with the system's systemd-python where it was `found`; its bill."""
    install = ("install", "--no-compile", *BUILD)
    report = workshop / "report.json"
    if found is not None:
        _copy(found, fresh)
    options = fetched(wanted, workshop, from_system=found is not None)
    pip(fresh, *install, "--report", report, *options)
    with tempfile.TemporaryDirectory(prefix="nathb-source-") as folder:
        for name in NEEDED_TO_BUILD:  # a copy, for setuptools leaves its traces where it builds
            here = SOURCE / name
            copy = shutil.copytree if here.is_dir() else shutil.copy
            copy(here, Path(folder, name))
        pip(fresh, *install, "--no-deps", "--no-index", folder)
    pip(fresh, "check")
    pip(fresh, "uninstall", "--yes", *NEEDED_NO_MORE)
    for left in fresh.glob("lib/*/site-packages/nathb-*/direct_url.json"):
        left.unlink()  # names the copy, which is gone
    (about,) = fresh.glob("lib/*/site-packages/nathb-*/METADATA")
    version = message_from_string(about.read_text())["Version"]
    made_of = bill.bill(version, [report], found, package_of(Path(interpreter())))
    (fresh / bill.FILE).write_text(json.dumps(made_of, indent=2) + "\n")
    return made_of


def _copy(found: Journal, fresh: Path) -> None:
    """Copy what the system has: like all else in here it then stays as it is until the next time.

    And a Debian package of this runs where python3-systemd is not installed, as on VyOS.
    """
    (packages,) = fresh.glob("lib/*/site-packages")
    for path in found.paths:
        kept = shutil.ignore_patterns("__pycache__", "test")
        shutil.copytree(path, packages / path.name, ignore=kept)


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


def _prove(fresh: Path, target: Path) -> None:
    """Let it do what it will do when it is in its place; SystemExit when it does not."""
    python = (fresh / "bin" / "python", "-I", "-B")
    try:
        run(*python, SOURCE / "packaging" / "proof.py")
        run(*python, "-m", "nathb", "--version", quiet=True)
        run(*python, "-m", "nathb", "check", SOURCE / "etc/nathb/example.yaml", quiet=True)
        run(*python, SOURCE / "packaging" / "pages.py", "bash", quiet=True)
    except SystemExit as error:
        stays = f"{target} stays as it was" if target.exists() else "nothing was put in its place"
        raise SystemExit(f"The new environment does not work, so {stays}: {error}") from None


if __name__ == "__main__":
    os.umask(0o022)
    destdir = os.path.abspath(sys.argv[2]).rstrip("/") if sys.argv[2:] and sys.argv[2] else ""
    main(Path(sys.argv[1]), destdir)
