"""What is good and what is wrong in a snapshot, as findings: what `nathb status` says and exits by.

It goes by what was seen (view, evidence, EC2's words on the instances, writes under way), not by
what the rules would do about it. Whoever is not known to serve is never called good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import UNSET
from msgspec.structs import replace

from nathb.core import events
from nathb.core.ec2_state import Holding, Intent, PinState, RouteState
from nathb.core.errors import Finding, Level, bad, good, warning
from nathb.core.memory import WriteState
from nathb.core.model import Preempt, Rule, Verdict
from nathb.core.node_service import SERVES, Service, evidence_of, gone, service_of
from nathb.core.snapshot import FailedRead, Home, Snapshot, Write
from nathb.core.text import counted, format_age, format_evidence

EC2 = "EC2"
OPERATORS = "operators"
FILE = "file"
LEARNED = "learned"
"""Subjects that are neither a node nor a route: EC2 as such, what operators asked for, the file,
and learned routes."""
RECENT = 60.0
"""Seconds for which a failed move is shown: one that is still due is tried again sooner."""
VOID = {PinState.MISSING, PinState.ELSEWHERE}

WRITES: dict[WriteState, str] = {
    WriteState.SENT: "sent to EC2, not answered yet",
    WriteState.ACCEPTED: "not read back yet",
    WriteState.UNANSWERED: "EC2's answer was lost: the next read shows where it points",
}


def diagnose(snapshot: Snapshot, clock: Callable[[float], str]) -> tuple[Finding, ...]:
    """Return what is good and wrong, by subject: each node, EC2, operators and each route.

    The first finding of a node is its verdict, that of a route who serves it. `clock`
    spells a moment in monotonic seconds as the reader's clock shows it.
    """
    found = [*_nodes(snapshot), *_reading(snapshot, clock)]
    found += [
        *_files(snapshot),
        *_learned(snapshot, clock),
        *intended(snapshot.group, _intent(snapshot)),
    ]
    for home in snapshot.homes:
        found += [_route(snapshot, home), *_failed(snapshot, home)]
    return tuple(found)


def is_well(findings: tuple[Finding, ...]) -> bool:
    """Whether there is nothing to say but good."""
    return all(one.level is Level.GOOD for one in findings)


# --- nodes --------------------------------------------------------------------------------------


def _nodes(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield of each node its verdict with the evidence, and then what else is wrong with it."""
    yield from _node(snapshot, snapshot.node, "uplink")
    for node in snapshot.peers:
        yield from _node(snapshot, node, "heartbeat")


def _node(snapshot: Snapshot, node: str, what: str) -> Iterator[Finding]:
    evidence, group = evidence_of(snapshot, node), snapshot.group
    said = format_evidence(what, evidence)
    if evidence.verdict is Verdict.UP:
        yield good(node, said)
    elif evidence.verdict is Verdict.DOWN:
        yield bad(node, said, f"on {node}: nathb check {group} --aws")
    else:
        yield warning(
            node, said, f"on {node}: nathb check {group} --aws" if evidence.missed else ""
        )
    if but := gone(snapshot, node):
        yield bad(node, but, f"start it, or replace it: nathb replace {group} {node} i-NEW")
    if evidence.blind:
        make = warning if evidence.verdict is Verdict.UP else bad
        text = f"CANNOT PING the {what}: {evidence.blind}"
        yield make(node, text, f"on {snapshot.node}: nathb check {group} --aws")
    for pin in snapshot.view.pins if snapshot.view is not None else ():
        if pin.node == node and pin.state in VOID:
            yield warning(node, events.pin(pin).message, f"nathb apply {group}")


# --- EC2 and what operators asked for -----------------------------------------------------------


def _reading(snapshot: Snapshot, clock: Callable[[float], str]) -> Iterator[Finding]:
    """Yield how old the view is, what cannot be read, and how long the view stays usable."""
    usable = _is_usable(snapshot)
    failed = snapshot.failed_reads
    for one in failed:
        make = warning if usable else bad
        yield make(EC2, f"{_failing(snapshot, one, clock)}; {_last_view(snapshot)}", "")
    if failed:
        return
    if snapshot.view is None:
        yield warning(EC2, "not read yet: no route can be moved", "")
    elif usable:
        yield good(EC2, f"read {format_age(snapshot.at - snapshot.view.at)} ago")
    else:
        age = format_age(snapshot.at - snapshot.view.at)
        yield bad(EC2, f"read {age} ago: too old to move a route", "")


def _failing(snapshot: Snapshot, one: FailedRead, clock: Callable[[float], str]) -> str:
    since = f"since {clock(one.since)} ({format_age(snapshot.at - one.since)})"
    return f"the {one.what} cannot be read {since}: {' '.join(one.error.split())}"


def _last_view(snapshot: Snapshot) -> str:
    if snapshot.view is None:
        return "they were never read: no route can be moved"
    age = snapshot.at - snapshot.view.at
    left = snapshot.view_max_age - age
    if left < 0:
        return f"the last view, {format_age(age)} old, is too old: no route is moved"
    return f"the last view, {format_age(age)} old, stays usable for {format_age(left)} more"


def _is_usable(snapshot: Snapshot) -> bool:
    view = snapshot.view
    return view is not None and snapshot.at - view.at <= snapshot.view_max_age


def _learned(snapshot: Snapshot, clock: Callable[[float], str]) -> Iterator[Finding]:
    """Yield how many prefixes the router knows, how many routes they have, and since when it
    cannot be read.
    """
    status = snapshot.learned
    if status is UNSET:
        return
    made = "" if status.made is None else f"; this node has made {counted(status.made, 'route')}"
    refused = f"; {counted(status.refused, 'prefix')} without a route" if status.refused else ""
    known = f"{counted(status.known, 'prefix')} known{made}{refused}"
    if status.failing_since is not None:
        since = f"{clock(status.failing_since)} ({format_age(snapshot.at - status.failing_since)})"
        text = f"the router cannot be read since {since}: {status.error}; {known}"
        yield warning(LEARNED, text, "correct the command or the file that `learn` names")
    elif status.read_at is None:
        yield good(LEARNED, "the router is not read yet")
    else:
        yield good(LEARNED, known)


def _files(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield that this node's file is not the one that was applied last (R17)."""
    own, applied = snapshot.file_digest, snapshot.view.digests if snapshot.view is not None else ()
    others = [digest for digest in applied if own and digest != own]
    if others:
        text = f"DIFFERS from the one that was applied: {own} here, {', '.join(others)} applied"
        fix = f"compare the nodes' files, then: nathb apply {snapshot.group}"
        yield warning(FILE, text, fix)


def intended(group: str, intent: Intent) -> Iterator[Finding]:
    """Yield what operators asked for and what ends it: whoever forgets it waits for a takeover."""
    if intent.paused:
        until = f" {intent.until}" if intent.until else ""
        text = f"PAUSED: no route is moved{until}"
        yield warning(OPERATORS, text, f"nathb resume {group}, to have routes moved again")
    for node in sorted(intent.drained):
        fix = f"nathb undrain {group} {node}, when the work on it is done"
        yield warning(OPERATORS, f"DRAINED: {node}", fix)


# --- routes -------------------------------------------------------------------------------------


def _route(snapshot: Snapshot, home: Home) -> Finding:
    """Say who serves a route, and what a person may do about it."""
    route, view = home.route, snapshot.view
    write = next((one for one in snapshot.writes if one.route == route), None)
    if write is not None:
        return _written(snapshot, write)
    if view is None:
        return warning(str(route), "not read yet: where it points is not known", "")
    age = format_age(snapshot.at - view.at)
    aged = "" if _is_usable(snapshot) else f" when last read, {age} ago"
    holding = view.holding(route)
    found = placed(
        snapshot.group, home, holding, lambda node: service_of(snapshot, node), aged=aged
    )
    fix = _person(snapshot, home, holding)
    return replace(found, level=_at_least_warning(found.level), fix=fix) if fix else found


def _failed(snapshot: Snapshot, home: Home) -> Iterator[Finding]:
    """Yield what EC2 said to a move of this route that has failed just now, and is tried again."""
    for one in snapshot.failed_moves:
        if one.route == home.route and snapshot.at - one.at <= RECENT:
            when = f"the move to {one.to} failed {format_age(snapshot.at - one.at)} ago"
            yield bad(str(one.route), f"{when}: {' '.join(one.error.split())}", "")


def placed(
    group: str,
    home: Home,
    holding: Holding | None,
    service: Callable[[str], Service],
    *,
    aged: str = "",
) -> Finding:
    """Say where a route points, and whether it serves there.

    `holding` is None when the table has no such route; `aged` says how old that is, where it is
    too old to be called good.
    """
    route = str(home.route)
    if holding is None:
        return bad(route, f"the table has no such route{aged}", f"nathb apply {group} creates it")
    is_blackhole = holding.state is RouteState.BLACKHOLE
    if not holding.node:
        fix = f"if nathb is to guard it: nathb apply {group} --adopt"
        where = f"points at {holding.target or 'nothing known'}, outside the group{aged}"
        if is_blackhole:
            return bad(route, f"{where}, and EC2 shows a blackhole", fix)
        return warning(route, f"{where}: nathb leaves it alone", fix)
    served = service(holding.node)
    buts = [but for but in (served.but, "EC2 shows a blackhole" if is_blackhole else "") if but]
    at_home = holding.node == home.node
    if at_home and not buts and not aged:
        return good(route, f"held by {holding.node} (at home)")
    where = f"held by {holding.node} (home is {home.node})"
    where = f"points at its home {holding.node}" if at_home else where
    level = Level.BAD if is_blackhole else _at_least_warning(served.level)
    return Finding(level, route, f"{where}{aged}{_but(buts)}")


def _written(snapshot: Snapshot, write: Write) -> Finding:
    """Report a move that no view has shown yet, by the node that it has most likely come to."""
    came_to = write.to if write.state is WriteState.ACCEPTED else write.holder
    served = service_of(snapshot, came_to) if came_to else Service(Level.BAD, "")
    text = f"{write.holder or 'a blackhole'} → {write.to}, {WRITES[write.state]}"
    buts = [served.but] if served.but else []
    return Finding(_at_least_warning(served.level), str(write.route), f"{text}{_but(buts)}")


def _person(snapshot: Snapshot, home: Home, holding: Holding | None) -> str:
    """Name the verb that a route waits for, or what a person has to find out; empty for neither."""
    rules = (ruling.rule for ruling in snapshot.rulings if ruling.route == home.route)
    if Rule.R7 in rules:
        return (
            "find out who else moves it: CloudTrail shows each ReplaceRoute, "
            f"nathb history {snapshot.group} those of nathb"
        )
    if holding is None or not _may_return(snapshot, home, holding):
        return ""
    if snapshot.preempt is not Preempt.MANUAL or _intent(snapshot).revert:
        return ""
    return f"preempt is manual: nathb revert {snapshot.group} brings it home"


def returned_by(snapshot: Snapshot, home: Home) -> str:
    """Name the other node that is to give a route back to its home; empty for none."""
    holding = snapshot.view.holding(home.route) if snapshot.view is not None else None
    if holding is None or holding.node == snapshot.node:
        return ""
    is_asked = snapshot.preempt is Preempt.AUTO or _intent(snapshot).revert
    return holding.node if is_asked and _may_return(snapshot, home, holding) else ""


def _may_return(snapshot: Snapshot, home: Home, holding: Holding) -> bool:
    """Whether a route is away, its home serves again, and no operator keeps it away."""
    if holding.node in {"", home.node} or not _is_usable(snapshot):
        return False
    intent = _intent(snapshot)
    if intent.paused or home.node in intent.drained:
        return False
    return all(service_of(snapshot, node) is SERVES for node in (holding.node, home.node))


def _intent(snapshot: Snapshot) -> Intent:
    return snapshot.view.intent if snapshot.view is not None else Intent()


def _at_least_warning(level: Level) -> Level:
    return level if level is Level.BAD else Level.WARNING


def _but(buts: list[str]) -> str:
    return f", but {' and '.join(buts)}" if buts else ""
