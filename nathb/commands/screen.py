"""What `nathb status` shows to people: one screen, from one snapshot or from what EC2 shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nathb.aws.survey import Survey
from nathb.commands.paint import Ink, Paint, plain
from nathb.core.model import Evidence, Route, Rule, Ruling, Verdict
from nathb.core.snapshot import Snapshot
from nathb.core.view import InstanceState

VERDICTS = {Verdict.UP: Ink.WELL, Verdict.DOWN: Ink.WRONG, Verdict.UNKNOWN: Ink.DOUBTFUL}
LOUD = {Rule.R7, Rule.R8, Rule.R9, Rule.R11}
"""Rulings that a person should notice: contested, foreign, held back, damped."""


def screen(snapshot: Snapshot, paint: Paint = plain) -> list[str]:
    """Return the lines that show a snapshot."""
    mode = " (dry run)" if snapshot.dry_run else ""
    pace = ", checking fast" if snapshot.suspecting else ""
    title = paint(f"{snapshot.group} as seen by {snapshot.node}", Ink.TITLE)
    lines = [f"{title}{mode}{pace}", "", *_paths(snapshot, paint), *_view(snapshot, paint), ""]
    lines += _routes(snapshot, paint)
    if snapshot.told:
        lines += ["", paint("lately", Ink.TITLE)]
        lines += [f"  {ago(snapshot.at - told.at):>7}  {told.message}" for told in snapshot.told]
    return lines


# --- nodes --------------------------------------------------------------------------------------


def _paths(snapshot: Snapshot, paint: Paint) -> Iterator[str]:
    names = [snapshot.node, *snapshot.peers]
    width = max(len(name) for name in (*names, "EC2"))
    yield _path(f"{snapshot.node:<{width}}", "uplink", snapshot.uplink, snapshot.at, paint)
    for name, evidence in snapshot.peers.items():
        line = _path(f"{name:<{width}}", "heartbeat", evidence, snapshot.at, paint)
        pulse = snapshot.pulses.get(name)
        yield f"{line}, pulse {pulse}" if pulse else line


def _path(name: str, what: str, evidence: Evidence, at: float, paint: Paint) -> str:
    """Say how a node stands, since when, and on what evidence."""
    verdict = paint(f"{evidence.verdict.value.upper():<8}", VERDICTS[evidence.verdict])
    since = f"for {ago(at - evidence.since)}"
    line = f"{name}  {verdict} {since:<11}  {said(what, evidence)}"
    if evidence.hastened:
        line += ", " + paint("EC2 says it is gone" if evidence.gone else "a blackhole", Ink.WRONG)
    return line + (
        f", {paint('CANNOT ASK', Ink.WRONG)}: {evidence.blind}" if evidence.blind else ""
    )


def said(what: str, evidence: Evidence) -> str:
    """Return the evidence in words: `heartbeat 8.8.4.4 missed 2 of 3`."""
    addresses = ", ".join(evidence.addresses)
    if not addresses:
        return f"no {what} to ask"
    if evidence.missed:
        return f"{what} {addresses} missed {evidence.missed} of {evidence.needed}"
    return f"{what} {addresses} answers" if evidence.heard_at is not None else f"{what} {addresses}"


def _view(snapshot: Snapshot, paint: Paint) -> Iterator[str]:
    """Say how old the view is, and what operators ask for."""
    width = max(len(name) for name in (snapshot.node, *snapshot.peers, "EC2"))
    view = snapshot.view
    if view is None:
        yield f"{'EC2':<{width}}  not read yet"
        return
    age = snapshot.at - view.at
    old = paint(": too old to move anything", Ink.WRONG) if age > snapshot.view_max_age else ""
    yield f"{'EC2':<{width}}  read {ago(age)} ago{old}"
    intent = view.intent
    if intent.paused:
        until = f" {intent.until}" if intent.until else ""
        yield paint(f"PAUSED: nothing is moved{until}", Ink.DOUBTFUL)
    if intent.drained:
        names = ", ".join(sorted(intent.drained))
        yield paint(f"DRAINED: {names}", Ink.DOUBTFUL)


# --- routes -------------------------------------------------------------------------------------


def _routes(snapshot: Snapshot, paint: Paint) -> Iterator[str]:
    """Say of each route where it points, and what would happen next, and when."""
    rulings = {ruling.route: ruling for ruling in snapshot.rulings}
    for home in snapshot.homes:
        holder = holder_of(snapshot, home.route) or "not seen yet"
        yield f"{home.route}  {_where(holder, home.node, paint)}"
        ruling = rulings.get(home.route)
        ink = Ink.DOUBTFUL if ruling is not None and ruling.rule in LOUD else Ink.ASIDE
        yield f"    {paint(_next(ruling, snapshot.at), ink)}"


def _where(holder: str, home: str, paint: Paint) -> str:
    if holder == home:
        return paint(f"held by {holder} (at home)", Ink.WELL)
    return paint(f"held by {holder} (home is {home})", Ink.DOUBTFUL)


def _next(ruling: Ruling | None, at: float) -> str:
    if ruling is None:
        return "no ruling yet"
    if ruling.move is not None:
        would = "would move" if ruling.would else "moves"
        return f"{would} to {ruling.move.to}: {ruling.reason} [{ruling.rule.value}]"
    due = "" if ruling.due is None else f" in {ago(ruling.due - at)}"
    return f"{ruling.reason}{due} [{ruling.rule.value}]"


def holder_of(snapshot: Snapshot, route: Route) -> str:
    """Return the node that holds a route, or the id it points at; empty when it is not seen."""
    holding = snapshot.view.holding(route) if snapshot.view is not None else None
    return "" if holding is None else holding.node or holding.target


# --- without a daemon ---------------------------------------------------------------------------


def bystander(seen: Survey, why: str, paint: Paint = plain) -> Iterable[str]:
    """Return the lines that show what EC2 alone can tell."""
    name = seen.group.name
    yield f"{paint(f'{name} as EC2 shows it', Ink.TITLE)}, for no daemon can be asked here:"
    yield f"    {paint(why, Ink.WRONG)}"
    yield ""
    for node in seen.group.nodes:
        instance = seen.instance(node.name)
        ink = Ink.WELL if instance.state is InstanceState.RUNNING else Ink.WRONG
        yield f"{node.name}  {paint(instance.state.value, ink)}  {instance.instance} {instance.eni}"
    yield ""
    for route in seen.group.routes():
        entry = seen.entry(route.table, route.destination)
        holder = "" if entry is None else seen.node_of(entry) or entry.target
        state = f", {entry.state}" if entry is not None and entry.state != "active" else ""
        where = _where(holder or "nobody", seen.group.order(route)[0], paint)
        yield f"{route}  {where}{state}"


def ago(seconds: float) -> str:
    """Return a duration for people, with one unit: `42 s`, `7 min`, `2 h`, `3 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
