"""A recorded round for people: its moments in order, and the evidence as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from nathb.core.context import Facts
from nathb.core.errors import UsageError
from nathb.core.memory import RouteMemory
from nathb.core.model import Evidence, Route
from nathb.core.replay import Round, parse
from nathb.core.text import format_duration
from nathb.core.timeline import Occurrence
from nathb.ui import journal_query

BEFORE = 120.0
"""Seconds before the first sign from which on entries belong to the story."""
AFTER = 30.0
MOST = 12
"""Entries that are shown on either side of the decision."""
LATEST = 60.0
"""Seconds after its decision by which an entry is there, also when EC2's answer was lost."""
AT = 12
"""The column at which the words of a moment begin."""

Moment = tuple[float, str]


def moments(
    happened: tuple[Occurrence, ...], wanted: int, known: Facts | None
) -> tuple[tuple[float, Occurrence], ...]:
    """Return what else was logged around an entry, with its seconds from that entry's decision."""
    one = happened[wanted]
    first = min((at for at, _ in _facts(known)), default=0.0) if known is not None else 0.0
    placed = [(_apart(other, one), other) for other in happened if other is not one]
    near = [(at, other) for at, other in placed if max(first, -BEFORE) - BEFORE <= at <= AFTER]
    before = [pair for pair in near if pair[0] <= 0][-MOST:]
    return (*before, *[pair for pair in near if pair[0] > 0][:MOST])


def picture(
    around: Iterable[tuple[float, Occurrence]], recorded: Round | None, one: Occurrence
) -> Iterator[str]:
    """Yield the moments of a decision in order, a line each: from the round and the journal."""
    logged = [(at, f"{_by(other, one)}{_words(other, one)}") for at, other in around]
    facts = list(_facts(recorded.known)) if recorded is not None else []
    assert one.event is not None
    decided: list[Moment] = [(0.0, f"DECIDED: {journal_query.word(one)} {one.event.route}")]
    if one.event.api_ms is not None:
        decided.append((one.event.api_ms / 1000, "EC2 has carried it out"))
    for at, words in sorted([*facts, *logged, *decided], key=lambda moment: moment[0]):
        yield from _line(at, words)


def evidence(known: Facts, route: Route | None) -> Iterator[str]:
    """Yield the evidence table of a round, and what its view and memory had of the route."""
    rows: list[tuple[str, ...]] = [
        ("path", "verdict", "for", "last answer", "silent for", "missed", "pinged")
    ]
    rows += [_row("uplink", known.uplink, known.now)]
    rows += [_row(name, one, known.now) for name, one in known.peers.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()
    for text in (*_remarks(known), *_route(known, route)):
        yield from textwrap.wrap(
            text, journal_query.WIDTH, initial_indent="  ", subsequent_indent="    ",
            break_on_hyphens=False,
        )  # fmt: skip


# --- moments ------------------------------------------------------------------------------------


def _apart(other: Occurrence, one: Occurrence) -> float:
    """Seconds from a decision to another entry.

    Where both carry a round of one boot, those say it; on one machine, its monotonic clock; between
    two machines, their wall clocks. An entry is later than its decision by what EC2 took, or, when
    the answer was lost, until a view showed the move.
    """
    mine, others = _clock(one), _clock(other)
    if other.boot == one.boot and mine is not None and others is not None:
        return others - mine
    assert one.event is not None
    late = (one.event.api_ms or 0) / 1000
    if mine is not None and 0.0 <= one.monotonic - mine <= LATEST:
        late = one.monotonic - mine
    if other.boot == one.boot:
        return other.monotonic - one.monotonic + late
    return other.at - one.at + late


def _clock(one: Occurrence) -> float | None:
    known = _known(one)
    return known.now if known is not None else None


def _known(one: Occurrence) -> Facts | None:
    if one.event is None or not one.event.trace:
        return None
    try:
        return parse(one.event.trace).known
    except UsageError:
        return None


def _by(other: Occurrence, one: Occurrence) -> str:
    return "" if other.node == one.node else f"[{other.node}] "


def _words(other: Occurrence, one: Occurrence) -> str:
    """The entry's sentence, and what the rules then said of the route in question."""
    said = other.event.message if other.event is not None else journal_query.why(other)
    assert one.event is not None
    if other.event is None or not other.event.trace or other.is_decided:
        return said
    try:
        rulings = parse(other.event.trace).rulings
    except UsageError:
        return said
    ruling = next((ruling for ruling in rulings if ruling.route == one.event.route), None)
    if ruling is None:
        return said
    return f"{said}; the rules then said ({ruling.rule.value}): {ruling.reason}"


def _facts(known: Facts) -> Iterator[Moment]:
    """Yield the moments that a round remembers, in seconds from the decision."""
    for name, one in (("my uplink", known.uplink), *known.peers.items()):
        what = "check" if name == "my uplink" else "heartbeat"
        if one.heard_at is not None:
            yield one.heard_at - known.now, f"{name}: sent the last {what} that was answered"
        if one.doubted_since is not None:
            first = f"{name}: first sign of doubt, a {what} or pulse was not answered"
            yield one.doubted_since - known.now, first
        if one.silent_since is not None:
            silent = f"{name}: sent the first of the {what}s missed in a row"
            yield one.silent_since - known.now, silent
    if known.view is not None:
        yield known.view.at - known.now, "read the route tables from EC2: the view in use"


def _line(at: float, words: str) -> Iterator[str]:
    sign = "-" if at < -0.0005 else "+"
    when = "0 s" if abs(at) <= 0.0005 else f"{sign}{format_duration(abs(at))}"
    yield from textwrap.wrap(
        f"{when:>{AT - 2}}  {words}", journal_query.WIDTH, subsequent_indent=" " * AT,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip


# --- evidence -----------------------------------------------------------------------------------


def _row(name: str, one: Evidence, now: float) -> tuple[str, ...]:
    return (
        name,
        one.verdict.value,
        format_duration(now - one.since),
        f"{format_duration(now - one.heard_at)} before" if one.heard_at is not None else "never",
        format_duration(now - one.silent_since) if one.silent_since is not None else "-",
        f"{one.missed} of {one.needed}",
        ", ".join(one.addresses) or "nothing",
    )


def _remarks(known: Facts) -> Iterator[str]:
    for name, one in (("the uplink", known.uplink), *known.peers.items()):
        if one.gone:
            yield f"EC2 says that {name} is stopped or gone: one missed check is enough."
        elif one.hastened:
            yield f"EC2 shows a blackhole at {name}: one missed check is enough."
        if one.blind:
            yield f"{name} could not be pinged: {one.blind}."
    if known.leaving:
        yield f"{known.me} was shutting down."


def _route(known: Facts, route: Route | None) -> Iterator[str]:
    """What the view and the memory had of the route."""
    if known.view is None or route is None:
        yield "EC2's route tables had not been read yet."
        return
    seen, order = known.view.holding(route), ", ".join(known.group.order(route))
    age = f"{format_duration(known.now - known.view.at)} before"
    if seen is None:
        yield f"The route tables, read {age}, had no such route."
    else:
        yield (
            f"The route tables, read {age}: it points at {seen.node or 'no node of the group'} "
            f"({seen.target}, {seen.state.value}). Its order: {order}."
        )
    intent = known.view.intent
    if intent.drained:
        yield f"Drained: {', '.join(sorted(intent.drained))}."
    if intent.paused or known.dry_run:
        yield "The group was paused." if intent.paused else "It was a dry run."
    memory = known.memory.get(str(route), RouteMemory())
    if memory.holder is not None:
        ago = format_duration(known.now - memory.changed_at)
        yield f"Its holder had last changed, or was first seen, {ago} before."
    if memory.attempts:
        tries = "1 try" if memory.attempts == 1 else f"{memory.attempts} tries"
        yield f"{tries} at this move had failed."
    for contest in memory.contests:
        times = "once" if contest.times == 1 else f"{contest.times} times"
        yield f"Someone else had undone a take from {contest.holder} ({times})."
