"""The pace of this machine: how long an ordinary process had to wait for a CPU, and when.

A daemon that is late may be slow, or may have been kept waiting by whatever else this machine does.
The pace is noted by a process with the daemons' own priority that does next to nothing, so its
gaps are times in which a daemon had to wait as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.datagrams import BEAT, BEAT_INTERVAL
from tests.lab.record_file import RecordFile
from tests.lab.silence import Silence, excused, freezes

PATIENCE = 5.0
"""Seconds within which a control is to be heard again; a dead one never is."""


def heard_after(beats: Callable[[], list[float]], moment: float) -> list[float]:
    """What a control's `beats` are once it was heard after `moment`, or as they are in the end."""
    deadline = time.monotonic() + PATIENCE
    while not (known := beats()) or known[-1] < moment:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return known


class Pace:
    """Reads the records of the process that writes down the time again and again."""

    def __init__(self, notes: Path) -> None:
        self._records = RecordFile(notes, BEAT)
        self._beats: list[float] = []

    def freezes(self, since: float, until: float | None = None) -> list[Silence]:
        """When a daemon would have had to wait; ControlError when there is no telling."""
        until = until if until is not None else time.monotonic()
        return freezes(heard_after(self._read, until), BEAT_INTERVAL, since, until)

    def frozen(self, since: float, until: float | None = None) -> float:
        """The seconds between two moments (the later one is now) in which it would have had to."""
        until = until if until is not None else time.monotonic()
        return excused(Silence(since, until), self.freezes(since, until))

    def elapsed(self, since: float, until: float | None = None) -> float:
        """The seconds between two moments in which a daemon did not have to wait."""
        until = until if until is not None else time.monotonic()
        return until - since - self.frozen(since, until)

    def _read(self) -> list[float]:
        self._beats += [moment for (moment,) in self._records.new_records()]
        return self._beats
