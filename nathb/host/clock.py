"""The time, for decisions: the only two clocks that nobody sets."""

from __future__ import annotations

import time


class Clock:
    """Seconds that only ever grow. Both agree until the machine is suspended (R14)."""

    def monotonic(self) -> float:
        """Seconds awake since boot, CLOCK_MONOTONIC of clock_gettime(2): one for all processes."""
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds since boot, time spent suspended included: CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
