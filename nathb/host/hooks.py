"""Hooks: executables in a directory, run one after the other for each transition.

A hook may hang, fork, fill its output or be killed: none of that touches the loop, for all of
this happens in the one thread of a delivery queue, and `child_process` ends it with its children.

Which files are hooks is as systemd.generator(7) and run-parts(8) have it: those that are
executable, by name; hidden and backup files are none.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from nathb.core.events import Event, EventKind
from nathb.core.text import format_duration
from nathb.host.child_process import GRACE, End, Ended, environment_of, run
from nathb.host.journal_schema import one_line
from nathb.host.trusted_path import distrust, owners_of_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

TIMEOUT = 10.0
"""Seconds a hook may take."""
MOST_OUTPUT = 64 * 1024
"""Bytes of output that are read; a hook that writes more is ended by SIGPIPE."""
SHOWN = 300
"""Characters of its last output that are logged when it failed."""

NOT_HOOKS = ("~", ".bak", ".swp", ".orig", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave")
EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def hooks_in(directory: Path) -> list[Path]:
    """Return the hooks in their order; OSError when the directory cannot be read."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    paths = (directory / name for name in names if not _is_put_aside(name))
    return [path for path in paths if _is_hook(path)]


def refusal(path: Path, owners: Collection[int]) -> str:
    """Say why a hook is not run where these users, by id, are trusted; empty when it is.

    Who may write it, or put another in its place, acts as nathb.
    """
    try:
        why = distrust(path, owners)
    except OSError as error:
        return f"not run, because {error.filename} cannot be read: {error.strerror}"
    return f"not run, because {why}" if why else ""


def refused_in(directory: Path, owners: Collection[int]) -> Iterator[tuple[Path, str]]:
    """Yield what is not run of a directory, and why, where these users, by id, are trusted."""
    try:
        paths = hooks_in(directory)
    except OSError as error:
        yield directory, f"cannot be read: {error.strerror}; chmod a+rx"
        return
    for path in paths:
        if why := refusal(path, owners):
            yield path, why


class Hooks:
    """All hooks of a directory, which is read again for each notice. Times in seconds."""

    def __init__(
        self,
        directory: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        timeout: float = TIMEOUT,
        grace: float = GRACE,
    ) -> None:
        self._directory = directory.absolute()  # hooks have another working directory
        self._owners = owners_of_machine() | {os.geteuid()}
        self._environ = environment_of(environ)
        self._timeout = timeout
        self._grace = grace
        self._stopping = False
        self._stopped = os.eventfd(0, os.EFD_CLOEXEC)

    def carry(self, notice: Mapping[str, str]) -> Iterator[Event]:
        """Run every hook with the notice in its environment; yield what went wrong."""
        try:
            paths = hooks_in(self._directory)
        except OSError as error:
            yield _failed(self._directory, f"cannot be read: {error.strerror}; chmod a+rx")
            return
        for path in paths:
            if not self._stopping and (failure := self._run(path, {**self._environ, **notice})):
                yield _failed(path, f"{failure} (event: {notice['NATHB_EVENT']})")

    def stop(self) -> None:
        """End the hook that runs, and let no more begin. To be called from another thread."""
        self._stopping = True
        os.eventfd_write(self._stopped, 1)

    def _run(self, path: Path, environment: Mapping[str, str]) -> str:
        """Run one hook to its end; return what went wrong, and nothing when nothing did."""
        try:
            if refused := refusal(path, self._owners):
                return refused
            ended = run(
                [str(path)],
                environment,
                timeout=self._timeout,
                stopped=self._stopped,
                most_output=MOST_OUTPUT,
                grace=self._grace,
                stderr=subprocess.STDOUT,
            )
        except (OSError, ValueError) as error:
            return f"could not be started: {error}"
        return self._failure(ended)

    def _failure(self, ended: Ended) -> str:
        match ended.end:
            case End.BY_ITSELF:
                cause = _cause(ended.code)
            case End.STOPPED:
                cause = "killed, because nathb stopped"
            case End.TIMED_OUT:
                cause = f"killed after {format_duration(self._timeout)}"
                if ended.code is None:
                    cause += ", but it still runs: it waits for a disk or a file system"
        said = one_line(ended.output.decode(errors="replace"))[-SHOWN:].lstrip()
        return f"{cause}; it wrote last: {said}" if cause and said else cause


def _is_put_aside(name: str) -> bool:
    return name.startswith(".") or name.endswith(NOT_HOOKS)


def _is_hook(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # a link that leads nowhere, or gone meanwhile
        return False
    except OSError:  # a link to where we may not look: `refusal` says so
        return True
    return stat.S_ISREG(mode) and bool(mode & EXECUTABLE)


def _cause(code: int | None) -> str:
    if not code:
        return ""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _failed(path: Path, why: str) -> Event:
    return Event(kind=EventKind.HOOK_FAILED, message=f"hook {path}: {why}")
