"""Collects what `make install` takes from an index, so that it can do without one.

    wheels.py FOLDER

The files are those of packaging/lock, for this version of Python and this architecture. EXTRAS
names what is wanted besides, by setup.cfg's names with commas: metrics,plot. What has no wheel is
left out where the system has it, unless WITH_SOURCE is set.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from distribution import journal
from locked import BUILD, LOCK, fetched, interpreter, locks, make, pip


def main(folder: Path) -> None:
    """Fill `folder`; what is in it already stays."""
    wanted = [LOCK / "build.txt", *locks(os.environ.get("EXTRAS", ""))]
    folder.mkdir(parents=True, exist_ok=True)
    from_system = not os.environ.get("WITH_SOURCE") and journal(interpreter()) is not None
    with tempfile.TemporaryDirectory(prefix="nathb-wheels-") as workshop:
        place = Path(workshop, "environment")
        make(place)
        options = fetched(wanted, Path(workshop), from_system=from_system)
        pip(place, "download", *BUILD, "--dest", folder, *options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
