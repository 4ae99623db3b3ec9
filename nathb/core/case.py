"""What a round goes by, and the questions that the rules ask of one route in it."""

from __future__ import annotations

from msgspec import Struct, field

from nathb.core.memory import RouteMemory
from nathb.core.model import (
    Cause,
    Evidence,
    Group,
    Move,
    Recorded,
    Route,
    Rule,
    Ruling,
    Verdict,
)
from nathb.core.view import Holding, View

VIEW_PATIENCE = 1.0
"""Seconds that a take waits for a view newer than the silence that calls for it."""


class Known(Recorded, frozen=True):
    """All that a round goes by. `memory` is keyed by the route as text; seconds throughout."""

    now: float
    me: str
    group: Group
    uplink: Evidence
    peers: dict[str, Evidence]
    view: View | None = None
    memory: dict[str, RouteMemory] = field(default_factory=dict)
    undrained: dict[str, float] = field(default_factory=dict)
    """When each drain that has ended was seen to end."""
    awaited_since: float | None = None
    """Since when a newer view is on its way; None when none is, or when it cannot be had."""
    leaving: bool = False
    """Whether this machine is shutting down, and so must hold no route in a moment."""
    dry_run: bool = False


class Case(Struct, frozen=True, omit_defaults=True):
    """One route in one round, with the questions that the rules ask of it."""

    known: Known
    view: View
    route: Route
    memory: RouteMemory
    holding: Holding | None

    @property
    def holder(self) -> str:
        """Name of the node the route points at; empty when that is none of ours."""
        return self.holding.node if self.holding is not None else ""

    @property
    def mine(self) -> bool:
        """Whether this node holds the route."""
        return self.holder == self.known.me

    @property
    def order(self) -> tuple[str, ...]:
        """The route's home, then whoever comes after it."""
        return self.known.group.order(self.route)

    def evidence(self, node: str) -> Evidence:
        """What is known of a node: of oneself by the uplink, of others by their heartbeat."""
        if node == self.known.me:
            return self.known.uplink
        return self.known.peers.get(node, Evidence())

    def alive(self, node: str) -> bool:
        """Whether the node may be given this route: UP in my view, and not absent (R6)."""
        return self.evidence(node).verdict is Verdict.UP and not self.absent(node)

    def absent(self, node: str) -> str:
        """Why the node is no candidate although it may be UP: drained, or about to go down.

        Empty when it is one. Of the others' shutdown this node knows nothing: they hand over
        their routes themselves.
        """
        if node in self.view.intent.drained:
            return "drained"
        return "shutting down" if self.known.leaving and node == self.known.me else ""

    def first_alive(self, names: tuple[str, ...]) -> str:
        """Return the first of these that is alive; empty when none is."""
        return next((name for name in names if self.alive(name)), "")

    def newer_view_awaited(self, silent: Evidence) -> bool:
        """Whether a view begun since that silence began is still to be had, and soon.

        The silence may be that of a pin that was just moved (R12), or the route may have gone
        elsewhere meanwhile. A Describe that fails, or takes longer than a take can wait, is no
        reason to wait (R10).
        """
        since, awaited = silent.silent_since, self.known.awaited_since
        if since is None or awaited is None or self.view.at >= since:
            return False
        return self.known.now - awaited < VIEW_PATIENCE

    def seen_since(self, node: str, since: float) -> bool:
        """Whether both the node's last answer and the view are no older than that."""
        heard_at = self.evidence(node).heard_at
        return heard_at is not None and min(heard_at, self.view.at) >= since

    def stay(self, rule: Rule, reason: str, due: float | None = None, *, fresh: str = "") -> Ruling:
        """Leave the route where it is."""
        return Ruling(self.route, rule, reason, due=due, fresh=fresh)

    def move(self, rule: Rule, to: str, cause: Cause, reason: str, since: float) -> Ruling:
        """Wish for a move, whose first sign was seen at `since`."""
        detected_in = max(0.0, self.known.now - since)
        move = Move(self.route, self.holder, to, rule, cause, reason, detected_in)
        return Ruling(self.route, rule, reason, move)


def heard_since(witness: Evidence, silent: Evidence) -> bool:
    """Whether the witness has answered a check sent since the silence began."""
    if witness.heard_at is None or silent.silent_since is None:
        return False
    return witness.heard_at >= silent.silent_since
