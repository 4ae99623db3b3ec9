"""Moves under way and what is remembered of each route: the agent's only writes.

A move is started in the background, one per route at a time. Its end is reported once: as done, as
failed, or, when the answer was lost, as done by the view that later shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator

from nathb.core import events
from nathb.core.context import Facts
from nathb.core.ec2_state import View
from nathb.core.errors import CloudError, NathbError
from nathb.core.events import Event
from nathb.core.memory import Observer, RouteMemory, begun, ended, observed
from nathb.core.model import Cause, Done, Failure, Group, Move, Route, Ruling, Undone
from nathb.core.ports import Ports
from nathb.core.replay import render
from nathb.core.snapshot import Counters, FailedMove, Write, write_of
from nathb.core.split import Act
from nathb.core.text import format_age

MOVE = "move"
HEAD_START = 0.25
"""Seconds for which other routes wait while a default route, which carries most, is being moved."""
GIVE_UP = 20.0
"""Seconds after which a move that has not ended counts as one whose answer was lost (R16)."""


EARLIER_WRITES = 20.0
"""Seconds from its first view in which a daemon may see a write of the one that ran before it: as
long as a move may take (R16)."""


class Mover:
    """What this process remembers of each route, keyed by the route as text."""

    def __init__(self, ports: Ports, counters: Counters) -> None:
        self.ports = ports
        self.counters = counters
        self.memory: dict[str, RouteMemory] = {}
        self.acts: dict[str, Act] = {}
        """For each node, the last time that someone else's write took a route from this one to it.

        A node that takes from a third one says nothing of what it hears of this one.
        """
        self._viewed_at = float("-inf")
        self._first_viewed_at: float | None = None
        self._moves: dict[Hashable, Move] = {}
        self._homes: dict[Hashable, str] = {}
        self._begun_at: dict[Hashable, float] = {}
        self._count = 0
        self._traces: dict[Route, str] = {}
        self._failures: dict[Route, tuple[Cause, Failure]] = {}
        self._errors: dict[Route, FailedMove] = {}

    @property
    def idle(self) -> bool:
        """Whether no move is under way."""
        return not self._moves

    def may_start(self, move: Move, now: float) -> bool:
        """Whether it is this move's turn: default routes go first, all others in parallel."""
        if move.route.is_default:
            return True
        return not any(
            other.route.is_default and now < self._begun_at[ticket] + HEAD_START
            for ticket, other in self._moves.items()
        )

    def start(self, ruling: Ruling, move: Move, known: Facts, eni: str, not_after: float) -> None:
        """Begin the move that the ruling calls for; `not_after` is monotonic seconds."""
        self._count += 1
        ticket = (MOVE, str(move.route), self._count)
        self._moves[ticket] = move
        self._homes[ticket] = known.group.home(move.route)
        self._begun_at[ticket] = known.now
        self._traces[move.route] = render(known, (ruling,))
        self._remember(move.route, begun(self._recall(move.route), move, known.now))
        cloud = self.ports.cloud
        self.ports.calls.start(ticket, lambda: cloud.move(move, eni, not_after))

    def owns(self, ticket: Hashable) -> bool:
        """Whether the ticket is that of a move."""
        return ticket in self._moves

    def overdue(self, now: float) -> list[tuple[Hashable, object]]:
        """Return the moves that have not ended in time, each with the failure that it ends in."""
        return [
            (ticket, CloudError(Failure.NO_REPLY, _never_ended(self._moves[ticket])))
            for ticket, begun_at in self._begun_at.items()
            if ticket in self._moves and now >= begun_at + GIVE_UP
        ]

    def ended(self, ticket: Hashable, answer: object, now: float) -> Iterator[Event]:
        """Take in how a move ended; yield its event, but not for the same failure again."""
        move, home = self._moves.pop(ticket), self._homes.pop(ticket)
        del self._begun_at[ticket]
        route = move.route
        result = answer if isinstance(answer, Done) else _undone(answer)
        before, jitter = self._recall(route), self.ports.jitter()
        self._remember(route, ended(before, move, result, now, home=home, jitter=jitter))
        if isinstance(result, Done):
            self._failures.pop(route, None)
            self._errors.pop(route, None)
            yield self._moved(move, result)
            return
        self.counters.failed_moves += 1
        self._errors[route] = FailedMove(route, move.to, now, result.message)
        if self._failures.get(route) != (move.cause, result.failure):
            self._failures[route] = (move.cause, result.failure)
            yield events.move_failed(move, result, self._traces[route])

    def keep(self, routes: Collection[Route]) -> None:
        """Forget all routes but these, and those with a move under way."""
        kept = {*routes, *[move.route for move in self._moves.values()]}
        names = {str(route) for route in kept}
        self.memory = {name: one for name, one in self.memory.items() if name in names}
        self._traces = {route: one for route, one in self._traces.items() if route in kept}
        self._failures = {route: one for route, one in self._failures.items() if route in kept}
        self._errors = {route: one for route, one in self._errors.items() if route in kept}

    def observe(self, view: View, onlooker: Observer) -> Iterator[Event]:
        """Take in a view; yield events for moves, ours or not, that only it shows."""
        for route in onlooker.group.routes():
            before = self._recall(route)
            after = observed(before, route, view, onlooker)
            self._remember(route, after)
            lost = before.unanswered
            if lost is not None and after.accepted not in (None, before.accepted):
                self._failures.pop(route, None)
                self._errors.pop(route, None)
                yield self._moved(lost.move, None)
            elif before.holder is not None and after.holder and after.holder != before.holder:
                if before.holder == onlooker.me:
                    self.acts[after.holder] = Act(self._viewed_at, view.at)
                yield self._moved_by_another(route, before.holder, after.holder, onlooker.me)
        self._viewed_at = view.at
        if self._first_viewed_at is None:
            self._first_viewed_at = view.at

    def _moved_by_another(self, route: Route, holder: str, to: str, me: str) -> Event:
        first = self._first_viewed_at
        if to == me and first is not None and self._viewed_at - first < EARLIER_WRITES:
            return events.moved_before_restart(route, holder, me)
        return events.moved_by_another(route, holder, to, me)

    def writes(self, group: Group, view: View | None) -> tuple[Write, ...]:
        """Return the writes that no view has shown yet."""
        found = (write_of(route, self._recall(route), view) for route in group.routes())
        return tuple(write for write in found if write is not None)

    def accepted(self, group: Group) -> tuple[Write, ...]:
        """Return the last write to each route that EC2 accepted, and no view has contradicted."""
        found = ((route, self._recall(route).accepted) for route in group.routes())
        return tuple(
            Write(route, write.move.holder, write.move.to, write.state, write.at)
            for route, write in found
            if write is not None
        )

    def failed_moves(self) -> tuple[FailedMove, ...]:
        """Return the moves whose last try EC2 did not confirm."""
        return tuple(self._errors.values())

    def _moved(self, move: Move, done: Done | None) -> Event:
        rule, by_rule = move.rule.value, self.counters.moves_by_rule
        self.counters.moves += 1
        by_rule[rule] = by_rule.get(rule, 0) + 1
        return events.moved(move, done, self._traces.pop(move.route, ""))

    def _recall(self, route: Route) -> RouteMemory:
        return self.memory.get(str(route), RouteMemory())

    def _remember(self, route: Route, memory: RouteMemory) -> None:
        self.memory = {**self.memory, str(route): memory}
        if memory.penalty.value:
            self.counters.penalties[str(route)] = memory.penalty


def _never_ended(move: Move) -> str:
    return (
        f"ReplaceRoute of {move.route} to {move.to}: the call has not ended within "
        f"{format_age(GIVE_UP)}; it may have been applied, and the next read of the route table "
        "shows whether it was"
    )


def _undone(answer: object) -> Undone:
    """A failure that EC2 or we can name, or a defect of ours: then who knows what was applied."""
    if isinstance(answer, CloudError):
        return Undone(answer.failure, str(answer), answer.request_id)
    if isinstance(answer, NathbError):
        return Undone(Failure.UNAVAILABLE, str(answer))
    return Undone(Failure.NO_REPLY, f"unexpected {type(answer).__name__}: {answer}")
