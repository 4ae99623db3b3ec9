"""One leg of a drill: when EC2 accepted each move, and when it showed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nathb.core.ec2_state import View
from nathb.core.model import Route
from nathb.core.snapshot import Write
from nathb.core.text import format_duration
from nathb.ui.operator_session import held_by


class Leg:
    """The way of some routes to one node. All times are seconds since the leg was asked for."""

    def __init__(self, routes: Iterable[Route], to: str, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds, as the daemons' does. The leg begins now."""
        self.to = to
        self._routes = tuple(routes)
        self._clock = clock
        self._begun = clock()
        self._answered: dict[Route, float] = {}
        self._read_back: dict[Route, float] = {}

    def see(self, view: View) -> bool:
        """Take in where the routes point now; return whether all are at this leg's node."""
        now, there = self._clock() - self._begun, set(held_by(view, self.to))
        for route in self._routes:
            if route in there:
                self._read_back.setdefault(route, now)
            else:
                self._read_back.pop(route, None)
        return self.is_complete

    def note_answers(self, accepted: Iterable[Write]) -> bool:
        """Take in the writes that EC2 has accepted from the daemon on this machine.

        Return whether those of all routes that have arrived are known.
        """
        for write in accepted:
            is_of_leg = write.route in self._routes and write.to == self.to
            if is_of_leg and write.at is not None and write.at >= self._begun:
                self._answered[write.route] = write.at - self._begun
        return self._answered.keys() >= self._read_back.keys()

    @property
    def missing(self) -> list[Route]:
        """The routes that are not at this leg's node."""
        return [route for route in self._routes if route not in self._read_back]

    @property
    def is_complete(self) -> bool:
        """Whether all routes are at this leg's node."""
        return not self.missing

    @property
    def seconds(self) -> float:
        """When the last route was read back; 0 for none."""
        return max(self._read_back.values(), default=0.0)

    def lines(self) -> Iterator[str]:
        """Yield for people, route by route, how long it took."""
        for route, seconds in self._read_back.items():
            answered = self._answered.get(route)
            said = "" if answered is None else f"answered after {format_duration(answered)}, "
            yield f"{route} to {self.to}: {said}read back after {format_duration(seconds)}"

    def facts(self) -> dict[str, Any]:
        """Return the same for machines. `answered_seconds` is None where another node asked EC2."""
        return {
            "to": self.to,
            "seconds": self.seconds if self.is_complete else None,
            "routes": [
                {
                    "table": route.table,
                    "destination": route.destination,
                    "answered_seconds": self._answered.get(route),
                    "read_back_seconds": self._read_back.get(route),
                }
                for route in self._routes
            ],
        }
