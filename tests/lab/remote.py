"""The API server as a lab sees it from outside: the calls it received, the faults it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.lab.api_faults import ApiFault
from tests.lab.fork_server import Wire


@dataclass(frozen=True)
class Call:
    """One API call as it was received; see `api.Call`."""

    at: float
    caller: str
    action: str
    parameters: Mapping[str, str]
    dry_run: bool
    status: int | None
    error: str | None
    applied: bool
    age: float | None
    allowed_by: Sequence[str]
    request_id: str


class ApiFaults:
    """What can be wrong with the EC2 API."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def fail(
        self,
        fault: ApiFault,
        *,
        actions: Sequence[str] = (),
        callers: Sequence[str] = (),
        times: int | None = None,
        seconds: float | None = None,
        spare: int = 0,
        zone: str = "",
    ) -> int:
        """Let calls fail: those actions (default all), by those callers (default all instances).

        The first `spare` of them are spared, `times` limits how many fail then; `seconds` is the
        latency, or the age of a stale answer; `zone` is the disrupted one. Returns the number to
        lift it by.
        """
        number: int = self._wire.ask(
            "fail",
            fault=fault.value,
            actions=list(actions),
            callers=list(callers),
            times=times,
            seconds=seconds,
            spare=spare,
            zone=zone,
        )
        return number

    def allow(self, caller: str, name: str, policy: Mapping[str, Any]) -> None:
        """Give the role of an instance this policy, in place of the one of that name."""
        self._wire.ask("allow", caller=caller, name=name, policy=policy)

    def lift(self, number: int | None = None) -> None:
        """End one fault, or all. Calls that hang are let go, with a reset."""
        self._wire.ask("lift", number=number)
