"""A round taken apart: what each rule said of one route, in the order in which they were asked."""

from __future__ import annotations

from msgspec import Struct

from nathb.core.context import Facts, case_of
from nathb.core.model import Route, Rule, Ruling
from nathb.core.rules import RULES, decide

HOLDS: dict[Rule, str] = {
    Rule.R7: "Wait before taking from a holder that someone else, or it itself, defends.",
    Rule.R9: "Paused, or a dry run: say what would be done, and do not do it.",
}
RETRY = "EC2 has just failed this very move: the next try waits its turn."


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
    """What held back the move that the answer wished for."""


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
