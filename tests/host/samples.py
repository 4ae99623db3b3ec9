"""One event, one snapshot: as full as they get."""

from __future__ import annotations

from nathb.core.damping import Penalty
from nathb.core.ec2_state import Holding, Intent, Pin, PinState, View
from nathb.core.events import Event, EventKind
from nathb.core.model import Evidence, Route, Rule, Ruling, Verdict
from nathb.core.snapshot import Counters, Home, Snapshot, Told

ROUTE = Route("rtb-0bee8f2dc00000003", "0.0.0.0/0")
TOOK = Event(
    kind=EventKind.TOOK,
    message="took rtb-0bee8f2dc00000003 0.0.0.0/0 from nat-c: heartbeat 8.8.4.4 missed 3 of 3",
    route=ROUTE,
    source="nat-c",
    target="nat-a",
    reason="heartbeat 8.8.4.4 missed 3 of 3",
    rule="R3",
    detect_ms=3400,
    api_ms=0,
    request_id="59dbff89-35bd-4eac-99ed-be587EXAMPLE",
    error="no reply",
    trace='{"known":{}}',
)
SNAPSHOT = Snapshot(
    version="1.2.3",
    group="tokyo",
    node="nat-a",
    pid=4711,
    at=1234.5,
    dry_run=True,
    counters=Counters(
        checks=100,
        heard=96,
        missed=3,
        blind=1,
        moves=3,
        failed_moves=2,
        moves_by_rule={"R3": 2, "R4": 1},
        penalties={str(ROUTE): Penalty(1000.0, 1234.5)},
    ),
    suspecting=True,
    uplink=Evidence(Verdict.UP, since=1.0, addresses=("1.1.1.1",)),
    peers={"nat-c": Evidence(Verdict.DOWN, since=1230.0, missed=3, needed=3, gone=True)},
    pulses={"nat-c": "lost"},
    view=View(
        at=1234.0,
        holdings=(Holding(ROUTE, "nat-a", "eni-0a"),),
        pins=(Pin("nat-c", "8.8.4.4", PinState.BLACKHOLE),),
        intent=Intent(drained=frozenset({"nat-c"}), paused=True),
    ),
    homes=(Home(ROUTE, "nat-c"),),
    rulings=(Ruling(ROUTE, Rule.R2, "nat-a is up", due=1300.0),),
    told=(Told(1233.0, "took", TOOK.message),),
)


def numbered(number: int) -> Event:
    return Event(kind=EventKind.STARTED, message=f"event {number}")
