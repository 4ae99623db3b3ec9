"""Distrust of oneself: how often this node's own packets have been lost recently (R15).

Every round of uplink checks that no address answers raises the level by one, up to LEVEL_MAX, and
each minute halves it. A node that loses its own packets must not convict others at the usual pace:
peers' `fall` is multiplied by one plus the level.

The idea is memberlist's: https://github.com/hashicorp/memberlist (awareness.go), after
"Lifeguard: Local Health Awareness for More Accurate Failure Detection", arXiv:1707.00788.
"""

from __future__ import annotations

LEVEL_MAX = 3
HALF_LIFE = 60.0
"""Seconds after which the level is half of what it was, rounded down."""


class Awareness:
    """The level, and when it last changed. Times in seconds."""

    def __init__(self) -> None:
        self._level = 0
        self._at = 0.0
        self._round = float("-inf")

    def raised(self, round_sent_at: float, now: float) -> None:
        """Note that nobody answered the round that was sent then; each round counts once."""
        if round_sent_at > self._round:
            self._level = min(LEVEL_MAX, self.level(now) + 1)
            self._at, self._round = now, round_sent_at

    def level(self, now: float) -> int:
        """Return the level at `now`, from 0 to LEVEL_MAX."""
        return self._level >> int((now - self._at) / HALF_LIFE)
