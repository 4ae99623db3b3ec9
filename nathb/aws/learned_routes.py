"""Learned routes in EC2: what tables of a VPC and of a transit gateway show, and the two writes.

Reads are made again once, writes never (`aws.reader`). All of it blocks; every failure is a
CloudError.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nathb.aws.api_errors import cloud_error, request_id_of
from nathb.aws.reader import Reader, named
from nathb.aws.responses import Listing, Response
from nathb.aws.routes import family, holder_of
from nathb.core.errors import CloudError
from nathb.core.learned import Act, Change, ShownEntry, ShownTables
from nathb.core.model import Done, Failure, is_gateway_table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from nathb.aws.responses import RouteEntry
    from nathb.core.ec2_state import Roster
    from nathb.core.model import Learn


class GatewayAttachment(Response, frozen=True):
    """Where a route of a transit gateway leads."""

    transit_gateway_attachment_id: str = ""


class GatewayRoute(Response, frozen=True):
    """A route of a transit gateway's table.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TransitGatewayRoute.html
    """

    destination_cidr_block: str = ""
    type: str = ""
    transit_gateway_attachments: tuple[GatewayAttachment, ...] = ()


class SearchTransitGatewayRoutes(Listing, frozen=True, kw_only=True):
    """Some routes of a transit gateway's table.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SearchTransitGatewayRoutes.html
    """

    routes: tuple[GatewayRoute, ...]
    additional_routes_available: bool = False


class LearnedRoutes:
    """The tables that a file's `learn` names."""

    def __init__(
        self,
        client: Any,
        learn: Learn,
        clock: Callable[[], float] = time.monotonic,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`client` is boto3's; `clock` gives monotonic seconds, `sleep` takes seconds."""
        self._client = client
        self._learn = learn
        self._clock = clock
        self._reader = Reader(client, sleep=sleep)

    def shown(self, roster: Roster, tables: Collection[str]) -> ShownTables:
        """Return the routes of these tables: of a transit gateway's, the static ones."""
        at = self._clock()
        vpc = sorted(table for table in tables if not is_gateway_table(table))
        gateway = sorted(table for table in tables if is_gateway_table(table))
        entries = list(self._of_vpc(vpc, roster)) if vpc else []
        for table in gateway:
            entries += self._of_gateway(table)
        return ShownTables(at, tuple(dict.fromkeys(entries)))

    def write(self, change: Change, roster: Roster, not_after: float) -> Done:
        """Create or delete one route: one call, sent once by `not_after` or not at all.

        Before a route is deleted its table is read once more, for it may be someone else's by now:
        CloudError(REFUSED) when it is. `not_after` is on the clock, in seconds, as for a move.
        """
        if change.act is Act.WITHDRAW:
            self._expect_ours(change, roster)
        action, call = self._call(change)
        request = self._request(change, roster)
        try:
            # To sign is to have credentials, and those may take seconds to come.
            self._client.generate_presigned_url(call.__name__, Params=request)
            with self._client.deadline.write(not_after, self._clock):
                sent = self._clock()
                answer = call(**request)
        except Exception as error:
            raise cloud_error(error, action, str(change.route), change.table) from error
        return Done(self._clock() - sent, request_id_of(answer))

    def _of_vpc(self, ids: list[str], roster: Roster) -> Iterator[ShownEntry]:
        for table in self._reader.tables(
            "the tables of learned routes", Filters=named([("route-table-id", ids)])
        ):
            for one in table.routes:
                if one.destination:
                    ours = _is_ours(one, roster)
                    yield ShownEntry(table.route_table_id, one.destination, ours)

    def _of_gateway(self, table: str, *filters: tuple[str, list[str]]) -> Iterator[ShownEntry]:
        """Yield the static routes of a table that pass these filters too."""
        request = {
            "TransitGatewayRouteTableId": table,
            "Filters": named([("type", ["static"]), *filters]),
        }
        search = self._client.search_transit_gateway_routes
        pages = self._reader.read(search, SearchTransitGatewayRoutes, table, request)
        if pages[-1].additional_routes_available:
            raise CloudError(
                Failure.REFUSED,
                f"SearchTransitGatewayRoutes of {table}: EC2 has more static routes than it shows;"
                " name a table in `into` that has fewer",
            )
        for page in pages:
            for one in page.routes:
                yield ShownEntry(table, one.destination_cidr_block, self._is_at_us(one))

    def _is_at_us(self, one: GatewayRoute) -> bool:
        targets = {
            target.transit_gateway_attachment_id for target in one.transit_gateway_attachments
        }
        return one.type == "static" and targets == {self._learn.attachment}

    def _expect_ours(self, change: Change, roster: Roster) -> None:
        """Refuse to delete what is not, or no longer, at a target of ours."""
        if is_gateway_table(change.table):
            exact = ("route-search.exact-match", [change.destination])
            entries = list(self._of_gateway(change.table, exact))
        else:
            entries = list(self._of_vpc([change.table], roster))
        if ShownEntry(change.table, change.destination, ours=True) not in entries:
            raise CloudError(
                Failure.REFUSED,
                f"{change.route}: not deleted, because it no longer points at a node of the group "
                "or at the attachment; see CloudTrail for who changed it",
            )

    def _call(self, change: Change) -> tuple[str, Callable[..., Any]]:
        """Return the call that carries out a change: EC2's name for it, and boto3's method."""
        client, creates = self._client, change.act is Act.CREATE
        if is_gateway_table(change.table):
            if creates:
                return "CreateTransitGatewayRoute", client.create_transit_gateway_route
            return "DeleteTransitGatewayRoute", client.delete_transit_gateway_route
        return (
            ("CreateRoute", client.create_route)
            if creates
            else ("DeleteRoute", client.delete_route)
        )

    def _request(self, change: Change, roster: Roster) -> dict[str, Any]:
        creates = change.act is Act.CREATE
        if is_gateway_table(change.table):
            target = {"TransitGatewayAttachmentId": self._learn.attachment} if creates else {}
            return {
                "TransitGatewayRouteTableId": change.table,
                "DestinationCidrBlock": change.destination,
                **target,
            }
        target = {"NetworkInterfaceId": self._own_interface(change, roster)} if creates else {}
        return {
            "RouteTableId": change.table,
            family(change.destination): change.destination,
            **target,
        }

    def _own_interface(self, change: Change, roster: Roster) -> str:
        mine = roster.instance(roster.me)
        if mine is not None and mine.eni:
            return mine.eni
        raise CloudError(
            Failure.REFUSED,
            f"CreateRoute of {change.route}: not sent: EC2 shows no interface of {roster.me} that "
            "a route could point at; name one with `eni:`",
        )


def _is_ours(entry: RouteEntry, roster: Roster) -> bool:
    """Whether a static route points at a node, or at an interface that EC2 no longer has."""
    if holder_of(entry, roster.instances):
        return True
    dead = entry.state == "blackhole" and entry.network_interface_id
    return bool(dead) and not entry.is_propagated
