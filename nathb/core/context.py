"""What a round goes by, and the questions that the rules ask of one route in it."""

from __future__ import annotations

from msgspec import Struct, field

from nathb.core.ec2_state import Holding, View
from nathb.core.memory import Contest, RouteMemory, believed, contest_with
from nathb.core.model import (
    Cause,
    Evidence,
    Group,
    Move,
    Preempt,
    Recorded,
    Route,
    Rule,
    Ruling,
    Verdict,
)
from nathb.core.split import Split

VIEW_PATIENCE = 1.0
"""Seconds that a take waits for a view newer than the silence that calls for it."""
AT_ONCE = float("-inf")
"""When something is due that need not wait, not even for fresher evidence."""
NO_EVIDENCE, NO_MEMORY = Evidence(), RouteMemory()
"""Of what was never asked, and never seen. One of each, for rounds are many."""
GIVEN_FACTOR = 5
"""So many preempt_delays a route stays away that its home gave away itself while it was UP."""


class Facts(Recorded, frozen=True):
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
    revert_since: float | None = None
    """Since when this node knows that operators ask for all routes to go home; None if not."""
    awaited_since: float | None = None
    """Since when a newer view is on its way; None when none is, or when it cannot be had."""
    leaving: bool = False
    """Whether this machine is shutting down, and so must hold no route in a moment."""
    dry_run: bool = False
    splits: dict[str, Split] = field(default_factory=dict)
    """The peers that have convicted this node at the moment at which it convicted them (R7c)."""


class RouteContext(Struct, frozen=True, omit_defaults=True):
    """One route in one round, with the questions that the rules ask of it."""

    known: Facts
    view: View
    route: Route
    memory: RouteMemory
    holding: Holding | None
    """Where the route points as far as this node knows, by the view or its own newer write."""
    as_of: float

    @property
    def holder(self) -> str:
        """Name of the node the route points at; empty when that is none of ours."""
        return self.holding.node if self.holding is not None else ""

    @property
    def mine(self) -> bool:
        """Whether this node holds the route."""
        return self.holding is not None and self.holding.node == self.known.me

    @property
    def order(self) -> tuple[str, ...]:
        """The route's home, then whoever comes after it."""
        return self.known.group.order(self.route)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The nodes that are alive, in the route's order; those that are drained come last (R6)."""
        alive = [name for name in self.order if self.alive(name)]
        return tuple(sorted(alive, key=self.drained))

    @property
    def successors(self) -> tuple[str, ...]:
        """The candidates that this node may hand the route to.

        Whoever gave it away itself while it was UP has its reasons, until it was DOWN and back.
        """
        return tuple(
            name for name in self.candidates if name != self.known.me and not self.gave(name)
        )

    @property
    def earlier(self) -> tuple[str, ...]:
        """The nodes that come before this one in the route's order."""
        order = self.order
        return order[: order.index(self.known.me)]

    def evidence(self, node: str) -> Evidence:
        """What is known of a node: of oneself by the uplink, of others by their heartbeat."""
        if node == self.known.me:
            return self.known.uplink
        return self.known.peers.get(node, NO_EVIDENCE)

    def alive(self, node: str) -> bool:
        """Whether the node may be given this route: UP in my view, and not about to go down.

        Of the others' shutdown this node knows nothing: they hand over their routes themselves.
        """
        if self.known.leaving and node == self.known.me:
            return False
        return self.evidence(node).verdict is Verdict.UP

    def drained(self, node: str) -> bool:
        """Whether operators have drained the node."""
        return node in self.view.intent.drained

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

    def asked_home_at(self, node: str) -> float:
        """When operators asked that the node get its routes back: undrain, or revert.

        That is never delayed by damping. Minus infinity when they did not, or not since the
        route's last change.
        """
        undrained_at, reverted_at = self.known.undrained.get(node, AT_ONCE), AT_ONCE
        if self.view.intent.revert:
            reverted_at = self.known.revert_since or AT_ONCE
            if self.known.group.preempt is Preempt.MANUAL:
                return self.known.now
        asked_at = max(undrained_at, reverted_at)
        return asked_at if asked_at >= self.memory.changed_at else AT_ONCE

    def return_due(self, node: str) -> float:
        """When the node gets its route back: preempt_delay after its recovery and the last change.

        What it gave away itself while it was UP (it is about to go down) returns only after it
        has been DOWN and back, or after five times the delay. What operators ask for is due at
        once, unless the node has been away since.
        """
        delay, recovered_at = self.known.group.preempt_delay, self.evidence(node).since
        if self.asked_home_at(node) >= recovered_at:
            return AT_ONCE
        given = self.memory.given
        if given is not None and self.gave(node):
            return given.at + GIVEN_FACTOR * delay
        return max(recovered_at, self.memory.changed_at) + delay

    def gave(self, node: str) -> bool:
        """Whether the node itself gave the route to this one, and has not been away since."""
        given = self.memory.given
        return given is not None and given.by == node and self.evidence(node).since <= given.at

    def waits_for_revert(self) -> bool:
        """Whether the route goes home only when an operator says so (preempt: manual)."""
        return self.known.group.preempt is Preempt.MANUAL and not self.view.intent.revert

    def gave_away(self, holder: str) -> bool:
        """Whether this node itself handed the route to its present holder (R5, R6)."""
        write = self.memory.accepted
        return write is not None and write.move.to == holder and write.move.rule is not Rule.R3

    def contest(self) -> Contest | None:
        """The contest over this route with its present holder; None when there is none."""
        return contest_with(self.memory, self.holder, self.known.now)

    def stay(self, rule: Rule, reason: str, due: float | None = None, *, fresh: str = "") -> Ruling:
        """Leave the route where it is."""
        return Ruling(self.route, rule, reason, due=due, fresh=fresh)

    def move(self, rule: Rule, to: str, cause: Cause, reason: str, since: float) -> Ruling:
        """Call for a move, whose first sign was seen at `since`."""
        detected_in = max(0.0, self.known.now - since)
        move = Move(self.route, self.holder, to, rule, cause, reason, detected_in)
        return Ruling(self.route, rule, reason, move)


def case_of(known: Facts, view: View, route: Route) -> RouteContext:
    """Return the case of one guarded route in a round with a view."""
    memory = known.memory.get(str(route), NO_MEMORY)
    holding, as_of = believed(memory, view.holding(route), view.at, known.group.settle)
    return RouteContext(known, view, route, memory, holding, as_of)


def heard_since(witness: Evidence, since: float | None) -> bool:
    """Whether the witness has answered a check sent since then."""
    return since is not None and witness.heard_at is not None and witness.heard_at >= since


def silent_throughout(evidence: Evidence) -> bool:
    """Whether the present silence alone is long enough to convict."""
    return evidence.silent_since is not None and evidence.missed >= evidence.needed
