"""Agents on virtual time, led through all that they tell: what the journal is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from nathb.core import events as event_texts
from nathb.core.change_detector import ChangeDetector
from nathb.core.ec2_state import Intent, Pin, PinState
from nathb.core.errors import SnapshotError
from nathb.core.events import Event, EventKind
from nathb.core.model import Failure, Preempt
from nathb.core.snapshot import Snapshot
from nathb.host import hooks, metrics
from tests.core.build import PAIR, ROUTE_C
from tests.fakes import World
from tests.test_agent import GATEWAY, HEARTBEAT, A, C, dead, pair, refusing, silent

BARE = (
    EventKind.STARTED,
    EventKind.STOPPED,
    EventKind.LEAVING,
    EventKind.RELOAD_REFUSED,
    EventKind.NOTICE_FAILED,
    EventKind.UNTOLD,
)
"""What the process around the agent tells: a sentence and nothing else."""


def events() -> Iterator[Event]:
    """Yield events of every kind, in no order that means anything."""
    for world in _worlds():
        for post in world.posts.values():
            yield from post.journal.events
    yield from (event_texts.pin(Pin(C, HEARTBEAT[C], one, "igw-0a", "rtb-own")) for one in PinState)
    yield metrics.lost("the file cannot be written")
    yield from hooks.Hooks(Path(__file__)).carry({})
    yield from (Event(kind=kind, message="a sentence") for kind in BARE)
    changes = ChangeDetector()
    yield from changes.files(("a1",), "b2")
    yield from changes.files(("b2",), "b2")


def _worlds() -> Iterator[World]:
    yield from (_moved(), _drained(), _given_up(), _left_alone(), _wished())
    yield from (_deaf(), _never_heard(), _interrupted(), _nameless(), _damped(), _unpublished())


def _moved() -> World:
    """Taken and returned; released, which the peer notices."""
    world = pair()
    world.posts[C].frozen = True
    world.answers = dead(C)
    world.run(60.0)
    world.posts[C].frozen = False
    world.answers = silent()
    world.run(200.0)
    world.answers = silent((C, GATEWAY))
    world.run(60.0)
    world.answers = silent()
    return world.run(60.0)


def _drained() -> World:
    """Handed over for a drain, and back."""
    world = pair()
    world.ec2.intent = Intent(drained=frozenset({C}))
    world.run(60.0)
    world.ec2.intent = Intent()
    return world.run(60.0)


def _given_up() -> World:
    """Undone by somebody else; refused by EC2; a view that can no longer be read."""
    world = pair(A)
    world.answers = dead(C)
    world.run(10.0)
    world.ec2.routes[ROUTE_C] = C
    world.run(20.0)
    world.answers = silent()
    world.run(600.0)
    world.ec2.fails = refusing(Failure.DENIED, "ReplaceRoute")
    world.answers = dead(C)
    world.run(60.0)
    world.ec2.fails = refusing(Failure.UNAVAILABLE, "DescribeRouteTables")
    world.run(400.0)
    world.ec2.fails = lambda _action: None
    return world.run(60.0)


def _left_alone() -> World:
    """A target outside of the group, no route at all, and all well again."""
    world = pair(A)
    world.ec2.routes[ROUTE_C] = "nat-gateway"
    world.run(60.0)
    del world.ec2.routes[ROUTE_C]
    world.run(60.0)
    world.ec2.routes[ROUTE_C] = C
    return world.run(60.0)


def _wished() -> World:
    """A pause and a drain for more than an hour, with a move that is only wished for meanwhile."""
    world = pair(A)
    world.ec2.intent = Intent(drained=frozenset({C}), paused=True)
    world.run(3700.0)
    world.ec2.intent = Intent(paused=True)
    world.answers = dead(C)
    world.run(60.0)
    world.ec2.intent = Intent()
    return world.run(60.0)


def _deaf() -> World:
    """A pin that is missing, a check that cannot be sent, a pulse that is not answered."""
    world = pair(A)
    world.ec2.pins[C, HEARTBEAT[C]] = PinState.MISSING
    world.run(60.0)
    world.ec2.pins[C, HEARTBEAT[C]] = PinState.GOOD
    world.run(60.0)
    world.blind = lambda _asker, address: "no buffer space" if address == HEARTBEAT[C] else ""
    world.run(120.0)
    world.blind = lambda _asker, _address: ""
    world.answers = silent((A, "10.0.1.10"))
    return world.run(60.0)


def _never_heard() -> World:
    """A heartbeat that has never answered, of a peer that answers its pulse."""
    world = World(PAIR, A)
    world.answers = silent((A, HEARTBEAT[C]))
    return world.run(30.0)


def _interrupted() -> World:
    """A reload, and a process that was frozen."""
    world = pair()
    post = world.posts[A]
    post.agent.reload(replace(PAIR, preempt=Preempt.MANUAL), post.ports)
    world.run(60.0)
    post.frozen = True
    world.run(12.0)
    post.frozen = False
    return world.run(60.0)


def _nameless() -> World:
    """A name of the uplink that cannot be resolved, and then can."""
    world = World(replace(PAIR, uplink=("probe.example",)), A).run(10.0)
    world.posts[A].names["probe.example"] = ("198.51.100.1",)
    return world.run(90.0)


def _damped() -> World:
    """A peer that comes back for a moment, again and again."""
    world = pair(A)
    for _ in range(5):
        world.answers = dead(C)
        world.run(30.0)
        world.answers = silent()
        world.run(100.0)
    return world


def _unpublished() -> World:
    """A status file that cannot be written."""
    world = World(PAIR, A)

    def full(_snapshot: Snapshot) -> None:
        raise SnapshotError("status.json: no space left")

    world.posts[A].publish = full
    return world.run(10.0)
