"""The other groups' files in the same directory, which this machine may run daemons of too."""

from __future__ import annotations

from pathlib import Path

from nathb import config
from nathb.core.errors import FileError, Mistake
from nathb.core.model import Group

ENDINGS = (".yaml", ".yml")


def shared_tables(group: Group, path: Path) -> tuple[Mistake, ...]:
    """Return the route tables, and matches of tables, that another file beside this has too.

    Two daemons would move their routes against each other, and a drain or a pause is a tag on the
    table. A file that is bad guards nothing: no daemon starts with it.
    """
    mine = _tables(group)
    found = []
    for other in sorted(one for one in path.parent.iterdir() if one.suffix in ENDINGS):
        if other.stem == group.name:
            continue
        try:
            theirs = _tables(config.load(other))
        except FileError:
            continue
        found += [
            Mistake(
                str(path), 0, table,
                f"{other} guards it too; name each route table in one file only (a copy that is"
                " not in use needs a name with another ending)",
            )
            for table in sorted(mine & theirs)
        ]  # fmt: skip
    return tuple(found)


def _tables(group: Group) -> set[str]:
    learned = group.learn.into if group.learn is not None else ()
    return {*(route.table for route in group.routes()), *group.matches, *learned}
