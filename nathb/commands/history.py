"""`nathb history`: what was moved, when, why, and how long it took, from the journal."""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from nathb.core import timeline
from nathb.core.events import EventKind
from nathb.core.timeline import Occurrence
from nathb.host.clock import point
from nathb.ui import journal_query
from nathb.ui.group_file import locate

TIMED = {EventKind.TOOK, EventKind.RELEASED, EventKind.MOVE_FAILED, EventKind.WOULD_MOVE}
"""Moves that something had to be detected for; a return is due when its time has come."""
WHY_AT = 15
"""The column at which reasons begin."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "history",
        help="show what was moved when, and why, from the journal",
        description="Show each move, newest last: when, what, which route, from which node to "
        "which, why, and how long detection and EC2 took. The number in front is what "
        "`nathb explain` takes. Exit 0 when there is something to show, 1 when nothing happened "
        "in that time.",
        epilog="example: nathb history tokyo --since 2d --plot tokyo.svg",
    )
    journal_query.add_reading(verb)
    verb.add_argument(
        "--all", action="store_true", help="show all that nathb logged, not only moves"
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object per line")
    verb.add_argument(
        "--plot", metavar="FILE.svg", type=Path, help="draw who held which route when (or .png)"
    )
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print what happened; return 0, or 1 by way of JournalError when nothing did."""
    excerpt = journal_query.gather(given)
    happened = timeline.without_echoes(excerpt.happened)
    shown = happened if given.all else tuple(one for one in happened if one.is_change)
    if not shown:
        verb = "logged" if given.all else "moved"
        raise journal_query.nothing(given, excerpt, f"{verb} nothing")
    if given.json:
        print("\n".join(as_json(shown)))
    else:
        print("\n".join(table(shown)))
    if given.plot is not None:
        _plot(given, happened, excerpt.ends_at)
    return 0


def _plot(
    given: argparse.Namespace, happened: tuple[Occurrence, ...], ends_at: float | None
) -> None:
    """Draw the time that was asked for: of the machine's own journal up to now."""
    from nathb.ui.plot import draw  # noqa: PLC0415  matplotlib is an extra

    copied = given.directory or given.file
    last = ends_at if copied and ends_at is not None else time.time()
    end = point(given.until) if given.until else last
    begin = point(given.since) if given.since else happened[0].at
    draw(given.plot, locate(given.group).stem, happened, begin, max(begin, end))


def as_json(shown: tuple[Occurrence, ...]) -> Iterator[str]:
    """Yield one object per entry."""
    numbers = journal_query.numbers(shown)
    for index, one in enumerate(shown):
        yield msgspec.json.encode(record(one, numbers.get(index))).decode()


def record(one: Occurrence, number: int | None) -> dict[str, object]:
    """Return an entry as JSON has it; what it does not have is null."""
    event = one.event
    route = event.route if event is not None else None
    return {
        "number": number,
        "at": datetime.fromtimestamp(one.at).astimezone().isoformat(timespec="milliseconds"),
        "node": one.node,
        "event": event.kind.value if event is not None else "events-lost",
        "route_table": route.table if route else None,
        "destination": route.destination if route else None,
        "from": (event.source or None) if event else None,
        "to": (event.target or None) if event else None,
        "reason": (event.reason or None) if event else journal_query.why(one),
        "rule": (event.rule or None) if event else None,
        "detect_ms": event.detect_ms if event else None,
        "api_ms": event.api_ms if event else None,
        "error": (event.error or None) if event else None,
        "request_id": (event.request_id or None) if event else None,
        "message": event.message if event else journal_query.why(one),
        "version": one.version or None,
    }


# --- for people ---------------------------------------------------------------------------------


def table(shown: tuple[Occurrence, ...]) -> list[str]:
    """Return the lines that show entries to people: a line of facts each, and why below it."""
    numbers = journal_query.numbers(shown)
    facts = [_facts(one, numbers.get(index)) for index, one in enumerate(shown)]
    heads = ("#", "time", "what", "route", "from → to", "detected", "moved in")
    widths = [max(map(len, column)) for column in zip(heads, *facts, strict=True)]
    widths[0] = max(widths[0], 3)
    lines = [_line(heads, widths)]
    day = ""
    for one, cells in zip(shown, facts, strict=True):
        today = datetime.fromtimestamp(one.at).astimezone().strftime("%A %Y-%m-%d, %Z (UTC%z)")
        if today != day:
            lines += ["", today]
            day = today
        lines.append(_line(cells, widths))
        by = f"by {one.node}" if one.node else ""
        rule = f", {one.event.rule}" if one.event is not None and one.event.rule else ""
        lines += textwrap.wrap(
            f"{journal_query.why(one)} [{by}{rule}]",
            journal_query.WIDTH,
            initial_indent=" " * WHY_AT,
            subsequent_indent=" " * WHY_AT,
            break_on_hyphens=False,
        )
    return lines


def _facts(one: Occurrence, number: int | None) -> tuple[str, ...]:
    event = one.event
    clock = datetime.fromtimestamp(one.at).astimezone().strftime("%H:%M:%S")
    return (
        "" if number is None else str(number),
        clock,
        journal_query.word(one),
        str(event.route) if event is not None and event.route is not None else "",
        journal_query.passage(event) if event is not None else "",
        journal_query.milliseconds(event.detect_ms) if event and event.kind in TIMED else "",
        journal_query.milliseconds(event.api_ms) if event is not None else "",
    )


def _line(cells: Iterable[str], widths: list[int]) -> str:
    number, *middle, detected, moved = (
        (cell, width) for cell, width in zip(cells, widths, strict=True)
    )
    words = [f"{cell:<{width}}" for cell, width in middle]
    right = [f"{cell:>{width}}" for cell, width in (number, detected, moved)]
    return "  ".join((right[0], *words, *right[1:])).rstrip()
