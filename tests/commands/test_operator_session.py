"""What the verbs that ask something of a group write, say and return, on a pair that obeys."""

from __future__ import annotations

import argparse
import json
import re
import signal
from collections.abc import Callable, Iterable

import pytest
from msgspec.structs import replace

from nathb.commands.drain import drain, undrain
from nathb.commands.pause import pause, resume
from nathb.commands.revert import revert
from nathb.core.ec2_state import Instance, InstanceState, Intent, View
from nathb.core.errors import CloudError, OutputError, RefusalError, SnapshotError, UsageError
from nathb.core.model import Failure, Group, Preempt, Rule, Ruling
from nathb.core.snapshot import Snapshot
from nathb.ui.interruption import TerminatedError
from nathb.ui.operator_session import OperatorSession, Report, carried_out
from tests.commands.test_status import HEALTHY
from tests.core.build import NOW, PAIR, ROUTE_A, ROUTE_C, down, view

MANUAL = replace(PAIR, preempt=Preempt.MANUAL)
A, C = "nat-a", "nat-c"


class World:
    """EC2's tags and routes, daemons that obey them after a while, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.holders = {"a": A, "c": C}
        self.intent = Intent()
        self.written: list[str] = []
        self.obeyed_at = float("inf")
        self.then: Callable[[], None] = lambda: None
        self.fails: CloudError | None = None
        self.unseen: dict[str, Instance] = {}

    def obey(self, after: float, **holders: str) -> None:
        """Let the routes be held so, so many seconds after the wish."""
        self.obeyed_at, self.then = after, lambda: self.holders.update(holders)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.obeyed_at:
            self.then()

    # TagWriter

    def view(self) -> View:
        if self.fails is not None and self.now > 0:
            raise self.fails
        return view(**self.holders, intent=self.intent)

    def requests(self) -> Intent:
        return self.intent

    def instance(self, node: str) -> Instance:
        return self.unseen.get(node, Instance(node, f"i-{node}"))

    def drain(self, nodes: Iterable[str]) -> None:
        self.intent = replace(self.intent, drained=frozenset(nodes))
        self.written.append(f"drain {' '.join(sorted(nodes))}".strip())

    def pause(self, seconds: float | None) -> str:
        self.written.append(f"pause {seconds}")
        return "on" if seconds is None else "until 2026-11-21T14:00:00Z"

    def resume(self) -> None:
        self.written.append("resume")

    def interrupted(self, *_: object) -> None:
        raise KeyboardInterrupt

    def revert(self, seconds: float) -> str:
        self.written.append(f"revert {seconds:g}")
        return "until 2026-11-21T12:10:00Z"

    def reverted(self) -> None:
        self.written.append("reverted")


class Ask:
    """One command line's end: the session, and the last exit code, on a machine with or without."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.local: Snapshot | None = HEALTHY
        self.deaf = ""

    def find(self, group: str) -> Snapshot:
        if self.local is None:
            raise SnapshotError(f"{group}: no daemon")
        return self.local

    def __call__(
        self,
        verb: Callable[[OperatorSession, argparse.Namespace], int],
        node: str = "",
        *,
        group: Group = PAIR,
        wait: float | None = None,
        force: bool = False,
        as_json: bool = False,
        seconds: float | None = None,
    ) -> int:
        session = OperatorSession(
            group, self.world, Report(as_json=as_json),
            clock=lambda: self.world.now, sleep=self.world.sleep,
            find=self.find, look_now=lambda _snapshot: self.deaf,
        )  # fmt: skip
        given = argparse.Namespace(node=node, wait=wait, force=force, seconds=seconds)
        return carried_out(verb, session, given)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ask(world: World) -> Ask:
    return Ask(world)


Shown = pytest.CaptureFixture[str]


# --- drain


def test_a_drain_returns_when_the_routes_are_away(ask: Ask, world: World, capsys: Shown) -> None:
    world.obey(2.0, a=C)
    assert ask(drain, A) == 0
    assert 2.0 <= world.now < 3.0
    assert world.written == ["drain nat-a"]
    assert capsys.readouterr().out.splitlines() == [
        "nat-a is drained: 1 route goes to nat-c",
        "in force at once on nat-a, within 30 s on nat-c",
        "nat-a holds no route: work on it may begin",
    ]


def test_a_drain_that_moves_nothing_is_1_after_refresh_and_30_s_and_says_why(
    ask: Ask, world: World, capsys: Shown
) -> None:
    kept = Ruling(ROUTE_A, Rule.R6, "drained, but nat-c is in doubt: kept for now")
    ask.local = replace(HEALTHY, rulings=(kept,))
    assert ask(drain, A) == 1
    assert 60.0 <= world.now < 61.0
    assert capsys.readouterr().err == (
        f"warning: nat-a still holds {ROUTE_A}: "
        "nat-a says: drained, but nat-c is in doubt: kept for now\n"
    )


def test_a_drain_need_not_wait(ask: Ask, world: World) -> None:
    assert ask(drain, A, wait=0.0) == 0
    assert world.now == 0.0


def test_a_drain_adds_to_those_that_are(ask: Ask, world: World) -> None:
    group = replace(PAIR, nodes=(*PAIR.nodes, replace(PAIR.nodes[0], name="nat-d", routes=())))
    world.intent = Intent(drained=frozenset({"nat-d"}))
    world.obey(0.0, a=C)
    assert ask(drain, A, group=group) == 0
    assert world.written == ["drain nat-a nat-d"]


def test_a_drain_can_be_repeated(ask: Ask, world: World) -> None:
    world.obey(0.0, a=C)
    assert [ask(drain, A), ask(drain, A)] == [0, 0]


def test_the_last_node_is_not_drained_unless_by_force(ask: Ask, world: World) -> None:
    world.intent = Intent(drained=frozenset({C}))
    with pytest.raises(RefusalError, match="nat-a is the last node of pair that is not drained"):
        ask(drain, A)
    assert world.written == []
    assert ask(drain, A, force=True, wait=0.0) == 0
    assert world.written == ["drain nat-a nat-c"]


def test_with_nobody_alive_to_take_over_a_drain_is_set_and_warned_of(
    ask: Ask, world: World, capsys: Shown
) -> None:
    ask.local = replace(HEALTHY, peers={C: down()})
    assert ask(drain, A, wait=5.0) == 1
    assert world.written == ["drain nat-a"]
    assert "nat-a sees no other node alive: nat-a keeps its routes until" in capsys.readouterr().err


def test_while_the_group_is_paused_a_drain_does_not_wait_and_warns(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.intent = Intent(paused=True)
    assert ask(drain, A) == 1
    assert world.now == 0.0
    shown = capsys.readouterr().err
    assert "the group is paused: nothing moves until `nathb resume pair`" in shown
    assert "another hand" not in shown


def test_a_drain_that_another_hand_has_overwritten_is_told(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.obeyed_at, world.then = 1.0, lambda: setattr(world, "intent", Intent())
    assert ask(drain, A) == 1
    assert "someone else has changed the tag nathb:drain" in capsys.readouterr().err


def test_when_ec2_falls_silent_after_the_wish_the_outcome_is_said_to_be_unknown(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.fails = CloudError(Failure.UNAVAILABLE, "EC2 is away")
    assert ask(drain, A, wait=0.0) == 0
    assert ask(drain, A, wait=3.0) == 1
    shown = capsys.readouterr().err
    assert "EC2 does not show the result: EC2 is away" in shown
    assert "another hand" not in shown


def test_a_node_that_is_not_in_the_group_is_a_matter_of_usage(ask: Ask, world: World) -> None:
    for verb in (drain, undrain):
        with pytest.raises(UsageError, match="nat-z: no such node; one of nat-a, nat-c"):
            ask(verb, "nat-z")
    assert world.written == []


# --- where it is in force


@pytest.mark.parametrize(
    ("local", "deaf", "says"),
    [
        (None, "", "within 30 s on nat-a, nat-c (no daemon of this group runs here)"),
        (HEALTHY, "only root may", "within 30 s on nat-a, nat-c (only root may)"),
        (HEALTHY, "", "at once on nat-a, within 30 s on nat-c"),
    ],
)
def test_a_verb_says_when_each_node_obeys(
    ask: Ask, capsys: Shown, local: Snapshot | None, deaf: str, says: str
) -> None:
    ask.local, ask.deaf = local, deaf
    assert ask(pause) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"in force {says}"


def test_machines_are_told_the_same_as_one_document(ask: Ask, world: World, capsys: Shown) -> None:
    world.obey(1.0, a=C)
    assert ask(drain, A, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "good": True,
        "group": "pair",
        "in_force_seconds": {"nat-a": 0.0, "nat-c": 30.0},
        "drained": ["nat-a"],
        "away": True,
        "routes": [{"table": ROUTE_A.table, "destination": "0.0.0.0/0", "holder": "nat-c"}],
        "said": told["said"],
        "warnings": [],
    }
    assert len(told["said"]) == 3


# --- the others


def test_undrain_leaves_the_others_drained_and_says_what_comes_home(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.intent = Intent(drained=frozenset({A, C}))
    world.holders["a"] = C
    assert ask(undrain, A) == 0
    assert world.written == ["drain nat-c"]
    says = "nat-a is no longer drained: 1 route goes home as soon as the holder has read this"
    assert capsys.readouterr().out.startswith(says)
    assert ask(undrain, A) == 0
    assert capsys.readouterr().out.startswith("nat-a was not drained")


def test_with_preempt_manual_undrain_says_that_routes_wait_for_revert(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.intent = Intent(drained=frozenset({A}))
    world.holders["a"] = C
    assert ask(undrain, A, group=MANUAL) == 0
    assert "1 route waits for `nathb revert pair`" in capsys.readouterr().out


def test_a_pause_says_until_when(ask: Ask, world: World, capsys: Shown) -> None:
    assert ask(pause, seconds=7200.0) == 0
    assert ask(pause) == 0
    assert world.written == ["pause 7200.0", "pause None"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pair is paused until 2026-11-21T14:00:00Z: nobody takes over"
    assert lines[2] == "pair is paused until `nathb resume pair`: nobody takes over"


def test_resume_says_whether_there_was_a_pause(ask: Ask, world: World, capsys: Shown) -> None:
    world.intent = Intent(paused=True)
    assert ask(resume) == 0
    world.intent = Intent()
    assert ask(resume) == 0
    assert world.written == ["resume", "resume"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("pair is resumed")
    assert lines[2].startswith("pair was not paused")


# --- revert


def test_revert_is_taken_back_as_soon_as_the_routes_are_home(ask: Ask, world: World) -> None:
    world.holders["c"] = A
    world.obey(2.0, c=C)
    assert ask(revert, group=MANUAL) == 0
    assert world.written == ["revert 600", "reverted"]


def test_revert_that_brings_not_all_home_is_1_and_ends_by_itself(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.holders["c"] = A
    away = Ruling(ROUTE_C, Rule.R4, "nat-c is not back yet", due=NOW)
    ask.local = replace(HEALTHY, rulings=(away,))
    assert ask(revert, group=MANUAL, wait=5.0) == 1
    assert world.written == ["revert 600"]
    shown = capsys.readouterr()
    assert "1 route may go home until 2026-11-21T12:10:00Z" in shown.out
    assert f"{ROUTE_C} is not at home: nat-a says: nat-c is not back yet" in shown.err


def test_revert_with_nothing_away_writes_nothing(ask: Ask, world: World) -> None:
    assert ask(revert, group=MANUAL) == 0
    world.holders["c"] = A
    world.intent = Intent(drained=frozenset({C}))
    assert ask(revert, group=MANUAL) == 0
    assert world.written == []


def test_revert_asks_with_preempt_auto_too_for_damping_may_hold_a_return(
    ask: Ask, world: World
) -> None:
    world.holders["c"] = A
    world.obey(2.0, c=C)
    assert ask(revert) == 0
    assert world.written == ["revert 600", "reverted"]


# --- ended early


def test_ctrl_c_while_a_drain_waits_says_that_it_stays_and_how_to_look_and_undo(
    ask: Ask, world: World, capsys: Shown
) -> None:
    world.obeyed_at, world.then = 1.0, world.interrupted
    with pytest.raises(KeyboardInterrupt):
        ask(drain, A)
    assert capsys.readouterr().err == (
        "nathb: ended early: what was asked for stays: nat-a is drained; `nathb status pair` shows "
        "the state, `nathb undrain pair nat-a` ends the drain\n"
    )


def test_ctrl_c_while_the_tag_is_written_says_that_it_may_be(
    ask: Ask, world: World, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr(world, "drain", world.interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(drain, A)
    assert capsys.readouterr().err.startswith(
        "nathb: ended early: EC2 had not confirmed it, and may have carried it out: nat-a is"
    )


def test_ctrl_c_before_anything_is_written_says_nothing(
    ask: Ask, world: World, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr(world, "view", world.interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(drain, A)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("verb", "stays"),
    [
        (drain, "nat-a is drained; .*, `nathb undrain pair nat-a` ends the drain"),
        (undrain, "nat-a is no longer drained; .*, `nathb drain pair nat-a` drains it again"),
        (pause, "pair is paused: nobody takes over; .*, `nathb resume pair` ends the pause"),
        (resume, "pair is no longer paused; .*, `nathb pause pair` pauses it again"),
        (revert, "routes go home whose home is up; .*, and it ends by itself after 10 min"),
    ],
)
def test_output_that_is_lost_after_the_write_says_what_stays(
    ask: Ask,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Shown,
    verb: Callable[[OperatorSession, argparse.Namespace], int],
    stays: str,
) -> None:
    def lost(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(Report, "say", lost)
    world.holders["c"] = A
    with pytest.raises(OutputError):
        ask(verb, A, group=MANUAL if verb is revert else PAIR)
    assert re.search(stays, capsys.readouterr().err)


def test_sigterm_while_a_drain_waits_says_that_it_stays(
    ask: Ask, world: World, capsys: Shown
) -> None:
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    try:
        world.obeyed_at, world.then = 1.0, lambda: signal.raise_signal(signal.SIGTERM)
        with pytest.raises(TerminatedError):
            ask(drain, A)
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == [signal.SIGTERM], "whose handler it was before has it again"
    assert "what was asked for stays: nat-a is drained;" in capsys.readouterr().err


# --- while EC2 does not answer for a node ---------------------------------------------------------


def test_resume_asks_for_tags_alone(ask: Ask) -> None:
    ask.world.view = ask.world.interrupted  # type: ignore[assignment]  a view is not needed
    assert ask(resume) == 0
    assert ask.world.written == ["resume"]


def test_a_drain_of_a_node_that_ec2_does_not_answer_for_is_written_and_not_said_to_be_done(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    ask.world.holders["c"] = "elsewhere"
    ask.world.unseen[C] = Instance(
        C, "", state=InstanceState.UNSEEN, unread="DescribeInstances of nat-c: a zone is disrupted"
    )
    assert ask(drain, C) == 1
    assert ask.world.written == ["drain nat-c"]
    shown = capsys.readouterr()
    assert "holds no route" not in shown.out
    assert (
        "it is not known what nat-c holds: DescribeInstances of nat-c: a zone is disrupted"
        in shown.err
    )


def test_a_drain_is_done_where_every_route_is_seen_to_be_held_by_others(ask: Ask) -> None:
    ask.world.unseen[C] = Instance(C, "", state=InstanceState.UNSEEN, unread="a zone is disrupted")
    ask.world.holders["c"] = A
    assert ask(drain, C) == 0


def test_a_revert_says_so_where_it_is_not_known_who_holds_a_route(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    ask.world.holders["a"] = "elsewhere"
    ask.world.unseen[C] = Instance(C, "", state=InstanceState.UNSEEN, unread="a zone is disrupted")
    assert ask(revert) == 1
    assert ask.world.written == []
    assert "it is not known what nat-c holds: a zone is disrupted" in capsys.readouterr().err
