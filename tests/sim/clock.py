"""Virtual time: a number, and a heap of what is still to happen."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

START = 0.0
"""With the boot of its machines: nothing may depend on monotonic time being large."""


class SimClock:
    """Seconds that pass only when the world says so. Never suspended: a freeze is a stall."""

    def __init__(self) -> None:
        self.now = START
        self._order = itertools.count()
        self._coming: list[tuple[float, int, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let something happen so many seconds from now; what is due together keeps its order."""
        heapq.heappush(self._coming, (self.now + seconds, next(self._order), happen))

    @property
    def next_at(self) -> float:
        """When something is to happen next; infinity when nothing is."""
        return self._coming[0][0] if self._coming else float("inf")

    def advance(self, to: float) -> None:
        """Let time pass, and everything happen that is due by then."""
        self.now = max(self.now, to)
        while self._coming and self._coming[0][0] <= self.now:
            heapq.heappop(self._coming)[2]()
