"""A proof on the user's own account: does EC2 do what the code leans on, and how fast?

It works on one route of its own making: a documentation address that no host has (RFC 5737), in a
guarded table. It creates the route, moves it between two nodes, and removes it, also when it fails
or is ended early. The daemons leave it alone, for the file does not name it. What one run has left
behind, the next one removes. `docs/ec2.md` has each step beside the code that leans on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from msgspec import Struct

from nathb.aws.api_errors import cloud_error, request_id_of
from nathb.aws.reader import Reader, named
from nathb.aws.responses import RouteEntry
from nathb.aws.routes import family, find
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import CloudError, Finding, bad, good, warning
from nathb.core.model import ANY_DESTINATION, Failure, Group, Node, Route
from nathb.core.text import format_duration
from nathb.provision.inventory import Inventory
from nathb.provision.permissions import ALLOWED

DESTINATION = "192.0.2.107/32"
"""In TEST-NET-1, which no host on the internet has: https://www.rfc-editor.org/rfc/rfc5737"""
MOVES = 6
"""ReplaceRoute calls that are timed."""
CONFIRMED = 3
"""Reads in a row that must show a move: EC2 may show the new, the old and the new again."""
PACE = 0.1
"""Seconds between two reads; EC2 allows 20 a second to all callers of an account together."""
SEEN_WITHIN = 30.0
"""Seconds after which a write that no read shows is called lost."""
WRITE_WITHIN = 3.0
"""Seconds that a daemon waits for the answer to a write (R16)."""
NO_SUCH_TABLE = "rtb-00000000000000000"
TRIES = 5
"""Tries to remove the route, a second apart."""


class Mismatch(Exception):  # noqa: N818  it is no error of the program's
    """EC2 does something else than the code leans on; the text says what."""


class Timing(Struct, frozen=True):
    """One move: seconds until EC2 answered, and from then until all reads showed it."""

    answered: float
    read_back: float


class Proof:
    """One proof. `stays` says what is left when it is ended early; empty before the first write."""

    def __init__(
        self,
        client: Any,
        seen: Inventory,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`client` is boto3's; `clock` and `sleep` take monotonic seconds."""
        self._client = client
        self._seen = seen
        self._clock = clock
        self._sleep = sleep
        self._reader = Reader(client)
        tables = [one.table for one in seen.group.routes() if one.table in seen.tables]
        self._tables = list(dict.fromkeys(tables))
        self._route = Route(self._tables[0] if tables else "", DESTINATION)
        everyone = [seen.instance(node.name) for node in seen.group.nodes]
        able = [one for one in everyone if one.state is InstanceState.RUNNING and one.eni]
        self._nodes: tuple[Instance, ...] = tuple(able[:2])
        self._may_exist = False
        self.stays = ""

    def announcement(self) -> str:
        """Say what the proof will do, before it is asked for."""
        names = " and ".join(one.node for one in self._nodes)
        return (
            f"the proof creates the route {self._route}, points it at {names} {MOVES} times, and "
            "removes it; no host has this address, so no packet is steered by it"
        )

    def obstacle(self) -> Finding | None:
        """Return why there can be no proof here; None when there can."""
        name = self._seen.group.name
        if not self._route.table:
            return bad("proof", "EC2 shows none of the guarded tables", "see there")
        if len(self._nodes) < 2:
            return bad("proof", "EC2 shows fewer than two running nodes to point at", "see there")
        if any(self._is_found(node) for node in self._file.nodes):
            text = f"the daemons of {name} would move its route, which `destination: any` finds"
            return bad("proof", text, f"add `except: [{DESTINATION}]` there")
        if self._route in self._seen.group.routes():
            return bad("proof", f"the file of {name} guards {DESTINATION}", "take it out")
        entry = self._seen.entry(self._route.table, DESTINATION)
        if entry is not None and not self._seen.holder_of(entry):
            text = f"{self._route} points at {entry.target}: someone else made it, left as it is"
            return bad("proof", text, "remove it, if nothing needs it")
        return None

    @property
    def _file(self) -> Group:
        return self._seen.file or self._seen.group

    @staticmethod
    def _is_found(node: Node) -> bool:
        return any(
            one.destination == ANY_DESTINATION and DESTINATION not in one.excluded
            for one in node.found
        )

    def findings(self) -> Iterator[Finding]:
        """Yield what each step has shown; the route is gone when this ends, however it ends."""
        if (obstacle := self.obstacle()) is not None:
            yield obstacle
            return
        try:
            yield from self._left_overs()
            if not self._may_exist:
                yield from self._steps()
        finally:
            self._remove()  # no finding from here: the generator may be closing
        if self._may_exist:
            yield bad("proof", self.stays, self._command())

    def _left_overs(self) -> Iterator[Finding]:
        """Remove what an earlier run has left: this destination at a node, and not in the file."""
        own = self._route
        for table in self._tables:
            entry, route = self._seen.entry(table, DESTINATION), Route(table, DESTINATION)
            if entry is None or route in self._seen.group.routes():
                continue
            if self._seen.holder_of(entry):
                self._route = route
                self._expect_route()
                self._remove()
                if self._may_exist:
                    return
                yield good("proof left-over", f"{route}, of an earlier run, was removed")
        self._route = own

    def _steps(self) -> Iterator[Finding]:
        """Yield what each step shows, up to the first that does not show what it should."""
        for name, step in STEPS.items():
            try:
                for one in step(self):
                    yield Finding(one.level, f"proof {name}", one.text, one.fix)
            except Mismatch as error:
                yield bad(f"proof {name}", str(error), "tell the project: the code leans on it")
            except CloudError as error:
                allow = f"nathb iam-policy {self._seen.group.name} --features prove"
                fix = allow if error.failure is Failure.DENIED else ""
                yield bad(f"proof {name}", str(error), fix)
            else:
                continue
            self._remove()
            if not self._may_exist:
                yield good("proof", self.stays)
            return

    # --- the steps, in order ----------------------------------------------------------------------

    def dry_run_create(self) -> Iterator[Finding]:
        """A CreateRoute that is not meant creates nothing."""
        self._dry_run("CreateRoute", self._nodes[0])
        if self._entry() is not None:
            raise Mismatch("CreateRoute with DryRun has created the route")
        yield good("", f"CreateRoute with DryRun answers {ALLOWED} and creates nothing")

    def create(self) -> Iterator[Finding]:
        """CreateRoute makes the route, and a read shows it."""
        begun = self._clock()
        self._write("CreateRoute", self._nodes[0])
        answered = self._clock()
        seen = self._wait_for(lambda entry: _is_at(entry, self._nodes[0]), "the route created")
        took = format_duration(answered - begun)
        yield good("", f"CreateRoute was answered in {took}, {_after(seen - answered)}")

    def both_ids(self) -> Iterator[Finding]:
        """A route written by its interface shows the instance too."""
        entry, first = self._entry(), self._nodes[0]
        shown = "nothing" if entry is None else entry.target
        if entry is None or entry.network_interface_id != first.eni:
            raise Mismatch(f"the route to {first.eni} shows {shown}")
        if entry.instance_id == first.instance and entry.state == "active":
            yield good("", "a route to an interface shows the instance too, and state active")
        else:
            text = f"the route shows instance {entry.instance_id or 'none'}, state {entry.state}"
            fix = "tell the project: without its answer, a node is known by its instance alone"
            yield warning("", text, fix)

    def dry_run(self) -> Iterator[Finding]:
        """A ReplaceRoute that is not meant says whether it is permitted, and moves nothing."""
        self._dry_run("ReplaceRoute", self._nodes[1])
        if not _is_at(self._entry(), self._nodes[0]):
            raise Mismatch("ReplaceRoute with DryRun has moved the route")
        yield good("", f"ReplaceRoute with DryRun answers {ALLOWED} and moves nothing")

    def replace(self) -> Iterator[Finding]:
        """ReplaceRoute moves the route; how long it takes to answer, and to be read back."""
        timings = [self._move(self._nodes[(turn + 1) % 2]) for turn in range(MOVES)]
        answered = [one.answered for one in timings]
        read_back = [one.read_back for one in timings]
        text = f"ReplaceRoute was answered in {_spread(answered)}"
        if max(answered) <= WRITE_WITHIN:
            yield good("", text)
        else:
            fix = "check this node's path to the endpoint; an interface endpoint is often faster"
            yield warning("", f"{text}; a daemon waits {format_duration(WRITE_WITHIN)}", fix)
        text, settle = f"DescribeRouteTables showed it {_spread(read_back)} later", self._settle
        if max(read_back) <= settle:
            yield good("", text)
        else:
            fix = f"set `settle:` in the file to more than {max(read_back):.0f}s"
            yield bad("", f"{text}; settle is {format_duration(settle)}", fix)

    def repeat(self) -> Iterator[Finding]:
        """The same ReplaceRoute once more is accepted."""
        self._write("ReplaceRoute", self._nodes[MOVES % 2])
        yield good("", "ReplaceRoute to the target that the route has already is accepted")

    def missing_table(self) -> Iterator[Finding]:
        """By id a missing table fails the whole read; by filter the others are shown."""
        both, failure = [self._route.table, NO_SUCH_TABLE], None
        try:
            self._reader.tables("a table that is not there", RouteTableIds=both)
        except CloudError as error:
            failure = error.failure
        if failure is not Failure.MISSING:
            raise Mismatch(f"a read by id with a missing table ends as {failure}, not as missing")
        listed = self._reader.tables("it", Filters=named([("route-table-id", both)]))
        if [one.route_table_id for one in listed] != both[:1]:
            raise Mismatch("a read by filter with a missing table does not show the other one")
        yield good("", "a missing table fails a read by id, and is left out by filter")

    def delete(self) -> Iterator[Finding]:
        """DeleteRoute removes the route, and a read shows that."""
        self._write("DeleteRoute")
        answered = self._clock()
        seen = self._wait_for(lambda entry: entry is None, "the route removed")
        self._remember_gone()
        yield good("", f"DeleteRoute removed the route, {_after(seen - answered)}")

    def missing_route(self) -> Iterator[Finding]:
        """ReplaceRoute creates nothing: a route that somebody deleted stays deleted."""
        self._expect_route()
        try:
            self._write("ReplaceRoute", self._nodes[0])
        except CloudError as error:
            if error.failure is not Failure.MISSING:
                raise
        else:
            raise Mismatch("ReplaceRoute of a route that is not there was accepted")
        if self._entry() is not None:
            raise Mismatch("ReplaceRoute of a route that is not there has created it")
        self._remember_gone()
        yield good("", "ReplaceRoute of a route that is not there is refused, and creates nothing")

    # --- how --------------------------------------------------------------------------------------

    @property
    def _settle(self) -> float:
        """Seconds for which a daemon believes its own write more than a read (R10)."""
        return self._seen.group.settle

    def _move(self, to: Instance) -> Timing:
        begun = self._clock()
        answer = self._write("ReplaceRoute", to)
        answered = self._clock()
        if not request_id_of(answer):
            raise Mismatch("the answer to ReplaceRoute bears no request id: is it EC2's?")
        seen = self._wait_for(lambda entry: _is_at(entry, to), f"the route at {to.node}")
        return Timing(answered - begun, seen - answered)

    def _wait_for(self, wanted: Callable[[RouteEntry | None], bool], what: str) -> float:
        """Return when the first of the reads in a row came back that all show what is wanted."""
        end, since, times = self._clock() + SEEN_WITHIN, 0.0, 0
        while times < CONFIRMED:
            shows = wanted(self._entry())
            now = self._clock()
            since, times = (since if times else now, times + 1) if shows else (0.0, 0)
            if now > end:
                within = format_duration(SEEN_WITHIN)
                raise Mismatch(f"no read has shown {what} within {within} of EC2's answer")
            self._sleep(PACE)
        return since

    def _entry(self) -> RouteEntry | None:
        tables = self._reader.tables(self._route.table, RouteTableIds=[self._route.table])
        return find(tables[0] if tables else None, DESTINATION)

    def _write(self, action: str, to: Instance | None = None, **more: bool) -> Any:
        """Make the call; CloudError when EC2 refuses it or does not answer."""
        request: dict[str, Any] = {
            "RouteTableId": self._route.table, family(DESTINATION): DESTINATION, **more,
        }  # fmt: skip
        if to is not None:
            request["NetworkInterfaceId"] = to.eni
        calls = {
            "CreateRoute": self._client.create_route,
            "ReplaceRoute": self._client.replace_route,
            "DeleteRoute": self._client.delete_route,
        }
        if action == "CreateRoute":
            self._expect_route()
        try:
            return calls[action](**request)
        except Exception as error:
            raise cloud_error(error, action, str(self._route), self._route.table) from error

    def _dry_run(self, action: str, to: Instance) -> None:
        try:
            self._write(action, to, DryRun=True)
        except CloudError as error:
            if ALLOWED in str(error):
                return
            raise
        raise Mismatch(f"{action} with DryRun was carried out")

    def _expect_route(self) -> None:
        self._may_exist = True
        self.stays = f"the route {self._route} may be there still; the next proof removes it"

    def _remember_gone(self) -> None:
        self._may_exist = False
        self.stays = f"the route {self._route} of the proof is removed"

    def _remove(self) -> None:
        """Remove the route, if it may be there; `_may_exist` says whether it still may."""
        for _ in range(TRIES):
            if not self._may_exist:
                return
            try:
                self._write("DeleteRoute")
            except CloudError as error:
                if error.failure is not Failure.MISSING:
                    self._sleep(1.0)
                    continue
            if self._is_gone():
                self._remember_gone()

    def _is_gone(self) -> bool:
        """Whether reads show no such route; a read that fails shows nothing."""
        try:
            self._wait_for(lambda entry: entry is None, "the route removed")
        except (CloudError, Mismatch):
            return False
        return True

    def _command(self) -> str:
        return (
            f"aws ec2 delete-route --route-table-id {self._route.table} "
            f"--destination-cidr-block {DESTINATION}"
        )


STEPS: dict[str, Callable[[Proof], Iterator[Finding]]] = {
    "dry-run-create": Proof.dry_run_create,
    "create": Proof.create,
    "both-ids": Proof.both_ids,
    "dry-run": Proof.dry_run,
    "replace": Proof.replace,
    "repeat": Proof.repeat,
    "missing-table": Proof.missing_table,
    "delete": Proof.delete,
    "missing-route": Proof.missing_route,
}
"""Each step by the name that its findings and `docs/ec2.md` have, in order."""


def _is_at(entry: RouteEntry | None, node: Instance) -> bool:
    return entry is not None and entry.network_interface_id == node.eni


def _after(seconds: float) -> str:
    return f"and read back {format_duration(seconds)} later"


def _spread(seconds: list[float]) -> str:
    """Say the median of some durations, and between what they lie."""
    low, high = format_duration(min(seconds)), format_duration(max(seconds))
    return f"{format_duration(median(seconds))} (median of {len(seconds)}; {low} to {high})"
