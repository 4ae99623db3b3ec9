"""How a node stands at one moment, as `nathb status` shows it: data only."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from nathb.core.damping import Penalty
from nathb.core.ec2_state import InstanceState, View
from nathb.core.learned import LearnStatus
from nathb.core.memory import RouteMemory, WriteState
from nathb.core.model import Evidence, Preempt, Route, Ruling


class Told(Struct, frozen=True):
    """A sentence that went to the journal; `at` is monotonic seconds."""

    at: float
    event: str
    message: str


class Counters(Struct):
    """What this process has done since it started."""

    checks: int = 0
    heard: int = 0
    missed: int = 0
    blind: int = 0
    moves: int = 0
    failed_moves: int = 0
    moves_by_rule: dict[str, int] = {}
    penalties: dict[str, Penalty] = {}
    """For each route, as text, that was ever taken: what its takes have added up to (R11)."""


class Home(Struct, frozen=True):
    """A guarded route and the node it belongs to when all is well."""

    route: Route
    node: str


class FailedRead(Struct, frozen=True):
    """What cannot be read of EC2 at present, since when (monotonic seconds), and the last error."""

    what: str
    """`route tables`, `instances`, or `instance of` some of the nodes."""
    since: float
    error: str


class FailedMove(Struct, frozen=True):
    """The last try of a move that EC2 did not confirm; `at` is monotonic seconds."""

    route: Route
    to: str
    at: float
    error: str


class Write(Struct, frozen=True):
    """A ReplaceRoute of this node that no view has shown yet. `holder` is empty for a blackhole."""

    route: Route
    holder: str
    to: str
    state: WriteState
    at: float | None = None
    """Monotonic seconds when EC2 answered, or was given up; None before that."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """One moment. `at` is CLOCK_MONOTONIC, which all processes of one boot share; seconds."""

    version: str
    group: str
    node: str
    pid: int
    at: float
    dry_run: bool
    counters: Counters
    suspecting: bool
    uplink: Evidence
    peers: dict[str, Evidence]
    pulses: dict[str, str]
    """For each peer: `heard`, `lost`, `ignored`, `blind` (not sent), or `unknown` at first."""
    view: View | None = None
    view_max_age: float = 300.0
    """Seconds for which the view may be acted upon."""
    homes: tuple[Home, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    told: tuple[Told, ...] = ()
    preempt: Preempt = Preempt.AUTO
    instances: dict[str, InstanceState] = {}
    """For each node what EC2 says that its instance is doing; empty until it was read."""
    instances_at: float | None = None
    """When that was read; monotonic seconds."""
    failed_reads: tuple[FailedRead, ...] = ()
    writes: tuple[Write, ...] = ()
    failed_moves: tuple[FailedMove, ...] = ()
    file_digest: str = ""
    """Of this node's file; the view has those that were applied (R17)."""
    accepted: tuple[Write, ...] = ()
    """The last write of this node to each route that EC2 accepted, until a view contradicts it."""
    learned: LearnStatus | UnsetType = UNSET
    """How learned routes stand; left out where the file has no `learn`."""


def write_of(route: Route, memory: RouteMemory, view: View | None) -> Write | None:
    """Return the write of this route that the view does not show yet; None when there is none."""
    write = memory.pending or memory.accepted
    if write is None:
        return None
    if write.state is WriteState.ACCEPTED:
        seen = view.holding(route) if view is not None else None
        shown = view is not None and view.at >= write.at
        if view is None or (shown and seen is not None and seen.node == write.move.to):
            return None
    at = None if write.state is WriteState.SENT else write.at
    return Write(route, write.move.holder, write.move.to, write.state, at)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a snapshot. Its objects are open: later versions add fields.

    What a snapshot shares with recorded rounds (`model.Recorded`) is closed only to nathb itself.
    """
    whole = msgspec.json.schema(Snapshot)
    for shape in whole["$defs"].values():
        if shape.get("additionalProperties") is False:
            del shape["additionalProperties"]
    return whole
