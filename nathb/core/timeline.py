"""What happened, put in order: which entries are moves, and who held which route when.

Each move has exactly one record, in the journal of the node that made it. The others log that
they saw a move by someone else; where its own record is there too, that says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from nathb.core.errors import UsageError
from nathb.core.events import Event, EventKind
from nathb.core.model import Route
from nathb.core.replay import parse

DONE = {EventKind.TOOK, EventKind.RETURNED, EventKind.RELEASED, EventKind.HANDED_OVER}
"""Moves that were carried out."""
DECIDED = DONE | {EventKind.MOVE_FAILED, EventKind.WOULD_MOVE}
"""What the rules called for, whatever came of it: what `nathb explain` explains."""
CHANGES = DECIDED | {
    EventKind.MOVED_BY_ANOTHER,
    EventKind.FOREIGN,
    EventKind.ROUTE_MISSING,
    EventKind.ROUTE_GUARDED,
    EventKind.ROUTE_FOUND,
    EventKind.ROUTE_UNGUARDED,
    EventKind.CONTESTED,
}
"""All that bears on where a route points: what `nathb history` shows."""

SEEN_WITHIN = 300.0
"""Seconds within which another node's view shows a move; views are no older (`view_max_age`)."""
CLOCKS_APART = 5.0
"""Seconds by which the wall clocks of two nodes may differ."""


class Occurrence(Struct, frozen=True, kw_only=True):
    """One entry of a journal. Two of one boot are `monotonic` seconds apart, whatever the clock."""

    at: float
    """Seconds since 1970, by the clock of the machine that wrote it."""
    monotonic: float
    boot: str
    node: str
    event: Event | None = None
    """None for the entry that counts lost entries."""
    lost: int = 0
    version: str = ""
    """The version of the program that wrote it; empty for the first ones, which did not say."""

    @property
    def is_decided(self) -> bool:
        """Whether the rules of its node called for a move here."""
        return self.event is not None and self.event.kind in DECIDED

    @property
    def is_change(self) -> bool:
        """Whether it bears on where a route points, or leaves a gap in the story."""
        return self.event is None or self.event.kind in CHANGES


class Span(Struct, frozen=True):
    """A route's holder for a while; empty for outside the group or nowhere. Seconds since 1970."""

    route: Route
    holder: str
    since: float
    until: float
    certain: bool = True
    """False when the next entry names another holder: somebody moved it unseen in between."""


def without_echoes(happened: Iterable[Occurrence]) -> tuple[Occurrence, ...]:
    """Leave out what merely saw a move that one of the others has a record of."""
    everything = tuple(happened)
    deeds = [one for one in everything if one.event is not None and one.event.kind in DONE]
    return tuple(one for one in everything if not any(_echoes(one, deed) for deed in deeds))


def _echoes(one: Occurrence, deed: Occurrence) -> bool:
    seen, done = one.event, deed.event
    if seen is None or done is None or seen.kind is not EventKind.MOVED_BY_ANOTHER:
        return False
    same = (seen.route, seen.source, seen.target) == (done.route, done.source, done.target)
    return same and -CLOCKS_APART <= one.at - deed.at <= SEEN_WITHIN


def spans(happened: Iterable[Occurrence], begin: float, end: float) -> tuple[Span, ...]:
    """Return who held each route between `begin` and `end`, in seconds, by route and time.

    Routes that did not change are known from the rounds that entries carry.
    """
    everything = sorted(happened, key=lambda one: one.at)
    changes: dict[Route, list[tuple[float, str | None, str]]] = {}
    for one in everything:
        if (change := _change(one)) is not None:
            changes.setdefault(change[0], []).append((one.at, *change[1:]))
    unchanged = {route: holder for route, holder in _sighted(everything) if route not in changes}
    found = [Span(route, holder, begin, end) for route, holder in unchanged.items()]
    for route, several in changes.items():
        found += _of_one(route, several, begin, end)
    return tuple(sorted(found, key=lambda span: (span.route, span.since)))


def _change(one: Occurrence) -> tuple[Route, str | None, str] | None:
    """The route, its holder before if that is known, and after; None when no route was moved."""
    event = one.event
    if event is None or event.route is None:
        return None
    if event.kind in DONE or event.kind is EventKind.MOVED_BY_ANOTHER:
        return event.route, event.source, event.target
    if event.kind in {EventKind.FOREIGN, EventKind.ROUTE_MISSING}:
        return event.route, None, ""
    return None


def _of_one(
    route: Route, changes: list[tuple[float, str | None, str]], begin: float, end: float
) -> Iterator[Span]:
    first_at, first_from, _ = changes[0]
    if first_from is not None and first_at > begin:
        yield Span(route, first_from, begin, first_at)
    later = [*changes[1:], (end, None, "")]
    for (at, _, holder), (until, source, _) in zip(changes, later, strict=True):
        yield Span(route, holder, at, max(at, until), certain=source in {None, holder})


def _sighted(happened: Iterable[Occurrence]) -> Iterator[tuple[Route, str]]:
    """Yield every route and holder that the rounds show; those of another version show nothing."""
    for one in happened:
        if one.event is None or not one.event.trace:
            continue
        try:
            view = parse(one.event.trace).known.view
        except UsageError:
            continue
        if view is not None:
            yield from ((seen.route, seen.node) for seen in view.holdings)
