"""A check of this machine itself: a program that says whether the node serves.

It is one more part of the node's own uplink. Its exit is an answer, and whoever runs it reports the
outcome: 0 is Heard, another status or no end in time is Missed, and what cannot be run is Blind.
There is never more than one run of it at a time.
"""

from __future__ import annotations

from nathb.core.health import Limit, count, judge
from nathb.core.model import Outcome
from nathb.core.path import Path

SLACK = 1.0
"""Seconds beyond its timeout within which a run is to be ended by whoever runs it."""
NEVER = float("inf")


class LocalCheck(Path):
    """The runs of one program. Times are seconds; no ticket is ever in flight."""

    running_since: float | None = None
    """When the run that has not ended was begun."""

    def __init__(self, subject: str, command: tuple[str, ...], timeout: float) -> None:
        super().__init__(subject, f"check_command {command[0]}")
        self.command = command
        self.timeout = timeout

    def restart(self) -> None:
        """Forget all evidence; what a run says that was begun before is not heard (R14)."""
        super().restart()
        self._counts = False
        self.overdue_at = NEVER
        """When a run that has not ended by then is counted as Missed."""

    def due_at(self, pace: float) -> float:
        """When the next run is due; never while there is one."""
        return NEVER if self.running_since is not None else super().due_at(pace)

    def repeat_at(self, timeout: float) -> float:  # noqa: ARG002  a run is not repeated
        """Return infinity: it takes as long as it takes."""
        return NEVER

    def started(self, now: float) -> None:
        """Note that a run was begun."""
        self.running_since = self.sent_at = now
        self._counts = True
        self.overdue_at = now + self.timeout + SLACK

    def ended(self, outcome: Outcome, why: str, needed: dict[Limit, int]) -> None:
        """Note what came of the run; `why` says why it could not be run."""
        begun, counts = self.running_since, self._counts
        self.running_since, self.overdue_at, self._counts = None, NEVER, False
        if begun is None or not counts:
            return
        self.blind = why if outcome is Outcome.BLIND else ""
        if outcome is Outcome.HEARD:
            self.ever_answered, self.heard_at, self.silent_since = True, begun, None
        elif outcome is Outcome.MISSED and self.silent_since is None:
            self.silent_since = begun
        self.health = judge(count(self.health, outcome), needed)

    def expire(self, now: float, needed: dict[Limit, int]) -> int:
        """Count a run that does not end as Missed, once for each timeout; return how many now."""
        if self.running_since is None or now < self.overdue_at:
            return 0
        self.overdue_at = now + self.timeout + SLACK
        self._counts = False  # its end is no news any more
        self.blind = ""
        if self.silent_since is None:
            self.silent_since = self.running_since
        self.health = judge(count(self.health, Outcome.MISSED), needed)
        return 1
