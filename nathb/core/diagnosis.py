"""What is good and what is wrong in a snapshot, as findings: what `nathb status` says and exits by.

It goes by what was seen (view, evidence, EC2's words on the instances, writes under way), not by
what the rules would do about it. Whoever is not known to serve is never called good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from nathb.core import sentences
from nathb.core.durations import ago
from nathb.core.finding import Finding, Level, bad, good, warning
from nathb.core.model import Evidence, Preempt, Rule, Verdict
from nathb.core.snapshot import FailedRead, Home, Snapshot, Write, WriteState
from nathb.core.view import Holding, InstanceState, Intent, PinState, RouteState

EC2 = "EC2"
OPERATORS = "operators"
"""Subjects that are neither a node nor a route: EC2 as such, and what operators asked for."""
VOID = {PinState.MISSING, PinState.ELSEWHERE}

WRITES: dict[WriteState, str] = {
    WriteState.SENT: "sent to EC2, not answered yet",
    WriteState.ACCEPTED: "not read back yet",
    WriteState.UNANSWERED: "EC2's answer was lost: the next read shows where it points",
}


class Service(Struct, frozen=True):
    """Whether a node serves the clients that are sent to it; `but` says why it is not GOOD."""

    level: Level = Level.GOOD
    but: str = ""


SERVES = Service()


def diagnose(snapshot: Snapshot, clock: Callable[[float], str]) -> tuple[Finding, ...]:
    """Return what is good and wrong, by subject: each node, EC2, operators and each route.

    The first finding of a node is its verdict. `clock`
    spells a moment in monotonic seconds as the reader's clock shows it.
    """
    found = [*_nodes(snapshot), *_reading(snapshot, clock)]
    if snapshot.view is not None:
        found += intended(snapshot.group, snapshot.view.intent)
    found += (_route(snapshot, home) for home in snapshot.homes)
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
    said = pinged(what, evidence)
    if evidence.verdict is Verdict.UP:
        yield good(node, said)
    elif evidence.verdict is Verdict.DOWN:
        yield bad(node, said, f"on {node}: nathb check {group} --aws")
    else:
        yield warning(
            node, said, f"on {node}: nathb check {group} --aws" if evidence.missed else ""
        )
    if but := _gone(snapshot, node):
        yield bad(node, but, f"start it, or replace it: nathb replace {group} {node} i-NEW")
    if evidence.blind:
        make = warning if evidence.verdict is Verdict.UP else bad
        text = f"CANNOT PING the {what}: {evidence.blind}"
        yield make(node, text, f"on {snapshot.node}: nathb check {group} --aws")
    for pin in snapshot.view.pins if snapshot.view is not None else ():
        if pin.node == node and pin.state in VOID:
            yield warning(node, sentences.pin(pin).message, f"nathb apply {group}")


def _gone(snapshot: Snapshot, node: str) -> str:
    """Say that EC2 shows no instance that could serve for a node; empty when it shows one."""
    state, evidence = snapshot.instances.get(node), evidence_of(snapshot, node)
    if state is InstanceState.UNSEEN:
        return f"EC2 shows no instance of {node}"
    if state is None or not state.is_gone:
        return f"EC2 says that {node} is stopped or gone" if evidence.gone else ""
    read_at, heard_at = snapshot.instances_at, evidence.heard_at
    back = evidence.verdict is Verdict.UP and None not in (read_at, heard_at)
    if back and (heard_at or 0.0) >= (read_at or 0.0):
        return ""
    return f"the instance of {node} is {state.value}"


def evidence_of(snapshot: Snapshot, node: str) -> Evidence:
    """Return how a node stands: the one that made the snapshot by its uplink, others as peers."""
    if node == snapshot.node:
        return snapshot.uplink
    return snapshot.peers.get(node, Evidence())


def pinged(what: str, evidence: Evidence) -> str:
    """Return the evidence in words: `heartbeat 8.8.4.4 missed 2 of 3`."""
    addresses = ", ".join(evidence.addresses)
    if not addresses:
        return f"no {what} can be pinged"
    if evidence.heard_at is None:
        missed = f" (missed {evidence.missed} of {evidence.needed})" if evidence.missed else ""
        never = "has never answered since its checks began" if missed else "has not answered yet"
        return f"{what} {addresses} {never}{missed}"
    if evidence.missed:
        return f"{what} {addresses} missed {evidence.missed} of {evidence.needed}"
    return f"{what} {addresses} answers"


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
        yield good(EC2, f"read {ago(snapshot.at - snapshot.view.at)} ago")
    else:
        yield bad(
            EC2, f"read {ago(snapshot.at - snapshot.view.at)} ago: too old to move a route", ""
        )


def _failing(snapshot: Snapshot, one: FailedRead, clock: Callable[[float], str]) -> str:
    since = f"since {clock(one.since)} ({ago(snapshot.at - one.since)})"
    return f"the {one.what} cannot be read {since}: {' '.join(one.error.split())}"


def _last_view(snapshot: Snapshot) -> str:
    if snapshot.view is None:
        return "they were never read: no route can be moved"
    age = snapshot.at - snapshot.view.at
    left = snapshot.view_max_age - age
    if left < 0:
        return f"the last view, {ago(age)} old, is too old: no route is moved"
    return f"the last view, {ago(age)} old, stays usable for {ago(left)} more"


def _is_usable(snapshot: Snapshot) -> bool:
    view = snapshot.view
    return view is not None and snapshot.at - view.at <= snapshot.view_max_age


def intended(group: str, intent: Intent) -> Iterator[Finding]:
    """Yield what operators asked for and what ends it: whoever forgets it waits for a takeover."""
    if intent.paused:
        until = f" {intent.until}" if intent.until else ""
        text = f"PAUSED: no route is moved{until}"
        yield warning(OPERATORS, text, f"nathb resume {group}, to have routes moved again")
    for node in sorted(intent.drained):
        mend = f"nathb undrain {group} {node}, when the work on it is done"
        yield warning(OPERATORS, f"DRAINED: {node}", mend)


# --- routes -------------------------------------------------------------------------------------


def _route(snapshot: Snapshot, home: Home) -> Finding:
    """Say who serves a route, and what a person may do about it."""
    route, view = home.route, snapshot.view
    write = next((one for one in snapshot.writes if one.route == route), None)
    if write is not None:
        return _written(snapshot, write)
    if view is None:
        return warning(str(route), "not read yet: where it points is not known", "")
    aged = "" if _is_usable(snapshot) else f" when last read, {ago(snapshot.at - view.at)} ago"
    holding = view.holding(route)
    found = placed(snapshot.group, home, holding, lambda node: _service(snapshot, node), aged=aged)
    mend = _person(snapshot, home, holding)
    return replace(found, level=_at_least_warning(found.level), mend=mend) if mend else found


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
        mend = f"if nathb is to guard it: nathb apply {group} --adopt"
        where = f"points at {holding.target or 'nothing known'}, outside the group{aged}"
        if is_blackhole:
            return bad(route, f"{where}, and EC2 shows a blackhole", mend)
        return warning(route, f"{where}: nathb leaves it alone", mend)
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
    """Tell a move that no view has shown yet, by the node that it has most likely come to."""
    came_to = write.to if write.state is WriteState.ACCEPTED else write.holder
    served = _service(snapshot, came_to) if came_to else Service(Level.BAD, "")
    text = f"{write.holder or 'a blackhole'} → {write.to}, {WRITES[write.state]}"
    buts = [served.but] if served.but else []
    return Finding(_at_least_warning(served.level), str(write.route), f"{text}{_but(buts)}")


def _service(snapshot: Snapshot, node: str) -> Service:
    """Say whether a node serves, by its evidence and by what EC2 says of its instance."""
    if but := _gone(snapshot, node):
        return Service(Level.BAD, but)
    verdict = evidence_of(snapshot, node).verdict
    who = f"the uplink of {node}" if node == snapshot.node else node
    if verdict is Verdict.DOWN:
        return Service(Level.BAD, f"{who} is DOWN")
    if verdict is Verdict.UNKNOWN:
        return Service(Level.WARNING, f"{who} is not known to be up")
    return SERVES


def _person(snapshot: Snapshot, home: Home, holding: Holding | None) -> str:
    """Name the verb that a route waits for, or what a person has to find out; empty for neither."""
    rules = (ruling.rule for ruling in snapshot.rulings if ruling.route == home.route)
    if Rule.R7 in rules:
        return (
            "find out who else moves it: CloudTrail shows each ReplaceRoute, "
            f"nathb history {snapshot.group} those of nathb"
        )
    intent = snapshot.view.intent if snapshot.view is not None else Intent()
    is_away = holding is not None and holding.node not in {"", home.node}
    is_asked = intent.revert or intent.paused or home.node in intent.drained
    if snapshot.preempt is not Preempt.MANUAL or not is_away or is_asked:
        return ""
    if _service(snapshot, home.node) is not SERVES:
        return ""
    return f"preempt is manual: nathb revert {snapshot.group} brings it home"


def _at_least_warning(level: Level) -> Level:
    return level if level is Level.BAD else Level.WARNING


def _but(buts: list[str]) -> str:
    return f", but {' and '.join(buts)}" if buts else ""
