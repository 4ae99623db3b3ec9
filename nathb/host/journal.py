"""Logging what happened, without ever waiting for journald.

A journald that does not read makes its clients wait: sd_journal_sendv(3) sends on a blocking
socket, and systemd-python holds the interpreter's lock meanwhile, so one such call would stop
every thread of the process, the probing loop first. (It also takes a journal that is not there
for success.) So the few lines of the native protocol are written out here, on a socket of our
own, and all writing is done by one thread behind a bounded queue. What does not fit is counted,
and the count is told when the way is clear again.

See systemd.exec(5) for JOURNAL_STREAM, sd-daemon(3) for the `<4>` in front of a line, and
https://systemd.io/JOURNAL_NATIVE_PROTOCOL.
"""

from __future__ import annotations

import fcntl
import os
import queue
import socket
import threading
import time
from array import array
from datetime import datetime
from errno import EMSGSIZE
from typing import TYPE_CHECKING

from nathb.host import journal_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nathb.core.events import Event
    from nathb.host.journal_schema import Record

SOCKET = "/run/systemd/journal/socket"
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def _now() -> datetime:
    return datetime.now().astimezone()


class Journal:
    """Where a node's events go: journald when it listens to our stderr, else stderr itself.

    With `to_socket`, journald in any case: a container's stderr leads to its engine's log.
    `stderr` is a file descriptor, `address` journald's socket, `now` the wall clock that stamps
    lines for the reader's eye, `backlog` how many events may wait for the writer.
    """

    def __init__(
        self,
        group: str,
        node: str,
        *,
        environ: Mapping[str, str] = os.environ,
        stderr: int = 2,
        address: str = SOCKET,
        now: Callable[[], datetime] = _now,
        backlog: int = 1000,
        to_socket: bool = False,
    ) -> None:
        self._group = group
        self._node = node
        self._now = now
        under_journald = _is_journal(stderr, environ.get("JOURNAL_STREAM", ""))
        self._native = Native(address) if under_journald or to_socket else None
        self._lines = Lines(stderr, under_journald=under_journald)
        self._waiting: queue.Queue[tuple[datetime, Record] | None] = queue.Queue(backlog)
        # Whoever tells counts what is dropped; each of the other counts has one writing thread.
        self._counting = threading.Lock()
        self._dropped = 0
        self._failed = 0
        self._admitted = 0
        # A daemon thread: one that waits for a hung journald must not keep the process alive.
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def emit(self, event: Event) -> None:
        """Queue the event to be written, at once and without fail; drop and count it if full.

        Any thread may call it.
        """
        try:
            self._waiting.put_nowait(
                (self._now(), journal_schema.record(event, self._group, self._node))
            )
        except queue.Full:
            with self._counting:
                self._dropped += 1

    def close(self, timeout: float) -> bool:
        """Write what waits, for at most `timeout` seconds; return whether all of it was."""
        deadline = time.monotonic() + timeout
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            return False
        self._writer.join(max(0.0, deadline - time.monotonic()))
        return not self._writer.is_alive() and self._lost == 0

    @property
    def _lost(self) -> int:
        return self._dropped + self._failed - self._admitted

    def _write(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            if not self._carry(*waiting):
                self._failed += 1
            elif self._waiting.empty():
                self._own_up()
        self._own_up()

    def _own_up(self) -> None:
        lost = self._lost
        if lost and self._carry(
            self._now(), journal_schema.lost_record(lost, self._group, self._node)
        ):
            self._admitted += lost

    def _carry(self, at: datetime, record: Record) -> bool:
        """Write to the first that takes it; whatever is wrong with both, the loop goes on."""
        try:
            if self._native:
                return self._native.send(record)
        except OSError:
            pass  # journald restarts, is masked, or its disk is full: stderr may still work
        try:
            return self._lines.write(at, record)
        except OSError:
            return False


class Native:
    """journald's own protocol, on a blocking datagram socket. OSError when it is not taken."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def send(self, record: Record) -> bool:
        """Send one entry; it waits as long as journald does not read."""
        datagram = b"".join(_field(name, value) for name, value in record.fields)
        try:
            # By address each time: a restarted journald may have made a new socket.
            self._socket.sendto(datagram, self._address)
        except OSError as error:
            if error.errno != EMSGSIZE:
                raise
            self._send_large(datagram)
        return True

    def _send_large(self, datagram: bytes) -> None:
        """Pass what is too large for a datagram as a sealed memory file, as the protocol has it."""
        flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        with os.fdopen(os.memfd_create("nathb-entry", flags), "wb") as file:
            file.write(datagram)
            file.flush()
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file.fileno()]))
            self._socket.sendmsg([], [rights], 0, self._address)


class Lines:
    """One line per entry on a file descriptor. OSError when it is not taken."""

    def __init__(self, fd: int, *, under_journald: bool) -> None:
        self._fd = fd
        self._dress = _for_journald if under_journald else _plain
        if os.isatty(fd):
            self._dress = _for_terminal

    def write(self, at: datetime, record: Record) -> bool:
        """Write one line, all of it; it waits as long as nobody reads."""
        rest = (self._dress(at, record) + "\n").encode()
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        return True


def _for_journald(_at: datetime, record: Record) -> str:
    return f"<{record.level.value}>{record.sentence}"


def _for_terminal(at: datetime, record: Record) -> str:
    return f"{_stamp(at)} {record.level.name.lower():<7} {record.sentence}"


def _plain(at: datetime, record: Record) -> str:
    return f"{_stamp(at)} {record.sentence}"


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _field(name: str, value: str) -> bytes:
    """One field; a value of several lines goes with its length in front, in 64 bits."""
    key, data = name.encode(), value.encode(errors="replace")
    if b"\n" not in data:
        return key + b"=" + data + b"\n"
    return key + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _is_journal(fd: int, journal_stream: str) -> bool:
    """Whether this descriptor leads to journald: JOURNAL_STREAM names its device and inode."""
    try:
        stat = os.fstat(fd)
    except OSError:
        return False
    return journal_stream == f"{stat.st_dev}:{stat.st_ino}"
