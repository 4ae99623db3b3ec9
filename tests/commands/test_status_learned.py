"""What `nathb status` says of learned routes, and of them alone where the file has `learn`."""

from __future__ import annotations

import msgspec

from nathb.core.learned import LearnStatus
from nathb.core.snapshot import Snapshot
from nathb.ui.status_screen import screen
from tests.commands.test_status_situations import NOW, seen


def lines(status: LearnStatus) -> list[str]:
    found = screen(seen(learned=status))
    start = next(at for at, line in enumerate(found) if line.startswith("learned"))
    return found[start : found.index("", start)]


def test_it_shows_what_the_router_knows_and_what_this_node_has_made_of_it() -> None:
    assert lines(LearnStatus(known=12, made=24, read_at=NOW - 3)) == [
        "learned  12 prefixes known; this node has made 24 routes"
    ]
    assert lines(LearnStatus(known=1, read_at=NOW - 3, refused=2)) == [
        "learned  1 prefix known; 2 prefixes without a route"
    ]
    assert lines(LearnStatus(known=0)) == ["learned  the router is not read yet"]


def test_it_shows_since_when_the_router_cannot_be_read_and_that_not_all_is_well() -> None:
    failing = LearnStatus(known=12, read_at=NOW - 70, failing_since=NOW - 60, error="vtysh: no")
    assert lines(failing) == [
        "learned  the router cannot be read since 940 s (60 s): vtysh: no; 12 prefixes known",
        "    to do: correct the command or the file that `learn` names",
    ]
    assert "1 warning (learned)" in screen(seen(learned=failing))[0]


def test_without_learn_neither_screen_nor_json_has_a_word_of_it() -> None:
    assert not [line for line in screen(seen()) if line.startswith("learned")]
    assert b"learned" not in msgspec.json.encode(seen())
    again = msgspec.json.decode(msgspec.json.encode(seen()), type=Snapshot)
    assert again.learned is msgspec.UNSET
