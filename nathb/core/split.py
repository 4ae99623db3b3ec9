"""Two nodes that have convicted each other: what lies between them is cut, and both live (R7c).

A take needs a daemon that runs, an uplink that answers, and EC2's consent. A node that takes a
route during the very silence that convicts it is therefore alive. If it does so within one
detection of the beginning of that silence, it has lost this node at the same moment: what failed
is what lies between the two. If it does so later, it heard this node all the while and was silent
all the same: then its forwarding is dead, and the conviction stands. In a group of three or more,
only a take from this node counts: one that takes from a third node has lost that one.

Where the zones are cut from each other, each zone's clients reach their own node alone. So each
node takes its own home routes back at once, and leaves the other its own.
"""

from __future__ import annotations

from msgspec import Struct

from nathb.core.model import Evidence, Recorded, Timers, Verdict

HOLD = 3600.0
"""Seconds since its last act for which nothing but home routes is taken from such a peer."""


class Split(Recorded, frozen=True):
    """A peer that has convicted this node too, and when it was last seen to take a route."""

    acted_at: float


class Act(Struct, frozen=True):
    """Someone else's write took a route from this node to a peer: between two views, in seconds."""

    after: float
    """When the last view was read that did not show it."""
    seen_at: float


def follow(before: Split | None, peer: Evidence, act: Act | None, timers: Timers) -> Split | None:
    """Return how this node stands with a peer after what is new; None while there is no split."""
    if peer.verdict is Verdict.UP or peer.silent_since is None:
        return None
    if before is not None:
        later = act is not None and act.seen_at > before.acted_at
        return Split(act.seen_at) if act is not None and later else before
    if act is None:
        return None
    began = peer.silent_since <= act.after and act.seen_at <= peer.silent_since + timers.detection
    return Split(act.seen_at) if began else None
