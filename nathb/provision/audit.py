"""What EC2 shows of a group, held against what a takeover needs. Pure but for the permissions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nathb.aws.matched_tables import properties_of
from nathb.aws.responses import EC2Instance, Interface, Tag
from nathb.aws.routes import host_route, leads_to
from nathb.aws.tags import DRAIN_TAG, FILE_TAG, PAUSE_TAG, REVERT_TAG, read_intent
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import Finding, bad, good, warning
from nathb.core.model import ANY_DESTINATION, Node, Route
from nathb.core.text import visible
from nathb.provision.inventory import Inventory
from nathb.provision.steps import Action, Plan, choice, sharer

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
        yield bad(name, note.text, note.fix)
    if machine is None:
        return
    if others := seen.found[name].others:
        chosen = choice(name, machine, others)
        yield warning(name, chosen.text, chosen.fix)
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
        "has no public address, so an internet gateway passes none of its packets",
        "unless it leaves through a tunnel: aws ec2 associate-address --allocation-id "
        f"eipalloc-… --network-interface-id {interface.network_interface_id}",
    )


def _source(node: Node, interface: Interface) -> Iterator[Finding]:
    """Yield what becomes of a node's `source`: its own, and without a public address."""
    if not node.source:
        text = "names no `source`: its heartbeats prove forwarding of its peers, not masquerade"
        yield warning(node.name, text, "give it a second private address and name that as `source`")
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
        fix = "name a private address without a public one in the file"
        text = f"its `source` {node.source} has a public address, so it proves no masquerade"
        yield bad(node.name, text, fix)
    else:
        yield good(node.name, f"heartbeats leave from {node.source}, which proves masquerade")


def _way_out(seen: Inventory, name: str) -> Iterator[Finding]:
    """Yield how the node's own packets leave: not through a node, least of all itself."""
    table = seen.table_of(name)
    if table is None:
        fix = "associate its subnet with a route table that has a default route to a gateway"
        yield bad(name, "EC2 shows no route table that steers its subnet", fix)
        return
    default = next((entry for entry in table.routes if entry.destination in ANYWHERE), None)
    where = table.route_table_id
    if default is None:
        fix = (
            f"aws ec2 create-route --route-table-id {where} --destination-cidr-block 0.0.0.0/0 "
            "--gateway-id igw-…"
        )
        yield bad(name, f"its own table {where} has no default route: its uplink is dead", fix)
    elif holder := seen.holder_of(default):
        fix = "associate its subnet with a table whose default route is a gateway"
        yield bad(name, f"its own packets are sent to {holder} by its table {where}", fix)
    else:
        yield good(name, f"its own packets leave through {default.target} ({where})")


def _apart(seen: Inventory) -> Iterator[Finding]:
    """Yield whether the nodes are in one VPC, and in zones of their own."""
    vpcs = {machine.vpc_id for machine in seen.machines.values()}
    if len(vpcs) > 1:
        fix = "choose nodes of one VPC: a route can only point at an interface of its own"
        yield bad(seen.group.name, f"its nodes are in {len(vpcs)} VPCs", fix)
    zones = [_zone(machine) for machine in seen.machines.values()]
    if len(zones) > len(set(zones)):
        fix = "run each node in a zone of its own"
        yield warning(seen.group.name, f"several nodes are in the zone {zones[0]}", fix)


def _zone(machine: EC2Instance) -> str:
    return machine.placement.availability_zone or "a zone that EC2 does not show"


def _interface(machine: EC2Instance, instance: Instance) -> Interface | None:
    shown = machine.network_interfaces
    return next((one for one in shown if one.network_interface_id == instance.eni), None)


def inspect_routes(seen: Inventory, planned: Plan, utc: datetime) -> Iterator[Finding]:
    """Yield what is good, unwise or wrong: the pins, the guarded routes, all others, the tags.

    `utc` is the wall clock's idea of now, for tags that carry their end.
    """
    for node in seen.group.nodes:
        yield from _pins(seen, planned, node)
    for route in seen.group.routes():
        yield _route(seen, planned, route)
    yield from _matches(seen)
    yield from _unguarded(seen)
    yield from _tags(seen, utc)
    yield from _alike(seen, planned)


def _pins(seen: Inventory, planned: Plan, node: Node) -> Iterator[Finding]:
    """Yield how the heartbeats of all others are pinned in this node's own table."""
    table = seen.table_of(node.name)
    if table is None:
        return
    note = planned.note(node.name)
    if note is not None and sharer(seen, node):
        yield bad(node.name, note.text, note.fix)
        return
    where, apply = table.route_table_id, f"nathb apply {seen.group.name}"
    for peer in seen.group.nodes:
        for address in peer.heartbeat if peer is not node else ():
            destination = host_route(address)
            subject = f"{node.name}'s pin {destination}"
            entry = seen.entry(where, destination)
            step, refused = planned.step(where, destination), planned.note(subject)
            if refused is not None:
                yield bad(subject, refused.text, refused.fix)
            elif step is not None:
                yield bad(subject, step.fault, apply)
            elif entry is None or not leads_to(entry, seen.instance(peer.name)):
                yield bad(subject, f"leads nowhere, for {peer.name} is not there", "see above")
            elif entry.state == "blackhole":
                yield bad(subject, f"is a blackhole: {peer.name} does not run", "see above")
            else:
                yield good(subject, f"leads to {peer.name}")


# --- routes -------------------------------------------------------------------------------------


def _route(seen: Inventory, planned: Plan, route: Route) -> Finding:
    """Return where a guarded route points, and whether its table may be guarded at all."""
    subject, home = str(route), seen.group.home(route)
    tables = {node.name: seen.table_of(node.name) for node in seen.group.nodes}
    looped = [name for name, one in tables.items() if one and one.route_table_id == route.table]
    if looped and route.is_default:
        fix = "guard the private subnets' tables only, and give the public subnets their own"
        return bad(subject, f"steers {looped[0]} itself, whose packets would loop", fix)
    step, note = planned.step(route.table, route.destination), planned.note(subject)
    if step is not None:
        return bad(subject, step.fault, f"nathb apply {seen.group.name}")
    if note is not None:
        return (bad if note.bad else warning)(subject, note.text, note.fix)
    return good(subject, f"points at its home {home}")


def _matches(seen: Inventory) -> Iterator[Finding]:
    """Yield nodes whose matches find nothing, and routes that two nodes' matches find."""
    for node in seen.file.nodes if seen.file is not None else ():
        if node.found and not any(node.name in names for names in seen.claims.values()):
            text = "its matches find no route that points at a node"
            yield warning(node.name, text, "correct them, or point a route at a node and try again")
        yield from _unfound(seen, node)
    for route, (home, *others) in seen.claims.items():
        if others:
            text = f"is found by the matches of {home}, its home, and of {', '.join(others)}"
            yield warning(str(route), text, "narrow one of them, or list the route under its home")


def _unfound(seen: Inventory, node: Node) -> Iterator[Finding]:
    """Yield the tables with the tag of a match in which the route is not found.

    Of a whole VPC that is most tables, and of `any` it is no question.
    """
    guarded = set(seen.group.routes())
    tags = [one for one in node.found if any(name != "vpc-id" for name, _ in one.filters)]
    for match in (one for one in tags if one.destination != ANY_DESTINATION):
        for table in seen.tables.values():
            route = Route(table.route_table_id, match.destination)
            is_left_out = {*match.excluded} & {route.table, route.destination}
            if (
                is_left_out
                or route in guarded
                or not properties_of(table).issuperset(match.filters)
            ):
                continue
            entry = seen.entry(route.table, route.destination)
            where = "is missing" if entry is None else f"points at {entry.target or 'nowhere'}"
            text = f"{where}, so the match of {node.name} does not find it: it is not guarded"
            yield warning(str(route), text, f"point it at {node.name}, or leave the table out")


def _unguarded(seen: Inventory) -> Iterator[Finding]:
    """Yield routes that lead to a node and would stay there when it dies."""
    guarded = {(route.table, route.destination) for route in seen.group.routes()}
    pins = {host_route(address) for node in seen.group.nodes for address in node.heartbeat}
    for table in seen.tables.values():
        for entry in table.routes:
            key = (table.route_table_id, entry.destination)
            if entry.destination in pins or key in guarded or not (node := seen.holder_of(entry)):
                continue
            yield warning(
                " ".join(key),
                f"leads to {node}, but is not in the file: no node moves it when {node} dies",
                f"add it to the routes of {node} in the file",
            )


# --- tags ---------------------------------------------------------------------------------------


def _tags(seen: Inventory, utc: datetime) -> Iterator[Finding]:
    """Yield what operators have asked for and may have forgotten."""
    for table in sorted({route.table for route in seen.group.routes()} & seen.tables.keys()):
        for tag in seen.tables[table].tags:
            fix = _end_of(seen, tag, utc)
            if fix is not None:
                by_hand = f"aws ec2 delete-tags --resources {table} --tags Key={tag.key}"
                text = f"carries the tag {tag.key} = {visible(tag.value)}"
                yield warning(table, text, fix or by_hand)


def _end_of(seen: Inventory, tag: Tag, utc: datetime) -> str | None:
    """Return the verbs that end what a tag asks for; None when it asks for nothing now.

    Empty when no verb does: a drain of none of these nodes, or a revert that somebody tagged.
    """
    group = seen.group.name
    intent = read_intent([tag], (node.name for node in seen.group.nodes), utc)
    if tag.key == PAUSE_TAG and intent.paused:
        return f"nathb resume {group}"
    if tag.key == DRAIN_TAG and tag.value.strip():
        return " && ".join(f"nathb undrain {group} {name}" for name in sorted(intent.drained))
    return "" if tag.key == REVERT_TAG and intent.revert else None


def _alike(seen: Inventory, planned: Plan) -> Iterator[Finding]:
    """Yield whether this file is the one that was applied last."""
    tagging = [step for step in planned.steps if step.action is Action.TAG]
    if tagging:
        yield warning(seen.group.name, tagging[0].fault, f"nathb apply {seen.group.name}")
    elif any(tag.key == FILE_TAG for table in seen.tables.values() for tag in table.tags):
        yield good(seen.group.name, "this file is the one that was applied last")
