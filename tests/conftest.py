"""Options of the suite as a whole."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every machine, and as much time as a busy one takes for each.
settings.register_profile(
    "nathb", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nathb")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="renew what is recorded in tests/scenarios.txt, tests/contracts and "
        "tests/config/broken from today's program",
    )


@pytest.fixture
def ipv6() -> None:
    """For tests of IPv6 on loopback; skips on a kernel that has none, or fails if required."""
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError as error:
        reason = f"needs IPv6 on loopback, which this machine has not: {error.strerror}"
        if os.environ.get("NATHB_LAB") == "required":
            pytest.fail(f"NATHB_LAB=required, but this test {reason}", pytrace=False)
        pytest.skip(reason)
