"""`make demo` shows what it promises."""

from __future__ import annotations

import pytest

from tests.lab.demo import play
from tests.lab.lab import Lab


def test_the_demo_shows_a_takeover_and_a_return_and_measures_both(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(lab) == 0
    shown = capsys.readouterr().out
    for line in (
        "client SILENT",
        "nat-a says: took rtb-",
        "nat-a says: returned rtb-",
        "EC2        was asked to move a route 2 times: to nat-a by nat-a, to nat-c by nat-a",
        "All as promised.",
    ):
        assert line in shown
