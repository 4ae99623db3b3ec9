"""How a node stands at one moment, as `nathb status` shows it: data only."""

from __future__ import annotations

from msgspec import Struct

from nathb.core.damping import Penalty
from nathb.core.model import Evidence, Route, Ruling
from nathb.core.view import View


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
