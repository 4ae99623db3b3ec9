"""What nathb reports of learned routes, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.learned import Act, Change, Refusal
from nathb.core.model import Done, Learn
from nathb.core.text import counted, format_age, format_duration

SHOWN = 5
"""Prefixes that a sentence names before it counts the rest."""

DUE = {Act.CREATE: "create", Act.WITHDRAW: "withdraw"}


def written(change: Change, target: str, done: Done, learn: Learn) -> Event:
    """Report a learned route that was created or deleted; `target` is what it points at."""
    took = f"in {format_duration(done.took)}"
    if change.act is Act.CREATE:
        kind = EventKind.LEARNED
        message = f"created {change.route} to {target}: the router knows it ({took})"
    else:
        kind = EventKind.WITHDRAWN
        gone = format_age(learn.withdraw_after)
        message = f"withdrew {change.route}: the router has not known it for {gone} ({took})"
    return Event(
        kind=kind,
        message=message,
        route=change.route,
        target=target if change.act is Act.CREATE else "",
        api_ms=round(done.took * 1000),
        request_id=done.request_id,
    )


def failed(change: Change, error: CloudError) -> Event:
    """Report a learned route that could not be created or deleted."""
    return Event(
        kind=EventKind.LEARN_FAILED,
        message=f"could not {DUE[change.act]} {change.route}: {error}",
        route=change.route,
        request_id=error.request_id,
        error=str(error),
    )


def would(changes: Sequence[Change], why: str) -> Event:
    """Report what is not written because of `why`: a pause, or a dry run."""
    parts = [
        f"{DUE[act]} {_some(few)}"
        for act in Act
        if (few := [str(one.route) for one in changes if one.act is act])
    ]
    return Event(kind=EventKind.LEARN_WOULD, message=f"would {' and '.join(parts)} ({why})")


REFUSED = {
    Refusal.OUTSIDE: "outside of `allow`: {some}; widen `allow`, or have the router announce less",
    Refusal.OVER: "over at_most {most}: {some}; raise at_most, or write a summary route once",
    Refusal.TAKEN: "in the table already, and not made by nathb: {some}; left alone",
}


def refused(why: Refusal, prefixes: Iterable[str], learn: Learn) -> Event:
    """Report prefixes that the router knows and that get no route."""
    text = REFUSED[why].format(some=_some(list(prefixes)), most=learn.at_most)
    return Event(kind=EventKind.LEARN_REFUSED, message=f"learned prefixes get no route: {text}")


def blind(error: str) -> Event:
    """Report that what the router knows cannot be read."""
    message = f"cannot read what the router knows: {error}; learned routes stay as they are"
    return Event(kind=EventKind.LEARN_BLIND, message=message)


def sighted(count: int) -> Event:
    """Report that it can be read again."""
    message = f"what the router knows can be read again: {counted(count, 'prefix')}"
    return Event(kind=EventKind.LEARN_SIGHTED, message=message)


def tables_lost(error: str) -> Event:
    """Report that the tables of learned routes cannot be read."""
    message = f"cannot read the tables of learned routes, so they stay as they are: {error}"
    return Event(kind=EventKind.LEARN_FAILED, message=message, error=error)


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
