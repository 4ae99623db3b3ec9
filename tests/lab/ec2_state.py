"""EC2's state as moto keeps it, in terms of the plan, and corrected where moto forgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from tests.gateway_routes import list_attachments
from tests.lab.plan import Plan
from tests.lab.router import Wanted
from tests.lab.vpc_rules import GATEWAY

RUNNING = "running"
TERMINATED = "terminated"


class Ec2State:
    """The VPC inside one moto backend. Every call wants moto's lock held."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._backend = ec2_backends[DEFAULT_ACCOUNT_ID][plan.region]
        self._owners: dict[str, str] = {}  # ENI to instance id; moto forgets it on terminate

    @property
    def region(self) -> str:
        return self._plan.region

    def vpc_of(self, an_id: str) -> str:
        """The VPC of a route table or an interface; empty for what is not there."""
        if an_id in self._backend.route_tables:
            return str(self._backend.route_tables[an_id].vpc_id)
        if an_id in self._backend.enis:
            return str(self._backend.enis[an_id].subnet.vpc_id)
        return ""

    def tags_of(self, an_id: str) -> dict[str, str]:
        """The tags of a resource."""
        listed = self._backend.describe_tags(filters={"resource-id": [an_id]})
        return {one["key"]: one["value"] for one in listed}

    def instance_id_at(self, address: str) -> str | None:
        """The id of the instance that has this private address now."""
        return next(
            (
                one.id
                for one in self._instances()
                if _address(one) == address and one.state != TERMINATED
            ),
            None,
        )

    def network_of(self, instance_id: str) -> dict[str, str]:
        """The ids of an instance's primary interface, subnet and VPC, by IMDS's words for them."""
        instance = self._backend.get_instance(instance_id)
        nic = instance.nics[0]
        ids = {"interface-id": nic.id, "subnet-id": nic.subnet.id, "vpc-id": nic.subnet.vpc_id}
        return {what: str(an_id) for what, an_id in ids.items()}

    def zones_of(self, parameters: dict[str, str]) -> frozenset[str]:
        """The zones (a, c) of the instances that a call names by `InstanceId.N`."""
        ids = {value for key, value in parameters.items() if key.startswith("InstanceId.")}
        return frozenset(
            one.placement.zone.removeprefix(self._plan.region)
            for one in self._instances()
            if one.id in ids
        )

    def eni_of(self, instance_id: str) -> str | None:
        """The instance's primary interface, also when the instance is no more."""
        return next((eni for eni, owner in self._owners.items() if owner == instance_id), None)

    def owner_of(self, eni: str) -> str | None:
        """The instance that this interface is, or was, attached to."""
        return self._owners.get(eni)

    def leads_somewhere(self, instance_id: str | None) -> bool:
        """False when a route to this instance is a blackhole."""
        return any(one.id == instance_id and one.state == RUNNING for one in self._instances())

    def learn(self) -> None:
        """Remember which interface belongs to which instance, and correct routes of gateways."""
        list_attachments(self._backend)
        for instance in self._instances():
            for nic in instance.nics.values():
                self._owners[nic.id] = instance.id

    def copy_check(self, action: str, parameters: dict[str, str]) -> None:
        """Show one source/dest check on the instance and on its interface, as EC2 does.

        moto keeps two, and writes to one.
        """
        if action == "ModifyInstanceAttribute":
            instance = self._backend.get_instance(parameters["InstanceId"])
            for nic in instance.nics.values():
                nic.source_dest_check = instance.source_dest_check
        elif action == "ModifyNetworkInterfaceAttribute":
            nic = self._backend.get_network_interface(parameters["NetworkInterfaceId"])
            if owner := self.owner_of(nic.id):
                self._backend.get_instance(owner).source_dest_check = nic.source_dest_check

    def keep_prefix_list(self, action: str, parameters: dict[str, str]) -> None:
        """Keep the prefix list of a route to an interface, which moto loses: it is then not found.

        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html
        """
        an_id = parameters.get("DestinationPrefixListId")
        if action != "CreateRoute" or an_id is None or "NetworkInterfaceId" not in parameters:
            return
        table = self._backend.route_tables[parameters["RouteTableId"]]
        route = table._routes.pop(f"{table.id}~None")  # where moto has put it
        route.destination_prefix_list = self._backend.managed_prefix_lists[an_id]
        route.id = f"{table.id}~{an_id}"
        table._routes[route.id] = route

    def wanted(self) -> Wanted:
        """The data plane that this state asks for."""
        present = {
            name: one
            for one in self._instances()
            if one.state != TERMINATED and (name := self._name(one))
        }
        running = {name for name, one in present.items() if one.state == RUNNING}
        everyone = {one.name for one in self._plan.instances}
        return Wanted(
            routes=dict(self._routes()),
            stopped=frozenset(everyone - running) if present else frozenset(),
            checked=frozenset(
                name
                for name in everyone
                if name not in present or _true(present[name].source_dest_check)
            ),
        )

    def _routes(self) -> Iterator[tuple[tuple[str, str], str | None]]:
        for table in self._backend.route_tables.values():
            for steered in self._steered_by(table):
                for route in table.routes:
                    for destination in () if route.local else _destinations(route):
                        yield (steered, destination), self._target(route)

    def _steered_by(self, table: Any) -> Iterator[str]:
        """The subnets that go by a table, and `igw` where it is the gateway's.

        The main table is for those that have none of their own:
        https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
        """
        known = {str(one.subnet.cidr): one.subnet.name for one in self._plan.instances}
        subnets = {
            one.id: known[one.cidr_block]
            for one in self._backend.describe_subnets()
            if one.cidr_block in known and one.vpc_id == table.vpc_id
        }
        explicit = {
            association.get("SubnetId")
            for one in self._backend.route_tables.values()
            for association in one.associations
        }
        for association in table.associations:
            if association["Main"]:
                yield from (name for an_id, name in subnets.items() if an_id not in explicit)
            elif "GatewayId" in association:
                yield GATEWAY
            elif association["SubnetId"] in subnets:
                yield subnets[association["SubnetId"]]

    def _target(self, route: Any) -> str | None:
        if route.gateway:
            return GATEWAY
        instance_id = route.instance_id or self.owner_of(route.network_interface_id or "")
        if instance_id is None or not self.leads_somewhere(instance_id):
            return None
        return self._name(self._backend.get_instance(instance_id))

    def _name(self, instance: Any) -> str | None:
        known = self._plan.at(_address(instance))
        return known.name if known else None

    def _instances(self) -> Iterator[Any]:
        return iter(self._backend.all_instances())


def _destinations(route: Any) -> Iterable[str]:
    """The blocks that a route carries: one, or the entries of its prefix list."""
    if prefix_list := route.destination_prefix_list:
        return [entry["Cidr"] for entry in prefix_list.entries[prefix_list.version]]
    return [route.destination_cidr_block or route.destination_ipv6_cidr_block]


def _address(instance: Any) -> str:
    """The instance's private address, or nothing once moto has taken its interface away."""
    return instance.private_ip if instance.nics else ""


def _true(value: object) -> bool:
    """moto keeps the flag as a bool, or as the word that came in."""
    return str(value).lower() == "true"
