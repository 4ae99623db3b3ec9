"""Metrics, for those who ask for them: the library is loaded when the file first names a place.

It is an extra (`make install EXTRAS=metrics`) of 14 MB. Where it is missing, the daemon guards
its routes all the same, and says so.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Protocol

from nathb.core.events import Event, EventKind
from nathb.core.model import Metrics
from nathb.core.ports import Journal

LIBRARY = "prometheus_client"
MISSING = (
    f"{LIBRARY} is not installed, so there are no metrics; install nathb again with it: "
    "sudo make install EXTRAS=metrics"
)

EVERY = 5.0
"""Seconds between two writes of the file; Prometheus seldom reads more often than every 15."""
LAST_TOUCH = 0.1
"""Seconds in which the file may be taken away at the end."""


def is_installed() -> bool:
    """Whether metrics can be had at all."""
    return importlib.util.find_spec(LIBRARY) is not None


class Place(Protocol):
    """Where figures go."""

    def close(self) -> None:
        """Stop; does not wait."""
        ...

    def join(self, timeout: float) -> None:
        """Wait for at most `timeout` seconds until it has stopped."""
        ...


class Prometheus:
    """Shows the snapshot at `status` in the places that the file names. For the loop's thread."""

    def __init__(self, status: Path, journal: Journal, every: float = EVERY) -> None:
        self._status = status
        self._journal = journal
        self._every = every
        self._asked = Metrics()
        self._places: dict[str, Place] = {}

    def follow(self, asked: Metrics) -> None:
        """Show figures there from now on; a place that stays is left alone."""
        before, self._asked = self._asked, asked
        if asked != before and asked != Metrics() and not is_installed():
            message = f"metrics: {MISSING}, then restart"
            self._journal.emit(Event(kind=EventKind.METRICS_LOST, message=message))
            return
        for name in ("textfile", "listen"):
            where = getattr(asked, name)
            if where == getattr(before, name):
                continue
            if place := self._places.pop(name, None):
                place.close()
            if where:
                self._places[name] = self._make(name, where)

    def close(self) -> None:
        """Stop; a file of figures goes too, for old figures look like new ones."""
        for place in self._places.values():
            place.close()
        if textfile := self._places.get("textfile"):
            textfile.join(LAST_TOUCH)

    def _make(self, name: str, where: str) -> Place:
        from nathb.host.metrics import Endpoint, Textfile  # noqa: PLC0415  see above

        if name == "listen":
            return Endpoint(where, self._status, self._journal)
        return Textfile(Path(where), self._status, self._journal, self._every)
