"""One child process, from its start to its end, with all that it started itself.

For a thread that may wait, never for the loop. The child has no capability and no standard input,
and leads a session of its own; the process group that it leads ends with it, so a child that only
went to the background ends too. A child that makes a session of its own escapes that, until the
service stops and systemd ends the whole control group.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL, and after that until we go on without it."""

OURS = {
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "INVOCATION_ID",
    "SYSTEMD_EXEC_PID", "MAINPID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
}  # fmt: skip
"""What the service manager says to the daemon alone: a child must not answer in its name."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Python waits for exec(2) with the interpreter's lock held, so a file that cannot be read at once,
# on a file system that hangs, say, would stop the loop. setpriv(1) waits in our place, and leaves
# the daemon's CAP_NET_RAW behind: an ambient capability would pass to whatever is executed.
IN_BETWEEN = ("/usr/bin/setpriv", "--ambient-caps=-all", "--inh-caps=-all")
OF_ROOT = ("--bounding-set=-all",)
"""What leaves a child of root without capabilities too; takes CAP_SETPCAP, which the service lacks.
"""
CAP_SETPCAP = 8
"""Its number: capabilities(7), linux/capability.h."""
NOT_EXECUTED = {126, 127}
"""Exit codes of setpriv(1), as of a shell, for a program that is not there or cannot be run."""


class End(Enum):
    """How a child came to its end."""

    BY_ITSELF = "by itself"
    TIMED_OUT = "timed out"
    STOPPED = "stopped"
    """nathb itself is stopping."""


class Ended(Struct, frozen=True):
    """What came of a child. `code` is its exit code, or minus the signal that ended it; None when
    it still runs in spite of SIGKILL. `output` and `errors` are what was read of the two."""

    end: End
    code: int | None
    output: bytes
    errors: bytes = b""
    cut: bool = False
    """Whether it wrote more than was read."""
    left: subprocess.Popen[bytes] | None = None
    """What still runs in spite of SIGKILL; None when nothing does."""


def environment_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child: the daemon's, without what is meant for it alone."""
    kept = {name: value for name, value in environ.items() if not _is_ours(name)}
    return {"PATH": DEFAULT_PATH, **kept}


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout: float,
    stopped: int,
    most_output: int,
    grace: float = GRACE,
    stderr: int = subprocess.PIPE,
) -> Ended:
    """Run a command (not a shell's) to its end, and end it after `timeout` seconds.

    `stopped` is an eventfd(2) that becomes readable when nathb stops: the child is killed at once.
    Of each output at most `most_output` bytes are read; a child that writes more gets SIGPIPE.
    `stderr` is subprocess.PIPE, or subprocess.STDOUT to read both as one. A program that cannot be
    run ends with one of NOT_EXECUTED. OSError or ValueError when nothing could be started.
    """
    process = subprocess.Popen(
        [*IN_BETWEEN, *(OF_ROOT if _may_drop_all() else ()), "--", *command],
        cwd="/",
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        bufsize=0,
    )
    try:
        child = ChildProcess(process, stopped, most_output)
    except OSError:  # out of descriptors
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    with child:
        return child.attend(timeout, grace)


class ChildProcess:
    """Stays with one process until it has ended, or has been ended."""

    def __init__(self, process: subprocess.Popen[bytes], stopped: int, most_output: int) -> None:
        self._process = process
        self._stopped = stopped
        self._most = most_output
        self._cut = False
        self._ended = os.pidfd_open(process.pid)
        pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
        self._read: dict[IO[bytes], bytearray] = {pipe: bytearray() for pipe in pipes}
        self._selector = selectors.DefaultSelector()
        for readable in (self._ended, self._stopped):
            self._selector.register(readable, selectors.EVENT_READ)
        for pipe in pipes:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pipe in self._read:
            pipe.close()
        os.close(self._ended)

    def attend(self, timeout: float, grace: float) -> Ended:
        """Wait, and end it when it takes longer than `timeout`; all in seconds."""
        if self._wait(timeout):
            end = End.BY_ITSELF
        elif self._is_ready(self._stopped):
            end = End.STOPPED
        else:
            end = End.TIMED_OUT
            self._signal(signal.SIGTERM)
            self._wait(grace)
        code = self._finish(grace)
        output, errors = [*(bytes(read) for read in self._read.values()), b""][:2]
        left = self._process if code is None else None
        return Ended(end, code, output, errors, self._cut, left)

    def _wait(self, seconds: float) -> bool:
        """Read its output until it ends, we stop, or time is up; return whether it has ended.

        Its end is the process's own. A pipe may stay open for as long as a child likes.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fileobj for key, _ in self._selector.select(left)}
            self._read_from([pipe for pipe in self._read if pipe in ready])
            if ready & {self._ended, self._stopped}:
                break
        return self._is_ready(self._ended)

    def _read_from(self, pipes: Sequence[IO[bytes]]) -> None:
        for pipe in pipes:
            kept = self._read[pipe]
            data = pipe.read(self._most) or b""
            cut = len(kept) + len(data) > self._most
            kept += data[: self._most - len(kept)]
            self._cut = self._cut or cut
            if not data or cut:
                self._selector.unregister(pipe)
                pipe.close()

    def _is_ready(self, descriptor: int) -> bool:
        return any(key.fd == descriptor for key, _ in self._selector.select(0))

    def _finish(self, grace: float) -> int | None:
        """End whatever is left of its group; return its exit code, or None if it will not die.

        Before it is reaped, for until then the group's number cannot become anybody else's.
        """
        self._read_rest()
        self._signal(signal.SIGKILL)
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            return None

    def _read_rest(self) -> None:
        """Read what the pipes still hold, which may be more than one read returns."""
        while ready := [
            key.fileobj for key, _ in self._selector.select(0) if key.fileobj in self._read
        ]:
            self._read_from([pipe for pipe in self._read if pipe in ready])

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # nobody is left in the group
            os.killpg(self._process.pid, number)


def _is_ours(name: str) -> bool:
    return name in OURS or name.startswith("NATHB_")


def _may_drop_all() -> bool:
    """Whether this thread may take capabilities from the bounding set of what it starts."""
    state = Path("/proc/thread-self/status").read_text()
    (effective,) = re.findall(r"^CapEff:\s+([0-9a-f]+)$", state, re.M)
    return bool(int(effective, 16) >> CAP_SETPCAP & 1)
