"""`nathb explain`: why a move was made, from the round that its entry in the journal carries."""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from nathb import __version__
from nathb.commands.history import record
from nathb.core import timeline
from nathb.core.errors import JournalError, OtherVersionError, UsageError
from nathb.core.model import Ruling
from nathb.core.replay import Round, RuleResult, RuleTrace, decides_alike, evaluate, parse
from nathb.core.text import format_duration
from nathb.core.timeline import Occurrence
from nathb.host.journal_schema import one_line
from nathb.ui import journal_query
from nathb.ui.group_file import locate
from nathb.ui.round_report import evidence, moments, picture


class Explained(Struct, frozen=True):
    """A move, the round that led to it, and what today's rules say to that round."""

    number: int
    one: Occurrence
    around: tuple[tuple[float, Occurrence], ...]
    """What else was logged, with its seconds from the decision."""
    recorded: Round | None = None
    ruling: Ruling | None = None
    rule_trace: RuleTrace | None = None
    obstacle: str = ""
    """Why there is no round to show."""

    @property
    def same(self) -> bool:
        """Whether today's program decides as the recorded one did."""
        if self.ruling is None or self.rule_trace is None:
            return False
        return decides_alike(self.ruling, self.rule_trace.ruling)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "explain",
        help="show why a route was moved, and what today's rules decide",
        description="Show why a route was moved, or was to be moved: what led to it, what was "
        "known, what each rule said, and what today's program decides on the same facts. N is the "
        "number that `nathb history` shows, 1 for the last move. Exit 0 when today's program "
        "decides the same, 1 when it does not or there is no such move.",
        epilog="example: nathb explain tokyo 2",
    )
    journal_query.add_reading(verb)
    verb.add_argument(
        "number",
        metavar="N",
        nargs="?",
        type=int,
        default=1,
        help="the N-th last move, 1 if left out",
    )
    verb.add_argument("--json", action="store_true", help="print all of it as one JSON object")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print why; return 0 when today's rules decide the same, 1 when they do not."""
    if given.number < 1:
        raise UsageError(f"{given.number}: moves are counted from 1, the last one")
    excerpt = journal_query.gather(given)
    happened = timeline.without_echoes(excerpt.happened)
    numbers = journal_query.numbers(happened)
    if not numbers:
        raise journal_query.nothing(given, excerpt, "moved nothing")
    wanted = next((index for index, one in numbers.items() if one == given.number), None)
    if wanted is None:
        moves = "1 move" if len(numbers) == 1 else f"{len(numbers)} moves"
        raise JournalError(
            f"the journal has {moves} of {locate(given.group).stem} in that time, "
            f"not {given.number}; see nathb history {given.group}"
        )
    explained = explain(happened, wanted, given.number)
    if given.json:
        print(as_json(explained))
    else:
        print("\n".join(screen(explained, locate(given.group).stem, time.time())))
    return 0 if explained.same else 1


def explain(happened: tuple[Occurrence, ...], wanted: int, number: int) -> Explained:
    """Put together what is known of one move among all that happened."""
    one = happened[wanted]
    assert one.event is not None
    trace, route = one.event.trace, one.event.route
    if not trace or route is None:
        why = "its entry carries no round: an older nathb wrote it"
        return Explained(number, one, moments(happened, wanted, None), obstacle=why)
    try:
        recorded = parse(trace)
        ruling = next(one for one in recorded.rulings if one.route == route)
        rule_trace = evaluate(recorded.known, route)
    except OtherVersionError as error:
        why = _of_another_version(one.version, error.unknown)
        return Explained(number, one, moments(happened, wanted, None), obstacle=why)
    except (UsageError, StopIteration, KeyError, ValueError) as error:
        why = f"its round cannot be read by this version of nathb: {error}"
        return Explained(number, one, moments(happened, wanted, None), obstacle=why)
    around = moments(happened, wanted, recorded.known)
    return Explained(number, one, around, recorded, ruling, rule_trace)


def _of_another_version(version: str, unknown: str) -> str:
    """Say that a round is not put to today's rules, who wrote it, and who can read it.

    `unknown` quotes the round, which whoever may write to the journal may have written.
    """
    recorder = f"nathb {version}" if version else "another version of nathb"
    reader = f"nathb {version}" if version else "the version that was installed then"
    return (
        f"{recorder} recorded this round, and nathb {__version__} cannot read it: "
        f"{one_line(unknown)}; explain this move with {reader}"
    )


def as_json(explained: Explained) -> str:
    """Return it all as one object; times in `known` are seconds of the recording machine."""
    rule_trace = explained.rule_trace
    answers = (
        (*rule_trace.answers, *([rule_trace.held] if rule_trace.held else [])) if rule_trace else ()
    )
    whole = {
        "move": record(explained.one, explained.number),
        "around": [{"seconds": round(at, 3)} | record(one, None) for at, one in explained.around],
        "known": explained.recorded.known if explained.recorded else None,
        "rules": answers,
        "recorded": explained.ruling,
        "today": rule_trace.ruling if rule_trace else None,
        "version": __version__,
        "same": explained.same,
        "obstacle": explained.obstacle or None,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()


# --- for people ---------------------------------------------------------------------------------


def screen(explained: Explained, group: str, now: float) -> list[str]:
    """Return the lines that explain a move to people; `now` is seconds since 1970."""
    one = explained.one
    assert one.event is not None
    passage = journal_query.passage(one.event)
    by = f"by {one.node}" + (f", nathb {one.version}" if one.version else "")
    lines = [
        f"{group}, move {explained.number}: {journal_query.word(one)} {one.event.route}  {passage}",
        f"{journal_query.moment(one.at)}, {format_duration(now - one.at)} ago, {by}",
        *_wrapped(journal_query.why(one)),
        "",
        "What led to it, in time before and after the decision",
        *picture(explained.around, explained.recorded, one),
    ]
    if explained.recorded is not None and explained.rule_trace is not None:
        lines += ["", "What was known", *evidence(explained.recorded.known, one.event.route)]
        lines += ["", "What each rule says, in this order, until one decides"]
        lines += _rules(explained.rule_trace)
    return [*lines, "", *_verdict(explained)]


def _rules(rule_trace: RuleTrace) -> Iterator[str]:
    for answer in rule_trace.answers:
        said = "-" if answer.ruling is None else _said(answer.ruling)
        yield from _answer(answer, said)
    if rule_trace.held is not None:
        yield from _answer(rule_trace.held, f"HELD BACK: {rule_trace.ruling.reason}")
    if not rule_trace.answers:
        yield from _wrapped(f"{rule_trace.ruling.rule.value}  {_said(rule_trace.ruling)}")


def _answer(answer: RuleResult, said: str) -> Iterator[str]:
    yield from _wrapped(f"{answer.rule:<4} {answer.meaning}", "       ")
    if said != "-":
        yield from _wrapped(f"     → {said}", "         ")


def _said(ruling: Ruling) -> str:
    if ruling.move is None:
        return f"stays: {ruling.reason}"
    would = "would move" if ruling.would else "moves"
    return f"{would} to {ruling.move.to}: {ruling.reason}"


def _verdict(explained: Explained) -> Iterator[str]:
    """Say whether today's program decides the same."""
    then = f"nathb {explained.one.version}" if explained.one.version else "an older nathb"
    if explained.obstacle or explained.ruling is None or explained.rule_trace is None:
        yield from _wrapped(f"It cannot be replayed: {explained.obstacle}.", "")
    elif explained.same:
        yield f"Replayed with nathb {__version__}: the same facts lead to the same decision."
    else:
        yield f"Replayed with nathb {__version__}: TODAY'S PROGRAM DECIDES OTHERWISE."
        yield from _wrapped(
            f"then ({then}): {explained.ruling.rule.value}, {_said(explained.ruling)}"
        )
        today = explained.rule_trace.ruling
        yield from _wrapped(f"today ({__version__}): {today.rule.value}, {_said(today)}")


def _wrapped(text: str, under: str = "    ") -> list[str]:
    """Break a text into lines, the first two columns in and the others under `under`."""
    return textwrap.wrap(
        text, journal_query.WIDTH, initial_indent="  " if under else "",
        subsequent_indent=under, break_on_hyphens=False,
    )  # fmt: skip
