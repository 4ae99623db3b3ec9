"""What we read of EC2's answers, as types: hostile until parsed, and then no more questions.

Only ids are required, for without them an entry means nothing. All else may be missing, and
whatever EC2 adds tomorrow is passed over. Each answer is named for the action that it answers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from nathb.aws.api_errors import request_id_of
from nathb.core.errors import CloudError
from nathb.core.model import Failure


class Response(Struct, frozen=True, rename="pascal"):
    """Anything EC2 sends. Fields are spelled EC2's way in the answer and Python's way here."""


TARGETS = (
    "network_interface_id",
    "instance_id",
    "nat_gateway_id",
    "gateway_id",
    "transit_gateway_id",
    "vpc_peering_connection_id",
    "egress_only_internet_gateway_id",
    "local_gateway_id",
    "carrier_gateway_id",
    "core_network_arn",
)
"""The fields of a route that may name its target. One is set; of an instance's two, the ENI."""


class Tag(Response, frozen=True):
    """A tag of a resource."""

    key: str = ""
    value: str = ""


class RouteEntry(Response, frozen=True):
    """One route of a route table; EC2 gives one destination and one target.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html
    """

    destination_cidr_block: str = ""
    destination_ipv6_cidr_block: str = ""
    destination_prefix_list_id: str = ""
    network_interface_id: str = ""
    instance_id: str = ""
    nat_gateway_id: str = ""
    gateway_id: str = ""
    transit_gateway_id: str = ""
    vpc_peering_connection_id: str = ""
    egress_only_internet_gateway_id: str = ""
    local_gateway_id: str = ""
    carrier_gateway_id: str = ""
    core_network_arn: str = ""
    origin: str = ""
    state: str = ""

    @property
    def destination(self) -> str:
        """The destination as EC2 spells it: a CIDR block, or the id of a prefix list (pl-…)."""
        return (
            self.destination_cidr_block
            or self.destination_ipv6_cidr_block
            or self.destination_prefix_list_id
        )

    @property
    def target(self) -> str:
        """The id that this route points at; empty for a kind that we do not know."""
        return next((an_id for field in TARGETS if (an_id := getattr(self, field))), "")

    @property
    def is_propagated(self) -> bool:
        """Whether a gateway put it there: it cannot be replaced, and yields to a static one."""
        return self.origin in {"EnableVgwRoutePropagation", "Advertisement"}


class Association(Response, frozen=True):
    """What a table steers: a subnet, or every subnet of the VPC that has no table of its own."""

    main: bool = False
    subnet_id: str = ""


class Table(Response, frozen=True):
    """A route table, with the tags that carry operators' intent.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RouteTable.html
    """

    route_table_id: str
    routes: tuple[RouteEntry, ...] = ()
    tags: tuple[Tag, ...] = ()
    vpc_id: str = ""
    associations: tuple[Association, ...] = ()


class Attachment(Response, frozen=True):
    """Where an interface is plugged in; the primary one has index 0 on card 0."""

    device_index: int = -1
    network_card_index: int = 0


class Elastic(Response, frozen=True):
    """The public address that an interface's private one is translated to."""

    public_ip: str = ""


class Address(Response, frozen=True):
    """One private address of an interface, and the public one that it may have."""

    private_ip_address: str = ""
    association: Elastic = Elastic()


class GroupIdentifier(Response, frozen=True):
    """A security group of an interface."""

    group_id: str


class Interface(Response, frozen=True):
    """An instance's network interface. While `source_dest_check` is on it forwards nothing."""

    network_interface_id: str
    private_ip_address: str = ""
    attachment: Attachment = Attachment()
    subnet_id: str = ""
    source_dest_check: bool = True
    association: Elastic = Elastic()
    private_ip_addresses: tuple[Address, ...] = ()
    groups: tuple[GroupIdentifier, ...] = ()

    @property
    def is_primary(self) -> bool:
        """Whether it came with the instance and stays as long as it does."""
        return (self.attachment.device_index, self.attachment.network_card_index) == (0, 0)


class State(Response, frozen=True):
    """What an instance is doing; `name` is EC2's word."""

    name: str


class Placement(Response, frozen=True):
    """Where an instance runs."""

    availability_zone: str = ""


class EC2Instance(Response, frozen=True):
    """An instance. `subnet_id` is that of its primary interface.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    """

    instance_id: str
    state: State
    subnet_id: str = ""
    vpc_id: str = ""
    network_interfaces: tuple[Interface, ...] = ()
    tags: tuple[Tag, ...] = ()
    placement: Placement = Placement()
    launch_time: datetime | None = None
    """When it was last launched or started."""
    owner_id: str = ""
    """The account that owns it; EC2 shows it at the reservation, whence `Reader` takes it."""


class Reservation(Response, frozen=True):
    """The instances that one RunInstances launched."""

    instances: tuple[EC2Instance, ...] = ()
    owner_id: str = ""


class Listing(Response, frozen=True, kw_only=True):
    """One page of what EC2 lists; the token of the next one, empty on the last."""

    next_token: str = ""


class DescribeRouteTables(Listing, frozen=True, kw_only=True):
    """One page of route tables.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html
    """

    route_tables: tuple[Table, ...]


class DescribeInstances(Listing, frozen=True, kw_only=True):
    """One page of instances.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """

    reservations: tuple[Reservation, ...]


Page = TypeVar("Page", bound=Listing)


def parse(answer: Any, shape: type[Page]) -> Page:
    """Read one answer of boto3's; CloudError(REFUSED) when it is not what EC2 answers."""
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        # A sign-in page of a proxy parses as XML too: that is the likeliest way to come here.
        raise CloudError(
            Failure.REFUSED,
            f"{shape.__name__}: EC2's answer cannot be understood: {error};"
            " see whether a proxy, or AWS_ENDPOINT_URL, puts something else in EC2's place",
            request_id_of(answer),
        ) from error
