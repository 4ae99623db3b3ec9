"""What is watched: the uplink, its parts, and each peer; and what their addresses add up to."""

from __future__ import annotations

from collections.abc import Iterable

from nathb.core.health import all_of, together
from nathb.core.model import Timers, Verdict
from nathb.core.path import Path, Pulse

UPLINK = "uplink"


class Subject:
    """The uplink, a part of it, or one peer: UP if any of its addresses answers.

    An uplink of several `parts` needs each of them: it is UP if all are, DOWN if any is.
    """

    def __init__(
        self, name: str, paths: Iterable[Path], now: float, timers: Timers | None = None
    ) -> None:
        self.name = name
        self.pulsed = timers is not None and timers.pulse > 0
        """Whether pulses are to be sent to it, once its private address is known."""
        self.patience = timers.fast_detection if timers is not None else 0.0
        """Seconds without a pulse after which they count as silent."""
        self.paths = list(paths)
        self.parts: tuple[Subject, ...] = ()
        """The parts that the paths are divided into; empty where there is only one."""
        self.verdict = Verdict.UNKNOWN
        self.since = now
        self.hastened = False
        self.gone = False

    @property
    def never_answered(self) -> bool:
        """Whether no address of it has ever answered this process."""
        return True not in [path.ever_answered for path in self.paths]

    def conclude(self, now: float, pulse: Pulse | None) -> None:
        """Bring the verdict up to date with the paths that can say anything.

        A heartbeat that has never answered may be a mistake in the file. It counts only against a
        node that EC2 calls gone, or whose pulse is silent too, as far as pulses are sent at all.
        """
        if self.parts:
            for part in self.parts:
                part.conclude(now, None)
            verdict = all_of([part.verdict for part in self.parts])
        else:
            verdict = together([path.health.verdict for path in self.paths if path.speaks])
        if verdict is Verdict.DOWN and not self._is_proven(now, pulse):
            verdict = Verdict.UNKNOWN
        if verdict is not self.verdict:
            self.verdict, self.since = verdict, now

    def was_heard_from(self, at: float) -> bool:
        """Whether any address of it has answered a check that was sent then or later."""
        return any(path.heard_at is not None and path.heard_at >= at for path in self.paths)

    def was_heard_since(self, at: float) -> bool:
        """Whether any address of it has answered a check that was sent after that."""
        return any(path.heard_at is not None and path.heard_at > at for path in self.paths)

    def _is_proven(self, now: float, pulse: Pulse | None) -> bool:
        """Whether its misses may be counted against it."""
        silent = not self.pulsed
        if pulse is not None and pulse.lost_since is not None:
            silent = now - pulse.lost_since >= self.patience
        return self.name == UPLINK or silent or self.hastened or not self.never_answered
