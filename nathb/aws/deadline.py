"""Until when a call to EC2 may be sent, and until when it may last.

botocore's timeouts count silence, for each name, address, handshake and byte. A Deadline counts
time, over the whole call. All times are on one monotonic clock, in seconds.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any

from nathb.core.text import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TooLate(Exception):  # noqa: N818  not a fault: it was decided so
    """A request that was not sent, because its time had passed."""


class Deadline(threading.local):
    """The deadline of the call that the current thread makes: one client's, per thread."""

    def __init__(self, seconds: float, read_timeout: float) -> None:
        """A call may last `seconds`; a `write`, `read_timeout` seconds past its `not_after`."""
        self._seconds = seconds
        self._read_timeout = read_timeout
        self._clock: Callable[[], float] = time.monotonic
        self._not_after = inf
        self._ends = inf

    @contextmanager
    def write(self, not_after: float, clock: Callable[[], float]) -> Iterator[None]:
        """What is called in here is sent by `not_after` on this clock, or not at all: TooLate."""
        self._not_after, self._clock = not_after, clock
        try:
            self.check()
            yield
        finally:
            self._not_after, self._clock = inf, time.monotonic

    def begin(self, **_: Any) -> None:
        """Count the time of a call from now on; botocore's `before-send` event comes here."""
        latest = self._not_after + self._read_timeout
        self._ends = min(self._clock() + self._seconds, latest)

    @property
    def to_send(self) -> float:
        """Seconds in which the request may still arrive; below 0 when it is too late."""
        return self._not_after - self._clock()

    def check(self) -> None:
        """Raise TooLate when the request may not be sent any more."""
        if (left := self.to_send) < 0:
            late = format_duration(-left)
            raise TooLate(f"not sent: {late} too late, and its reasons may be gone")

    def limit(self, seconds: float) -> float:
        """Return `seconds`, or what is left of the call if less; TimeoutError if nothing is."""
        left = self._ends - self._clock()
        if left <= 0:
            raise TimeoutError("the call has lasted too long")
        return min(seconds, left)

    def limit_before_sending(self, seconds: float) -> float:
        """Return the same, but no more than what is left of the time to send, and a trifle if none.

        Whatever waits for so long fails in time; `check` then says why.
        """
        return max(0.001, min(seconds, self._ends - self._clock(), self.to_send))
