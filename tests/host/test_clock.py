from __future__ import annotations

import time

from nathb.host.clock import Clock


def test_monotonic_is_the_clock_that_all_processes_of_a_boot_share() -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    now = Clock().monotonic()
    assert before <= now <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_boottime_counts_what_was_slept_through() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = Clock().boottime()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)
