"""`nathb drain` and `nathb undrain`: maintenance on a node without its routes (R6)."""

from __future__ import annotations

import argparse
from typing import Any

from msgspec.structs import replace

from nathb.core.ec2_state import View
from nathb.core.errors import RefusalError
from nathb.core.model import Preempt, Verdict
from nathb.ui.operator_session import (
    OperatorSession,
    add_request,
    add_waiting,
    count,
    held_by,
    holders,
    patience,
)


def add_parser(verbs: Any) -> None:
    """Add both verbs to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "drain",
        help="move a node's routes away, before work on it",
        description="Move a node's routes to the others and keep them there until `nathb undrain`. "
        "Waits until they are away; exit 0 then, 1 if any is not.",
        epilog="example: nathb drain tokyo nat-a && apt-get upgrade && reboot",
    )
    add_request(verb, drain)
    verb.add_argument("node", metavar="NODE", help="the node to work on")
    verb.add_argument(
        "--force", action="store_true", help="also when it is the last one that is not drained"
    )
    add_waiting(verb)
    verb = verbs.add_parser(
        "undrain",
        help="let a drained node have its routes again",
        description="End a drain. The node's own routes go home without delay, once their holder "
        "has read this; one that never saw the drain, for it was shorter than `refresh`, waits "
        "`preempt_delay`. With `preempt: manual` they wait for `nathb revert`.",
        epilog="example: nathb undrain tokyo nat-a",
    )
    add_request(verb, undrain)
    verb.add_argument("node", metavar="NODE", help="the node that was worked on")


def drain(session: OperatorSession, given: argparse.Namespace) -> int:
    """Drain a node; return 0 once it holds nothing, 1 when it still does after the wait."""
    node, report, seconds = session.node(given.node), session.report, patience(session.group, given)
    before = session.tag_writer.view()
    drained = before.intent.drained | {node}
    others = [one.name for one in session.group.nodes if one.name != node]
    takers = [name for name in others if name not in drained]
    if not takers and node not in before.intent.drained and not given.force:
        raise RefusalError(_refused(session, node, others))
    session.begin(
        f"{node} is drained", f"`nathb undrain {session.group.name} {node}` ends the drain"
    )
    session.tag_writer.drain(drained)
    leaving = held_by(before, node)
    unknown = session.unknown(node, before)
    to = takers[0] if len(takers) == 1 else "the others"
    routes = f"{count(leaving, 'go')} to {to}" if leaving else "it holds no route, and gets none"
    routes = unknown or routes
    session.in_force(f"{node} is drained: {routes}")
    _warn(session, node, takers, before)
    after = replace(before, intent=replace(before.intent, drained=drained))
    if seconds and not before.intent.paused and not unknown:
        after = session.wait(lambda view: _done(view, node), seconds) or after
    if unknown:
        report.warn(f"{unknown}: see `nathb status` on {node} before work on it begins")
    elif _done(after, node):
        report.say(f"{node} holds no route: work on it may begin")
    elif seconds:
        _say_what_is_amiss(session, node, after)
    return session.end(
        good=(_done(after, node) and not unknown) or not seconds,
        drained=sorted(drained),
        away=not held_by(after, node) and not unknown,
        routes=holders(after, leaving),
    )


def undrain(session: OperatorSession, given: argparse.Namespace) -> int:
    """End a drain; return 0."""
    node = session.node(given.node)
    before = session.tag_writer.view()
    drained = before.intent.drained - {node}
    session.begin(
        f"{node} is no longer drained", f"`nathb drain {session.group.name} {node}` drains it again"
    )
    session.tag_writer.drain(drained)
    home = session.group.node(node).routes
    away = [
        one.route for one in before.holdings if one.route in home and one.node not in {"", node}
    ]
    then = f"{count(away, 'go')} home as soon as the holder has read this"
    if session.group.preempt is Preempt.MANUAL:
        then = f"{count(away, 'wait')} for `nathb revert {session.group.name}`, preempt is manual"
    was = "is no longer" if node in before.intent.drained else "was not"
    session.in_force(f"{node} {was} drained" + (f": {then}" if away else ""))
    return session.end(good=True, drained=sorted(drained), routes=holders(before, home))


def _done(view: View, node: str) -> bool:
    return node in view.intent.drained and not held_by(view, node)


def _say_what_is_amiss(session: OperatorSession, node: str, view: View) -> None:
    """Warn of what is not as it was asked for, once the wait is over."""
    if node not in view.intent.drained:
        session.report.warn(
            "someone else has changed the tag nathb:drain in the meantime: drain it again"
        )
    for route in held_by(view, node):
        session.report.warn(f"{node} still holds {route}: {session.why(route)}")


def _refused(session: OperatorSession, node: str, others: list[str]) -> str:
    group, drained = session.group.name, ", ".join(others)
    return (
        f"{node} is the last node of {group} that is not drained: no node could take its routes or"
        f" any other; end another drain first (`nathb undrain {group} {others[0]}`; drained:"
        f" {drained}), or, to stop all moves, `nathb pause {group}`; --force drains it anyway"
    )


def _warn(session: OperatorSession, node: str, takers: list[str], before: View) -> None:
    """Warn of what keeps the routes where they are: a pause, or nobody alive to take them."""
    if before.intent.paused:
        session.report.warn(
            f"the group is paused: nothing moves until `nathb resume {session.group.name}`"
        )
    local = session.local()
    if local is None:
        return
    alive = {name for name, seen in local.peers.items() if seen.verdict is Verdict.UP}
    alive |= {local.node} if local.uplink.verdict is Verdict.UP else set()
    if not alive & set(takers):
        session.report.warn(
            f"{local.node} sees no other node alive: {node} keeps its routes until one is"
        )
