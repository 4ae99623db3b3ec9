"""Hooks: executables in a directory, run one after the other for each transition.

A hook may hang, fork, fill its output or be killed: none of that touches the loop, for all of
this happens in the one thread of an outbox. A hook leads a session of its own, and the process
group that it leads ends with it, so a child that only went to the background ends too. A child
that makes a session of its own escapes that, until the service stops and systemd ends the whole
control group.

Which files are hooks is as systemd.generator(7) and run-parts(8) have it: those that are
executable, by name; hidden and backup files are none.
"""

from __future__ import annotations

import os
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT = 10.0
"""Seconds a hook may take."""
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, and after that until we go on without it."""
MOST_OUTPUT = 64 * 1024
"""Bytes of output that are read; a hook that writes more is ended by SIGPIPE."""
SHOWN = 300
"""Characters of its last output that are logged when it failed."""

NOT_HOOKS = ("~", ".bak", ".swp", ".orig", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave")
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH

OURS = {
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "INVOCATION_ID",
    "SYSTEMD_EXEC_PID", "MAINPID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
}  # fmt: skip
"""What the service manager says to the daemon alone: a hook must not answer in its name."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Python waits for exec(2) with the interpreter's lock held, so a file that cannot be read at once,
# on a file system that hangs, say, would stop the loop. A shell in between waits in our place.
IN_BETWEEN = ("/bin/sh", "-c", 'exec "$0"')


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
            paths = self._paths()
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

    def _paths(self) -> list[Path]:
        """Return the hooks in their order; OSError when the directory cannot be read."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        paths = (self._directory / name for name in names if not _is_put_aside(name))
        return [path for path in paths if _is_hook(path)]

    def _run(self, path: Path, environment: Mapping[str, str]) -> str:
        """Run one hook to its end; return what went wrong, and nothing when nothing did."""
        try:
            if refused := _refusal(path):
                return refused
            process = subprocess.Popen(
                [*IN_BETWEEN, str(path)],
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
    return stat.S_ISREG(mode) and bool(mode & EXECUTABLE)


def _refusal(path: Path) -> str:
    """Say why a hook is not run: who may write it, or put another in its place, acts as nathb."""
    for what in (path.parent, path):
        if what.stat().st_mode & WRITABLE_BY_OTHERS:
            return f"not run, because others may write to {what}: chmod go-w {what}"
    return ""


def _cause(code: int | None) -> str:
    if not code:
        return ""
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _failed(path: Path, why: str) -> Event:
    return Event(kind=EventKind.HOOK_FAILED, message=f"hook {path}: {why}")
