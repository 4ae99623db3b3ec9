"""Delivery to receivers that may be slow, hang or fail, without ever waiting for one.

Each receiver has a bounded queue, and one thread that carries notices in their order, one at a
time. What goes wrong is written to the journal and nowhere else, so that a failed delivery causes
no further delivery.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from nathb.core.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nathb.core.ports import Journal

    Notice = Mapping[str, str]
    Carry = Callable[[Notice], Iterable[Event]]

BACKLOG = 100
"""Notices that may wait. More than that come of a receiver that hangs; the newest are kept, for
they have the present state."""


class DeliveryQueue:
    """Notices on their way to one receiver.

    `carry` takes one notice, however long it needs, and yields what went wrong. `name` is what
    the journal calls the receiver.
    """

    def __init__(self, name: str, carry: Carry, journal: Journal, backlog: int = BACKLOG) -> None:
        self.name = name
        self._carry = carry
        self._journal = journal
        self._backlog = backlog
        self._changed = threading.Condition()
        self._waiting: deque[Notice] = deque()
        self._dropped = 0
        self._carrying = 0
        self._closed = False
        # A daemon thread: a receiver that hangs must not keep the process alive.
        self._carrier = threading.Thread(target=self._work, name=name, daemon=True)
        self._carrier.start()

    def emit(self, notice: Notice) -> None:
        """Queue a notice, at once and without fail; a full queue drops its oldest."""
        with self._changed:
            self._waiting.append(notice)
            if len(self._waiting) > self._backlog:
                self._waiting.popleft()
                self._dropped += 1
            self._changed.notify()

    def close(self) -> None:
        """Take no more; the thread ends when it has carried what waits. Never waits for that."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout: float) -> bool:
        """After `close`, wait for at most `timeout` seconds; return whether all was carried."""
        self._carrier.join(max(0.0, timeout))
        return not self._carrier.is_alive()

    def give_up(self) -> None:
        """Report what was not delivered, and deliver nothing that still waits."""
        with self._changed:
            left = len(self._waiting) + self._carrying
            self._waiting.clear()
        if left:
            self._undelivered(left, "nathb stopped before they were")

    def _work(self) -> None:
        while (notice := self._next()) is not None:
            try:
                for failure in self._carry(notice):
                    self._journal.emit(failure)
            except Exception as error:  # noqa: BLE001  a defect; the next notice may fare better
                message = f"{self.name}: unexpected {type(error).__name__}: {error}"
                self._journal.emit(Event(kind=EventKind.UNTOLD, message=message))

    def _next(self) -> Notice | None:
        """Wait for the next notice; None when there will be none."""
        with self._changed:
            self._carrying = 0
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._undelivered(dropped, "there were more than could be delivered")
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            self._carrying = 1
            return self._waiting.popleft()

    def _undelivered(self, count: int, why: str) -> None:
        events = "1 event was" if count == 1 else f"{count} events were"
        message = f"{self.name}: {events} not delivered: {why}"
        self._journal.emit(Event(kind=EventKind.UNTOLD, message=message))
