"""The cloud: who stands for each node, where the routes point, and the one write.

Each call is made once. A read that failed in passing is made once more after a random pause; a
write never is, for by then its reasons may be gone. All of it blocks, and may be called from
several threads at once: a Cloud has no state but the client's pool of connections.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from nathb.aws.api_errors import cloud_error, request_id_of
from nathb.aws.instances import Found, describe, describe_launch, filters_of, machines_of
from nathb.aws.matched_tables import find_routes, read_matched
from nathb.aws.reader import Reader, named
from nathb.aws.routes import (
    by_destination,
    canonical,
    family,
    find,
    holder_of,
    host_route,
    leads_to,
    table_of,
)
from nathb.aws.tags import FILE_TAG, read_intent, wall_clock
from nathb.core.ec2_state import Holding, Pin, PinState, Roster, RouteState, View
from nathb.core.errors import CloudError, IdentityError
from nathb.core.found_routes import Resolved, with_found
from nathb.core.model import Done, Failure
from nathb.core.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from nathb.aws.reader import Filters
    from nathb.aws.responses import EC2Instance, RouteEntry, Table
    from nathb.core.ec2_state import Instance
    from nathb.core.model import Group, Move, Node, Route


BATCH = 100
"""Route tables per call; DescribeRouteTables gives no more on one page."""


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
        utc: Callable[[], datetime] = wall_clock,
        here: str = "",
        own: Callable[[], EC2Instance] | None = None,
        claim: Callable[[Collection[str]], Mapping[str, str]] = lambda _tables: {},
    ) -> None:
        """`client` is boto3's; `clock` gives monotonic seconds; `draw` a number from 0 to 1.

        `utc` is the wall clock, for tags that carry their end, and nothing else. `here` is the id
        of the instance that this process runs on, where it is known, and `own` that instance as
        its own metadata show it, for when EC2 does not. `claim` is told the tables in which routes
        are found, and returns those that another daemon of this machine guards, with its name.
        """
        self._client = client
        self._group = group
        self._clock = clock
        self._utc = utc
        self._here = here
        self._own = own
        self._claim = claim
        self._reader = Reader(client, sleep=sleep, draw=draw)

    @property
    def region(self) -> str:
        """The region that is asked, and where it comes from, in words."""
        return self._reader.region(self._group.region)

    def instances(self) -> tuple[Instance, ...]:
        """Return what stands for each node now, in the file's order; UNSEEN where none does.

        A node that EC2 gives no answer for is UNSEEN too, and `unread`; CloudError when there is
        no answer for any. See `machines_of` for the calls that it takes.
        """
        found = machines_of(self._group, self._reader)
        return tuple(describe(node, found[node.name]) for node in self._group.nodes)

    def stands_for(self, instance_id: str, node: Node) -> bool:
        """Return whether an instance (i-…) is one that a node's `match` finds; it asks by the id.

        So it does not depend on what else has the tags, or on zones other than this one's.
        """
        try:
            return bool(self._reader.instances(node.name, filters_of(node), [instance_id]))
        except CloudError as error:
            if error.failure is not Failure.MISSING:
                raise
            return False

    def roster(self, me: str) -> Roster:
        """Return `instances`, and the table that steers what node `me` sends itself.

        That is the table of its *primary* interface's subnet, for its own packets leave there
        even when routes point at another interface. Without one of its own a subnet uses the
        VPC's main table: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html

        CloudError(MISSING) when EC2 does not show `me`, which does run: another region was asked,
        or EC2's answer is not whole. No pin could be judged by it. CloudError(REFUSED) when `me`
        is found by a `match` that does not find this machine alone, and another one is preferred.
        When EC2 gives no answer for `me`, as while its zone is disrupted, this machine's own
        metadata answer; if they do not either, `own_table` is empty.
        """
        at = self._clock()
        found = machines_of(self._group, self._reader, me, self._here)
        if found[me].others:
            self._expect_this_machine(me, found[me])
        mine = found[me] = self._by_metadata(found[me])
        if mine.machine is None and not mine.unread:
            node = self._group.node(me)
            what = f"instance {node.instance}" if node.instance else "instance with the tags"
            raise CloudError(
                Failure.MISSING,
                f"DescribeInstances of {self._group.name}: EC2 shows no {what} of this node, {me},"
                f" in {self.region}; correct the region, or what the file says of {me}",
            )
        return Roster(
            at=at,
            me=me,
            instances=tuple(describe(node, found[node.name]) for node in self._group.nodes),
            own_table=self._table_of(mine.machine),
        )

    def _by_metadata(self, mine: Found) -> Found:
        """Return this machine as its metadata show it, if EC2 gave no answer for it."""
        if not mine.unread or self._own is None:
            return mine
        try:
            return Found(self._own())
        except IdentityError:
            return mine  # the failure to report is that of the read of EC2

    def _expect_this_machine(self, me: str, mine: Found) -> None:
        """Refuse to act for a node that another machine stands for, or that two may stand for."""
        if mine.machine is None:
            raise CloudError(Failure.REFUSED, mine.unread)
        chosen = mine.machine.instance_id
        if self._here and chosen != self._here:
            raise CloudError(
                Failure.REFUSED,
                f"{me} is {describe_launch(mine.machine)}: this machine, {self._here}, has the"
                " tags of its `match` too, and moves nothing while the other one is preferred;"
                f" terminate {chosen}, or correct the tags",
            )

    def view(self, roster: Roster) -> View:
        """Return where every guarded route and pin points, and what operators ask for.

        One DescribeRouteTables for up to 100 tables that are listed. It is as old as its request:
        `at` is taken before it leaves. A table that EC2 does not know has no holdings in the view.
        """
        return self.resolved(roster).view

    def resolved(self, roster: Roster, before: Collection[Route] = ()) -> Resolved:
        """Return `view`, and the group with the routes that its matches find.

        `before` are those that were found last (see `core.found_routes.resolve`). Tables that are
        matched cost another DescribeRouteTables, and a page for each further 100. When one read
        fails, all of it does: what is not shown by a whole answer is not taken to be gone.
        """
        at, group = self._clock(), self._group
        listed = read_matched(self._reader, group) if group.finds_routes else {}
        learned = group.learn.vpc_tables if group.learn is not None else ()
        wanted = dict.fromkeys([*tables_of(group, roster), *learned])
        rest = [one for one in wanted if one not in listed]
        tables = [*listed.values(), *self.tables(rest)]
        claims = find_routes(group, tables, roster.instances, before)
        others = self._claim({route.table for route in claims}) if group.finds_routes else {}
        refused = {one: others[one.table] for one in claims if one.table in others}
        claims = {one: nodes for one, nodes in claims.items() if one not in refused}
        group = with_found(group, claims)
        view = reduce_view(at, group, roster, tables, self._utc())
        return Resolved(group, view, claims, refused)

    def named_tables(self) -> list[Table]:
        """Return the route tables that the group lists, and those that its matches name."""
        listed = self.tables(guarded(self._group))
        matched = read_matched(self._reader, self._group) if self._group.finds_routes else {}
        return [*listed, *matched.values()]

    def tables(self, ids: Sequence[str]) -> list[Table]:
        """Return those of these route tables that EC2 knows, as it lists them."""
        return [table for batch in _batches(ids) for table in self._tables_by_id(batch)]

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        """Point the move's route at an interface: one ReplaceRoute, sent once or not at all.

        `not_after` is on the clock, in seconds. Past it nothing is sent (EXPIRED), and what was
        sent before and is still on its way is not delivered (NO_REPLY). So a frozen process, a
        slow resolver and lost packets do not write what was decided long ago; `connections` says
        how. After NO_REPLY it may have been applied. Done.took is the call's duration in seconds.
        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceRoute.html
        """
        thing = f"{move.route} to {move.to}"
        if not eni:
            raise CloudError(
                Failure.REFUSED,
                f"ReplaceRoute of {thing}: not sent: EC2 shows no interface of {move.to} that a"
                " route could point at; see whether it still runs, or name one with `eni:`",
            )
        request = {
            "RouteTableId": move.route.table,
            "NetworkInterfaceId": eni,
            family(move.route.destination): move.route.destination,
        }
        try:
            # To sign is to have credentials, and those may take seconds to come: not after the
            # look at the clock, but before. What is signed here is thrown away.
            self._client.generate_presigned_url("replace_route", Params=request)
            with self._client.deadline.write(not_after, self._clock):
                sent = self._clock()
                answer = self._client.replace_route(**request)
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

    # --- where --------------------------------------------------------------------------------

    def _table_of(self, machine: EC2Instance | None) -> str:
        if machine is None or not machine.subnet_id:
            return ""
        own: Filters = [("association.subnet-id", [machine.subnet_id])]
        main: Filters = [("association.main", ["true"]), ("vpc-id", [machine.vpc_id])]
        thing = f"the table that steers {machine.subnet_id}"
        for filters in (own, main):
            found = table_of(machine, self._reader.tables(thing, Filters=named(filters)))
            if found is not None:
                return found.route_table_id
        return ""

    def _tables_by_id(self, ids: Sequence[str]) -> list[Table]:
        thing = f"the tables of {self._group.name}"
        try:
            return self._reader.tables(thing, RouteTableIds=ids)
        except CloudError as error:
            if error.failure is not Failure.MISSING:
                raise
        # One of them is gone, and by id the call fails whole. The others are guarded still.
        return self._reader.tables(thing, Filters=named([("route-table-id", ids)]))


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def tables_of(group: Group, roster: Roster) -> tuple[str, ...]:
    """Return the ids of the tables that a view is made from: the guarded ones, and this node's."""
    wanted = [*guarded(group), roster.own_table]
    return tuple(dict.fromkeys(table for table in wanted if table))


def reduce_view(
    at: float, group: Group, roster: Roster, tables: Iterable[Table], utc: datetime
) -> View:
    """Reduce the tables to what matters. A route that is nowhere in them has no holding.

    `at` is monotonic; `utc` is the wall clock's idea of now, for tags that carry their end.
    """
    listed = {table.route_table_id: table for table in tables}
    shown = {one: by_destination(listed[one]) for one in guarded(group) if one in listed}
    tags = [tag for one in shown for tag in listed[one].tags]
    return View(
        at=at,
        holdings=tuple(
            _holding(route, entry, roster)
            for route in group.routes()
            if (entry := shown.get(route.table, {}).get(canonical(route.destination)))
        ),
        pins=_pins(group, roster, listed.get(roster.own_table)),
        intent=read_intent(tags, (node.name for node in group.nodes), utc),
        digests=tuple(sorted({visible(tag.value) for tag in tags if tag.key == FILE_TAG})),
    )


def guarded(group: Group) -> tuple[str, ...]:
    """Return the ids of the tables whose routes are guarded."""
    return tuple(dict.fromkeys(route.table for route in group.routes()))


def _holding(route: Route, entry: RouteEntry, roster: Roster) -> Holding:
    return Holding(route, holder_of(entry, roster.instances), entry.target, _state(entry))


def _pins(group: Group, roster: Roster, own: Table | None) -> tuple[Pin, ...]:
    """Say how each heartbeat of every *other* node is routed from here.

    Nothing is said of any while it is not known which table that is.
    """
    mine = roster.instance(roster.me)
    if not roster.own_table and mine is not None and mine.unread:
        return ()
    return tuple(
        _pin(node.name, address, roster, find(own, host_route(address)))
        for node in group.nodes
        if node.name != roster.me
        for address in node.heartbeat
    )


def _pin(node: str, address: str, roster: Roster, entry: RouteEntry | None) -> Pin:
    if entry is None:
        return Pin(node, address, PinState.MISSING, table=roster.own_table)
    if not leads_to(entry, roster.instance(node)):
        state = PinState.ELSEWHERE
    elif _state(entry) is RouteState.BLACKHOLE:
        state = PinState.BLACKHOLE
    else:
        state = PinState.GOOD
    return Pin(node, address, state, entry.target, roster.own_table)


def _state(entry: RouteEntry) -> RouteState:
    """Only the word `blackhole` is evidence that a route leads nowhere."""
    return RouteState.BLACKHOLE if entry.state == "blackhole" else RouteState.ACTIVE


def find_me(group: Group, cloud: Cloud, instance_id: str) -> str:
    """Return the name of the node that an instance id (i-…) stands for.

    Where the file names the id itself, EC2 is not asked. IdentityError when it is none of the
    group's; CloudError when EC2 had to be asked and did not answer.
    """
    for node in group.nodes:
        if node.instance == instance_id:
            return node.name
    for node in group.nodes:
        if node.match and cloud.stands_for(instance_id, node):
            return node.name
    if any(node.match for node in group.nodes):
        instances = cloud.instances()
        known = {one.node: one.instance or f"not found in {cloud.region}" for one in instances}
    else:
        known = {node.name: node.instance for node in group.nodes}
    nodes = ", ".join(f"{name} {known[name]}" for name in known)
    raise IdentityError(
        f"this machine, {instance_id}, is none of the nodes of {group.name} ({nodes}):"
        " give one of them this id in the file, or pass --node NAME"
    )
