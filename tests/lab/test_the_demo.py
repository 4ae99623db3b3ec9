"""`make demo` shows what it promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.journald import Journald
from tests.lab.demo import play, put_into
from tests.lab.fork_server import CHECKOUT
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


def marked(*names: str) -> str:
    return "".join(f"x\n<!-- demo: {name} -->\nold\n<!-- end -->\ny\n" for name in names)


def test_what_the_demo_captured_is_put_between_the_documents_marks(tmp_path: Path) -> None:
    first, second = tmp_path / "first.md", tmp_path / "second.md"
    first.write_text(marked("a", "b"))
    second.write_text(marked("c"))
    put_into((first, second), {"a": r"new \1", "b": "newer", "c": "newest"})
    assert first.read_text() == (
        "x\n<!-- demo: a -->\n```\nnew \\1\n```\n<!-- end -->\ny\n"
        "x\n<!-- demo: b -->\n```\nnewer\n```\n<!-- end -->\ny\n"
    )
    assert second.read_text() == "x\n<!-- demo: c -->\n```\nnewest\n```\n<!-- end -->\ny\n"


@pytest.mark.parametrize(("names", "places"), [(("a",), 0), (("a", "b", "b"), 2)])
def test_a_capture_without_its_one_place_is_refused_and_nothing_is_written(
    tmp_path: Path, names: tuple[str, ...], places: int
) -> None:
    file = tmp_path / "file.md"
    file.write_text(marked(*names))
    with pytest.raises(ValueError, match=f"{places} places for what b shows"):
        put_into((file,), {"a": "new", "b": "newer"})
    assert file.read_text() == marked(*names)


def test_the_documents_have_one_place_for_each_capture() -> None:
    texts = [(CHECKOUT / name).read_text() for name in ("README.md", "docs/proven.md")]
    for name in ("status", "history", "measured"):
        assert "".join(texts).count(f"<!-- demo: {name} -->\n") == 1
