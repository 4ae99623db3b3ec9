"""`nathb pause` and `nathb resume`: no moves in the whole group, or moves again (R9)."""

from __future__ import annotations

import argparse
from typing import Any

from nathb.aws.tags import UNTIL
from nathb.config.values import Duration
from nathb.ui.operator_session import OperatorSession, add_request, duration

FOR = Duration(
    1.0,
    "to end a pause, run `nathb resume`",
    30 * 86400.0,
    "a group without takeover for a month",
    needs_unit=True,
)


def add_parser(verbs: Any) -> None:
    """Add both verbs to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "pause",
        help="move nothing in the whole group, whatever happens",
        description="Move no route of the group, whatever happens, until `nathb resume` or the end "
        "that --for sets. What would be moved is logged. With --for, each node ends it by its own "
        "wall clock.",
        epilog="example: nathb pause tokyo --for 2h",
    )
    add_request(verb, pause)
    verb.add_argument(
        "--for", dest="seconds", type=duration(FOR), metavar="TIME", help="such as 30m or 2h30m"
    )
    verb = verbs.add_parser(
        "resume",
        help="end a pause",
        description="End a pause: moves that waited are made now.",
        epilog="example: nathb resume tokyo",
    )
    add_request(verb, resume)


def pause(session: OperatorSession, given: argparse.Namespace) -> int:
    """Pause the group; return 0."""
    name = session.group.name
    session.begin(f"{name} is paused: nobody takes over", f"`nathb resume {name}` ends the pause")
    end = session.tag_writer.pause(given.seconds)
    until = end if given.seconds else f"until `nathb resume {name}`"
    session.in_force(f"{name} is paused {until}: nobody takes over")
    return session.end(
        good=True, paused=True, until=end.removeprefix(UNTIL) if given.seconds else None
    )


def resume(session: OperatorSession, given: argparse.Namespace) -> int:  # noqa: ARG001  # as all verbs are called
    """End the pause; return 0."""
    was = "is resumed" if session.tag_writer.requests().paused else "was not paused"
    name = session.group.name
    session.begin(f"{name} is no longer paused", f"`nathb pause {name}` pauses it again")
    session.tag_writer.resume()
    session.in_force(f"{name} {was}: routes are moved as the rules say")
    return session.end(good=True, paused=False, until=None)
