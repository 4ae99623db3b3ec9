"""Every prefix of every sequence of moves, cut short, and the rest left to whoever comes after.

There is no state file: a process that dies in the middle of three moves leaves nothing but what
EC2 then shows, and the next process, or the same one after a lost reply, must come to the same end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import chain, combinations

import pytest
from msgspec.structs import replace

from nathb.core.ec2_state import Intent
from nathb.core.errors import CloudError
from nathb.core.model import Done, Failure, Group, Move, Route, Timers
from nathb.daemon.agent import Agent
from tests.core.build import PAIR
from tests.fakes import FakeCloud, Post, World

A, C = "nat-a", "nat-c"
HEARTBEAT = {A: "8.8.8.8", C: "8.8.4.4"}
GATEWAY = "1.1.1.1"
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


class Killed(BaseException):
    """SIGKILL: nothing in the process may catch it."""


@dataclass
class Scissors:
    """Cuts the so-many-th writes, counted over all processes of the test."""

    cut: Cut
    at: tuple[int, ...]
    writes: int = 0

    def due(self) -> bool:
        self.writes += 1
        return self.writes in self.at


@dataclass
class CutCloud(FakeCloud):
    """A door to EC2 at which some writes are cut short."""

    scissors: Scissors

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        if not self.scissors.due():
            return super().move(move, eni, not_after)
        cut = self.scissors.cut
        if cut.writes:
            super().move(move, eni, not_after)
        if cut.kills:
            raise Killed
        raise CloudError(Failure.NO_REPLY, cut.value)


@dataclass(frozen=True)
class Story:
    """Three routes of one home that have to go from one node to the other, and why."""

    home: str
    holder: str
    to: str
    unheard: tuple[tuple[str, str], ...] = ()
    intent: Intent = Intent()  # noqa: RUF009

    @property
    def group(self) -> Group:
        routes = tuple(Route("rtb-0000003", net) for net in ("0.0.0.0/0", "10.8.0.0/16", "::/0"))
        nodes = (
            replace(node, routes=routes if node.name == self.home else ()) for node in PAIR.nodes
        )
        return replace(
            PAIR, nodes=tuple(nodes), check=Timers(pulse=0.0)
        )  # fewer rounds to wait for

    def answers(self, asker: str, address: str) -> bool:
        return (asker, address) not in self.unheard


STORIES = {
    "takes": Story(C, C, A, unheard=((A, HEARTBEAT[C]), (A, "10.0.1.10"))),
    "returns": Story(C, A, C),
    "releases": Story(A, A, C, unheard=((A, GATEWAY), (C, HEARTBEAT[A]))),
    "hand-overs": Story(A, A, C, intent=Intent(drained=frozenset({A}))),
}
CUTS = tuple(chain.from_iterable(combinations((1, 2, 3), size) for size in (1, 2, 3)))


def tell(story: Story, scissors: Scissors) -> World:
    """Let nat-a do what the story calls for; whenever it is killed, another takes its place."""
    world = World(story.group)
    world.ec2.routes = dict.fromkeys(story.group.routes(), story.holder)
    world.ec2.intent = story.intent
    world.answers = story.answers
    world.posts[A] = process(world, scissors)
    end = world.clock.now + LONG_ENOUGH
    while world.clock.now < end:
        try:
            world.run(end - world.clock.now)
        except Killed:
            told = world.posts[A].journal
            world.posts[A] = process(world, scissors)
            world.posts[A].journal.events[:0] = told.events
    return world


def process(world: World, scissors: Scissors) -> Post:
    """A process that has just started, and knows nothing but its file."""
    post = Post(world, A, dry_run=False)
    ports = replace(post.ports, cloud=CutCloud(world.ec2, A, scissors))
    post.agent = Agent(world.group, A, ports)
    return post


def changes(world: World, holder: str) -> list[Route]:
    """The routes whose target was changed, once for each change."""
    now = dict.fromkeys(world.ec2.routes, holder)
    changed = []
    for write in world.ec2.writes:
        if now[write.route] != write.to:
            now[write.route] = write.to
            changed.append(write.route)
    return changed


@pytest.mark.parametrize("at", CUTS, ids=lambda at: "at " + "+".join(map(str, at)))
@pytest.mark.parametrize("cut", Cut, ids=lambda cut: cut.value)
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_moves_that_are_cut_short_come_to_the_same_end(
    story: Story, cut: Cut, at: tuple[int, ...]
) -> None:
    scissors = Scissors(cut, at)
    world = tell(story, scissors)
    assert scissors.writes >= max(at), "nothing was cut"
    assert set(world.ec2.routes.values()) == {story.to}
    assert sorted(changes(world, story.holder)) == sorted(story.group.routes())
    records = [
        event.route for event in world.posts[A].journal.events if event.kind.value in RECORDS
    ]
    assert len(records) == len(set(records)), "a change was told twice"
    if not cut.kills:
        assert set(records) == set(story.group.routes())
    written = len(world.ec2.writes)
    world.run(200.0)
    assert len(world.ec2.writes) == written


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_moves_that_are_not_cut_short_are_three_writes(story: Story) -> None:
    world = tell(story, Scissors(Cut.KILLED_BEFORE, ()))
    assert [write.to for write in world.ec2.writes] == [story.to] * 3
