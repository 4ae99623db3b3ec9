"""What a check of the world around a group finds: one line each, with its mend."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Level(Enum):
    """How a finding stands."""

    GOOD = "good"
    WARNING = "warning"
    """It works, but not as well, or not as long, as it could."""
    BAD = "bad"
    """A takeover, a return or clients' packets fail for it."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. `mend` is what to do about it, a command where there is one."""

    level: Level
    subject: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.level.value:<8} {self.subject}: {self.text}{mend}"


def good(subject: str, text: str) -> Finding:
    """Return a finding that needs no mend."""
    return Finding(Level.GOOD, subject, text)


def warning(subject: str, text: str, mend: str) -> Finding:
    """Return a finding that can wait for a working day."""
    return Finding(Level.WARNING, subject, text, mend)


def bad(subject: str, text: str, mend: str) -> Finding:
    """Return a finding that cannot."""
    return Finding(Level.BAD, subject, text, mend)
