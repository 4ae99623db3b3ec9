"""What EC2 shows of the nodes, held against what a takeover needs. Pure.

Every thing that is looked at makes one finding, good ones included, so that a reader sees what
was looked at. What `nathb apply` would mend is taken from the plan, so that the two never differ.
"""

from __future__ import annotations

from collections.abc import Iterator

from nathb.aws.responses import EC2Instance, Interface
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.findings import Finding, bad, good, warning
from nathb.core.model import Node
from nathb.provision.inventory import Inventory
from nathb.provision.steps import Plan

ANYWHERE = {"0.0.0.0/0", "::/0"}


def inspect_nodes(seen: Inventory, planned: Plan) -> Iterator[Finding]:
    """Yield what is good, unwise or wrong about each node, and about all of them together."""
    for node in seen.group.nodes:
        yield from _node(seen, planned, node)
    yield from _apart(seen)


def _node(seen: Inventory, planned: Plan, node: Node) -> Iterator[Finding]:
    instance, name = seen.instance(node.name), node.name
    machine, note = seen.machines.get(name), planned.note(name)
    if instance.state is InstanceState.RUNNING and machine is not None:
        yield good(name, f"is {instance.instance}, running in {_zone(machine)}")
    elif note is not None:
        yield bad(name, note.text, note.mend)
    if machine is None:
        return
    interface = _interface(machine, instance)
    if interface is None:
        named = f"its `eni` {node.eni} is not one of its own" if node.eni else "it has no interface"
        yield bad(name, named, "correct `eni:` in the file, or attach the interface")
        return
    yield _checked(planned, seen.group.name, name, instance.eni)
    yield _public(name, interface)
    yield from _source(node, interface)
    yield from _way_out(seen, name)


def _checked(planned: Plan, group: str, name: str, eni: str) -> Finding:
    step = planned.step(eni)
    if step is not None:
        return bad(name, step.fault, f"nathb apply {group}")
    return good(name, f"source/dest check is off ({eni})")


def _public(name: str, interface: Interface) -> Finding:
    if interface.association.public_ip:
        return good(name, f"has the public address {interface.association.public_ip}")
    return warning(
        name,
        "has no public address, so an internet gateway passes nothing of it",
        "unless it leaves through a tunnel: aws ec2 associate-address --allocation-id "
        f"eipalloc-… --network-interface-id {interface.network_interface_id}",
    )


def _source(node: Node, interface: Interface) -> Iterator[Finding]:
    """Yield what becomes of a node's `source`: its own, and without a public address."""
    if not node.source:
        return
    listed = interface.private_ip_addresses
    own = {one.private_ip_address: one.association.public_ip for one in listed}
    if node.source not in own:
        assign = (
            "aws ec2 assign-private-ip-addresses --network-interface-id "
            f"{interface.network_interface_id} --private-ip-addresses {node.source}"
        )
        yield bad(node.name, f"its `source` {node.source} is no address of its interface", assign)
    elif own[node.source]:
        mend = "name a private address without a public one in the file"
        text = f"its `source` {node.source} has a public address, so it proves no masquerade"
        yield bad(node.name, text, mend)
    else:
        yield good(node.name, f"heartbeats leave from {node.source}, which proves masquerade")


def _way_out(seen: Inventory, name: str) -> Iterator[Finding]:
    """Yield how the node's own packets leave: not through a node, least of all itself."""
    table = seen.steering(name)
    if table is None:
        mend = "associate its subnet with a route table that has a default route to a gateway"
        yield bad(name, "EC2 shows no route table that steers its subnet", mend)
        return
    default = next((entry for entry in table.routes if entry.destination in ANYWHERE), None)
    where = table.route_table_id
    if default is None:
        mend = (
            f"aws ec2 create-route --route-table-id {where} --destination-cidr-block 0.0.0.0/0 "
            "--gateway-id igw-…"
        )
        yield bad(name, f"its own table {where} has no default route: its uplink is dead", mend)
    elif holder := seen.holder_of(default):
        mend = "associate its subnet with a table whose default route is a gateway"
        yield bad(name, f"its own packets are sent to {holder} by its table {where}", mend)
    else:
        yield good(name, f"its own packets leave through {default.target} ({where})")


def _apart(seen: Inventory) -> Iterator[Finding]:
    """Yield whether the nodes are in one VPC, and in zones of their own."""
    vpcs = {machine.vpc_id for machine in seen.machines.values()}
    if len(vpcs) > 1:
        mend = "choose nodes of one VPC, for a route can only point at an interface of its own"
        yield bad(seen.group.name, f"its nodes are in {len(vpcs)} VPCs", mend)
    zones = [_zone(machine) for machine in seen.machines.values()]
    if len(zones) > len(set(zones)):
        mend = "run each node in a zone of its own"
        yield warning(seen.group.name, f"several nodes are in the zone {zones[0]}", mend)


def _zone(machine: EC2Instance) -> str:
    return machine.placement.availability_zone or "a zone that EC2 does not show"


def _interface(machine: EC2Instance, instance: Instance) -> Interface | None:
    shown = machine.network_interfaces
    return next((one for one in shown if one.network_interface_id == instance.eni), None)
