"""Rise and fall: how the outcomes of checks become a verdict (R1, R13).

Theory of operation. A path's health is a verdict and the *streak* that may overturn it: how many
times in a row the same outcome has come. An outcome that agrees with the streak lengthens it, the
opposite one begins a new streak, and Blind leaves everything as it was. Then the table is asked
whether this streak, at this length, turns the verdict:

              a streak of HEARD           a streak of MISSED
    UNKNOWN   rise of them: UP            fall of them: DOWN
    UP        (stays UP)                  fall of them: DOWN
    DOWN      rise of them: UP            (stays DOWN)

`fall` is 1 while EC2 itself says that the node is gone, and more while this node loses packets of
its own (R15); rise is never hastened.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from nathb.core.model import Outcome, Timers, Verdict


class Limit(Enum):
    """Which of the file's two counts a streak has to reach."""

    RISE = "rise"
    FALL = "fall"


TURNS: dict[tuple[Verdict, Outcome], tuple[Limit, Verdict]] = {
    (Verdict.UNKNOWN, Outcome.HEARD): (Limit.RISE, Verdict.UP),
    (Verdict.UNKNOWN, Outcome.MISSED): (Limit.FALL, Verdict.DOWN),
    (Verdict.UP, Outcome.MISSED): (Limit.FALL, Verdict.DOWN),
    (Verdict.DOWN, Outcome.HEARD): (Limit.RISE, Verdict.UP),
}


class Health(Struct, frozen=True):
    """One path's verdict, and how many times in a row its latest outcome has come."""

    verdict: Verdict = Verdict.UNKNOWN
    latest: Outcome | None = None
    streak: int = 0

    @property
    def settled(self) -> bool:
        """Whether the latest outcome agrees with the verdict; what is not is checked fast."""
        if self.verdict is Verdict.UP:
            return self.latest is Outcome.HEARD
        return self.verdict is Verdict.DOWN and self.latest is Outcome.MISSED


def limits(timers: Timers, *, hastened: bool, factor: int = 1) -> dict[Limit, int]:
    """Return the counts a streak has to reach; one miss is enough when EC2 adds its word (R13).

    `fall` is multiplied by `factor` otherwise: see `core.awareness` (R15).
    """
    return {Limit.RISE: timers.rise, Limit.FALL: fall(timers, hastened=hastened, factor=factor)}


def fall(timers: Timers, *, hastened: bool, factor: int) -> int:
    """Return how many misses in a row turn a verdict to DOWN: see `limits`."""
    return 1 if hastened else timers.fall * factor


def count(health: Health, outcome: Outcome) -> Health:
    """Lengthen the streak or begin another. Blind says nothing, so it changes nothing."""
    if outcome is Outcome.BLIND:
        return health
    streak = health.streak + 1 if outcome is health.latest else 1
    return Health(health.verdict, outcome, streak)


def judge(health: Health, needed: dict[Limit, int]) -> Health:
    """Turn the verdict if the streak is long enough; the streak itself goes on."""
    if health.latest is None:
        return health
    turn = TURNS.get((health.verdict, health.latest))
    if turn is None:
        return health
    limit, verdict = turn
    if health.streak < needed[limit]:
        return health
    return Health(verdict, health.latest, health.streak)


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a subject of several parts, each of which it needs.

    DOWN if any part is, UP if all are.
    """
    if Verdict.DOWN in verdicts:
        return Verdict.DOWN
    return Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts else Verdict.UP


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a subject with several addresses: UP if any answers.

    DOWN takes all of them; with none at all there is nothing to go by.
    """
    if Verdict.UP in verdicts:
        return Verdict.UP
    silent = Verdict.DOWN in verdicts and Verdict.UNKNOWN not in verdicts
    return Verdict.DOWN if silent else Verdict.UNKNOWN
