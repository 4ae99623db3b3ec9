"""A round and its decision as one line of text, both ways.

The line is JSON with what equals its default left out, so that it fits a journal field and can be
read by any tool. `replay` asks today's rules the same question again.

Lines are kept for years, in journals and post-mortems, so their fields are a contract: see
`model.Recorded`, and the recorded lines in tests/contracts.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from nathb.core.context import Facts, case_of
from nathb.core.errors import OtherVersionError, UsageError
from nathb.core.model import Recorded, Route, Rule, Ruling
from nathb.core.older_rounds import upgraded
from nathb.core.rules import RULES, decide


class Round(Recorded, frozen=True):
    """What was known, and what was ruled on it."""

    known: Facts
    rulings: tuple[Ruling, ...] = ()


def render(known: Facts, rulings: tuple[Ruling, ...]) -> str:
    """Return the round as one line, without a line break."""
    return msgspec.json.encode(Round(known, rulings)).decode()


def parse(line: str) -> Round:
    """Return the round that a line holds.

    UsageError when it holds none, OtherVersionError when it was written by a version of nathb
    whose fields or rules are not those of this one.
    """
    try:
        return msgspec.json.decode(line, type=Round)
    except msgspec.ValidationError as error:
        return _of_an_older_version(line, error)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(
            f"the line is not a round: {error}; give the NATHB_TRACE field as the journal has it"
        ) from error


def replay(line: str) -> tuple[Round, tuple[Ruling, ...]]:
    """Return the recorded round, and what the rules of this version say to the same facts."""
    recorded = parse(line)
    return recorded, decide(recorded.known)


def _of_an_older_version(line: str, error: msgspec.ValidationError) -> Round:
    try:
        return msgspec.convert(upgraded(msgspec.json.decode(line)), Round)
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError, AttributeError):
        raise OtherVersionError(_unknown(error)) from error


def _unknown(error: msgspec.ValidationError) -> str:
    """Say what this version does not know: `… does not know the field `x` in known.view`."""
    what, _, where = str(error).partition(" - at ")
    what = what.replace("Object contains unknown field", "this version does not know the field")
    place = where.strip("`").removeprefix("$").removeprefix(".")
    return f"{what} in {place}" if place else what


HOLDS: dict[Rule, str] = {
    Rule.R7: "Wait before taking a route that its holder, or someone else, has just moved.",
    Rule.R9: "Paused, or a dry run: report the move, and do not make it.",
}
RETRY = "EC2 has just failed to make this move: the next try waits."


class RuleResult(Struct, frozen=True):
    """One rule, its meaning in a line, and what it said: None for nothing."""

    rule: str
    meaning: str
    ruling: Ruling | None


class RuleTrace(Struct, frozen=True):
    """The rules that were asked, the last of which answered, and the ruling that came of it."""

    answers: tuple[RuleResult, ...]
    ruling: Ruling
    held: RuleResult | None = None
    """What held back the move that the rule called for."""


def evaluate(known: Facts, route: Route) -> RuleTrace:
    """Ask today's rules of one guarded route what they say to the facts of a round.

    KeyError when the group of that round does not guard the route.
    """
    ruling = {one.route: one for one in decide(known)}[route]
    if known.view is None:
        return RuleTrace((), ruling)
    case = case_of(known, known.view, route)
    answers: list[RuleResult] = []
    for rule in RULES:
        number = rule.__name__.partition("_")[0].upper()
        answers.append(RuleResult(number, (rule.__doc__ or "").strip(), rule(case)))
        if answers[-1].ruling is not None:
            break
    if answers[-1].ruling == ruling:
        return RuleTrace(tuple(answers), ruling)
    held = RuleResult(ruling.rule.value, HOLDS.get(ruling.rule, RETRY), ruling)
    return RuleTrace(tuple(answers), ruling, held)


def decides_alike(one: Ruling, other: Ruling) -> bool:
    """Whether two rulings come to the same, in whatever words: same rule, same move."""
    return _gist(one) == _gist(other)


def _gist(ruling: Ruling) -> tuple[object, ...]:
    move = ruling.move
    return ruling.route, ruling.rule, ruling.would, move and (move.holder, move.to, move.rule)
