"""What operators ask for, as tags on the guarded route tables: their spelling, both ways. Pure.

A pause or a revert may carry its own end, `until 2026-11-21T14:00:00Z`. That end is the one thing
in nathb that rests on the wall clock, for the machine on which it was typed and those that obey it
share no other. So it is compared here, at the moment of reading, and what goes on into decisions
is yes or no (R14); a node whose clock is wrong by a minute sees the end a minute off.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nathb.core.ec2_state import Intent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nathb.aws.responses import Tag

DRAIN_TAG = "nathb:drain"
"""Names of drained nodes, separated by spaces or commas."""
PAUSE_TAG = "nathb:pause"
"""Anything but `off`, nothing, or an end that has passed: no moves in the whole group."""
REVERT_TAG = "nathb:revert"
"""The same words: go home now."""

FILE_TAG = "nathb:file"
"""The digest of the file that was applied last: every node compares it with its own (R17)."""

UNTIL = "until "
WITHOUT_END = "on"


def wall_clock() -> datetime:
    """Return the wall clock's idea of now."""
    return datetime.now(UTC)


def until(end: datetime | None) -> str:
    """Spell a value that lasts until then, RFC 3339 in UTC; without an end for None."""
    return WITHOUT_END if end is None else f"{UNTIL}{spell(end)}"


def spell(moment: datetime) -> str:
    """Spell a moment as 2026-11-21T14:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_intent(tags: Iterable[Tag], nodes: Iterable[str], utc: datetime) -> Intent:
    """Unite what the tags of all guarded tables say at this moment, for the group of these nodes.

    What one table says holds for the group. A tag whose end cannot be read has none, for a pause
    that ends by mistake moves routes, and one that lasts is reminded of.
    """
    values: dict[str, list[str]] = {}
    for tag in tags:
        values.setdefault(tag.key, []).append(tag.value.strip())
    names = " ".join(values.get(DRAIN_TAG, ())).replace(",", " ").split()
    pauses = _in_force(values.get(PAUSE_TAG, ()), utc)
    return Intent(
        drained=frozenset(names) & frozenset(nodes),
        paused=bool(pauses),
        revert=bool(_in_force(values.get(REVERT_TAG, ()), utc)),
        until=_last_end(pauses),
    )


def _in_force(values: Iterable[str], utc: datetime) -> list[str]:
    """Return the values that ask for something now."""
    asked = (value for value in values if value and value.lower() != "off")
    return [value for value in asked if (end := _end(value)) is None or end > utc]


def _end(value: str) -> datetime | None:
    """Return the end that a value names; None when it names none, or none that can be read."""
    if not value.lower().startswith(UNTIL):
        return None
    try:
        end = datetime.fromisoformat(value[len(UNTIL) :].strip())
        return end.astimezone(UTC) if end.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _last_end(values: list[str]) -> str:
    """Say until when a tag with these values lasts, for people; empty for one without end."""
    for value in values:
        if value.lower().startswith(UNTIL) and _end(value) is None:
            return f"until an operator ends it ({PAUSE_TAG} says {value!r}, which is no time)"
    ends = [_end(value) for value in values]
    known = [end for end in ends if end is not None]
    return f"{UNTIL}{spell(max(known))}" if known and len(known) == len(ends) else ""
