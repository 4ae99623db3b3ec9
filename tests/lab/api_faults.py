"""What can be wrong with the EC2 API: each fault, which calls it affects, and for how long."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from enum import Enum

OPERATOR = "operator"


class ApiFault(Enum):
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
    DISRUPTED = "disrupted"  # a zone is: DescribeInstances fails, but by ids of other zones
    STALE = "stale"  # DescribeRouteTables answers as of `seconds` ago, or of before the last write


MILD = (ApiFault.LATENCY, ApiFault.STALE)  # the call is answered all the same


@dataclass(frozen=True)
class Refusal:
    """How EC2 words an error."""

    status: int
    code: str
    message: str


REFUSALS = {
    ApiFault.THROTTLE: Refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
    ApiFault.UNAVAILABLE: Refusal(
        503, "Unavailable", "The service is unavailable. Please try again shortly."
    ),
    ApiFault.INTERNAL: Refusal(500, "InternalError", "An internal error has occurred"),
    ApiFault.DENIED: Refusal(
        403, "UnauthorizedOperation", "You are not authorized to perform this operation."
    ),
    ApiFault.EXPIRED: Refusal(400, "RequestExpired", "Request has expired."),
}
OF_DESCRIBE_INSTANCES = {ApiFault.DISRUPTED: REFUSALS[ApiFault.INTERNAL]}
"""The same for a fault that no other call has."""


@dataclass
class ActiveFault:
    """One fault that is on.

    `actions` and `callers` limit it; without callers it affects every instance, and the operator
    only by name. `times` calls fail by it (None: all of them, until it is lifted), after the first
    `spare` that do not. `zone` is the one that is disrupted.
    """

    fault: ApiFault
    actions: frozenset[str] = frozenset()
    callers: frozenset[str] = frozenset()
    times: int | None = None
    seconds: float | None = None
    spare: int = 0
    zone: str = ""
    number: int = 0
    lifted: threading.Event = field(default_factory=threading.Event)

    def affects(self, action: str, caller: str, zones: frozenset[str]) -> bool:
        """Whether it is meant for this call; `zones` are those of the instances that it names.

        What EC2 does while a zone is disrupted, and that a call without ids fails too:
        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
        The error's code is not documented.
        """
        if self.times == 0 or (self.actions and action not in self.actions):
            return False
        if self.fault is ApiFault.STALE and action != "DescribeRouteTables":
            return False
        if self.fault is ApiFault.DISRUPTED and (
            action != "DescribeInstances" or (zones and self.zone not in zones)
        ):
            return False
        return caller in self.callers if self.callers else caller != OPERATOR


class ActiveFaults:
    """Every fault that is on, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._active: list[ActiveFault] = []

    def add(self, active: ActiveFault) -> int:
        """Begin a fault; returns the number to lift it by."""
        with self._lock:
            active.number = next(self._numbers)
            self._active.append(active)
            return active.number

    def lift(self, number: int | None = None) -> None:
        """End one, or all. Calls that hang on it are let go: their connections are reset."""
        with self._lock:
            over = [one for one in self._active if number in (None, one.number)]
            self._active = [one for one in self._active if one not in over]
        for active in over:
            active.lifted.set()

    def of_call(
        self, action: str, caller: str, zones: frozenset[str] = frozenset()
    ) -> dict[ApiFault, ActiveFault]:
        """The faults of this call; each is then used up by one.

        A call fails in one way, by the oldest fault that ends it; the mild ones come on top.
        """
        with self._lock:
            found: dict[ApiFault | None, ActiveFault] = {}
            for active in self._active:
                if not active.affects(action, caller, zones):
                    continue
                if active.spare:
                    active.spare -= 1
                else:
                    found.setdefault(active.fault if active.fault in MILD else None, active)
            for active in found.values():
                if active.times is not None:
                    active.times -= 1
            return {active.fault: active for active in found.values()}
