"""The clocks, one of them in a time namespace, for no test can suspend its machine."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from nathb.host.clock import Clock
from tests.uptime import command

pytestmark = pytest.mark.clock

SLEPT = 1000.0
DIFFERENCE = """
from nathb.host.clock import Clock
clock = Clock()
print(clock.boottime() - clock.monotonic())
"""


def test_monotonic_is_the_clock_that_all_processes_of_a_boot_share() -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    now = Clock().monotonic()
    assert before <= now <= time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.mark.lab
@pytest.mark.usefixtures("sandbox")
def test_boottime_counts_what_was_slept_through() -> None:
    now = time.monotonic()
    inside = command([sys.executable, "-c", DIFFERENCE], monotonic=now, boottime=now + SLEPT)
    printed = subprocess.run(
        inside, check=True, stdout=subprocess.PIPE, text=True, timeout=60
    ).stdout
    assert float(printed) == pytest.approx(SLEPT, abs=1.0)
