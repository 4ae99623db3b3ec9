"""Who could change what lies at a path: the owners and modes of all that leads there.

Whoever may write to a file, or to a folder or symbolic link on the way to it, decides what is run
under its name. The way is walked as path_resolution(7) has it, one link at a time.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
MOST_LINKS = 40
"""Symbolic links on one path; the kernel follows no more either."""


def owners_of_machine() -> frozenset[int]:
    """Return root, and the owner of `/`, which is root.

    But in a user namespace that does not map the real one: there it has the number of nobody.
    """
    return frozenset({0, os.stat("/").st_uid})


def distrust(path: Path, owners: Collection[int]) -> str:
    """Say who besides `owners`, by user id, could change what lies at `path`, and the fix.

    Empty when nobody could. OSError when a part of the path is absent or may not be read.
    """
    folder = path.parent.resolve()
    for what, state in _passed(path):
        if state.st_uid not in owners:
            return (
                f"{what} belongs to user {state.st_uid}, who is neither root nor nathb's own user:"
                f" chown root {what}, or put the hook where root owns every folder above it"
            )
        if stat.S_ISLNK(state.st_mode) or not state.st_mode & WRITABLE_BY_OTHERS:
            continue
        # In a folder like /tmp nobody replaces the file of another owner. But anybody adds files.
        if not (state.st_mode & stat.S_ISVTX and stat.S_ISDIR(state.st_mode) and what != folder):
            return f"others may write to {what}: chmod go-w {what}"
    return ""


def find_program(name: str, search: str, owners: Collection[int]) -> tuple[str, str]:
    """Return the path of a program, and why it is not to be run; one of the two is empty.

    `search` is a PATH, for a name without a folder. OSError as for `distrust`.
    """
    program = shutil.which(name, path=search)
    if program is None:
        return "", f"{name} is no program that nathb's user may run"
    why = distrust(Path(program), owners)
    return ("", why) if why else (program, "")


def _passed(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield each folder and link on the way to a file, and the file itself, as each one stands."""
    at = Path("/")
    yield at, at.lstat()
    left = [*reversed(path.absolute().parts[1:])]
    links = 0
    while left:
        name = left.pop()
        if name == "..":
            at = at.parent
            continue
        entry = at / name
        state = entry.lstat()
        yield entry, state
        if not stat.S_ISLNK(state.st_mode):
            at = entry
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = Path(os.readlink(entry))
        if target.is_absolute():
            at = Path("/")
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
