"""What no node may ever write, as a list of checks that every attempt goes through.

An *attempt* is a write that a process has just begun. It is held against the evidence (what the
packets allow to be believed) and against the last view that came, never against what the process
says of itself. Each check cites its rule and returns the offence, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nathb.core.ec2_state import Holding, RouteState, View
from nathb.core.model import Cause, Move, Preempt, Verdict
from tests.sim.packet_evidence import UPLINK

if TYPE_CHECKING:
    from tests.sim.host import Host

FIRST_BACKOFF = 0.1
"""Seconds that must pass after a refusal: half of the shortest first backoff, and a little less."""
MOST_TRIES, PER = 25, 60.0
"""One process begins no more writes of one route than this in so many seconds.

No write is begun without evidence that calls for it, and one that was carried out ends the need
(R10). What is left to bound are refusals: backoff lets one try through per 1.5 s at the most.
"""
LONGEST_MOVE = 20.0
"""Seconds after which a write that has not ended is taken for one without a reply (R16)."""
MANY_TAKES, WITHIN, DAMPED_FOR = 3, 120.0, 900.0
"""So many takes of a route in so short a time must delay its return for longer than this (R11)."""


@dataclass
class Past:
    """What this process has done to one route, and how that ended. Times in seconds."""

    flying: Move | None = None
    flying_since: float = float("-inf")
    wrote: Move | None = None
    wrote_at: float = float("-inf")
    refused: dict[Cause, float] = field(default_factory=dict)
    """When a move with this cause was last refused; another cause need not wait."""
    unsure_at: float = float("-inf")
    unsure_to: str = ""
    """Where the last write whose answer was lost was to point the route; nothing came after it."""
    shown: str | None = None
    shown_at: float = 0.0
    takes: list[float] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class WriteAttempt:
    """A write that is being begun, and all that it is judged by."""

    host: Host
    move: Move
    now: float
    view: View
    holding: Holding | None
    past: Past

    @property
    def me(self) -> str:
        return self.host.me

    @property
    def takes(self) -> bool:
        return self.move.to == self.me

    @property
    def releases(self) -> bool:
        return not self.takes and self.verdict(self.me) is Verdict.DOWN

    @property
    def hands_over(self) -> bool:
        absent = self.host.leaving > 0 or self.me in self.view.intent.drained
        return not self.takes and not self.releases and absent

    @property
    def returns(self) -> bool:
        return not (self.takes or self.releases or self.hands_over)

    @property
    def order(self) -> tuple[str, ...]:
        """The candidates by preference: whoever is drained comes last."""
        drained = self.view.intent.drained
        return tuple(
            sorted(self.host.group.order(self.move.route), key=lambda name: name in drained)
        )

    @property
    def holder(self) -> str:
        return self.holding.node if self.holding is not None else ""

    @property
    def blackhole(self) -> bool:
        return self.holding is not None and self.holding.state is RouteState.BLACKHOLE

    def verdict(self, node: str) -> Verdict:
        return self.host.evidence.verdict(UPLINK if node == self.me else node)

    @property
    def giver(self) -> str:
        """Who gave the route away, to this node and not to its home; empty when nobody did.

        What an operator moved looks the same as what its holder gave away itself.
        """
        route = self.move.route
        changes = [one for one in self.host.shared.ec2.changes if one.route == route]
        given = bool(changes) and changes[-1].to == self.me != self.host.group.home(route)
        who = (changes[-1].who or changes[-1].holder) if given else ""
        return who if who != self.me else ""

    def heard_in_silence(self, node: str) -> bool:
        """Whether a node has answered since the own uplink fell silent."""
        silent_since = self.host.evidence.silent_since(UPLINK)
        return silent_since is not None and self.host.evidence.heard_at(node) >= silent_since

    def alive(self, node: str) -> bool:
        leaves = node == self.me and self.host.leaving > 0
        return self.verdict(node) is Verdict.UP and not leaves


# --- the checks ---------------------------------------------------------------------------------


def r9_paused_or_dry(attempt: WriteAttempt) -> str:
    if attempt.host.dry_run:
        return "wrote in a dry run"
    return "R9: wrote while paused" if attempt.view.intent.paused else ""


def r10_view(attempt: WriteAttempt) -> str:
    """A view, or an accepted write, which is a view of that one route as old as the write."""
    if attempt.now - max(attempt.view.at, attempt.past.wrote_at) > attempt.host.group.view_max_age:
        return "R10: acted on a view that is too old"
    if attempt.past.flying is not None and attempt.now < attempt.past.flying_since + LONGEST_MOVE:
        return "R10: began a write while another of this route was in flight"
    return ""


def r8_foreign(attempt: WriteAttempt) -> str:
    if attempt.holding is None:
        return "R8: wrote a route that is not there"
    if attempt.holder == "" and not attempt.blackhole:
        return "R8: took what points outside the group"
    return ""


def r8_configured(attempt: WriteAttempt) -> str:
    group = attempt.host.group
    if attempt.move.route not in group.routes():
        return "R8: wrote a route that its file does not name"
    names = [node.name for node in group.nodes]
    return "" if attempt.move.to in names else "R8: wrote to a target outside the group"


def backoff(attempt: WriteAttempt) -> str:
    if attempt.now < attempt.past.refused.get(attempt.move.cause, float("-inf")) + FIRST_BACKOFF:
        return "R10: tried again at once after a refusal"
    return ""


def bounded(attempt: WriteAttempt) -> str:
    lately = [at for at in attempt.past.tries if at > attempt.now - PER]
    return f"began {len(lately)} writes in {PER:g} s" if len(lately) > MOST_TRIES else ""


def r6_drained_target(attempt: WriteAttempt) -> str:
    """A drained node is the last candidate: others before it, and itself only from the dead."""
    drained = attempt.view.intent.drained
    if attempt.move.to not in drained:
        return ""
    if attempt.returns or (
        attempt.hands_over and attempt.me in drained and not attempt.host.leaving
    ):
        return "R6: gave a route to a drained node"
    return ""


def r1_target_is_up(attempt: WriteAttempt) -> str:
    """Whoever distrusts itself may believe another UP for longer than `fall` misses say (R15)."""
    verdict = attempt.verdict(attempt.move.to)
    if attempt.releases and attempt.heard_in_silence(attempt.move.to):
        return ""
    given = attempt.returns or attempt.hands_over
    if given and attempt.host.evidence.silent_since(attempt.move.to) is None:
        return ""
    return (
        f"R1: gave a route to a node that is {verdict.value}" if verdict is not Verdict.UP else ""
    )


def r2_r3_take(attempt: WriteAttempt) -> str:
    if not attempt.takes:
        return ""
    if attempt.holder == attempt.me:
        return "R2: took from itself"
    verdict = attempt.verdict(attempt.holder)
    if attempt.host.evidence.may_be_down(attempt.holder):
        return ""
    if verdict is Verdict.UP:
        return "R2: took from a node that is UP"
    if verdict is not Verdict.DOWN and not attempt.blackhole:
        return "R3: took from a node that is not DOWN"
    return ""


def r3_witness(attempt: WriteAttempt) -> str:
    if not attempt.takes or attempt.verdict(attempt.holder) is not Verdict.DOWN:
        return ""
    silent_since = attempt.host.evidence.silent_since(attempt.holder)
    if silent_since is None:
        return "R3: took from a node heard within its fall window"
    if attempt.host.evidence.heard_at(UPLINK) < silent_since:
        return "R3: took without an uplink heard since the silence began"
    return ""


def only_from_oneself(attempt: WriteAttempt) -> str:
    if not attempt.takes and attempt.holder != attempt.me:
        return "R3: gave away a route that another node holds"
    return ""


def r5_release(attempt: WriteAttempt) -> str:
    if not attempt.releases:
        return ""
    if not attempt.heard_in_silence(attempt.move.to):
        return "R5: released to a node not heard since the uplink fell silent"
    others = [one for one in attempt.order if one != attempt.me and attempt.heard_in_silence(one)]
    alive = [one for one in others if attempt.alive(one) or one == attempt.move.to]
    firsts = {*alive[:1], *[one for one in alive if one != attempt.giver][:1]}
    unclear_since = max(attempt.past.shown_at, attempt.past.unsure_at)
    if attempt.now < unclear_since + attempt.host.group.settle:
        firsts |= set(alive[:3])  # it may have been passed on between two views: from whom?
    return "" if attempt.move.to in firsts else "R5: released to another than the first in order"


def r6_hand_over(attempt: WriteAttempt) -> str:
    if not attempt.hands_over:
        return ""
    if attempt.verdict(attempt.me) is not Verdict.UP:
        return "R6: handed over with an uplink that is not UP"
    if attempt.host.evidence.silent_since(attempt.move.to) is not None:
        return "R6: handed over to a node that has just missed a check"
    alive = [one for one in attempt.order if attempt.alive(one) or one == attempt.move.to]
    others = [name for name in alive if name != attempt.me]
    firsts = [*others[:1], *[name for name in others if name != attempt.giver][:1]]
    return "" if attempt.move.to in firsts else "R6: handed over to another than the first in order"


def r4_return(attempt: WriteAttempt) -> str:
    if not attempt.returns:
        return ""
    if attempt.verdict(attempt.me) is not Verdict.UP:
        return "R4: returned with an uplink that is not UP"
    order = attempt.host.group.order(attempt.move.route)
    if order.index(attempt.move.to) > order.index(attempt.me):
        return "R4: returned to a node that comes later"
    if attempt.host.evidence.silent_since(attempt.move.to) is not None:
        return "R4: returned to a node that has just missed a check"
    return ""


def r11_damped(attempt: WriteAttempt) -> str:
    """What an operator asks for is never delayed by damping."""
    if attempt.view.intent.revert or attempt.move.to in attempt.host.judge.undrained_at:
        return ""
    takes = [at for at in attempt.past.takes if at > attempt.now - DAMPED_FOR]
    if attempt.returns and len(takes) >= MANY_TAKES and takes[-1] - takes[-MANY_TAKES] < WITHIN:
        return "R11: returned what was taken again and again"
    return ""


def _up_since(attempt: WriteAttempt) -> float:
    """Since when the target is UP: for a node that distrusts itself, misses count for less."""
    by_packets, agent = attempt.host.evidence.since[attempt.move.to], attempt.host.agent
    if agent is None or agent.prober.awareness.level(attempt.now) == 0:
        return by_packets
    return min(by_packets, agent.evidence[attempt.move.to].since)


def r4_when(attempt: WriteAttempt) -> str:
    if not attempt.returns:
        return ""
    group = attempt.host.group
    if attempt.view.intent.revert:
        return ""
    if group.preempt is Preempt.MANUAL:
        return "R4: returned unasked, though preempt is manual"
    undrained_at = attempt.host.judge.undrained_at.get(attempt.move.to, float("-inf"))
    changed_at = attempt.past.shown_at
    since = max(_up_since(attempt), changed_at)
    if undrained_at < changed_at and attempt.now < since + group.preempt_delay:
        return "R4: returned too soon"
    return ""


CHECKS: tuple[Callable[[WriteAttempt], str], ...] = (
    r9_paused_or_dry,
    r8_configured,
    r8_foreign,
    r10_view,
    backoff,
    bounded,
    r6_drained_target,
    r1_target_is_up,
    r2_r3_take,
    r3_witness,
    only_from_oneself,
    r5_release,
    r6_hand_over,
    r4_return,
    r11_damped,
    r4_when,
)
