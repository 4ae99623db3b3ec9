"""What nathb tells people: every change once, as one sentence and a few fields.

Steady state is no event. The machine's side (identifiers, priorities, the catalog) is
`host.journal`; the words are here, so that whoever replays a round reads the same sentence.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from nathb.core.model import Route


class EventKind(Enum):
    """One name per thing worth telling; NATHB_EVENT in the journal."""

    STARTED = "started"
    STOPPED = "stopped"
    LEAVING = "leaving"
    RELOADED = "reloaded"
    RELOAD_REFUSED = "reload-refused"
    TOOK = "took"
    RETURNED = "returned"
    RELEASED = "released"
    HANDED_OVER = "handed-over"
    WOULD_MOVE = "would-move"
    MOVE_FAILED = "move-failed"
    MOVED_BY_ANOTHER = "moved-by-another"
    PEER_UP = "peer-up"
    PEER_DOWN = "peer-down"
    UPLINK_UP = "uplink-up"
    UPLINK_DOWN = "uplink-down"
    CONTESTED = "contested"
    FOREIGN = "foreign"
    ROUTE_MISSING = "route-missing"
    ROUTE_GUARDED = "route-guarded"
    DAMPED = "damped"
    PIN_VOID = "pin-void"
    PIN_GOOD = "pin-good"
    VIEW_LOST = "view-lost"
    VIEW_BACK = "view-back"
    STALLED = "stalled"
    PAUSED = "paused"
    STILL_PAUSED = "still-paused"
    RESUMED = "resumed"
    DRAINED = "drained"
    STILL_DRAINED = "still-drained"
    UNDRAINED = "undrained"
    BLIND = "blind"
    SIGHTED = "sighted"
    NAME_LOST = "name-lost"
    NAME_BACK = "name-back"
    NEVER_ANSWERED = "never-answered"
    PULSE_IGNORED = "pulse-ignored"
    STATUS_LOST = "status-lost"
    HOOK_FAILED = "hook-failed"
    NOTICE_FAILED = "notice-failed"
    METRICS_LOST = "metrics-lost"
    UNTOLD = "untold"
    FILE_DIFFERS = "file-differs"
    FILE_SAME = "file-same"


TRANSITIONS = frozenset(
    {
        # moves that were made (R3 to R6) or that EC2 did not confirm
        EventKind.TOOK,
        EventKind.RETURNED,
        EventKind.RELEASED,
        EventKind.HANDED_OVER,
        EventKind.MOVE_FAILED,
        # verdicts that changed
        EventKind.PEER_UP,
        EventKind.PEER_DOWN,
        EventKind.UPLINK_UP,
        EventKind.UPLINK_DOWN,
        # what keeps moves from being made until a person has looked
        EventKind.CONTESTED,
        EventKind.VIEW_LOST,
    }
)
"""What hooks and notifications are told; all else is for the journal alone."""


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened. `message` is the sentence; the rest are fields for machines.

    Durations are whole milliseconds, as in NATHB_DETECT_MS and NATHB_API_MS.
    """

    kind: EventKind
    message: str
    route: Route | None = None
    source: str = ""
    target: str = ""
    reason: str = ""
    rule: str = ""
    detect_ms: int | None = None
    api_ms: int | None = None
    request_id: str = ""
    error: str = ""
    """What EC2, or whatever stood in its way, said to a move that failed."""
    trace: str = ""
    """The round that led here, as `core.replay` writes it; empty where no decision was made."""
