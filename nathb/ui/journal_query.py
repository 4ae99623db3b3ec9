"""What `history` and `explain` have in common: which journals, what time, what words."""

from __future__ import annotations

import argparse
from datetime import datetime

from nathb.core.errors import JournalError, UsageError
from nathb.core.events import Event, EventKind
from nathb.core.text import format_duration
from nathb.core.timeline import Occurrence
from nathb.host.clock import FORMS, point
from nathb.host.journal_reader import JournalExcerpt, Where, read
from nathb.ui.group_file import add_group, locate

WIDTH = 100

WORDS = {
    EventKind.TOOK: "took",
    EventKind.RETURNED: "returned",
    EventKind.RELEASED: "released",
    EventKind.HANDED_OVER: "handed over",
    EventKind.MOVED_BY_ANOTHER: "seen moved",
    EventKind.FOREIGN: "foreign",
    EventKind.ROUTE_MISSING: "missing",
    EventKind.ROUTE_GUARDED: "guarded",
    EventKind.ROUTE_FOUND: "found",
    EventKind.ROUTE_UNGUARDED: "not guarded",
    EventKind.CONTESTED: "contested",
}
VERBS = {"R3": "take", "R4": "return", "R5": "release", "R6": "hand over"}
"""What a move is called before it is made, by its rule."""


def add_reading(verb: argparse.ArgumentParser) -> None:
    """Add the group, the time and the journals to a verb's command line."""
    add_group(verb)
    verb.add_argument("--since", metavar="TIME", help=f"from then on, {FORMS}")
    verb.add_argument("--until", metavar="TIME", help="up to then")
    verb.add_argument(
        "--directory",
        metavar="DIR",
        action="append",
        default=[],
        help="read a copied journal; once for each node of a post-mortem",
    )
    verb.add_argument(
        "--file", metavar="FILE", action="append", default=[], help="read one file of a journal"
    )


def gather(given: argparse.Namespace) -> JournalExcerpt:
    """Return what the journals hold of the group; JournalError when that cannot be.

    UsageError when the time that was asked for ends before it begins.
    """
    since, until = (point(text) if text else None for text in (given.since, given.until))
    if since is not None and until is not None and since > until:
        raise UsageError(
            f"--since {given.since} ({moment(since)}) is later than --until {given.until} "
            f"({moment(until)}); exchange the two"
        )
    where = Where(tuple(given.directory), tuple(given.file))
    return read(locate(given.group).stem, where, since, until)


def nothing(given: argparse.Namespace, excerpt: JournalExcerpt, what: str) -> JournalError:
    """Return what to say when the journals hold nothing of the kind in that time."""
    name = locate(given.group).stem
    if name not in excerpt.groups:
        known = ", ".join(sorted(excerpt.groups))
        fix = f"it knows {known}" if known else "nathb has never written to it: nathb run"
        return JournalError(f"the journal has no group {name}; {fix}")
    spelled = [f"{key} {value}" for key, value in (("since", given.since), ("until", given.until))
               if value]  # fmt: skip
    time = f" {' '.join(spelled)}" if spelled else ""
    reach = f"; the journal begins {moment(excerpt.begins_at)}" if excerpt.begins_at else ""
    return JournalError(f"{name}: nathb {what}{time}{reach}")


def moment(at: float) -> str:
    """Return a time as the reader's clock shows it, with its zone."""
    local = datetime.fromtimestamp(at).astimezone()
    return local.strftime("%a %Y-%m-%d %H:%M:%S %Z")


def numbers(happened: tuple[Occurrence, ...]) -> dict[int, int]:
    """Return, by position, which of the decided moves it is, counted from the last, which is 1."""
    decided = [index for index, one in enumerate(happened) if one.is_decided]
    return {index: len(decided) - place for place, index in enumerate(decided)}


def word(one: Occurrence) -> str:
    """Say in a word or two what happened."""
    if one.event is None:
        return "GAP"
    kind, verb = one.event.kind, VERBS.get(one.event.rule, "move")
    if kind is EventKind.MOVE_FAILED:
        return f"{verb} FAILED"
    if kind is EventKind.WOULD_MOVE:
        return f"would {verb}"
    return WORDS.get(kind, str(kind.value).replace("-", " "))


def why(one: Occurrence) -> str:
    """Say why it happened, and what stood in the way."""
    event = one.event
    if event is None:
        entries = "1 entry was" if one.lost == 1 else f"{one.lost} entries were"
        return f"{entries} lost: the journal did not accept them in time"
    if event.kind is EventKind.MOVED_BY_ANOTHER:
        return "seen in the route table: this node did not move it"
    if event.error:
        return f"{event.error}; wanted because {event.reason}"
    return event.reason or event.message


def passage(event: Event) -> str:
    """Say from where to where a route went; empty when it did not."""
    return f"{event.source or '-'} → {event.target}" if event.target and event.route else ""


def milliseconds(duration: int | None) -> str:
    """Return a duration of an entry for people; empty when it has none."""
    return "" if duration is None else format_duration(duration / 1000)
