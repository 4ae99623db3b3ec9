"""Agents in the simulated world, led through all that they report: what the journal is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from nathb.core import events as event_texts
from nathb.core import learn_events
from nathb.core.change_detector import ChangeDetector
from nathb.core.ec2_state import Intent, Pin, PinState
from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.learned import Act, Change, Refusal
from nathb.core.model import Done, Failure, Learn, Preempt
from nathb.host import hooks, metrics
from tests.core.build import PAIR, ROUTE_C
from tests.sim.net import TARGET_NAME
from tests.sim.pair import HEARTBEAT, A, C, failing, pair, started
from tests.sim.stage import Stage

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
        for node in world.names:
            yield from world.host(node).journal.events
    yield from (event_texts.pin(Pin(C, HEARTBEAT[C], one, "igw-0a", "rtb-own")) for one in PinState)
    yield metrics.lost("the file cannot be written")
    yield from hooks.Hooks(Path(__file__)).carry({})
    yield from (Event(kind=kind, message="a sentence") for kind in BARE)
    yield event_texts.found(ROUTE_C, ("nat-c", "nat-a"))
    yield event_texts.no_longer_found(ROUTE_C, "nat-c")
    yield from _learned()
    changes = ChangeDetector()
    yield from changes.files(("a1",), "b2")
    yield from changes.files(("b2",), "b2")


def _learned() -> Iterator[Event]:
    """Yield what is reported of learned routes."""
    learn = Learn(into=(ROUTE_C.table,), allow=("10.8.0.0/13",), file="/run/prefixes")
    for act in Act:
        change = Change(ROUTE_C.table, "10.8.0.0/16", act)
        yield learn_events.written(change, "nat-a", Done(0.05, "request-1"), learn)
    yield learn_events.failed(change, CloudError(Failure.DENIED, "EC2 says no", "request-2"))
    yield learn_events.tables_lost("EC2 says no")
    yield learn_events.would([change], "paused")
    yield learn_events.refused(Refusal.OVER, ["10.8.0.0/16"], learn)
    yield learn_events.blind("no prefix at all")
    yield learn_events.sighted(3)


def _worlds() -> Iterator[Stage]:
    yield from (_moved(), _drained(), _given_up(), _left_alone(), _wished())
    yield from (_deaf(), _never_heard(), _interrupted(), _nameless(), _damped(), _unpublished())


def _moved() -> Stage:
    """Taken and returned; released, which the peer notices."""
    world = pair()
    world.host(C).frozen += 1
    world.network(down=[C])
    world.run(60.0)
    world.host(C).frozen -= 1
    world.host(C).wake()
    world.network()
    world.run(200.0)
    world.network(targets_lost=[C])
    world.run(60.0)
    world.network()
    return world.run(60.0)


def _drained() -> Stage:
    """Handed over for a drain, and back."""
    world = pair()
    world.ec2.intent = Intent(drained=frozenset({C}))
    world.run(60.0)
    world.ec2.intent = Intent()
    return world.run(60.0)


def _given_up() -> Stage:
    """Undone by somebody else; refused by EC2; a view that can no longer be read."""
    world = pair(A)
    world.network(down=[C])
    world.run(10.0)
    world.ec2.change(ROUTE_C, C)
    world.run(20.0)
    world.network()
    world.run(600.0)
    world.ec2.failing = failing(Failure.DENIED, "ReplaceRoute")
    world.network(down=[C])
    world.run(60.0)
    world.ec2.failing = failing(Failure.UNAVAILABLE, "DescribeRouteTables")
    world.run(400.0)
    world.ec2.failing = {}
    return world.run(60.0)


def _left_alone() -> Stage:
    """A target outside of the group, no route at all, and all well again."""
    world = pair(A)
    world.ec2.change(ROUTE_C, "nat-gateway")
    world.run(60.0)
    world.ec2.delete(ROUTE_C)
    world.run(60.0)
    world.ec2.change(ROUTE_C, C)
    return world.run(60.0)


def _wished() -> Stage:
    """A pause and a drain for more than an hour, with a move that is only wished for meanwhile."""
    world = pair(A)
    world.ec2.intent = Intent(drained=frozenset({C}), paused=True)
    world.run(3700.0)
    world.ec2.intent = Intent(paused=True)
    world.network(down=[C])
    world.run(60.0)
    world.ec2.intent = Intent()
    return world.run(60.0)


def _deaf() -> Stage:
    """A pin that is missing, a check that cannot be sent, a pulse that is not answered."""
    world = pair(A)
    world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.MISSING
    world.run(60.0)
    world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.GOOD
    world.run(60.0)
    world.network(unable=[(A, C)])
    world.run(120.0)
    world.network(mute=[(A, C)])
    return world.run(60.0)


def _never_heard() -> Stage:
    """A heartbeat that has never answered, of a peer that answers its pulse."""
    world = started(PAIR, A)
    world.network(heartbeats_lost=[(A, C)])
    return world.run(30.0)


def _interrupted() -> Stage:
    """A reload, and a process that was frozen."""
    world = pair()
    host = world.host(A)
    host.reload(replace(PAIR, preempt=Preempt.MANUAL))
    world.run(60.0)
    host.frozen += 1
    world.run(12.0)
    host.frozen -= 1
    host.wake()
    return world.run(60.0)


def _nameless() -> Stage:
    """A name of the uplink that cannot be resolved, and then can."""
    world = started(replace(PAIR, uplink=(TARGET_NAME,)), A).network(nameless=[A])
    world.run(10.0)
    return world.network().run(90.0)


def _damped() -> Stage:
    """A peer that comes back for a moment, again and again."""
    world = pair(A)
    for _ in range(5):
        world.network(down=[C])
        world.run(30.0)
        world.network()
        world.run(100.0)
    return world


def _unpublished() -> Stage:
    """A status file that cannot be written."""
    world = started(PAIR, A)
    world.host(A).disk_full += 1
    return world.run(10.0)
