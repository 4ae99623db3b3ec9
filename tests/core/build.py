"""Short ways to say what is known: a pair of nodes in two zones, seen from nat-a."""

from __future__ import annotations

from nathb.core.context import Facts
from nathb.core.ec2_state import Holding, Intent, RouteState, View
from nathb.core.memory import RouteMemory
from nathb.core.model import Evidence, Group, Node, Route, Ruling, Verdict
from nathb.core.rules import decide

ROUTE_A = Route("rtb-0000000a", "0.0.0.0/0")
ROUTE_C = Route("rtb-0000000c", "0.0.0.0/0")
UP, DOWN, UNKNOWN = Verdict.UP, Verdict.DOWN, Verdict.UNKNOWN
NOW = 1000.0

PAIR = Group(
    name="pair",
    uplink=("1.1.1.1",),
    nodes=(
        Node("nat-a", heartbeat=("8.8.8.8",), routes=(ROUTE_A,), instance="i-0000000a"),
        Node("nat-c", heartbeat=("8.8.4.4",), routes=(ROUTE_C,), instance="i-0000000c"),
    ),
)


def up(since: float = 0.0, heard_at: float = NOW) -> Evidence:
    return Evidence(UP, since, heard_at, addresses=("8.8.4.4",), needed=3)


def down(since: float = NOW, silent_since: float | None = NOW - 3) -> Evidence:
    return Evidence(
        DOWN,
        since,
        NOW - 30,
        silent_since,
        doubted_since=silent_since,
        addresses=("8.8.4.4",),
        missed=3,
        needed=3,
    )


def view(
    a: str = "nat-a",
    c: str = "nat-c",
    *,
    at: float = NOW,
    blackholes: tuple[Route, ...] = (),
    intent: Intent = Intent(),  # noqa: B008
) -> View:
    """Where the two routes point; a name outside the group is a foreign target, "" no route."""
    holdings = []
    for route, holder in ((ROUTE_A, a), (ROUTE_C, c)):
        node = holder if holder.startswith("nat-a") or holder in {"nat-c", "nat-b"} else ""
        state = RouteState.BLACKHOLE if route in blackholes else RouteState.ACTIVE
        if holder:
            holdings.append(Holding(route, node, f"eni-{holder}", state))
    return View(at, tuple(holdings), intent=intent)


def known(
    *,
    group: Group = PAIR,
    me: str = "nat-a",
    uplink: Evidence | None = None,
    peer: Evidence | None = None,
    seen: View | None = None,
    memory: dict[str, RouteMemory] | None = None,
    undrained: dict[str, float] | None = None,
    leaving: bool = False,
    dry_run: bool = False,
    now: float = NOW,
) -> Facts:
    other = "nat-c" if me == "nat-a" else "nat-a"
    return Facts(
        now=now,
        me=me,
        group=group,
        uplink=uplink or up(),
        peers={other: peer or up()},
        view=seen or view(at=now),
        memory=memory or {},
        undrained=undrained or {},
        leaving=leaving,
        dry_run=dry_run,
    )


def ruling(what: Facts, route: Route = ROUTE_C) -> Ruling:
    """The ruling on one route."""
    return next(one for one in decide(what) if one.route == route)


def moves(what: Facts) -> list[tuple[str, str, str]]:
    """What would be written: (table, node, rule)."""
    return [
        (one.move.route.table, one.move.to, one.move.rule.value)
        for one in decide(what)
        if one.move is not None and not one.would
    ]
