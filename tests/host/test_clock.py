"""The clocks, one of them in a time namespace; and points in time as people write them."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime

import pytest

from nathb.core.errors import UsageError
from nathb.host.clock import Clock, point
from tests.uptime import command

SLEPT = 1000.0
DIFFERENCE = """
from nathb.host.clock import Clock
clock = Clock()
print(clock.boottime() - clock.monotonic())
"""


@pytest.mark.clock
def test_monotonic_is_the_clock_that_all_processes_of_a_boot_share() -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    now = Clock().monotonic()
    assert before <= now <= time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.mark.lab
@pytest.mark.usefixtures("sandbox")
@pytest.mark.clock
def test_boottime_counts_what_was_slept_through() -> None:
    now = time.monotonic()
    inside = command([sys.executable, "-c", DIFFERENCE], monotonic=now, boottime=now + SLEPT)
    printed = subprocess.run(
        inside, check=True, stdout=subprocess.PIPE, text=True, timeout=60
    ).stdout
    assert float(printed) == pytest.approx(SLEPT, abs=1.0)


# --- points in time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("2h", 7200),
        ("30m", 1800),
        ("3d", 3 * 86400),
        ("1h30m", 5400),
        ("-5min", 300),
        ("2 hours ago", 7200),
        ("now", 0),
    ],
)
def test_a_span_is_that_long_ago_as_for_journalctl(text: str, ago: int) -> None:
    assert time.time() - point(text) == pytest.approx(ago, abs=15)


def test_yesterday_is_its_local_midnight() -> None:
    assert datetime.fromtimestamp(point("yesterday")).strftime("%H:%M:%S") == "00:00:00"


@pytest.mark.parametrize(
    "text", ["2026-11-20 03:12", "2026-11-20T03:12:00", " 2026-11-20 03:12:00 "]
)
def test_iso_8601_without_a_zone_is_local_time(text: str) -> None:
    assert point(text) == datetime(2026, 11, 20, 3, 12).timestamp()


def test_iso_8601_with_a_zone_is_that_zone_s() -> None:
    assert point("2026-11-20T03:12:00+09:00") == 1795111920.0


@pytest.mark.parametrize("text", ["", "nonsense", "--help", "2026-13-40", "\0"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match='such as "2h"'):
        point(text)


@pytest.mark.parametrize("text", ["30", "-30", "2026", " 1.5 "])
def test_a_bare_number_is_asked_for_its_unit(text: str) -> None:
    with pytest.raises(UsageError, match=r'has no unit; give a time such as "2h"'):
        point(text)
