"""What `nathb status` shows to people: one screen, from one snapshot or from what EC2 shows.

What is good or wrong is found by `core.diagnosis`; here it is laid out and painted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from nathb.core.diagnosis import EC2, FILE, LEARNED, OPERATORS, diagnose, returned_by
from nathb.core.ec2_state import Intent
from nathb.core.errors import Finding, Level
from nathb.core.model import Rule, Ruling, Verdict
from nathb.core.node_service import evidence_of
from nathb.core.snapshot import Home, Snapshot
from nathb.core.text import format_age
from nathb.ui.terminal import Ink, Paint, plain

VERDICTS = {Verdict.UP: Ink.WELL, Verdict.DOWN: Ink.WRONG, Verdict.UNKNOWN: Ink.DOUBTFUL}
INKS = {Level.GOOD: Ink.WELL, Level.WARNING: Ink.DOUBTFUL, Level.BAD: Ink.WRONG}
LOUD = {Rule.R7, Rule.R8, Rule.R9, Rule.R11}
"""Rulings that a person should notice: contested, foreign, held back, damped."""
HOLDS = {Rule.R7, Rule.R11}
"""Rulings that leave a route alone for some time; others wait until some time."""


def screen(
    snapshot: Snapshot,
    paint: Paint = plain,
    clock: Callable[[float], str] = "{:.0f} s".format,
    *,
    why: bool = False,
) -> list[str]:
    """Return the lines that show a snapshot; `clock` spells a moment in monotonic seconds.

    With `why`, what happens next to a route carries the number of the rule that says so.
    """
    found = diagnose(snapshot, clock)
    mode = " (dry run)" if snapshot.dry_run else ""
    pace = ", checking fast" if snapshot.suspecting else ""
    title = paint(f"{snapshot.group} as seen by {snapshot.node}", Ink.TITLE)
    lines = [f"{title}{mode}{pace}: {_headline(snapshot, found, paint)}", ""]
    lines += [*_nodes(snapshot, found, paint), *_reading(snapshot, found, paint), ""]
    lines += _routes(snapshot, found, paint, why=why)
    if snapshot.told:
        lines += ["", paint("recently", Ink.TITLE)]
        for one in snapshot.told:
            lines.append(f"  {format_age(snapshot.at - one.at):>7}  {one.message}")
    return lines


def headline(found: Iterable[Finding], away: Collection[str], intent: Intent) -> str:
    """Say what is wrong in a few words; empty when nothing is. `away` are routes, as text."""
    told = [one for one in found if one.subject != OPERATORS]
    problems = _subjects(told, Level.BAD)
    warned = [one for one in _subjects(told, Level.WARNING) if one not in problems]
    moved = [one for one in warned if one in away]
    others = [one for one in warned if one not in away]
    parts = []
    if problems:
        parts.append(f"{_count(problems, 'problem')} ({', '.join(problems)})")
    if moved:
        parts.append(
            f"{_count(moved, 'route')} {'is' if len(moved) == 1 else 'are'} away from home"
        )
    if intent.paused:
        parts.append("PAUSED")
    if intent.drained:
        parts.append(f"DRAINED: {', '.join(sorted(intent.drained))}")
    if others:
        parts.append(f"{_count(others, 'warning')} ({', '.join(others)})")
    return ", ".join(parts)


def ink_of(found: Iterable[Finding]) -> Ink:
    """Return the colour of the worst finding."""
    levels = {one.level for one in found}
    return INKS[next((one for one in (Level.BAD, Level.WARNING) if one in levels), Level.GOOD)]


def to_do(one: Finding) -> Iterator[str]:
    """Yield a line that says what a person may do about a finding, where there is something."""
    if one.fix:
        yield f"    to do: {one.fix}"


def _headline(snapshot: Snapshot, found: Sequence[Finding], paint: Paint) -> str:
    """Say whether all is well, or what is wrong."""
    view = snapshot.view
    holders = {one.route: one.node for one in view.holdings} if view is not None else {}
    away = {
        str(one.route)
        for one in snapshot.homes
        if holders.get(one.route) not in {None, "", one.node}
    }
    if wrong := headline(found, away, view.intent if view is not None else Intent()):
        return paint(wrong, ink_of(found))
    if snapshot.suspecting:
        return paint("no problem so far, but something is in doubt", Ink.DOUBTFUL)
    return paint("all is well", Ink.WELL)


def _subjects(found: Iterable[Finding], level: Level) -> list[str]:
    return list(dict.fromkeys(one.subject for one in found if one.level is level))


def _count(many: Sequence[str], what: str) -> str:
    return f"{len(many)} {what}" if len(many) == 1 else f"{len(many)} {what}s"


# --- nodes --------------------------------------------------------------------------------------


def _nodes(snapshot: Snapshot, found: Sequence[Finding], paint: Paint) -> Iterator[str]:
    """Say how each node stands, since when, on what evidence, and what a person may do."""
    for node in (snapshot.node, *snapshot.peers):
        evidence = evidence_of(snapshot, node)
        verdict = paint(f"{evidence.verdict.value.upper():<8}", VERDICTS[evidence.verdict])
        since = f"for {format_age(snapshot.at - evidence.since)}"
        first, *others = [one for one in found if one.subject == node]
        pulse = f", pulse {snapshot.pulses[node]}" if node in snapshot.pulses else ""
        yield f"{node:<{_width(snapshot)}}  {verdict} {since:<11}  {first.text}{pulse}"
        yield from to_do(first)
        for one in others:
            yield f"    {paint(one.text, INKS[one.level])}"
            yield from to_do(one)


def _reading(snapshot: Snapshot, found: Sequence[Finding], paint: Paint) -> Iterator[str]:
    """Say how old the view is, whether EC2 can be read, and what operators asked for."""
    for one in found:
        if one.subject in {EC2, FILE, LEARNED}:
            text = one.text if one.level is Level.GOOD else paint(one.text, INKS[one.level])
            yield f"{one.subject:<{_width(snapshot)}}  {text}"
            yield from to_do(one)
        elif one.subject == OPERATORS:
            yield paint(one.text, INKS[one.level])
            yield from to_do(one)


def _width(snapshot: Snapshot) -> int:
    return max(len(name) for name in (snapshot.node, *snapshot.peers, EC2))


# --- routes -------------------------------------------------------------------------------------


def _routes(
    snapshot: Snapshot, found: Sequence[Finding], paint: Paint, *, why: bool
) -> Iterator[str]:
    """Say of each route who serves it, what happens next and when, and what a person may do."""
    rulings = {ruling.route: ruling for ruling in snapshot.rulings}
    for home in snapshot.homes:
        first, *others = [one for one in found if one.subject == str(home.route)]
        yield f"{home.route}  {paint(first.text, INKS[first.level])}"
        for one in others:
            yield f"    {paint(one.text, INKS[one.level])}"
        ruling = rulings.get(home.route)
        if first.level is not Level.GOOD or _is_due(ruling):
            is_loud = ruling is not None and ruling.rule in LOUD
            ink = Ink.DOUBTFUL if is_loud else Ink.ASIDE
            rule = f" [{ruling.rule.value}]" if why and ruling is not None else ""
            yield f"    {paint(_next(ruling, home, snapshot) + rule, ink)}"
        yield from to_do(first)


def _is_due(ruling: Ruling | None) -> bool:
    """Whether something is to happen to a route, good as it is."""
    return ruling is not None and bool(ruling.move or ruling.due is not None or ruling.fresh)


def _next(ruling: Ruling | None, home: Home, snapshot: Snapshot) -> str:
    """Say what is done next about a route, or why nothing is."""
    if ruling is None:
        return "stays: no ruling yet"
    if ruling.move is not None:
        move = f"{ruling.move.to}: {ruling.reason}"
        held = "dry run" if snapshot.dry_run else "paused"
        return f"stays ({held}): would move to {move}" if ruling.would else f"next: moves to {move}"
    if ruling.due is not None:
        does, when = ("stays", "for another") if ruling.rule in HOLDS else ("next", "in")
        return f"{does}: {ruling.reason} {when} {format_age(ruling.due - snapshot.at)}"
    if holder := returned_by(snapshot, home):
        return f"next: {holder} returns it to {home.node}; nathb status on {holder} says when"
    return f"{'next' if ruling.fresh else 'stays'}: {ruling.reason}"
