"""What the agent asks of the world, as protocols: the real ports and the simulated ones fit both.

Nothing here does anything. `net`, `aws` and `host` provide these, and so may a test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Protocol

from msgspec import Struct

from nathb.core.ec2_state import Roster, View
from nathb.core.events import Event
from nathb.core.found_routes import Resolved
from nathb.core.learned import Change, ShownTables
from nathb.core.model import Done, Move, Outcome, Route
from nathb.core.snapshot import Snapshot


class Wire(Protocol):
    """Echo requests and their answers. Never blocks."""

    def send(self, address: str, source: str = "", interface: str = "") -> int:
        """Send one echo request, from an address of this machine or from the usual one.

        It leaves by the interface, if one is given, whatever the machine's routes say.

        Returns its ticket; BlindError when none left this machine.
        """
        ...

    def receive(self) -> Sequence[int]:
        """Return the tickets that were answered since the last call."""
        ...

    def forget(self, ticket: int) -> None:
        """Let a late answer to this ticket count for nothing."""
        ...


class Cloud(Protocol):
    """EC2. Every call blocks, so it is made in the background; CloudError when it fails."""

    def roster(self, me: str) -> Roster:
        """Return who stands for each node now, and the table that steers this node's subnet."""
        ...

    def view(self, roster: Roster) -> View:
        """Return where every guarded route and pin points, from one DescribeRouteTables."""
        ...

    def resolved(self, roster: Roster, before: Collection[Route]) -> Resolved:
        """Return a view with the routes that the group's matches find; `before` were found last."""
        ...

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        """Replace one route's target, unless it is later than `not_after` by then."""
        ...


class Calls(Protocol):
    """Blocking calls, made where they hinder no check."""

    def start(self, ticket: Hashable, call: Callable[[], object]) -> None:
        """Begin the call and return at once."""
        ...

    def ended(self) -> Sequence[tuple[Hashable, object]]:
        """Return what has ended since the last call: tickets with results, or exceptions."""
        ...


class Journal(Protocol):
    """Where events go. Never blocks, never raises."""

    def emit(self, event: Event) -> None:
        """Report one event."""
        ...


class Manager(Protocol):
    """The service manager. Never blocks, never raises."""

    def ready(self, status: str) -> None:
        """Say that the service is up, or up again after a reload."""
        ...

    def status(self, status: str) -> None:
        """Say in one line what the state is."""
        ...

    def watchdog(self) -> None:
        """Say that the loop has just made progress."""
        ...


class Clock(Protocol):
    """Monotonic time, without and with the time spent suspended. Seconds."""

    def monotonic(self) -> float:
        """Return seconds that never step."""
        ...

    def boottime(self) -> float:
        """Return the same, counting suspended time too."""
        ...


class LearnPorts(Struct, frozen=True):
    """What learned routes take; all of it blocks, so it is called in the background."""

    read: Callable[[], frozenset[str]]
    """Returns the prefixes that the router knows; ReadingError when they cannot be read."""
    shown: Callable[[Roster, frozenset[str]], ShownTables]
    """Returns what these tables show; CloudError when it fails."""
    write: Callable[[Change, Roster, float], Done]
    """Creates or deletes one route, unless it is later than that by then; CloudError."""


class Ports(Struct, frozen=True):
    """All that an agent is handed."""

    clock: Clock
    wire: Wire
    cloud: Cloud
    calls: Calls
    journal: Journal
    manager: Manager
    publish: Callable[[Snapshot], None]
    """Shows a snapshot to other processes; NathbError when it cannot."""
    resolve: Callable[[str], tuple[str, ...]]
    """Addresses of a host name, blocking; NathbError when there are none."""
    check: Callable[[Sequence[str], float], tuple[Outcome, str]]
    """Runs a command, not a shell's, for so many seconds at most, blocking: what came of it, and
    why it was not Heard."""
    jitter: Callable[[], float]
    """A new number in [0, 1) at each call."""
    learn: LearnPorts | None = None
    """None where the file has no `learn`."""
