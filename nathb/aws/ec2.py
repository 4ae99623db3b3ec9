"""The cloud: who stands for each node, where the routes point, and the one write.

Each call is made once. A read that failed in passing is made once more after a random pause; a
write never is, for by then its reasons may be gone. All of it blocks, and may be called from
several threads at once: a Cloud has no state but the client's pool of connections.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from nathb.aws.answers import DescribeInstances, DescribeRouteTables, parse
from nathb.aws.failures import cloud_error, request_id_of
from nathb.aws.instances import choose, describe
from nathb.aws.view import reduce_view, tables_of
from nathb.core.errors import CloudError
from nathb.core.model import Done, Failure
from nathb.core.view import Roster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nathb.aws.answers import Machine, Page, Table
    from nathb.core.model import Group, Move, Node
    from nathb.core.view import Instance, View

    Filters = Sequence[tuple[str, Sequence[str]]]

PAUSES = {Failure.THROTTLED: 1.0, Failure.UNAVAILABLE: 0.2, Failure.NO_REPLY: 0.05}
"""Failures after which a read is made once more, and the longest pause before that, in seconds.
The pause is drawn at random, so that two nodes that failed together do not return together. A
lost reply is mostly a pooled connection gone stale, and the next one is fresh."""

BATCH = 100
"""Route tables per call; DescribeRouteTables gives no more on one page."""
MAX_PAGES = 100
"""Pages per question. An answer without end is not EC2's."""


class Cloud:
    """EC2, as one group of nodes needs it. Every failure is a CloudError."""

    def __init__(
        self,
        client: Any,
        group: Group,
        clock: Callable[[], float] = time.monotonic,
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`client` is boto3's; `clock` gives monotonic seconds; `draw` a number from 0 to 1."""
        self._client = client
        self._group = group
        self._clock = clock
        self._sleep = sleep
        self._draw = draw

    def instances(self) -> tuple[Instance, ...]:
        """Return what stands for each node now, in the file's order; UNSEEN where none does.

        One DescribeInstances for all nodes with an `instance`, and one for each `match`.
        CloudError(REFUSED) when a `match` finds two that are in use.
        """
        machines = self._machines()
        return tuple(describe(node, machines[node.name]) for node in self._group.nodes)

    def roster(self, me: str) -> Roster:
        """Return `instances`, and the table that steers what node `me` sends itself.

        That is the table of its *primary* interface's subnet, for its own packets leave there
        even when routes point at another interface. Without one of its own a subnet uses the
        VPC's main table: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
        """
        at = self._clock()
        machines = self._machines()
        return Roster(
            at=at,
            me=me,
            instances=tuple(describe(node, machines[node.name]) for node in self._group.nodes),
            own_table=self._table_of(machines[me]),
        )

    def view(self, roster: Roster) -> View:
        """Return where every guarded route and pin points, and what operators ask for.

        One DescribeRouteTables for up to 100 tables. It is as old as its request: `at` is taken
        before it leaves. A table that EC2 does not know has no holdings in the view.
        """
        at = self._clock()
        ids = tables_of(self._group, roster)
        tables = [table for batch in _batches(ids) for table in self._tables_by_id(batch)]
        return reduce_view(at, self._group, roster, tables)

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        """Point the move's route at an interface: one ReplaceRoute, sent once or not at all.

        `not_after` is on the clock, in seconds: past it, nothing is sent (EXPIRED), so that a
        process that was frozen does not write what it decided long ago. Done.took is the call's
        duration in seconds. After NO_REPLY it may have been applied.
        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceRoute.html
        """
        thing = f"{move.route} to {move.to}"
        if not eni:
            raise CloudError(
                Failure.REFUSED,
                f"ReplaceRoute of {thing}: not sent: EC2 shows no interface of {move.to} that a"
                " route could point at; see whether it still runs, or name one with `eni:`",
            )
        sent = self._clock()
        if sent > not_after:
            raise CloudError(
                Failure.EXPIRED,
                f"ReplaceRoute of {thing}: not sent: {sent - not_after:.1f} s too late, and its"
                " reasons may be gone; the next round decides anew",
            )
        try:
            answer = self._client.replace_route(
                RouteTableId=move.route.table,
                NetworkInterfaceId=eni,
                **{_family(move.route.destination): move.route.destination},
            )
        except Exception as error:
            raise cloud_error(error, "ReplaceRoute", thing, move.route.table) from error
        request_id = request_id_of(answer)
        if not request_id:
            raise CloudError(
                Failure.NO_REPLY,
                f"ReplaceRoute of {thing}: the answer bears no request id, so it is not EC2's;"
                " see whether a proxy, or AWS_ENDPOINT_URL, puts something else in its place",
            )
        return Done(self._clock() - sent, request_id)

    # --- who ----------------------------------------------------------------------------------

    def _machines(self) -> dict[str, Machine | None]:
        """Return the machine that stands for each node, by the node's name."""
        ids = [node.instance for node in self._group.nodes if node.instance]
        # As a filter: InstanceIds= would fail for all when EC2 has forgotten one.
        listed = self._listed(self._group.name, [("instance-id", ids)]) if ids else []
        by_id = {machine.instance_id: machine for machine in listed}
        return {
            node.name: by_id.get(node.instance) if node.instance else self._matched(node)
            for node in self._group.nodes
        }

    def _matched(self, node: Node) -> Machine | None:
        filters = [(key, [value]) for key, value in node.match]
        return choose(node, self._listed(node.name, filters))

    def _listed(self, whose: str, filters: Filters) -> list[Machine]:
        call, thing = self._client.describe_instances, f"the instances of {whose}"
        pages = self._read(call, DescribeInstances, thing, Filters=_named(filters))
        return [one for page in pages for group in page.reservations for one in group.instances]

    # --- where --------------------------------------------------------------------------------

    def _table_of(self, machine: Machine | None) -> str:
        if machine is None or not machine.subnet_id:
            return ""
        own: Filters = [("association.subnet-id", [machine.subnet_id])]
        main: Filters = [("association.main", ["true"]), ("vpc-id", [machine.vpc_id])]
        thing = f"the table that steers {machine.subnet_id}"
        for filters in (own, main):
            if tables := self._tables(thing, Filters=_named(filters)):
                return tables[0].route_table_id
        return ""

    def _tables_by_id(self, ids: Sequence[str]) -> list[Table]:
        thing = f"the tables of {self._group.name}"
        try:
            return self._tables(thing, RouteTableIds=ids)
        except CloudError as error:
            if error.failure is not Failure.MISSING:
                raise
        # One of them is gone, and by id the call fails whole. The others are guarded still.
        return self._tables(thing, Filters=_named([("route-table-id", ids)]))

    def _tables(self, thing: str, **request: Any) -> list[Table]:
        pages = self._read(
            self._client.describe_route_tables, DescribeRouteTables, thing, **request
        )
        return [table for page in pages for table in page.route_tables]

    # --- how ----------------------------------------------------------------------------------

    def _read(
        self, call: Callable[..., Any], shape: type[Page], thing: str, **request: Any
    ) -> list[Page]:
        """Return all pages of one answer, each of them asked for twice at most."""
        pages: list[Page] = []
        while len(pages) < MAX_PAGES:
            page = self._page(call, shape, thing, request)
            pages.append(page)
            if not page.next_token:
                return pages
            request["NextToken"] = page.next_token
        raise CloudError(
            Failure.REFUSED,
            f"{shape.__name__} of {thing}: EC2's answer has no end after {MAX_PAGES} pages;"
            " see whether AWS_ENDPOINT_URL puts something else in EC2's place",
        )

    def _page(
        self, call: Callable[..., Any], shape: type[Page], thing: str, request: dict[str, Any]
    ) -> Page:
        try:
            return _ask(call, shape, thing, request)
        except CloudError as error:
            if error.failure not in PAUSES:
                raise
            self._sleep(PAUSES[error.failure] * self._draw())
        return _ask(call, shape, thing, request)


def _ask(call: Callable[..., Any], shape: type[Page], thing: str, request: dict[str, Any]) -> Page:
    try:
        answer = call(**request)
    except Exception as error:
        # Any Exception: on an answer that is not EC2's, botocore's parsers raise what they like.
        raise cloud_error(error, shape.__name__, thing) from error
    return parse(answer, shape)


def _named(filters: Filters) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)} for name, values in filters]


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _family(destination: str) -> str:
    """Name the parameter that carries a destination of this family."""
    return "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
