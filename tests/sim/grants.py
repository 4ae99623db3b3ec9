"""How much longer than one detection clients may be left on a dark node, and by which fact.

Every grant rests on a fact of the world: what was wrong with the machine, the network or EC2's
API, and what was written. None asks what a node believes or which rule it obeys. What one node is
granted does not help another that has no such reason: the clients wait for whoever must act first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nathb.core.memory import BACKOFF
from nathb.core.model import Failure, Group, Route
from nathb.core.polling import GIVE_UP

if TYPE_CHECKING:
    from tests.sim.claims import Claims

HOUR = 3600.0
FIRST_HOLD, LONGEST_HOLD = 15.0, 600.0
CONVICTED_ITSELF = 30.0
REMEMBERED = 240.0
"""Seconds for which a node that lost its own uplink may be slower to convict others."""


@dataclass
class Claim:
    """Clients on a dark node, and another that could serve them: since when, in seconds."""

    route: Route
    holder: str
    node: str
    since: float
    turn: int = 0
    """Most nodes before it that answered its pings at any instant since then."""


def detection(group: Group) -> float:
    """Seconds from a change in the network to the last verdict on it, by the file's timers."""
    check = group.check
    return check.interval + max(check.rise, check.fall) * check.fast_interval + check.timeout


@dataclass(frozen=True)
class Grant:
    """One reason for which a node may take longer, and how much longer, in seconds."""

    why: str
    seconds: Callable[[Claims, Claim], float]


def _turn(claims: Claims, claim: Claim) -> float:
    group = claims.world.hosts[claim.node].file
    return claim.turn * (detection(group) + group.settle)


def _undone(claims: Claims, claim: Claim) -> float:
    times = claims.undone_lately(claim.route, claim.node)
    return min(LONGEST_HOLD, FIRST_HOLD * 2.0 ** (times - 1)) if times else 0.0


def _convicted(claims: Claims, claim: Claim) -> float:
    mine = [one for one in claims.world.ec2.routes if claims.truth.home_of(one) == claim.node]
    robbed = any(claims.world.ec2.routes[one] == claim.holder for one in mine)
    return CONVICTED_ITSELF if robbed and claim.node != claim.holder else 0.0


def _split(claims: Claims, claim: Claim) -> float:
    since = claims.split_since(claim.node, claim.holder)
    return max(0.0, since + HOUR - claim.since) if since is not None else 0.0


def _trouble(claims: Claims, claim: Claim) -> float:
    ended_at = claims.trouble_at.get(claim.node, float("-inf"))
    longest = BACKOFF[Failure.DENIED][1]
    return GIVE_UP + longest if ended_at > claim.since - HOUR / 60 else 0.0


def _news(claims: Claims, claim: Claim) -> float:
    group = claims.world.schedule.group
    lately = claims.news_of(claim) > claim.since - detection(group) - group.settle
    return group.refresh + group.settle if lately else 0.0


def _distrust(claims: Claims, claim: Claim) -> float:
    if claim.node == claim.holder:
        return 0.0  # that it distrusts itself is a reason to release, not to wait
    check = claims.world.schedule.group.check
    lost_at = claims.uplink_lost_at.get(claim.node, float("-inf"))
    return 3 * check.fall * check.fast_interval if lost_at > claim.since - REMEMBERED else 0.0


def _loss(claims: Claims, claim: Claim) -> float:
    share = claims.loss_lately(claim.node, claim.holder)
    return 2 * detection(claims.world.schedule.group) if share > 0 else 0.0


GRANTS: dict[str, Grant] = {
    "its turn": Grant(
        "nodes before it in the route's order answer pings, so that it must leave them their time:"
        " one detection and one settle each. That their daemons are dead, dry or denied shows in"
        " nothing but their not acting",
        _turn,
    ),
    "undone": Grant(
        "its own last takes of this route were overwritten by someone else within the hour: two"
        " who cannot see each other look the same as one that is dead. 15 s, 30 s, … 10 min",
        _undone,
    ),
    "convicted itself": Grant(
        "the node on which the clients sit holds this node's own home route: someone had found"
        " this node dead before, and may have been right",
        _convicted,
    ),
    "split": Grant(
        "the two lost each other at one moment, both took, and nothing has been heard since: the"
        " holder was alive then, and what cuts the nodes cuts the clients. An hour from that act",
        _split,
    ),
    "EC2 was not well": Grant(
        "calls failed, hung or lied to it until a minute ago: the last one may still be waited"
        " for until it is given up, and a refusal is not repeated at once",
        _trouble,
    ),
    "news of EC2": Grant(
        "the route, pins, tags or instances were changed by someone else about then. EC2 tells"
        " nobody: it shows with the next Describe, and within `settle` that one may be stale",
        _news,
    ),
    "distrust of itself": Grant(
        "its own uplink was lost within the last four minutes: it must not convict others at the"
        " usual pace, but with up to four times as many checks",
        _distrust,
    ),
    "loss on its ways": Grant(
        "some of its own packets are lost, so that its evidence comes and goes: two detections",
        _loss,
    ),
}
