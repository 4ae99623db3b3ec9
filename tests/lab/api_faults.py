"""What can be wrong with the EC2 API: each ailment, whom it befalls, and how long it lasts."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from enum import Enum

OPERATOR = "operator"


class Ailment(Enum):
    """The ways in which a call goes wrong."""

    LATENCY = "latency"  # answered after `seconds`
    THROTTLE = "throttle"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    DENIED = "denied"
    EXPIRED = "expired"
    HANG = "hang"  # accepted, not applied, never answered
    HANG_AFTER = "hang after"  # applied, never answered
    DRIP = "drip"  # accepted, not applied, and answered a byte at a time, without end
    RESET = "reset"  # connection reset, not applied
    RESET_AFTER = "reset after"  # applied, then connection reset
    STALE = "stale"  # DescribeRouteTables answers as of `seconds` ago, or of before the last write


MILD = (Ailment.LATENCY, Ailment.STALE)  # the call is answered all the same


@dataclass(frozen=True)
class Refusal:
    """How EC2 words an error."""

    status: int
    code: str
    message: str


REFUSALS = {
    Ailment.THROTTLE: Refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
    Ailment.UNAVAILABLE: Refusal(
        503, "Unavailable", "The service is unavailable. Please try again shortly."
    ),
    Ailment.INTERNAL: Refusal(500, "InternalError", "An internal error has occurred"),
    Ailment.DENIED: Refusal(
        403, "UnauthorizedOperation", "You are not authorized to perform this operation."
    ),
    Ailment.EXPIRED: Refusal(400, "RequestExpired", "Request has expired."),
}


@dataclass
class Spell:
    """One ailment at work.

    `actions` and `callers` limit it; without callers it befalls every instance, and the operator
    only by name. `times` calls suffer from it (None: all of them, until it is lifted), after the
    first `spare` that do not.
    """

    ailment: Ailment
    actions: frozenset[str] = frozenset()
    callers: frozenset[str] = frozenset()
    times: int | None = None
    seconds: float | None = None
    spare: int = 0
    number: int = 0
    lifted: threading.Event = field(default_factory=threading.Event)

    def befalls(self, action: str, caller: str) -> bool:
        """Whether this call suffers from it."""
        if self.times == 0 or (self.actions and action not in self.actions):
            return False
        if self.ailment is Ailment.STALE and action != "DescribeRouteTables":
            return False
        return caller in self.callers if self.callers else caller != OPERATOR


class Sickbed:
    """Every spell at work, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._spells: list[Spell] = []

    def add(self, spell: Spell) -> int:
        """Let it begin; the number to lift it by."""
        with self._lock:
            spell.number = next(self._numbers)
            self._spells.append(spell)
            return spell.number

    def lift(self, number: int | None = None) -> None:
        """End one, or all. Calls that hang on it are let go: their connections are reset."""
        with self._lock:
            over = [one for one in self._spells if number in (None, one.number)]
            self._spells = [one for one in self._spells if one not in over]
        for spell in over:
            spell.lifted.set()

    def strike(self, action: str, caller: str) -> dict[Ailment, Spell]:
        """What this call suffers from, each spell used up by one.

        A call dies one death, of the oldest spell that means its end; the mild ones come on top.
        """
        with self._lock:
            struck: dict[Ailment | None, Spell] = {}
            for spell in self._spells:
                if not spell.befalls(action, caller):
                    continue
                if spell.spare:
                    spell.spare -= 1
                else:
                    struck.setdefault(spell.ailment if spell.ailment in MILD else None, spell)
            for spell in struck.values():
                if spell.times is not None:
                    spell.times -= 1
            return {spell.ailment: spell for spell in struck.values()}
