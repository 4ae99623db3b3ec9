"""Reporting the daemon's state to the service manager: sd_notify(3), without ever waiting for it.

systemd-python's `notify` sends on a blocking socket and holds the interpreter's lock while a
busy manager does not read; a watchdog that can hang its own process is worse than none. Here a
datagram is sent or it is not. What was not said goes along with the next one, and the watchdog's
own pace sees to it that there soon is a next one.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from nathb.host.journal_schema import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

READY = ("READY=1",)


class Manager:
    """The service manager of this process; every method is a no-op when there is none.

    Nothing here raises or waits. `monotonic_ns` is CLOCK_MONOTONIC in nanoseconds, which
    RELOADING=1 has to carry.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str] = os.environ,
        pid: int | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._monotonic_ns = monotonic_ns
        self._state: tuple[str, ...] = ()
        self._status = ""
        self._said: tuple[tuple[str, ...], str] = ((), "")
        self.watchdog_interval = _watchdog(environ, os.getpid() if pid is None else pid)
        """Seconds without `watchdog()` after which the manager kills us; None for never.

        Call it at twice that pace, as sd_watchdog_enabled(3) advises.
        """

    def starting(self, status: str, seconds: float) -> None:
        """Say what start-up waits for, and that it may take so many seconds more."""
        self._status = one_line(status)
        self._say(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def ready(self, status: str) -> None:
        """Say that start-up, or a reload, is complete."""
        self._state, self._status = READY, one_line(status)
        self._say()

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows; sent only when it has changed."""
        self._status = one_line(text)
        self._say()

    def watchdog(self) -> None:
        """Say that the loop is alive."""
        self._say("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that a reload has begun; `ready` ends it."""
        self._state = ("RELOADING=1", f"MONOTONIC_USEC={self._monotonic_ns() // 1000}")
        self._say()

    def stopping(self) -> None:
        """Say that shutdown has begun."""
        self._state = ("STOPPING=1",)
        self._say()

    def _say(self, *more: str) -> None:
        """Send what the manager does not have yet, and `more`, in one datagram."""
        said_state, said_status = self._said
        state = self._state if self._state != said_state else ()
        status = (f"STATUS={self._status}",) if self._status != said_status else ()
        lines = (*state, *status, *more)
        if self._address and lines and _send(self._address, "\n".join(lines)):
            self._said = (self._state, self._status)


def _send(address: str, text: str) -> bool:
    """Send one datagram now or not at all; return whether it left."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(errors="replace"), address)
    except OSError:
        return False
    return True


def _address(notify_socket: str) -> str:
    """Turn NOTIFY_SOCKET into an address: a path, or `@name` for an abstract one."""
    if notify_socket.startswith("@"):
        return "\0" + notify_socket[1:]
    return notify_socket if notify_socket.startswith("/") else ""


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Read WATCHDOG_USEC, unless WATCHDOG_PID says that another process is meant."""
    try:
        interval = int(environ["WATCHDOG_USEC"]) / 1e6
        meant = int(environ.get("WATCHDOG_PID", pid)) == pid
    except (KeyError, ValueError):
        return None
    return interval if meant and interval > 0 else None
