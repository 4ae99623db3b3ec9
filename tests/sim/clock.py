"""Virtual time: a number, and a heap of what is still to happen."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

START = 0.0
"""With the boot of its machines: nothing may depend on monotonic time being large."""


class SimClock:
    """Seconds that pass only when the world says so."""

    def __init__(self) -> None:
        self.now = START
        self.stirred = True
        """Whether something has happened, that may change who serves whom, since last asked."""
        self._order = itertools.count()
        self._coming: list[tuple[float, int, Callable[[], None], bool]] = []

    def later(self, seconds: float, happen: Callable[[], None], *, stirs: bool = True) -> None:
        """Let something happen so many seconds from now; what is due together keeps its order.

        An answer that arrives does not stir: it changes nothing about who serves whom.
        """
        heapq.heappush(self._coming, (self.now + seconds, next(self._order), happen, stirs))

    @property
    def next_at(self) -> float:
        """When something is to happen next; infinity when nothing is."""
        return self._coming[0][0] if self._coming else float("inf")

    def advance(self, to: float) -> None:
        """Let time pass, and everything happen that is due by then."""
        self.now = max(self.now, to)
        while self._coming and self._coming[0][0] <= self.now:
            _, _, happen, stirs = heapq.heappop(self._coming)
            self.stirred = self.stirred or stirs
            happen()
