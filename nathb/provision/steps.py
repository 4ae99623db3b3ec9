"""What would make EC2 match the file, and what only a person can fix. Pure.

A plan is made of steps, each of which is one call that may be repeated without harm. It touches
what the file names and nothing else: the guarded routes, the heartbeats' pins in the tables that
steer the nodes, and the nodes' own interfaces. Routes that another node of the group holds are
left to the daemons, for only they know whether the home is alive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from ipaddress import ip_network
from typing import Any

from msgspec import Struct

from nathb.aws.api_errors import cloud_error
from nathb.aws.instances import Found, describe_launch
from nathb.aws.responses import EC2Instance, RouteEntry, Table
from nathb.aws.routes import family, host_route, leads_to
from nathb.aws.tags import FILE_TAG
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.model import Node, Route
from nathb.core.text import visible
from nathb.provision.inventory import Inventory

FORWARDING = {InstanceState.PENDING, InstanceState.RUNNING}
IN_USE = {state.value for state in FORWARDING}


class Action(Enum):
    """The calls that steps are made of, by EC2's names."""

    CHECK_OFF = "ModifyNetworkInterfaceAttribute"
    CREATE = "CreateRoute"
    REPLACE = "ReplaceRoute"
    TAG = "CreateTags"


class Step(Struct, frozen=True, kw_only=True):
    """One call. `resource` is the id it changes; `fault` says what is wrong, `sentence` what the
    call does about it."""

    action: Action
    resource: str
    fault: str
    sentence: str
    node: str = ""
    destination: str = ""
    eni: str = ""
    value: str = ""


class Note(Struct, frozen=True):
    """What the file names, and no step can or should fix: why, and who has to do what."""

    subject: str
    text: str
    fix: str
    bad: bool = True
    """False where nobody has to do anything about it."""


class Plan(Struct, frozen=True):
    """The steps in the order in which they are to be carried out, and what is left alone."""

    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()

    def step(self, resource: str, destination: str = "") -> Step | None:
        """Return the step that changes this route or resource; None when there is none."""
        wanted = (resource, destination)
        return next((one for one in self.steps if (one.resource, one.destination) == wanted), None)

    def note(self, subject: str) -> Note | None:
        """Return the first note about a subject; None when there is none."""
        return next((one for one in self.notes if one.subject == subject), None)


def plan(seen: Inventory, digest: str, adopted: frozenset[Route] = frozenset()) -> Plan:
    """Compare EC2 with the file.

    `digest` is that of the file; `adopted` routes are moved home even from a target outside of
    the group. The checks go off before anything is pointed at a node.
    """
    found = [*_nodes(seen), *_pins(seen), *_routes(seen, adopted), *_digest(seen, digest)]
    found += _chosen(seen, {one.node for one in found if isinstance(one, Step)})
    return Plan(
        steps=tuple(one for one in found if isinstance(one, Step)),
        notes=tuple(one for one in found if isinstance(one, Note)),
    )


# --- nodes --------------------------------------------------------------------------------------


def _nodes(seen: Inventory) -> Iterator[Step | Note]:
    """Yield what keeps a node from forwarding at all."""
    for node in seen.group.nodes:
        instance = seen.instance(node.name)
        if instance.state not in FORWARDING:
            yield _gone(seen, node, instance)
        elif not instance.eni:
            fix = "attach one, or name its `eni:` in the file"
            yield Note(node.name, "EC2 shows no interface of it", fix)
        elif _is_checked(seen, node.name, instance.eni):
            yield Step(
                action=Action.CHECK_OFF,
                resource=instance.eni,
                node=node.name,
                fault=f"the source/dest check is on at {instance.eni}: EC2 drops what it forwards",
                sentence=f"switch the source/dest check of {node.name} off ({instance.eni})",
            )


def _gone(seen: Inventory, node: Node, instance: Instance) -> Note:
    """Say that nothing forwards for a node, and how something will again."""
    group = seen.group.name
    replacing = f"nathb replace {group} {node.name} i-NEW"
    if node.match:
        replacing = f"start one with the tags of its `match`, then: nathb apply {group}"
    if instance.unread:
        text = f"EC2 does not say what stands for it, so it is left alone: {instance.unread}"
        return Note(node.name, text, f"repeat it once that is over: nathb apply {group}")
    if instance.state is InstanceState.UNSEEN:
        how = f"instance {node.instance}" if node.instance else "instance with its tags"
        if not seen.machines:
            replacing = f"correct the region; if it is right: {replacing}"
        return Note(node.name, f"EC2 shows no {how} in {seen.region}", replacing)
    if instance.state in {InstanceState.STOPPED, InstanceState.STOPPING}:
        replacing = f"aws ec2 start-instances --instance-ids {instance.instance}"
    return Note(node.name, f"{instance.instance} is {instance.state.value}", replacing)


def _chosen(seen: Inventory, changed: set[str]) -> Iterator[Note]:
    """Yield which instance a `match` found, where steps change what is pointed at it.

    Tags are data: whoever may tag instances may name one as a node. What else bears them is said
    always.
    """
    for node in seen.group.nodes:
        found = seen.found.get(node.name, Found())
        if node.match and found.machine is not None and (found.others or node.name in changed):
            yield choice(node.name, found.machine, found.others)


def choice(name: str, machine: EC2Instance, others: Sequence[EC2Instance]) -> Note:
    """Say which instance a node's `match` found, and to which others it was preferred."""
    text = f"its `match` finds {describe_launch(machine)}"
    if not others:
        return Note(name, text, "check that it is the router that you mean", bad=False)
    text += f"; it is preferred to {'; '.join(describe_launch(one) for one in others)}"
    fix = "terminate what is left over, or correct its tags"
    return Note(name, text, fix, bad=any(one.state.name in IN_USE for one in others))


def _is_checked(seen: Inventory, node: str, eni: str) -> bool:
    interfaces = seen.machines[node].network_interfaces
    return any(one.network_interface_id == eni and one.source_dest_check for one in interfaces)


# --- pins ---------------------------------------------------------------------------------------


def _pins(seen: Inventory) -> Iterator[Step | Note]:
    """Yield, for every node, what its own table lacks of the pins to the others."""
    for node in seen.group.nodes:
        table = seen.table_of(node.name)
        if table is None:
            if node.name in seen.machines:
                fix = "associate its subnet with a table whose default route is a gateway"
                yield Note(node.name, "EC2 shows no route table that steers its subnet", fix)
            continue
        if other := sharer(seen, node):
            yield Note(
                node.name,
                f"is steered by the same table as {other}, {table.route_table_id}: a heartbeat "
                f"through {other} would be sent back to {other}",
                "give each public subnet a table of its own, then: nathb apply " + seen.group.name,
            )
            continue
        for peer in seen.group.nodes:
            if peer is not node:
                yield from _pins_to(seen, node, table, peer)


def sharer(seen: Inventory, node: Node) -> str:
    """Name the first other node that the same table steers; empty when there is none."""
    own = seen.table_of(node.name)
    others = (one.name for one in seen.group.nodes if one is not node)
    return next((name for name in others if own and seen.table_of(name) == own), "")


def _pins_to(seen: Inventory, node: Node, table: Table, peer: Node) -> Iterator[Step | Note]:
    instance = seen.instance(peer.name)
    if instance.state not in FORWARDING or not instance.eni:
        return  # noted already; a pin to what is not there is no evidence
    for address in peer.heartbeat:
        destination = host_route(address)
        entry = seen.entry(table.route_table_id, destination)
        if entry is not None and leads_to(entry, instance):
            continue
        if block := _local_block(table, destination):
            yield Note(
                f"{node.name}'s pin {destination}",
                f"lies in the VPC's own range {block}, of which EC2 pins no single address",
                "choose an address of the internet, or one beyond a tunnel",
            )
            continue
        was = "is missing" if entry is None else f"leads to {entry.target or 'nowhere'}"
        yield Step(
            action=Action.CREATE if entry is None else Action.REPLACE,
            resource=table.route_table_id,
            destination=destination,
            eni=instance.eni,
            node=peer.name,
            fault=f"the pin {was}, so the heartbeat does not cross {peer.name}",
            sentence=f"pin {destination} in {table.route_table_id} to {peer.name}",
        )


def _local_block(table: Table, destination: str) -> str:
    """Return the range of the VPC that a destination lies in; empty when it lies in none."""
    pin = ip_network(destination)
    for entry in table.routes:
        if entry.gateway_id == "local" and not entry.destination.startswith("pl-"):
            block = ip_network(entry.destination)
            if block.version == pin.version and pin.subnet_of(block):  # type: ignore[arg-type]
                return entry.destination
    return ""


# --- routes -------------------------------------------------------------------------------------


def _routes(seen: Inventory, adopted: frozenset[Route]) -> Iterator[Step | Note]:
    """Yield what is to be done about each guarded route."""
    for route in seen.group.routes():
        home = seen.group.home(route)
        instance = seen.instance(home)
        entry = seen.entry(route.table, route.destination)
        holder = "" if entry is None else seen.holder_of(entry)
        note = _left_alone(seen, route, entry, holder, is_adopted=route in adopted)
        if note is not None:
            yield note
            continue
        if entry is not None and leads_to(entry, instance):
            continue
        yield Step(
            action=Action.CREATE if entry is None else Action.REPLACE,
            resource=route.table,
            destination=route.destination,
            eni=instance.eni,
            node=home,
            fault=_fault(entry, holder, instance),
            sentence=f"point {route} at its home {home}",
        )


def _left_alone(
    seen: Inventory, route: Route, entry: RouteEntry | None, holder: str, *, is_adopted: bool
) -> Note | None:
    """Say why a route is not pointed at its home; None when it should be, or is already."""
    subject, home = str(route), seen.group.home(route)
    instance = seen.instance(home)
    if route.table not in seen.tables:
        text = f"EC2 shows no such table in {seen.region}"
        return Note(subject, text, "correct it, or the region, in the file")
    if entry is not None and entry.is_propagated:
        fix = "create a static route beside it"
        return Note(subject, "is propagated, which no call can replace", fix)
    if entry is not None and holder not in {"", home}:
        other = seen.instance(holder)
        if other.state in FORWARDING and other.eni and not leads_to(entry, other):
            wrong = f"{entry.target}, the wrong interface; it should be {other.eni}"
            return Note(subject, f"{holder} holds it on {wrong}", _replace(route, other.eni))
        fix = f"nothing: the daemons return it once {home} is alive"
        return Note(subject, f"{holder} holds it", fix, bad=False)
    if entry is not None and leads_to(entry, instance):
        return None
    if instance.state not in FORWARDING or not instance.eni:
        return Note(subject, f"its home {home} is not there: left as it is", "see there", bad=False)
    if entry is None or holder == home or entry.state == "blackhole":
        return None
    return _outside(seen, subject, entry.target, is_adopted=is_adopted)


def _outside(seen: Inventory, subject: str, target: str, *, is_adopted: bool) -> Note | None:
    """Say what is to be done about a route whose target is no node's; None when it is adopted."""
    unread = [name for name, one in seen.found.items() if one.unread]
    if not is_adopted:
        adopting = f"if it is to be guarded: nathb apply {seen.group.name} --adopt"
        return Note(subject, f"points at {target}, outside the group", adopting)
    if unread:
        text = f"points at {target}, and EC2 does not say now whether that is {unread[0]}"
        return Note(subject, text, "adopt it once EC2 does")
    return None


def _replace(route: Route, eni: str) -> str:
    """Return the command that points a route at an interface."""
    block = re.sub("(?=[A-Z])", "-", family(route.destination)).lower()
    return (
        f"aws ec2 replace-route --route-table-id {route.table} -{block} {route.destination} "
        f"--network-interface-id {eni}"
    )


def _fault(entry: RouteEntry | None, holder: str, home: Instance) -> str:
    """Say what is wrong with a route that is to be pointed at its home."""
    if entry is None:
        return "the route is missing"
    if holder:
        return (
            f"the route points at {entry.target}, the wrong interface of {holder}; it should be "
            f"{home.eni}, unless the file is to name {entry.target} as `eni:`"
        )
    how = "a blackhole" if entry.state == "blackhole" else "outside the group"
    return f"the route points at {entry.target or 'nowhere'}, {how}"


def _digest(seen: Inventory, digest: str) -> Iterator[Step]:
    """Yield steps that leave the file's digest where every node can compare it with its own.

    A table that is found and has none, while another one has it, was added since: the file is the
    one that was applied all the same.
    """
    noted = any(
        (tag.key, tag.value) == (FILE_TAG, digest)
        for table in {route.table for route in seen.group.routes()} & seen.tables.keys()
        for tag in seen.tables[table].tags
    )
    added = {route.table for route in seen.claims} if noted else set()
    for table in dict.fromkeys(route.table for route in seen.group.routes()):
        shown = seen.tables.get(table)
        tags = {tag.key: tag.value for tag in shown.tags} if shown is not None else {}
        if FILE_TAG not in tags and table in added:
            continue
        if shown is not None and tags.get(FILE_TAG) != digest:
            yield Step(
                action=Action.TAG,
                resource=table,
                value=digest,
                fault=_other_file(tags.get(FILE_TAG, "")),
                sentence=f"note the file's digest {digest} on {table}",
            )


def _other_file(noted: str) -> str:
    if not noted:
        return "no file was applied yet, so the nodes cannot compare their files with it"
    return f"another file was applied last (digest {visible(noted)}); see which of the two is right"


def carry_out(client: Any, step: Step) -> None:
    """Make the call that the step stands for; CloudError when EC2 refuses or does not answer.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html
    """
    try:
        CALLS[step.action](client, step)
    except Exception as error:
        thing = " ".join(word for word in (step.resource, step.destination) if word)
        raise cloud_error(error, step.action.value, thing, step.resource) from error


def _switch_check_off(client: Any, step: Step) -> None:
    client.modify_network_interface_attribute(
        NetworkInterfaceId=step.resource, SourceDestCheck={"Value": False}
    )


def _create_route(client: Any, step: Step) -> None:
    client.create_route(**_route(step))


def _replace_route(client: Any, step: Step) -> None:
    client.replace_route(**_route(step))


def _tag(client: Any, step: Step) -> None:
    client.create_tags(Resources=[step.resource], Tags=[{"Key": FILE_TAG, "Value": step.value}])


def _route(step: Step) -> dict[str, str]:
    return {
        "RouteTableId": step.resource,
        "NetworkInterfaceId": step.eni,
        family(step.destination): step.destination,
    }


CALLS: dict[Action, Callable[[Any, Step], None]] = {
    Action.CHECK_OFF: _switch_check_off,
    Action.CREATE: _create_route,
    Action.REPLACE: _replace_route,
    Action.TAG: _tag,
}
