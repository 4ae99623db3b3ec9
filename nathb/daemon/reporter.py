"""What one node reports: events to the journal, its state to the manager and to `nathb status`.

Nothing here waits or fails: what cannot be reported in one place is reported in another, once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from nathb.core.errors import NathbError
from nathb.core.events import Event, EventKind
from nathb.core.ports import Ports
from nathb.core.snapshot import Snapshot, Told

TOLD = 10
"""How many of the last sentences the snapshot shows."""


class Reporter:
    """All that leaves this process for people, apart from the moves themselves."""

    def __init__(self, ports: Ports, pace: float) -> None:
        """`pace` is the longest time in seconds between two reports; an event makes one due."""
        self.ports = ports
        self._pace = pace
        self._lately: deque[Told] = deque(maxlen=TOLD)
        self._reported_at = float("-inf")
        self._published = True

    @property
    def lately(self) -> tuple[Told, ...]:
        """The last sentences, oldest first."""
        return tuple(self._lately)

    def emit(self, event: Event) -> None:
        """Report an event, and show it in the next snapshot, which is due at once."""
        self.ports.journal.emit(event)
        at = self.ports.clock.monotonic()
        self._lately.append(Told(at, event.kind.value, event.message))
        self._reported_at = float("-inf")

    def emit_all(self, events: Iterable[Event]) -> None:
        """Report these events in order."""
        for event in events:
            self.emit(event)

    def report(self, now: float, status: Callable[[], str], show: Callable[[], Snapshot]) -> None:
        """Report that the loop is alive and its state, if that is due; `now` in seconds."""
        if now < self._reported_at + self._pace:
            return
        self._reported_at = now
        self.ports.manager.watchdog()
        self.ports.manager.status(status())
        self._publish(show)

    def _publish(self, show: Callable[[], Snapshot]) -> None:
        """Show the snapshot to whoever asks; the daemon works without it, and logs so once."""
        could, self._published = self._published, True
        try:
            self.ports.publish(show())
        except NathbError as error:
            self._published = False
            if could:
                self.emit(Event(kind=EventKind.STATUS_LOST, message=str(error)))
