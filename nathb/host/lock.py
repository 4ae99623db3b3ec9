"""One daemon for a group on this machine, and one group for a route table.

A daemon holds flock(2) on files in the runtime directory: the kernel releases them when it ends,
by kill -9 too. Two files, for neither would do alone:

    /run/nathb/NAME/lock     systemd removes it at each stop of the service, and at each start that
                             fails, with all of RuntimeDirectory= (systemd.exec(5))
    /run/nathb/.NAME.lock    stays; but it is made by a run by hand as root alone, for the service
                             may write in its own directory only

So a daemon by hand, which holds both, is found by a service that starts beside it however often;
and a service, which holds the first, and the second if there is one, is found by a run by hand.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nathb.core.errors import HeldError
from nathb.host.status_file import MODE, RUNTIME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from nathb.core.model import Group

TURN = 1.0
"""Seconds for which one daemon's start waits for another's."""
PAUSE = 0.02
LARGEST = 64 * 1024


class Holder(Struct, frozen=True):
    """Who holds a lock, as it has written there itself. `since` is the wall clock's, for people."""

    group: str
    file: str
    pid: int
    since: str
    by_service: bool
    tables: tuple[str, ...] = ()
    """The route tables that it guards, and the matches that find some; none in a dry run."""

    def __str__(self) -> str:
        how = f"the service nathb@{self.group}" if self.by_service else "started by hand"
        return f"process {self.pid}, {how}, since {self.since}, with {self.file}"

    @property
    def end(self) -> str:
        """The command that ends it."""
        return f"systemctl stop nathb@{self.group}" if self.by_service else f"kill {self.pid}"


class Lock:
    """What keeps other daemons of a group, or of its tables, from starting.

    `place` is the daemon's own directory. A dry run has its own place and lock, and guards no
    table.
    """

    def __init__(self, place: Path, *, by_service: bool, dry_run: bool) -> None:
        self._place = place
        # A unit of somebody's own may have any runtime directory.
        shared = place.parent if place.parent.name == RUNTIME.name else RUNTIME
        self._shared = shared
        self._by_service = by_service
        self._dry_run = dry_run
        self._since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._handles: list[int] = []
        self._group = self._file = ""
        self._named: tuple[str, ...] = ()
        self._found: frozenset[str] = frozenset()
        self._alone = threading.Lock()  # `claim` is called in the background

    def take(self, group: Group, file: Path) -> str:
        """Hold the group and its tables until `close`; return why that could not be written.

        HeldError, which names the holder, when another daemon of this machine has them. Where
        nothing can be written, there is no lock, and the group is still guarded.
        """
        why_not = ""
        for folder in (*reversed(self._place.parents), self._place):
            with suppress(OSError):
                folder.mkdir()
                folder.chmod(0o755)  # as systemd's, whatever this shell's umask
        with _turn(self._shared):
            paths = self._paths(group.name)
            for path in paths:
                try:
                    handle = _open(path)
                except OSError as error:
                    why_not = f"{path}: {error.strerror}"
                    continue
                if not _lock(handle):
                    os.close(handle)
                    self.close()
                    raise HeldError(_held(group.name, paths, dry_run=self._dry_run))
                self._handles.append(handle)
            try:
                self._claim(group, file)
            except HeldError:
                self.close()
                raise
        return "" if self._handles else why_not

    def renew(self, group: Group, file: Path) -> None:
        """Hold what the file says now; HeldError when another daemon guards one of its tables."""
        with _turn(self._shared):
            self._claim(group, file)

    def claim(self, tables: Collection[str]) -> dict[str, str]:
        """Hold the tables in which routes are found, in the place of those of the last time.

        Returns those that another daemon of this machine guards, and so not this one: who does.
        May be called by any thread.
        """
        if self._dry_run:
            return {}
        with _turn(self._shared), self._alone:
            others = {
                table: f"the daemon of group {one.group} ({one})"
                for one in self._others(self._group)
                for table in one.tables
                if table in tables
            }
            found = frozenset(tables) - others.keys()
            if found != self._found:
                self._found = found
                self._write()
        return others

    def close(self) -> None:
        """Let go."""
        with self._alone:
            while self._handles:
                os.close(self._handles.pop())

    def _paths(self, group: str) -> list[Path]:
        own = self._place / "lock"
        return [own] if self._dry_run else [own, self._shared / f".{group}.lock"]

    def _claim(self, group: Group, file: Path) -> None:
        learned = group.learn.into if group.learn is not None else ()
        named = {*(one.table for one in group.routes()), *group.matches, *learned}
        tables = () if self._dry_run else tuple(sorted(named))
        for other in self._others(group.name):
            if both := sorted({*other.tables} & {*tables}):
                raise HeldError(
                    f"{both[0]}: is guarded on this machine by the daemon of group {other.group} "
                    f"too ({other}), and two daemons would move its routes against each other; "
                    f"name each route table in one file only, or end the other: {other.end}"
                )
        with self._alone:
            self._group, self._file, self._named = group.name, str(file.absolute()), tables
            if not group.finds_routes:
                self._found = frozenset()
            self._write()

    def _others(self, group: str) -> list[Holder]:
        return [one for one in holders(self._shared) if one.group != group]

    def _write(self) -> None:
        """Say in the files of the lock what is held."""
        tables = tuple(sorted({*self._named, *self._found}))
        holder = Holder(self._group, self._file, os.getpid(), self._since, self._by_service, tables)
        for handle in self._handles:
            with suppress(OSError):  # a lock of root's, which we hold and may not write
                os.pwrite(handle, msgspec.json.encode(holder).ljust(_size(handle)), 0)


def holders(shared: Path) -> list[Holder]:
    """Return the daemons that hold a group of this machine now, dry runs aside."""
    found: dict[str, Holder] = {}
    # The group's own directory last: what is there was written by whoever holds it.
    for path in (*shared.glob(".*.lock"), *shared.glob("*/lock")):
        if holder := _holder(path):
            found[holder.group] = holder
    return list(found.values())


def _held(group: str, paths: list[Path], *, dry_run: bool) -> str:
    """Say who holds a group."""
    what = "dry run" if dry_run else "daemon"
    holder = next(filter(None, map(_holder, paths)), None)
    if holder is None:
        return (
            f"{group}: another {what} of this group runs on this machine; `fuser {paths[0]}` "
            "shows its process: end it first"
        )
    beside = "" if dry_run else "; a dry run may run beside it: --dry-run"
    return (
        f"{group}: another {what} of this group runs on this machine ({holder}); "
        f"end it first: {holder.end}{beside}"
    )


def _holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path`; None when nobody does, or has not said."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, OSError):
            return msgspec.json.decode(os.pread(handle, LARGEST, 0), type=Holder)
    finally:
        os.close(handle)
    return None


def _open(path: Path) -> int:
    """Open a lock, making it if need be, and if it is another user's, for reading; OSError."""
    # The service's user owns its directory: what it may have put there leads root nowhere else.
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | flags, MODE)
    except OSError:
        handle = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileExistsError(0, "is not a regular file")
    with suppress(OSError):
        os.fchmod(handle, MODE)  # not left to the umask: everybody may see who holds it
    return handle


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(handle: int) -> int:
    return os.fstat(handle).st_size


@contextmanager
def _turn(shared: Path) -> Iterator[None]:
    """Let daemons that start at once check each other one after the other.

    Without it each could check before the other has said which tables it guards.
    """
    try:
        handle = os.open(shared, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # there is no such directory, and so nobody to look at
        yield
        return
    try:
        until = time.monotonic() + TURN
        while not _lock(handle) and time.monotonic() < until:
            time.sleep(PAUSE)
        yield
    finally:
        os.close(handle)
