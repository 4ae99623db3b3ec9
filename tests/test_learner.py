"""The learner on virtual time: when it reads, when it writes, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import pairwise
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from nathb.core.ec2_state import Instance, Roster, View
from nathb.core.errors import CloudError, ReadingError
from nathb.core.events import Event, EventKind
from nathb.core.learned import Act, Change, ShownEntry, ShownTables
from nathb.core.model import Done, Failure, Learn
from nathb.core.ports import LearnPorts, Ports
from nathb.daemon.learner import APART, GIVE_UP, Learner, Situation
from tests.core.build import PAIR, ROUTE_A, view

TABLE, GATEWAY = ROUTE_A.table, "tgw-rtb-0000000a"
LEARN = Learn(
    into=(TABLE, GATEWAY),
    allow=("10.8.0.0/13",),
    file="/run/prefixes",
    attachment="tgw-attach-0000000a",
    withdraw_after=60.0,
)
GROUP = replace(PAIR, learn=LEARN)
X, Y = "10.8.0.0/16", "10.9.0.0/16"
ROSTER = Roster(0.0, "nat-a", (Instance("nat-a", "i-0000000a", "eni-a"),))


class Written(Struct, frozen=True):
    at: float
    change: Change


class World:
    """A router, EC2 and the time; the learner is that of nat-a, which holds its own route."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.router: frozenset[str] | ReadingError = frozenset({X})
        self.tables: set[tuple[str, str]] = set()
        self.stale: set[tuple[str, str]] | None = None
        self.refuses: dict[str, Failure] = {}
        self.hangs: type | None = None
        """The kind of answer that does not come."""
        self.lost_writes = False
        self.reads = 0
        self.written: list[Written] = []
        self.events: list[Event] = []
        self.situation = Situation(PAIR.routes(), view(at=self.now), ROSTER, fit=True, withheld="")
        self._ended: list[tuple[Hashable, object]] = []
        self.hanging: list[tuple[Hashable, object]] = []
        unused: Any = None
        ports = Ports(
            clock=unused, wire=unused, cloud=unused, calls=self, journal=unused, manager=unused,
            publish=unused, resolve=unused, check=unused, jitter=lambda: 0.0,
            learn=LearnPorts(self._read, self._shown, self._write),
        )  # fmt: skip
        self.learner = Learner(ports, GROUP, "nat-a", LEARN)

    def start(self, ticket: Hashable, call: Callable[[], object]) -> None:
        """Carry out a background call; its answer comes in the next step."""
        try:
            answer: object = call()
        except (ReadingError, CloudError) as error:
            answer = error
        hangs = self.hangs is not None and isinstance(answer, self.hangs)
        (self.hanging if hangs else self._ended).append((ticket, answer))

    def ended(self) -> list[tuple[Hashable, object]]:
        ended, self._ended = self._ended, []
        return ended

    def answer_what_hangs(self) -> None:
        self._ended += self.hanging
        self.hanging = []

    def run(self, seconds: float) -> World:
        end = self.now + seconds
        while True:
            for ticket, answer in self.ended():
                if self.learner.owns(ticket):
                    self.events += self.learner.take_in(ticket, answer, self.now)
            self.events += self.learner.step(self.now, self.situation)
            due = self.now + 0.01 if self._ended else self.learner.wake_at(self.now)
            if due > end:
                self.now = end
                return self
            self.now = max(due, self.now + 0.01)

    def see(self, seen: View | None, **changes: Any) -> None:
        self.situation = replace(self.situation, view=seen, **changes)

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    def _read(self) -> frozenset[str]:
        if isinstance(self.router, ReadingError):
            raise self.router
        return self.router

    def _shown(self, _roster: Roster, tables: frozenset[str]) -> ShownTables:
        self.reads += 1
        there = self.tables if self.stale is None else self.stale
        found = (ShownEntry(*one, ours=True) for one in sorted(there) if one[0] in tables)
        return ShownTables(self.now, tuple(found))

    def _write(self, change: Change, _roster: Roster, not_after: float) -> Done:
        assert not_after == self.now + 3.0
        self.written.append(Written(self.now, change))
        if change.destination in self.refuses:
            raise CloudError(self.refuses[change.destination], "EC2 says no")
        if self.lost_writes:
            return Done(0.05)
        there = (change.table, change.destination)
        (self.tables.add if change.act is Act.CREATE else self.tables.discard)(there)
        return Done(0.05, "request-1")


def test_what_the_router_knows_is_created_one_write_at_a_time_and_each_is_reported() -> None:
    world = World()
    world.router = frozenset({X, Y})
    world.run(5.0)
    assert world.tables == {(table, one) for table in (TABLE, GATEWAY) for one in (X, Y)}
    times = [one.at for one in world.written]
    assert all(later - one >= APART for one, later in pairwise(times))
    first, *_, last = world.events
    assert world.kinds() == [EventKind.LEARNED] * 4
    assert first.message == (f"created {TABLE} {X} to nat-a: the router knows it (in 50 ms)")
    assert last.message.startswith(f"created {GATEWAY} {Y} to tgw-attach-0000000a: ")
    assert (first.route, first.target, first.api_ms) == (
        Change(TABLE, X, Act.CREATE).route, "nat-a", 50,
    )  # fmt: skip


def test_in_peace_the_tables_are_read_at_the_pace_of_refresh_and_nothing_is_written() -> None:
    world = World().run(60.0)
    world.reads, before = 0, len(world.written)
    world.run(600.0)
    assert world.reads <= 600.0 / GROUP.refresh + 1
    assert len(world.written) == before


def test_a_standby_reads_its_router_and_neither_reads_tables_nor_writes() -> None:
    world = World()
    world.see(view(a="nat-c"))
    world.run(300.0)
    assert (world.reads, world.written, world.events) == (0, [], [])
    assert world.learner.status().known == 1
    assert world.learner.status().made is None


def test_a_withdrawn_prefix_loses_its_routes_after_the_time_and_this_is_reported() -> None:
    world = World()
    world.router = frozenset({X, Y})
    world.run(30.0)
    world.router = frozenset({X})
    world.run(55.0)
    assert len(world.tables) == 4
    world.run(20.0)
    assert world.tables == {(TABLE, X), (GATEWAY, X)}
    assert world.events[-1].message == (
        f"withdrew {GATEWAY} {Y}: the router has not known it for 60 s (in 50 ms)"
    )


def test_a_router_that_cannot_be_read_changes_nothing_and_is_reported_once_and_when_it_is_back(
) -> None:  # fmt: skip
    world = World().run(30.0)
    world.router = ReadingError("/run/prefixes: no prefix at all")
    world.events.clear()
    world.run(3600.0)
    assert world.tables == {(TABLE, X), (GATEWAY, X)}
    assert world.kinds() == [EventKind.LEARN_BLIND]
    status = world.learner.status()
    assert status.failing_since is not None
    assert world.now - status.failing_since > 3580.0
    assert status.error == "/run/prefixes: no prefix at all"
    world.router = frozenset({Y})
    world.run(30.0)
    assert world.kinds()[1] is EventKind.LEARN_SIGHTED
    assert (TABLE, X) in world.tables
    assert world.learner.status().failing_since is None


def test_while_paused_or_in_dry_run_it_says_once_what_it_would_write() -> None:
    for why in ("paused", "dry run"):
        world = World()
        world.see(world.situation.view, withheld=why)
        world.run(300.0)
        assert world.written == []
        assert [event.message for event in world.events] == [
            f"would create {TABLE} {X}, {GATEWAY} {X} ({why})"
        ]


def test_a_node_that_is_not_fit_or_sees_no_view_writes_nothing() -> None:
    for changes in ({"fit": False}, {"view": None}):
        world = World()
        world.situation = replace(world.situation, **changes)
        world.run(300.0)
        assert (world.written, world.events) == ([], [])


def test_a_node_that_takes_over_withdraws_nothing_before_its_own_time_is_up() -> None:
    world = World()
    world.tables = {(TABLE, X), (TABLE, Y), (GATEWAY, X), (GATEWAY, Y)}
    world.see(view(a="nat-c"))
    world.run(3600.0)
    world.see(view())
    world.run(55.0)
    assert world.written == []
    world.run(20.0)
    assert world.tables == {(TABLE, X), (GATEWAY, X)}


def test_a_write_that_fails_is_reported_once_and_tried_again_less_and_less_often() -> None:
    world = World()
    world.router = frozenset({X, Y})
    world.refuses = {X: Failure.DENIED}
    world.run(3600.0)
    assert world.tables == {(TABLE, Y), (GATEWAY, Y)}
    failed = [event for event in world.events if event.kind is EventKind.LEARN_FAILED]
    assert [event.message for event in failed] == [
        f"could not create {table} {X}: EC2 says no" for table in (TABLE, GATEWAY)
    ]
    assert len([one for one in world.written if one.change.destination == X]) < 50
    world.refuses = {}
    world.run(700.0)
    assert (TABLE, X) in world.tables


def test_a_describe_that_lags_behind_a_write_causes_no_second_one_and_a_lost_write_does() -> None:
    world = World()
    world.stale = set()
    world.run(9.0)
    assert len(world.written) == 2
    world.run(20.0)
    assert len(world.written) > 2


def test_prefixes_that_get_no_route_are_named_once_for_as_long_as_they_are_the_same() -> None:
    world = World()
    world.router = frozenset({X, "172.16.0.0/16"})
    world.run(600.0)
    refused = [event for event in world.events if event.kind is EventKind.LEARN_REFUSED]
    assert [event.message for event in refused] == [
        "learned prefixes get no route: outside of `allow`: 172.16.0.0/16; widen `allow`, or have "
        "the router announce less"
    ]
    assert world.learner.status().refused == 1
    world.router = frozenset({X, "172.17.0.0/16"})
    world.run(60.0)
    assert world.kinds().count(EventKind.LEARN_REFUSED) == 2


def test_a_call_to_ec2_that_never_ends_is_given_up_and_made_again() -> None:
    for answer in (ShownTables, Done):
        world = World()
        world.hangs = answer
        world.lost_writes = True
        world.run(GIVE_UP - 1.0)
        assert world.tables == set()
        assert len(world.hanging) == 1
        world.hangs, world.lost_writes = None, False
        world.run(3 * GIVE_UP)
        assert world.tables == {(TABLE, X), (GATEWAY, X)}


def test_a_reading_that_hangs_is_reported_once_and_no_other_is_begun_until_it_ends() -> None:
    world = World().run(30.0)
    world.hangs = frozenset
    world.run(10.0)
    world.hangs = None
    assert len(world.hanging) == 1
    world.events.clear()
    world.run(3600.0)
    assert [event.message for event in world.events] == [
        "cannot read what the router knows: a reading has not ended for 20 s; learned routes stay "
        "as they are"
    ]
    world.answer_what_hangs()
    world.run(30.0)
    assert world.kinds()[1:] == [EventKind.LEARN_SIGHTED]
    assert world.learner.status().failing_since is None
