"""Agents while EC2 gives no answer for some instances: a disrupted zone, or two that match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from nathb.core.ec2_state import Instance, InstanceState, Roster, View
from nathb.core.model import Done, Group, Move
from nathb.core.ports import Cloud, Ports
from nathb.daemon.agent import Agent
from tests.core.build import PAIR, ROUTE_C
from tests.sim.pair import A, C, started, writes
from tests.sim.stage import Stage

DISRUPTED = "DescribeInstances of the instances of nat-c: EC2 says InternalError"


@dataclass
class Partial:
    """A door to EC2 that gives no answer for some nodes: `unread` says why, by the node's name."""

    unread: dict[str, str] = field(default_factory=dict)
    cloud: Cloud | None = None
    rosters: int = 0

    def roster(self, me: str) -> Roster:
        assert self.cloud is not None
        self.rosters += 1
        whole = self.cloud.roster(me)
        table = "" if me in self.unread else whole.own_table
        instances = tuple(
            Instance(one.node, one.instance, state=InstanceState.UNSEEN, unread=why)
            if (why := self.unread.get(one.node))
            else one
            for one in whole.instances
        )
        return replace(whole, instances=instances, own_table=table)

    def view(self, roster: Roster) -> View:
        assert self.cloud is not None
        return self.cloud.view(roster)

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        assert self.cloud is not None
        return self.cloud.move(move, eni, not_after)


def pair_behind(door: Partial) -> Stage:
    """Return a pair that has been running well for a while, nat-a's daemon behind this door."""

    class Behind(Agent):
        def __init__(self, group: Group, me: str, ports: Ports, **how: Any) -> None:
            door.cloud = ports.cloud
            super().__init__(group, me, replace(ports, cloud=door), **how)

    return started(PAIR, A, settle=70.0, agent=Behind)


def lose(world: Stage, door: Partial, *nodes: str) -> None:
    """Let EC2 give no answer for these nodes from now on, and nat-a read it."""
    door.unread = dict.fromkeys(nodes, DISRUPTED)
    world.look_now()
    world.run(5.0)


def test_a_peer_of_a_disrupted_zone_that_dies_is_still_taken_from() -> None:
    door = Partial()
    world = pair_behind(door)
    lose(world, door, C)
    world.network(down=[C])
    world.run(10.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


def test_the_routes_of_a_peer_without_an_answer_go_home_to_the_interface_that_it_had() -> None:
    door = Partial()
    world = pair_behind(door)
    world.network(down=[C])
    world.run(10.0)
    lose(world, door, C)
    world.network()
    world.run(300.0)
    assert writes(world)[-1] == (A, ROUTE_C.table, C)


def test_a_node_without_an_answer_for_itself_goes_on_with_the_table_that_it_knows() -> None:
    door = Partial()
    world = pair_behind(door)
    lose(world, door, A)
    world.network(down=[C])
    world.run(10.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


def test_a_node_without_an_answer_is_told_once_shown_in_status_and_told_when_it_is_back() -> None:
    door = Partial()
    world = pair_behind(door)
    lose(world, door, C)
    world.run(600.0)
    snapshot = world.agent(A).snapshot(world.now)
    (failed,) = snapshot.failed_reads
    assert (failed.what, failed.error) == ("instance of nat-c", DISRUPTED)
    assert 600.0 < world.now - failed.since < 610.0
    assert snapshot.instances == {A: InstanceState.RUNNING}, "nothing is said of nat-c"
    door.unread = {}
    world.run(60.0)
    assert world.agent(A).snapshot(world.now).failed_reads == ()
    journal = world.host(A).journal
    told = [
        line
        for kind, line in zip(journal.kinds(), journal.sentences(), strict=True)
        if kind.startswith("view-")
    ]
    assert told == [
        "cannot read the instance of nat-c, so what was last read of it is used, or what the file "
        f"says: {DISRUPTED}",
        "the instances can be read again",
    ]


def test_a_node_without_an_answer_is_asked_for_again_at_the_pace_of_the_views() -> None:
    door = Partial()
    world = pair_behind(door)
    lose(world, door, C)
    before = door.rosters
    world.run(600.0)
    assert door.rosters - before <= 600.0 / PAIR.refresh + 1
