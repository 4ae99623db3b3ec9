"""The EC2 API: moto, corrected, recorded, with faults on demand, and in charge of the routes."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.etree import ElementTree as Xml

from werkzeug.test import run_wsgi_app

from tests.lab import answers
from tests.lab.api_faults import (
    OF_DESCRIBE_INSTANCES,
    REFUSALS,
    ActiveFaults,
    ApiFault,
    Refusal,
)
from tests.lab.ec2_state import Ec2State
from tests.lab.role import allowed_by, requests_of
from tests.lab.router import Router
from tests.lab.web import Wsgi, drip, reset

READS = ("Describe", "Get", "List")
SHOWN_IN_TABLES = ("Route", "Tags", "Instances")  # writes that change what a route table shows
LARGEST_SKEW = timedelta(minutes=15)
OURS = "nathb/"  # stands in the User-Agent of what nathb itself asks
DRY_RUN = Refusal(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")

LARGEST_PAGE = {"DescribeInstances": 1000, "DescribeRouteTables": 100}
SMALLEST_PAGE = 5
BAD_PAGE_SIZE = Refusal(400, "InvalidParameterValue", "Value for parameter maxResults is invalid.")


@dataclass
class Call:
    """One call as it was received. `status` is None for as long as it is not answered.

    `at` is monotonic seconds; `applied` says that EC2's state has been written to. `age` is how
    long ago it was signed, in seconds, up to one too many: the date that a request is signed with
    has whole seconds. `allowed_by` names the statements (Sid) of the caller's role that allow it.
    """

    at: float
    caller: str
    action: str
    parameters: dict[str, str]
    dry_run: bool = False
    status: int | None = None
    error: str | None = None
    applied: bool = False
    age: float | None = None
    allowed_by: list[str] = field(default_factory=list)
    request_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire."""

    status: int
    body: bytes

    @classmethod
    def refusing(cls, refusal: Refusal, request_id: str) -> Answer:
        return cls(refusal.status, answers.error(refusal.code, refusal.message, request_id))


class Ec2Api:
    """A WSGI application. `caller` names whoever is at an address."""

    def __init__(
        self, moto: Wsgi, state: Ec2State, router: Router, caller: Callable[[str], str]
    ) -> None:
        self.faults = ActiveFaults()
        self.roles: dict[str, dict[str, Any]] = {}
        """By caller: the policies of its role, by their names. Without any, all is allowed."""
        self._moto = moto
        self._state = state
        self._router = router
        self._caller = caller
        self._moto_lock = threading.Lock()  # moto is not safe to use from two threads
        self._calls: list[Call] = []
        self._past: list[tuple[float, dict[str, Xml.Element]]] = [(0.0, {})]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        call = Call(
            time.monotonic(),
            self._caller(environ["REMOTE_ADDR"]),
            parameters.pop("Action", "?"),
            parameters,
            dry_run=parameters.get("DryRun", "").lower() == "true",
            age=_age(environ),
        )
        self._calls.append(call)
        answer = self._answer_with_faults(call, environ)
        call.status = answer.status
        start_response(
            f"{answer.status} {call.action}",
            [
                ("Content-Type", "text/xml;charset=UTF-8"),
                ("Content-Length", str(len(answer.body))),
                ("x-amzn-RequestId", call.request_id),
            ],
        )
        return [answer.body]

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Every call from the `since`-th on, as plain data."""
        return [asdict(call) for call in self._calls[since:]]

    def _answer_with_faults(self, call: Call, environ: dict[str, Any]) -> Answer:
        """Answer the call as the faults that are on have it. None waits with the lock held."""
        with self._moto_lock:
            zones = self._state.zones_of(call.parameters)
        faults = self.faults.of_call(call.action, call.caller, zones)
        if active := faults.get(ApiFault.LATENCY):
            active.lifted.wait(active.seconds)
        if active := faults.get(ApiFault.HANG):
            active.lifted.wait()
            reset(environ)
        if active := faults.get(ApiFault.DRIP):
            drip(environ, active.lifted)
        if ApiFault.RESET in faults:
            reset(environ)
        for fault, refusal in (REFUSALS | OF_DESCRIBE_INSTANCES).items():
            if fault in faults or (fault is ApiFault.EXPIRED and _is_skewed(call)):
                call.error = refusal.code
                return Answer.refusing(refusal, call.request_id)
        answer = self._answer(call, environ)
        if active := faults.get(ApiFault.STALE):
            answer = self._stale(answer, active.seconds)
        if active := faults.get(ApiFault.HANG_AFTER):
            active.lifted.wait()
            reset(environ)
        if ApiFault.RESET_AFTER in faults:
            reset(environ)
        return answer

    def _is_allowed(self, call: Call, environ: dict[str, Any]) -> bool:
        """Whether the caller's role allows it; what is not nathb's own call is not asked about."""
        policies = self.roles.get(call.caller)
        if not policies or OURS not in environ.get("HTTP_USER_AGENT", ""):
            return True
        with self._moto_lock:
            state = self._state
            asked = list(
                requests_of(call.action, call.parameters, state.region, state.vpc_of, state.tags_of)
            )
        call.allowed_by = [allowed_by(policies.values(), one) for one in asked]
        return all(call.allowed_by)

    def _answer(self, call: Call, environ: dict[str, Any]) -> Answer:
        if not self._is_allowed(call, environ):
            denied = REFUSALS[ApiFault.DENIED]
            call.error = denied.code
            return Answer.refusing(denied, call.request_id)
        if call.dry_run:  # moto would carry it out
            call.error = DRY_RUN.code
            return Answer.refusing(DRY_RUN, call.request_id)
        if not _is_page_size(call):
            call.error = BAD_PAGE_SIZE.code
            return Answer.refusing(BAD_PAGE_SIZE, call.request_id)
        with self._moto_lock:
            answer = self._ask_moto(environ)
            if answer.status != 200:
                call.error = Xml.fromstring(answer.body).findtext(".//{*}Code")
            elif not call.action.startswith(READS):
                call.applied = True
                self._state.learn()
                self._state.keep_prefix_list(call.action, call.parameters)
                self._state.copy_check(call.action, call.parameters)
                self._router.sync(self._state.wanted())
                if any(word in call.action for word in SHOWN_IN_TABLES):
                    self._remember(environ)
            elif call.action == "DescribeRouteTables":
                body = answers.show_targets(answer.body, self._state)
                return Answer(200, answers.one_page(body, call.parameters))
            return answer

    def _ask_moto(self, environ: dict[str, Any]) -> Answer:
        chunks, status, _ = run_wsgi_app(self._moto, environ, buffered=True)
        return Answer(int(status.split()[0]), b"".join(chunks))

    def _remember(self, environ: dict[str, Any]) -> None:
        """Keep how the route tables look now, for a Describe that is to be stale later."""
        query = b"Action=DescribeRouteTables&Version=2016-11-15"
        environ = environ | {"wsgi.input": io.BytesIO(query), "CONTENT_LENGTH": str(len(query))}
        body = answers.show_targets(self._ask_moto(environ).body, self._state)
        self._past.append((time.monotonic(), answers.tables_in(body)))

    def _stale(self, answer: Answer, seconds: float | None) -> Answer:
        """The same answer with its tables as they were `seconds` ago, or before the last write."""
        past = list(self._past)
        then = time.monotonic() - seconds if seconds is not None else past[-1][0]
        tables = [tables for at, tables in past if at < then]
        return Answer(answer.status, answers.with_tables(answer.body, (tables or [{}])[-1]))


def _is_page_size(call: Call) -> bool:
    """Whether MaxResults, if it is there, is one that EC2 takes; moto takes any."""
    largest, size = LARGEST_PAGE.get(call.action), call.parameters.get("MaxResults")
    return largest is None or size is None or SMALLEST_PAGE <= int(size) <= largest


def _age(environ: dict[str, Any]) -> float | None:
    date = environ.get("HTTP_X_AMZ_DATE")
    if date is None:
        return None
    signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return (datetime.now(UTC) - signed).total_seconds()


def _is_skewed(call: Call) -> bool:
    """Whether the date that a request is signed with is too far off for EC2, as moto never minds.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html (RequestExpired)
    """
    return call.age is not None and abs(call.age) > LARGEST_SKEW.total_seconds()
