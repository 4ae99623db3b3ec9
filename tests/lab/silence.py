"""Silences, and which part of them is this machine's own.

Beside what is measured runs a control that nothing in the test touches. Whoever else has the CPUs
silences both. So the time in which the control was silent too is the machine's; the rest is
nathb's, and that is what bounds are for.

All moments are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

FREEZE = 0.05
"""Seconds of a control's silence from which on the machine is called frozen. Shorter ones are the
jitter of any machine: they excuse nothing, however many there are."""
MOST_FROZEN = 0.5
"""The part of the time in which a machine may be frozen on which something is to be measured."""


class ControlError(RuntimeError):
    """The control is no measure: it is dead, or what it shows is not this machine."""


@dataclass(frozen=True)
class Silence:
    """A time in which nothing came back. Monotonic seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    def overlap(self, other: Silence) -> float:
        """The seconds that both have in common."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


def silences(heard: Iterable[float], since: float, until: float) -> list[Silence]:
    """The times between these moments, the first and last reaching to `since` and `until`."""
    within = (one for one in heard if since <= one <= until)
    return [Silence(a, b) for a, b in pairwise([since, *within, until])]


def freezes(beats: Sequence[float], every: float, since: float, until: float) -> list[Silence]:
    """When the machine was frozen, as a control shows it that should be heard `every` seconds.

    A freeze lasts from when the next beat was due until it came. ControlError, when the control
    was not there for the whole time, or when the machine was frozen for most of it.
    """
    if not beats or beats[0] > since or beats[-1] < until:
        span = f"heard from {beats[0]:.3f} to {beats[-1]:.3f}" if beats else "never heard"
        raise ControlError(
            f"the control was {span}, but is to vouch for {since:.3f} to {until:.3f} (monotonic"
            " seconds): is its process alive, and is its instance up?"
        )
    found = [Silence(a + every, b) for a, b in pairwise(beats) if b - a > FREEZE]
    frozen = [one for one in found if one.end > since and one.start < until]
    share = excused(Silence(since, until), frozen) / max(until - since, 1.0)
    if share > MOST_FROZEN:
        raise ControlError(
            f"this machine was frozen for {share:.0%} of {until - since:.1f} s, and nothing can be"
            " measured on it: give it more CPUs, or less work"
        )
    return frozen


def check_control(frozen: Iterable[Silence], heard: Sequence[float], every: float) -> None:
    """ControlError, when what should share the control's freezes was heard all the while.

    A machine that is frozen silences both. `heard` is what came back while the control may have
    been frozen; it should have come back `every` seconds.
    """
    for one in frozen:
        lively = sum(1 for moment in heard if one.start < moment < one.end)
        if lively * every > FREEZE:
            raise ControlError(
                f"the control was silent for {one.length:.3f} s in which {lively} answers came"
                " back: something in the test silences the control"
            )


def excused(silence: Silence, frozen: Iterable[Silence]) -> float:
    """The seconds of a silence in which the machine was frozen; overlapping freezes count once."""
    seconds, end = 0.0, silence.start
    for one in sorted(frozen, key=lambda one: one.start):
        seconds += Silence(max(end, one.start), max(end, one.end)).overlap(silence)
        end = max(end, one.end)
    return seconds


def longest(heard: Iterable[float], frozen: Sequence[Silence], since: float, until: float) -> float:
    """The longest silence in seconds, each without the time in which the machine was frozen."""
    every = silences(heard, since, until)
    return max(one.length - excused(one, frozen) for one in every)
