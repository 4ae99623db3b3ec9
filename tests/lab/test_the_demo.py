"""`make demo` shows what it promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.journald import Journald
from tests.lab.demo import play, put_into
from tests.lab.lab import Lab


def test_the_demo_shows_a_takeover_and_a_return_and_measures_both(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journald() as journald:
        captured = play(lab, journald)
    shown = capsys.readouterr().out
    for line in (
        "client SILENT",
        "nat-a says: took rtb-",
        "nat-a says: returned rtb-",
        "EC2        was asked to move a route 2 times: to nat-a by nat-a, to nat-c by nat-a",
        "All as promised.",
        "held by nat-a (home is nat-c)",
    ):
        assert line in shown
    assert captured["measured"].endswith("All as promised.")
    assert "nat-c  DOWN" in captured["status"]
    assert "heartbeat 193.0.14.129 missed 3 of 3" in captured["history"]


def test_what_the_demo_captured_is_put_between_the_readmes_marks(tmp_path: Path) -> None:
    marks = "".join(f"x\n<!-- demo: {name} -->\nold\n<!-- end -->\ny\n" for name in ("a", "b"))
    file = tmp_path / "file.md"
    file.write_text(marks)
    put_into(file, {"a": r"new \1", "b": "newer"})
    assert file.read_text() == (
        "x\n<!-- demo: a -->\n```\nnew \\1\n```\n<!-- end -->\ny\n"
        "x\n<!-- demo: b -->\n```\nnewer\n```\n<!-- end -->\ny\n"
    )
    with pytest.raises(ValueError, match="has 0 places"):
        put_into(file, {"c": "nowhere"})
