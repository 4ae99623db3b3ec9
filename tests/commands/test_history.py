"""`nathb history`: what it prints of fixed entries, and what it reads from real journals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nathb.cli import main
from nathb.commands.history import as_json, table
from nathb.core.errors import JournalError, UsageError
from nathb.core.events import Event, EventKind
from nathb.core.model import Route
from nathb.core.timeline import Occurrence
from nathb.ui.plot import draw
from tests.commands.told import nathb, tell
from tests.host.journald import Journald
from tests.sim.pair import A, C, pair

ROUTE = Route("rtb-0bee8f2dc00000003", "0.0.0.0/0")
MIDNIGHT = 1795186800.0
"""Of 2026-11-21 in Tokyo."""
NEEDED = "heartbeat 8.8.4.4 missed 3 of 3, uplink up"


def told(at: float, kind: EventKind, node: str = A, **fields: Any) -> Occurrence:
    event = Event(kind=kind, message=f"{kind.value} happened", **fields)
    return Occurrence(at=MIDNIGHT + at, monotonic=at, boot="boot", node=node, event=event)


STORY = (
    told(
        -120.0,
        EventKind.MOVE_FAILED,
        route=ROUTE,
        source=C,
        target=A,
        reason=NEEDED,
        rule="R3",
        detect_ms=3400,
        error="ReplaceRoute: RequestLimitExceeded: the account calls EC2 too often; "
        "find out who does, and calls again in 1 s",
    ),
    told(
        -118.0,
        EventKind.TOOK,
        route=ROUTE,
        source=C,
        target=A,
        reason=NEEDED,
        rule="R3",
        detect_ms=5400,
        api_ms=6,
    ),
    told(
        600.0,
        EventKind.RETURNED,
        route=ROUTE,
        source=A,
        target=C,
        reason="nat-c has been up for 60 s",
        rule="R4",
        detect_ms=60_000,
        api_ms=7,
    ),
    told(700.0, EventKind.MOVED_BY_ANOTHER, route=ROUTE, source=C, target=A),
    Occurrence(at=MIDNIGHT + 800, monotonic=800.0, boot="boot", node=A, lost=12),
)
SCREEN = """\
  #  time      what         route                            from → to      detected  moved in

Friday 2026-11-20, JST (UTC+0900)
  3  23:58:00  take FAILED  rtb-0bee8f2dc00000003 0.0.0.0/0  nat-c → nat-a     3.4 s
               ReplaceRoute: RequestLimitExceeded: the account calls EC2 too often; find out who
               does, and calls again in 1 s; wanted because heartbeat 8.8.4.4 missed 3 of 3, uplink
               up [by nat-a, R3]
  2  23:58:02  took         rtb-0bee8f2dc00000003 0.0.0.0/0  nat-c → nat-a     5.4 s      6 ms
               heartbeat 8.8.4.4 missed 3 of 3, uplink up [by nat-a, R3]

Saturday 2026-11-21, JST (UTC+0900)
  1  00:10:00  returned     rtb-0bee8f2dc00000003 0.0.0.0/0  nat-a → nat-c                7 ms
               nat-c has been up for 60 s [by nat-a, R4]
     00:11:40  seen moved   rtb-0bee8f2dc00000003 0.0.0.0/0  nat-c → nat-a
               seen in the route table: this node did not move it [by nat-a]
     00:13:20  GAP
               12 entries were lost: the journal did not accept them in time [by nat-a]
"""


def test_people_see_a_day_a_line_of_facts_and_the_reason_below(tokyo_time: None) -> None:  # noqa: ARG001
    lines = table(STORY)
    assert "\n".join(lines) + "\n" == SCREEN
    assert max(map(len, lines)) <= 100


def test_machines_see_one_object_a_line_with_what_there_is(tokyo_time: None) -> None:  # noqa: ARG001
    failed, took, *_, gap = (json.loads(line) for line in as_json(STORY))
    assert (failed["number"], failed["event"]) == (3, "move-failed")
    assert failed["error"].startswith("ReplaceRoute: RequestLimitExceeded")
    assert took == {
        "number": 2,
        "at": "2026-11-20T23:58:02.000+09:00",
        "node": A,
        "event": "took",
        "route_table": ROUTE.table,
        "destination": ROUTE.destination,
        "from": C,
        "to": A,
        "reason": NEEDED,
        "rule": "R3",
        "detect_ms": 5400,
        "api_ms": 6,
        "error": None,
        "request_id": None,
        "message": "took happened",
        "version": None,
    }
    assert (gap["event"], gap["number"]) == ("events-lost", None)


# --- the picture --------------------------------------------------------------------------------


def test_the_picture_names_routes_and_nodes_and_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    for path in (one, other):
        draw(path, "tokyo", STORY, MIDNIGHT - 600, MIDNIGHT + 3600)
    text = one.read_text()
    for words in (str(ROUTE), A, C, "tokyo: who held which route (x: a move failed)"):
        assert f">{words}<" in text
    assert text == other.read_text()


def test_a_picture_of_another_kind_or_into_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end the name in \.svg"):
        draw(tmp_path / "one.doc", "tokyo", STORY, MIDNIGHT, MIDNIGHT + 1)
    with pytest.raises(JournalError, match="cannot be written"):
        draw(tmp_path / "no" / "one.svg", "tokyo", STORY, MIDNIGHT, MIDNIGHT + 1)
    with pytest.raises(JournalError, match="nothing to draw"):
        draw(tmp_path / "one.svg", "tokyo", (), MIDNIGHT, MIDNIGHT + 1)


# --- real journals ------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.clock
def test_a_takeover_and_its_return_are_read_from_the_journal_and_drawn(
    journald: Journald, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(300.0)
    world.network()
    world.run(300.0)
    directory = tell(world, A, journald)
    picture = tmp_path / "pair.svg"
    done = nathb("history", "pair", "--directory", directory, "--plot", str(picture))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[2] for line in done.stdout.splitlines() if "→" in line][1:] == [
        "took",
        "returned",
    ]
    assert "peer down" not in done.stdout
    assert main(["history", "pair", "--all", "--directory", directory]) == 0
    assert "nat-c is down" in capsys.readouterr().out
    assert "rtb-0000000a 0.0.0.0/0" in picture.read_text()


@pytest.mark.lab
@pytest.mark.clock
def test_without_matplotlib_the_table_is_shown_and_the_plot_says_how_to_get_it(
    journald: Journald, tmp_path: Path
) -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    (tmp_path / "matplotlib.py").write_text("raise ImportError\n")
    at = ("--directory", tell(world, A, journald))
    plot = ("--plot", str(tmp_path / "pair.svg"))
    done = nathb("history", "pair", *at, *plot, first_on_path=str(tmp_path))
    assert done.returncode == 1
    assert "took" in done.stdout
    assert "sudo make install EXTRAS=plot" in done.stderr


@pytest.mark.lab
@pytest.mark.clock
def test_each_move_has_one_row_though_both_nodes_journals_are_read(
    journald: Journald, capsys: pytest.CaptureFixture[str]
) -> None:
    world = pair()
    world.network(targets_lost=[C])
    world.run(60.0)
    tell(world, A, journald)
    assert main(["history", "pair", "--json", "--directory", journald.directory]) == 0
    [seen] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (seen["event"], seen["node"]) == ("moved-by-another", A)
    with Journald() as other:
        tell(world, C, other)
        both = ("--directory", journald.directory, "--directory", other.directory)
        assert main(["history", "pair", "--json", *both]) == 0
    [released] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (released["event"], released["node"]) == ("released", C)


@pytest.mark.lab
@pytest.mark.clock
def test_nothing_in_that_time_is_1_and_says_so(
    journald: Journald, capsys: pytest.CaptureFixture[str]
) -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    at = ("--directory", tell(world, A, journald))
    for arguments, words in (
        (("pair", "--since", "tomorrow"), "pair: nathb moved nothing since tomorrow; the journal"),
        (("pair", "--until", "2h"), "pair: nathb moved nothing until 2h; the journal begins"),
        (("pear",), "the journal has no group pear; it knows pair"),
    ):
        assert main(["history", *arguments, *at]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert words in printed.err


def test_a_time_that_is_none_is_2_and_a_journal_that_is_none_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "pair", "--since", "whenever"]) == 2
    assert main(["history", "pair", "--directory", str(tmp_path)]) == 1
    assert "holds no *.journal file" in capsys.readouterr().err
