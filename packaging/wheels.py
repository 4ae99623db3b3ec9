"""Collects what `make install` takes from an index, so that it can do without one.

    wheels.py FOLDER

The files are those of packaging/lock, for this version of Python and this architecture. EXTRAS
names what is wanted besides, by setup.cfg's names with commas: metrics,plot.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from locked import BUILD, LOCK, held, locks, make, pip


def main(folder: Path) -> None:
    """Fill `folder`; what is in it already stays."""
    wanted = [LOCK / "build.txt", *locks(os.environ.get("EXTRAS", ""))]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nathb-wheels-") as workshop:
        make(Path(workshop))
        pip(Path(workshop), "download", *BUILD, "--dest", folder, *held(*wanted))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
