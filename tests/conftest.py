"""Options of the suite as a whole."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="renew the recorded transcripts of tests/scenarios from what the rules say today",
    )
