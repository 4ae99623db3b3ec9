"""When to read EC2 again, for one kind of read: the route tables, or the instances (R10).

A read is due every `refresh`, oftener for a while after something has happened, and after a
failure once its backoff has passed. One runs at a time; one that has run for longer than any call
may take is given up, and whatever it may still bring is too old to be used.
"""

from __future__ import annotations

from nathb.core.memory import backoff
from nathb.core.model import Failure

GIVE_UP = 20.0
"""Seconds; well above connect and read timeout with one retry."""
GAP = 0.25
"""Seconds between the beginnings of two reads, however often one is due: the API has limits."""


class PollSchedule:
    """The pace of one kind of read. Times in seconds; `brisk` is its pace while in a hurry."""

    def __init__(self, refresh: float, brisk: float) -> None:
        self.refresh = refresh
        self.brisk = brisk
        self.begun_at: float | None = None
        self.last_at: float | None = None
        self.hurry_until = float("-inf")
        self.attempts = 0
        self.retry_at = float("-inf")
        self.asked_at: float | None = None
        """Since when somebody waits for a read that was begun no earlier."""

    def hurry(self, now: float, seconds: float) -> None:
        """Read briskly for so long: something has changed."""
        self.hurry_until = max(self.hurry_until, now + seconds)

    def at_once(self, now: float) -> None:
        """Read as soon as possible: what was last read may be out of date."""
        self.asked_at = now

    def due_at(self, now: float) -> float:
        """When the next read is due; while one is running, when that one is given up."""
        if self.begun_at is not None:
            return self.begun_at + GIVE_UP
        if self.attempts and self.asked_at is None:
            return self.retry_at
        if self.attempts and self.last_at is not None:
            return min(self.retry_at, self.last_at + self.brisk)
        if self.last_at is None:
            return float("-inf")
        if self.asked_at is not None and self.last_at < self.asked_at:
            return self.last_at + GAP
        return self.last_at + (self.brisk if now < self.hurry_until else self.refresh)

    def begun(self, now: float) -> None:
        """Note that a read has been started."""
        self.begun_at = self.last_at = now

    def succeeded(self) -> bool:
        """Note a good read; return whether it ends a run of failures."""
        recovered = self.attempts > 0
        if self.asked_at is not None and self.last_at is not None:
            if self.last_at >= self.asked_at:
                self.asked_at = None
        self.begun_at = None
        self.attempts = 0
        self.retry_at = float("-inf")
        return recovered

    def failed(self, failure: Failure, now: float, jitter: float) -> bool:
        """Note a failed read; return whether it begins a run of failures."""
        self.begun_at = self.asked_at = None
        self.attempts += 1
        self.retry_at = now + backoff(failure, self.attempts, jitter)
        return self.attempts == 1
