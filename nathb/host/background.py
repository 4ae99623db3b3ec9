"""Calls that may take long, or for ever, kept off the loop.

Each call has a thread of its own. A pool would let a few hung calls starve all others, and
Python waits for a pool's threads at exit; a daemon thread holds up neither.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from nathb.core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Background:
    """Runs blocking calls and hands back what came of them, to a loop that waits on `fileno`.

    At most `limit` calls run at a time, so that a cloud which answers nothing costs a bounded
    number of threads. All methods are for the loop's thread.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._running = 0
        self._ended: deque[tuple[Hashable, object]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False

    def start(self, ticket: Hashable, call: Callable[[], object]) -> None:
        """Start a call; the ticket comes back with its result.

        What cannot be started comes back too, with a BusyError: `limit` calls run already, or
        the machine gives no more threads.
        """
        with self._lock:
            self._running += 1
            running = self._running
        if running > self._limit:
            self._end(ticket, BusyError(f"not started: {self._limit} calls have not ended"))
            return
        try:
            threading.Thread(target=self._run, args=(ticket, call), daemon=True).start()
        except RuntimeError as error:
            self._end(ticket, BusyError(f"not started, no thread is available: {error}"))

    def ended(self) -> list[tuple[Hashable, object]]:
        """Return (ticket, result) of each call that ended since the last time, in that order.

        A call that raised has its exception as the result, whatever its class. Never waits.
        """
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        # The bell is silenced first: what ends from here on rings it again.
        with self._lock:
            ended = list(self._ended)
            self._ended.clear()
        return ended

    def fileno(self) -> int:
        """Return a descriptor that is readable while something has ended: eventfd(2)."""
        return self._bell

    def running(self) -> int:
        """Count the calls under way."""
        with self._lock:
            return self._running

    def close(self) -> None:
        """Give the descriptor back; what still runs is left to itself, its results go nowhere."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._bell)

    def _run(self, ticket: Hashable, call: Callable[[], object]) -> None:
        result: object
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  the loop tells it; a thread has no reader
            result = error
        self._end(ticket, result)

    def _end(self, ticket: Hashable, result: object) -> None:
        with self._lock:
            self._running -= 1
            # Once closed, the descriptor's number may already be somebody else's.
            if not self._closed:
                self._ended.append((ticket, result))
                os.eventfd_write(self._bell, 1)
