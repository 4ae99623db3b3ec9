"""Options of the suite as a whole."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="renew what is recorded in tests/scenarios and tests/contracts from today's program",
    )
