"""Every prefix of every sequence of moves, cut short, and the rest left to whoever comes after.

There is no state file: a process that dies in the middle of three moves leaves nothing but what
EC2 then shows, and the next process, or the same one after a lost reply, must come to the same end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, combinations
from typing import Any

import pytest
from msgspec.structs import replace

from nathb.core.ec2_state import Intent, Roster, View
from nathb.core.errors import CloudError
from nathb.core.model import Done, Failure, Group, Move, Route, Timers
from nathb.core.ports import Cloud, Ports
from nathb.daemon.agent import Agent
from tests.core.build import PAIR
from tests.sim.pair import A, C, started
from tests.sim.stage import Stage

RECORDS = {"took", "returned", "released", "handed-over"}
LONG_ENOUGH = 300.0
"""Seconds: first verdicts, preempt_delay and every backoff, three times over."""


class Cut(Enum):
    """Where a move is cut short."""

    KILLED_BEFORE = "killed before the write"
    KILLED_AFTER = "killed after the write"
    REPLY_LOST = "written, reply lost"
    REQUEST_LOST = "not written, no reply"

    @property
    def writes(self) -> bool:
        return self in {Cut.KILLED_AFTER, Cut.REPLY_LOST}

    @property
    def kills(self) -> bool:
        return self in {Cut.KILLED_BEFORE, Cut.KILLED_AFTER}


@dataclass
class Interruptions:
    """Which writes are cut short, and how; counted over all processes of the test."""

    cut: Cut
    at: tuple[int, ...]
    writes: int = 0

    def due(self) -> bool:
        self.writes += 1
        return self.writes in self.at


@dataclass
class InterruptedCloud:
    """A door to EC2 at which some writes are cut short."""

    cloud: Cloud
    interruptions: Interruptions
    restart: Callable[[], None]
    """Kills the process, and starts another that knows nothing but its file."""

    def roster(self, me: str) -> Roster:
        return self.cloud.roster(me)

    def view(self, roster: Roster) -> View:
        return self.cloud.view(roster)

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        if not self.interruptions.due():
            return self.cloud.move(move, eni, not_after)
        cut = self.interruptions.cut
        if cut.writes:
            self.cloud.move(move, eni, not_after)
        if cut.kills:
            self.restart()
        raise CloudError(Failure.NO_REPLY, cut.value)  # of which a killed process hears nothing


@dataclass(frozen=True)
class Story:
    """Three routes of one home that have to go from one node to the other, and why."""

    home: str
    holder: str
    to: str
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Of the network."""
    intent: Intent = Intent()  # noqa: RUF009

    @property
    def group(self) -> Group:
        routes = tuple(Route("rtb-0000003", net) for net in ("0.0.0.0/0", "10.8.0.0/16", "::/0"))
        nodes = (
            replace(node, routes=routes if node.name == self.home else ()) for node in PAIR.nodes
        )
        check = Timers(pulse=0.0)  # fewer rounds to wait for
        return replace(PAIR, nodes=tuple(nodes), check=check)


STORIES = {
    "takes": Story(C, C, A, {"down": [C]}),
    "returns": Story(C, A, C),
    "releases": Story(A, A, C, {"cut": [A]}),
    "hand-overs": Story(A, A, C, intent=Intent(drained=frozenset({A}))),
}
CUTS = tuple(chain.from_iterable(combinations((1, 2, 3), size) for size in (1, 2, 3)))


def perform(story: Story, interruptions: Interruptions) -> Stage:
    """Let nat-a do what the story calls for; whenever it is killed, another takes its place."""

    def restart() -> None:
        world.host(A).kill()
        world.host(A).start()

    class Interrupted(Agent):
        def __init__(self, group: Group, me: str, ports: Ports, **how: Any) -> None:
            cloud = InterruptedCloud(ports.cloud, interruptions, restart)
            super().__init__(group, me, replace(ports, cloud=cloud), **how)

    world = started(story.group, agent=Interrupted)
    for route in story.group.routes():
        world.ec2.routes[route] = story.holder
    world.ec2.intent = story.intent
    world.network(**story.faults).host(A).start()
    return world.run(LONG_ENOUGH)


@pytest.mark.parametrize("at", CUTS, ids=lambda at: "at " + "+".join(map(str, at)))
@pytest.mark.parametrize("cut", Cut, ids=lambda cut: cut.value)
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_moves_that_are_cut_short_come_to_the_same_end(
    story: Story, cut: Cut, at: tuple[int, ...]
) -> None:
    interruptions = Interruptions(cut, at)
    world = perform(story, interruptions)
    assert interruptions.writes >= max(at), "nothing was cut"
    assert set(world.ec2.routes.values()) == {story.to}
    changed = [one.route for one in world.ec2.wrote if one.holder != one.to]
    assert sorted(changed) == sorted(story.group.routes())
    events = world.host(A).journal.events
    records = [event.route for event in events if event.kind.value in RECORDS]
    assert len(records) == len(set(records)), "a change was told twice"
    if not cut.kills:
        assert set(records) == set(story.group.routes())
    written = len(world.ec2.wrote)
    world.run(200.0)
    assert len(world.ec2.wrote) == written


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_moves_that_are_not_cut_short_are_three_writes(story: Story) -> None:
    world = perform(story, Interruptions(Cut.KILLED_BEFORE, ()))
    assert [write.to for write in world.ec2.wrote] == [story.to] * 3
