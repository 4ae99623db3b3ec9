"""`nathb revert`: routes go home now, without delay and whatever damping says (R4, R11)."""

from __future__ import annotations

import argparse
from typing import Any

from nathb.core.ec2_state import View
from nathb.core.model import Route
from nathb.core.text import format_age
from nathb.ui.operator_session import (
    OperatorSession,
    add_request,
    add_waiting,
    count,
    holders,
    patience,
)

LASTS = 600.0
"""Seconds for which the tag counts at the longest. It is taken back as soon as the routes are at
home; one that was left standing would send the routes of the next failover home unasked."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "revert",
        help="send the routes home now",
        description="Send all routes home whose home is up: without `preempt_delay`, however often "
        "they were taken recently, and also with `preempt: manual`. Waits until they are there; "
        "exit 0 then, 1 if any is not. It counts for ten minutes at most.",
        epilog="example: nathb revert tokyo",
    )
    add_request(verb, revert)
    add_waiting(verb)


def revert(session: OperatorSession, given: argparse.Namespace) -> int:
    """Ask for all routes to go home; return 0 once they are there, 1 when one is not."""
    group, report = session.group, session.report
    before = after = session.tag_writer.view()
    away, seconds = _away(session, before), patience(group, given)
    unknown = [text for one in group.nodes if (text := session.unknown(one.name, before))]
    for text in unknown:
        report.warn(text)
    if not away and unknown:
        return session.end(good=False, home=False, routes=[])
    if not away:
        report.say("every route that can go home is there: nothing to revert")
        return session.end(good=True, home=True, routes=[])
    session.begin(
        "routes go home whose home is up", f"and it ends by itself after {format_age(LASTS)}"
    )
    end = session.tag_writer.revert(LASTS)
    session.in_force(f"{count(away, 'may go')} home {end}, if their home is up")
    if before.intent.paused:
        report.warn(f"the group is paused: nothing moves until `nathb resume {group.name}`")
    elif seconds:
        after = session.wait(lambda view: not _away(session, view), seconds) or before
    left = _away(session, after)
    if not left:
        session.tag_writer.reverted()
        report.say("all of them are at home")
    for route in left if seconds else ():
        report.warn(f"{route} is not at home: {session.why(route)}")
    return session.end(good=not (left and seconds), home=not left, routes=holders(after, away))


def _away(session: OperatorSession, view: View) -> list[Route]:
    """Return the routes that another node of the group holds, and whose home is not drained."""
    homes = {route: session.group.home(route) for route in session.group.routes()}
    return [
        seen.route
        for seen in view.holdings
        if seen.node not in {"", homes[seen.route]} and homes[seen.route] not in view.intent.drained
    ]
