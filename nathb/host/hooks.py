"""Hooks: executables in a directory, run one after the other for each transition.

A hook may hang, fork, fill its output or be killed: none of that touches the loop, for all of
this happens in the one thread of a delivery queue. A hook leads a session of its own, and the
process group that it leads ends with it, so a child that only went to the background ends too. A
child that makes a session of its own escapes that, until the service stops and systemd ends the
whole control group.

Which files are hooks is as systemd.generator(7) and run-parts(8) have it: those that are
executable, by name; hidden and backup files are none.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nathb.core.events import Event, EventKind
from nathb.core.text import format_duration
from nathb.host.journal_schema import one_line
from nathb.host.trusted_path import distrust, owners_of_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

TIMEOUT = 10.0
"""Seconds a hook may take."""
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, and after that until we go on without it."""
MOST_OUTPUT = 64 * 1024
"""Bytes of output that are read; a hook that writes more is ended by SIGPIPE."""
SHOWN = 300
"""Characters of its last output that are logged when it failed."""

NOT_HOOKS = ("~", ".bak", ".swp", ".orig", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave")
EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH

OURS = {
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "INVOCATION_ID",
    "SYSTEMD_EXEC_PID", "MAINPID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
}  # fmt: skip
"""What the service manager says to the daemon alone: a hook must not answer in its name."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Python waits for exec(2) with the interpreter's lock held, so a file that cannot be read at once,
# on a file system that hangs, say, would stop the loop. setpriv(1) waits in our place, and leaves
# the daemon's CAP_NET_RAW behind: an ambient capability would pass to whatever is executed.
IN_BETWEEN = ("/usr/bin/setpriv", "--ambient-caps=-all", "--inh-caps=-all")
OF_ROOT = ("--bounding-set=-all",)
"""What leaves a hook of root without capabilities too; takes CAP_SETPCAP, which the service lacks.
"""
CAP_SETPCAP = 8
"""Its number: capabilities(7), linux/capability.h."""


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
        self._environ = {
            "PATH": DEFAULT_PATH,
            **{name: value for name, value in environ.items() if not _is_ours(name)},
        }
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
            process = subprocess.Popen(
                [*IN_BETWEEN, *(OF_ROOT if _may_drop_all() else ()), "--", str(path)],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            return f"could not be started: {error}"
        try:
            attendant = HookProcess(process, self._stopped)
        except OSError as error:  # out of descriptors
            os.killpg(process.pid, signal.SIGKILL)
            return f"killed at once, because it could not be watched: {error}"
        with attendant:
            return attendant.attend(self._timeout, self._grace)


class HookProcess:
    """Stays with one process until it has ended, or has been ended."""

    def __init__(self, process: subprocess.Popen[bytes], stopped: int) -> None:
        self._process = process
        self._stopped = stopped
        self._ended = os.pidfd_open(process.pid)
        self._output = bytearray()
        self._selector = selectors.DefaultSelector()
        assert process.stdout is not None
        self._pipe = process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        for readable in (self._ended, self._stopped, self._pipe):
            self._selector.register(readable, selectors.EVENT_READ)

    def __enter__(self) -> HookProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        self._pipe.close()
        os.close(self._ended)

    def attend(self, timeout: float, grace: float) -> str:
        """Wait, and end it when it takes too long; return what went wrong, if anything did."""
        if self._wait(timeout):
            cause = _cause(self._finish(grace))
        elif self._is_ready(self._stopped):
            self._finish(grace)
            cause = "killed, because nathb stopped"
        else:
            self._signal(signal.SIGTERM)
            self._wait(grace)
            code = self._finish(grace)
            cause = f"killed after {format_duration(timeout)}"
            if code is None:
                cause += ", but it still runs: it waits for a disk or a file system"
        said = one_line(self._output.decode(errors="replace"))[-SHOWN:].lstrip()
        return f"{cause}; it wrote last: {said}" if cause and said else cause

    def _wait(self, seconds: float) -> bool:
        """Read its output until it ends, we stop, or time is up; return whether it has ended.

        Its end is the process's own. The pipe may stay open for as long as a child likes.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fileobj for key, _ in self._selector.select(left)}
            if self._pipe in ready:
                self._read()
            if ready & {self._ended, self._stopped}:
                break
        return self._is_ready(self._ended)

    def _read(self) -> None:
        data = self._pipe.read(MOST_OUTPUT) or b""
        self._output += data
        if not data or len(self._output) > MOST_OUTPUT:
            self._selector.unregister(self._pipe)
            self._pipe.close()

    def _is_ready(self, descriptor: int) -> bool:
        return any(key.fd == descriptor for key, _ in self._selector.select(0))

    def _finish(self, grace: float) -> int | None:
        """End whatever is left of its group; return its exit code, or None if it will not die.

        Before it is reaped, for until then the group's number cannot become anybody else's.
        """
        if not self._pipe.closed:
            self._read()
        self._signal(signal.SIGKILL)
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            return None

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # nobody is left in the group
            os.killpg(self._process.pid, number)


def _is_ours(name: str) -> bool:
    return name in OURS or name.startswith("NATHB_")


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


def _may_drop_all() -> bool:
    """Whether this thread may take capabilities from the bounding set of what it starts."""
    state = Path("/proc/thread-self/status").read_text()
    (effective,) = re.findall(r"^CapEff:\s+([0-9a-f]+)$", state, re.M)
    return bool(int(effective, 16) >> CAP_SETPCAP & 1)


def _cause(code: int | None) -> str:
    if not code:
        return ""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _failed(path: Path, why: str) -> Event:
    return Event(kind=EventKind.HOOK_FAILED, message=f"hook {path}: {why}")
