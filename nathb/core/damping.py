"""Damping of returns (R11): a route that was taken again and again stays on the survivor.

The shape is RFC 2439's: each take adds a fixed penalty, which decays by half every half-life.
Above the suppress limit returns wait, until the penalty has decayed to the reuse limit. The
penalty has a ceiling, chosen so that no wait is ever longer than MAX_SUPPRESS. Takes never wait.
"""

from __future__ import annotations

import math

from nathb.core.model import Recorded

PER_TAKE = 1000.0
SUPPRESS_ABOVE = 2000.0
"""Two takes a minute apart pass, a third within the quarter of an hour does not."""
REUSE_BELOW = 750.0
HALF_LIFE = 15 * 60.0
MAX_SUPPRESS = 60 * 60.0
CEILING = REUSE_BELOW * 2 ** (MAX_SUPPRESS / HALF_LIFE)


class Penalty(Recorded, frozen=True):
    """What a route's takes have added up to at a time (seconds), and whether returns wait."""

    value: float = 0.0
    at: float = 0.0
    suppressed: bool = False


def penalty_at(penalty: Penalty, now: float) -> float:
    """Return what is left of the penalty at `now`, in seconds on the same clock."""
    return penalty.value * math.exp2((penalty.at - now) / HALF_LIFE)


def taken(penalty: Penalty, now: float) -> Penalty:
    """Return the penalty after one more take at `now`."""
    value = min(CEILING, penalty_at(penalty, now) + PER_TAKE)
    return Penalty(value, now, value > SUPPRESS_ABOVE or suppressed(penalty, now))


def suppressed(penalty: Penalty, now: float) -> bool:
    """Whether returns wait at `now`: once over the upper limit, until below the lower one."""
    return penalty.suppressed and penalty_at(penalty, now) > REUSE_BELOW


def reusable_at(penalty: Penalty) -> float:
    """Return when a suppressed route may return again, in seconds on the same clock."""
    return penalty.at + HALF_LIFE * math.log2(max(1.0, penalty.value / REUSE_BELOW))
