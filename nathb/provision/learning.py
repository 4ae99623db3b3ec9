"""Whether learned routes can be written: their tables, the attachment, and this role's permissions.

Permissions are asked for as in `permissions`: by a DryRun that would change nothing even where
DryRun is not known. CreateTransitGatewayRoute knows no such question, and is allowed by the same
statement as its opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from nathb.aws.api_errors import cloud_error
from nathb.aws.reader import Reader
from nathb.aws.responses import Listing, Response, Table
from nathb.core.errors import CloudError, Finding, bad, good, warning
from nathb.core.learned import is_within
from nathb.core.model import Failure, Learn
from nathb.provision.inventory import Inventory

ABSENT = "192.0.2.107/32"
"""A documentation address (RFC 5737): no table has a route to it, so none can be deleted."""
LOCAL = "local"
"""The target of a table's routes to the VPC itself."""


class GatewayTable(Response, frozen=True):
    """A transit gateway's route table.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TransitGatewayRouteTable.html
    """

    transit_gateway_route_table_id: str
    transit_gateway_id: str = ""
    state: str = ""


class GatewayLink(Response, frozen=True):
    """What is attached to a transit gateway.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TransitGatewayAttachment.html
    """

    transit_gateway_attachment_id: str
    transit_gateway_id: str = ""
    resource_id: str = ""
    state: str = ""


class DescribeTransitGatewayRouteTables(Listing, frozen=True, kw_only=True):
    """One page of transit gateways' route tables."""

    transit_gateway_route_tables: tuple[GatewayTable, ...]


class DescribeTransitGatewayAttachments(Listing, frozen=True, kw_only=True):
    """One page of attachments."""

    transit_gateway_attachments: tuple[GatewayLink, ...]


def inspect_learning(reader: Reader, seen: Inventory) -> Iterator[Finding]:
    """Yield what is good, unwise or wrong around learned routes; nothing where there are none."""
    learn = seen.group.learn
    if learn is None:
        return
    for table in learn.vpc_tables:
        yield from _vpc_table(reader, seen, learn, table)
    if learn.gateway_tables:
        try:
            yield from _gateway(reader, seen, learn)
        except CloudError as error:
            fix = f"nathb iam-policy {seen.group.name} --features check"
            yield warning(learn.attachment, f"its transit gateway was not read: {error}", fix)
        for table in learn.gateway_tables:
            yield _may(
                reader.client.delete_transit_gateway_route,
                "DeleteTransitGatewayRoute",
                seen.group.name,
                table,
                {"TransitGatewayRouteTableId": table, "DestinationCidrBlock": ABSENT},
            )


def _vpc_table(reader: Reader, seen: Inventory, learn: Learn, table: str) -> Iterator[Finding]:
    shown, name = seen.tables.get(table), seen.group.name
    if shown is None:
        yield bad(table, "EC2 shows no such route table", "correct `into` of `learn` in the file")
        return
    vpcs = {machine.vpc_id for machine in seen.machines.values()}
    if vpcs and shown.vpc_id not in vpcs:
        text = f"is in {shown.vpc_id}, and no node is: its routes cannot point at one"
        yield bad(table, text, "correct `into` of `learn` in the file")
        return
    own = _own_ranges(shown)
    for block in learn.allowed:
        inside = [one for one in own if is_within(one, block) or is_within(block, one)]
        if inside:
            text = f"`allow` has {block}, which overlaps the VPC's own range {inside[0]}"
            yield warning(table, text, "EC2 refuses most routes within it; narrow `allow`")
    client = reader.client
    request = {"RouteTableId": table, "DestinationCidrBlock": ABSENT}
    yield _may(client.delete_route, "DeleteRoute", name, table, request)
    if own and (instance := next(iter(seen.machines), "")):
        # The VPC's own range has a route already, so none is created in any case.
        request |= {
            "DestinationCidrBlock": str(own[0]),
            "NetworkInterfaceId": seen.instance(instance).eni,
        }
        yield _may(client.create_route, "CreateRoute", name, table, request)


def _own_ranges(table: Table) -> list[IPv4Network | IPv6Network]:
    return [
        ip_network(one.destination_cidr_block)
        for one in table.routes
        if one.gateway_id == LOCAL and one.destination_cidr_block
    ]


def _gateway(reader: Reader, seen: Inventory, learn: Learn) -> Iterator[Finding]:
    client = reader.client
    links = [
        one
        for page in reader.read(
            client.describe_transit_gateway_attachments,
            DescribeTransitGatewayAttachments,
            learn.attachment,
            {"TransitGatewayAttachmentIds": [learn.attachment]},
        )
        for one in page.transit_gateway_attachments
    ]
    if not links:
        fix = "correct `attachment` of `learn` in the file"
        yield bad(learn.attachment, "EC2 shows no such attachment", fix)
        return
    (link, *_) = links
    vpcs = {machine.vpc_id for machine in seen.machines.values()}
    if link.state != "available":
        yield bad(learn.attachment, f"is {link.state}, not available", "see who must accept it")
    elif vpcs and link.resource_id not in vpcs:
        text = f"attaches {link.resource_id}, and no node is there"
        yield warning(learn.attachment, text, "name the attachment of the nodes' VPC")
    else:
        yield good(learn.attachment, f"attaches {link.resource_id} to {link.transit_gateway_id}")
    tables = [
        one
        for page in reader.read(
            client.describe_transit_gateway_route_tables,
            DescribeTransitGatewayRouteTables,
            " ".join(learn.gateway_tables),
            {"TransitGatewayRouteTableIds": list(learn.gateway_tables)},
        )
        for one in page.transit_gateway_route_tables
    ]
    owners = {one.transit_gateway_route_table_id: one.transit_gateway_id for one in tables}
    for table in learn.gateway_tables:
        if table not in owners:
            fix = "correct `into` of `learn` in the file"
            yield bad(table, "EC2 shows no such route table of a transit gateway", fix)
        elif owners[table] != link.transit_gateway_id:
            text = f"is of {owners[table]}, and the attachment is of {link.transit_gateway_id}"
            yield bad(table, text, "name a table and an attachment of one transit gateway")
        else:
            yield good(table, f"is of {owners[table]}, as the attachment is")


def _may(
    call: Callable[..., Any], action: str, group: str, table: str, request: dict[str, Any]
) -> Finding:
    """Return whether this role may make a call, which is asked with DryRun."""
    try:
        call(DryRun=True, **request)
    except Exception as error:  # noqa: BLE001  botocore's parsers raise what they like
        refused = cloud_error(error, action, table, table)
        if refused.failure is Failure.DENIED:
            return bad(table, f"this role may not call {action}", f"nathb iam-policy {group}")
        if refused.failure in {Failure.UNAVAILABLE, Failure.NO_REPLY, Failure.CREDENTIALS}:
            return warning(
                table, f"whether this role may call {action} is not known: {refused}", ""
            )
    return good(table, f"this role may call {action}")
