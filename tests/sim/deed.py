"""What no node may ever do, as a column of questions that every deed is asked.

A *deed* is a write that a process has just begun. It is held against the witness (what the
packets allow to be believed) and against the last view that came, never against what the process
says of itself. Each question cites its rule and answers with the offence, or with nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nathb.core.model import Cause, Move, Preempt, Verdict
from nathb.core.view import Holding, RouteState, View
from tests.sim.witness import UPLINK

if TYPE_CHECKING:
    from tests.sim.post import Post

FIRST_BACKOFF = 0.1
"""Seconds that must pass after a refusal: half of the shortest first backoff, and a little less."""
MOST_TRIES, PER = 25, 60.0
"""One process begins no more writes of one route than this in so many seconds.

No write is begun without a wish that evidence calls for, one that was carried out ends the wish
(R10), and one that another hand has undone is not repeated within `contest_hold` (R7). What is left
to bound are refusals: backoff lets one try through per 1.5 s at the most, 2,400 an hour, for as
long as EC2 refuses. Here it refuses for less than 15 s at a time.
"""
MANY_TAKES, WITHIN, DAMPED_FOR = 3, 120.0, 900.0
"""So many takes of a route in so short a time must delay its return for longer than this (R11)."""


@dataclass
class Past:
    """What this process has done to one route, and how that ended. Times in seconds."""

    flying: Move | None = None
    wrote: Move | None = None
    wrote_at: float = float("-inf")
    undone: dict[tuple[str, Cause], float] = field(default_factory=dict)
    """Moves that were carried out and are not so any more, and when a view first showed it."""
    refused: dict[Cause, float] = field(default_factory=dict)
    """When a move with this cause was last refused; another cause need not wait."""
    unsure_at: float = float("-inf")
    shown: str | None = None
    shown_at: float = 0.0
    takes: list[float] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Deed:
    """A write that is being begun, and all that it is judged by."""

    post: Post
    move: Move
    now: float
    view: View
    holding: Holding | None
    past: Past

    @property
    def me(self) -> str:
        return self.post.me

    @property
    def takes(self) -> bool:
        return self.move.to == self.me

    @property
    def releases(self) -> bool:
        return not self.takes and self.verdict(self.me) is Verdict.DOWN

    @property
    def hands_over(self) -> bool:
        absent = self.post.leaving > 0 or self.me in self.view.intent.drained
        return not self.takes and not self.releases and absent

    @property
    def returns(self) -> bool:
        return not (self.takes or self.releases or self.hands_over)

    @property
    def order(self) -> tuple[str, ...]:
        return self.post.group.order(self.move.route)

    @property
    def holder(self) -> str:
        return self.holding.node if self.holding is not None else ""

    @property
    def blackhole(self) -> bool:
        return self.holding is not None and self.holding.state is RouteState.BLACKHOLE

    def verdict(self, node: str) -> Verdict:
        return self.post.witness.verdict(UPLINK if node == self.me else node)

    def alive(self, node: str) -> bool:
        leaves = node == self.me and self.post.leaving > 0
        up = self.verdict(node) is Verdict.UP
        return up and not leaves and node not in self.view.intent.drained


# --- the questions ------------------------------------------------------------------------------


def r9_paused_or_dry(deed: Deed) -> str:
    if deed.post.dry_run:
        return "wrote in a dry run"
    return "R9: wrote while paused" if deed.view.intent.paused else ""


def r10_view(deed: Deed) -> str:
    if deed.now - deed.view.at > deed.post.group.view_max_age:
        return "R10: acted on a view that is too old"
    if deed.past.flying is not None:
        return "R10: began a write while another of this route was in flight"
    settle = deed.post.group.settle
    if deed.past.wrote is not None and deed.now < deed.past.wrote_at + settle:
        if deed.view.at < deed.past.wrote_at or deed.holder != deed.past.wrote.to:
            return "R10: did not wait for its own last write to show"
    return ""


def r8_foreign(deed: Deed) -> str:
    if deed.holding is None:
        return "R8: wrote a route that is not there"
    if deed.holder == "" and not deed.blackhole:
        return "R8: took what points outside the group"
    return ""


def r8_configured(deed: Deed) -> str:
    group = deed.post.group
    if deed.move.route not in group.routes():
        return "R8: wrote a route that its file does not name"
    names = [node.name for node in group.nodes]
    return "" if deed.move.to in names else "R8: wrote to a target outside the group"


def backoff(deed: Deed) -> str:
    if deed.now < deed.past.refused.get(deed.move.cause, float("-inf")) + FIRST_BACKOFF:
        return "R10: tried again at once after a refusal"
    return ""


def bounded(deed: Deed) -> str:
    lately = [at for at in deed.past.tries if at > deed.now - PER]
    return f"began {len(lately)} writes in {PER:g} s" if len(lately) > MOST_TRIES else ""


def r7_contested(deed: Deed) -> str:
    group = deed.post.group
    undone_at = deed.past.undone.get((deed.move.to, deed.move.cause))
    if undone_at is None or deed.post.witness.is_gone(deed.holder):
        return ""
    if deed.now < undone_at + group.contest_hold:
        return "R7: repeated a move that another hand had undone"
    return ""


def r6_drained_target(deed: Deed) -> str:
    return "R6: gave a route to a drained node" if deed.move.to in deed.view.intent.drained else ""


def r1_target_is_up(deed: Deed) -> str:
    verdict = deed.verdict(deed.move.to)
    return (
        f"R1: gave a route to a node that is {verdict.value}" if verdict is not Verdict.UP else ""
    )


def r2_r3_take(deed: Deed) -> str:
    if not deed.takes:
        return ""
    if deed.holder == deed.me:
        return "R2: took from itself"
    verdict = deed.verdict(deed.holder)
    if verdict is Verdict.UP:
        return "R2: took from a node that is UP"
    if verdict is not Verdict.DOWN and not deed.blackhole:
        return "R3: took from a node that is not DOWN"
    if next((name for name in deed.order if deed.alive(name)), "") != deed.me:
        return "R3: took though another node comes first"
    return ""


def r3_witness(deed: Deed) -> str:
    if not deed.takes or deed.verdict(deed.holder) is not Verdict.DOWN:
        return ""
    silent_since = deed.post.witness.silent_since(deed.holder)
    if silent_since is None:
        return "R3: took from a node heard within its fall window"
    if deed.post.witness.heard_at(UPLINK) < silent_since:
        return "R3: took without an uplink heard since the silence began"
    return ""


def only_from_oneself(deed: Deed) -> str:
    if not deed.takes and deed.holder != deed.me:
        return "R3: gave away a route that another node holds"
    return ""


def r5_release(deed: Deed) -> str:
    if not deed.releases:
        return ""
    silent_since = deed.post.witness.silent_since(UPLINK)
    if silent_since is None or deed.post.witness.heard_at(deed.move.to) < silent_since:
        return "R5: released to a node not heard since the uplink fell silent"
    return ""


def r6_hand_over(deed: Deed) -> str:
    if not deed.hands_over:
        return ""
    if deed.verdict(deed.me) is not Verdict.UP:
        return "R6: handed over with an uplink that is not UP"
    first = next((name for name in deed.order if deed.alive(name)), "")
    return "" if deed.move.to == first else "R6: handed over to another than the first in order"


def r4_return(deed: Deed) -> str:
    if not deed.returns:
        return ""
    if deed.verdict(deed.me) is not Verdict.UP:
        return "R4: returned with an uplink that is not UP"
    if deed.order.index(deed.move.to) > deed.order.index(deed.me):
        return "R4: returned to a node that comes later"
    if deed.post.witness.silent_since(deed.move.to) is not None:
        return "R4: returned to a node that has just missed a check"
    return ""


def r11_damped(deed: Deed) -> str:
    takes = [at for at in deed.past.takes if at > deed.now - DAMPED_FOR]
    if deed.returns and len(takes) >= MANY_TAKES and takes[-1] - takes[-MANY_TAKES] < WITHIN:
        return "R11: returned what was taken again and again"
    return ""


def r4_when(deed: Deed) -> str:
    if not deed.returns:
        return ""
    group = deed.post.group
    if group.preempt is Preempt.MANUAL:
        return "" if deed.view.intent.revert else "R4: returned unasked, though preempt is manual"
    undrained_at = deed.post.judge.undrained_at.get(deed.move.to, float("-inf"))
    changed_at = deed.past.shown_at
    since = max(deed.post.witness.since[deed.move.to], changed_at)
    if undrained_at < changed_at and deed.now < since + group.preempt_delay:
        return "R4: returned too soon"
    return ""


QUESTIONS: tuple[Callable[[Deed], str], ...] = (
    r9_paused_or_dry,
    r8_configured,
    r8_foreign,
    r10_view,
    backoff,
    bounded,
    r7_contested,
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
