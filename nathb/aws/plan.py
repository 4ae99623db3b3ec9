"""What would make EC2 match the file, and what only a person can mend. Pure.

A plan is made of steps, each of which is one call that may be repeated without harm. It touches
what the file names and nothing else: the guarded routes, the heartbeats' pins in the tables that
steer the nodes, and the nodes' own interfaces. Routes that another node of the group holds are
left to the daemons, for only they know whether the home is alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from nathb.aws.answers import Entry, Table
from nathb.aws.routes import host_route
from nathb.aws.survey import Survey
from nathb.core.model import Node, Route
from nathb.core.view import InstanceState

FILE_TAG = "nathb:file"
"""A tag on every guarded table: the digest of the file that was applied last."""

FORWARDING = {InstanceState.PENDING, InstanceState.RUNNING}


class Action(Enum):
    """The calls that steps are made of, by EC2's names."""

    CHECK_OFF = "ModifyNetworkInterfaceAttribute"
    CREATE = "CreateRoute"
    REPLACE = "ReplaceRoute"
    TAG = "CreateTags"


class Step(Struct, frozen=True, kw_only=True):
    """One call. `resource` is the id it changes; `sentence` says what it does, and why."""

    action: Action
    resource: str
    sentence: str
    node: str = ""
    destination: str = ""
    eni: str = ""
    value: str = ""


class Note(Struct, frozen=True):
    """What the file names, and no step can or should mend; `text` says why and what to do."""

    subject: str
    text: str
    bad: bool = True
    """False where the daemons, or nobody, need to do something about it."""


class Plan(Struct, frozen=True):
    """The steps in the order in which they are to be carried out, and what is left alone."""

    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()


def plan(seen: Survey, digest: str, adopted: frozenset[Route] = frozenset()) -> Plan:
    """Compare EC2 with the file.

    `digest` is that of the file; `adopted` routes are moved home even from a target outside of
    the group. The checks go off before anything is pointed at a node.
    """
    found = [*_nodes(seen), *_pins(seen), *_routes(seen, adopted), *_digest(seen, digest)]
    return Plan(
        steps=tuple(one for one in found if isinstance(one, Step)),
        notes=tuple(one for one in found if isinstance(one, Note)),
    )


# --- nodes --------------------------------------------------------------------------------------


def _nodes(seen: Survey) -> Iterator[Step | Note]:
    """Yield what keeps a node from forwarding at all."""
    for node in seen.group.nodes:
        instance = seen.instance(node.name)
        if instance.state not in FORWARDING:
            yield Note(node.name, _gone(node, instance.state))
        elif not instance.eni:
            yield Note(node.name, "EC2 shows no interface of it; attach one, or name its `eni:`")
        elif _is_checked(seen, node.name, instance.eni):
            yield Step(
                action=Action.CHECK_OFF,
                resource=instance.eni,
                node=node.name,
                sentence=f"switch the source/dest check of {node.name} off ({instance.eni}), "
                "for with it EC2 drops whatever the node forwards",
            )


def _gone(node: Node, state: InstanceState) -> str:
    how = f"instance {node.instance}" if node.instance else "what its `match` finds"
    if state is InstanceState.UNSEEN:
        return f"EC2 does not show {how}; start one and run: nathb apply (with `match:`), or: " + (
            f"nathb replace {node.name} i-NEW"
        )
    return f"{how} is {state.value}; start it, or replace it"


def _is_checked(seen: Survey, node: str, eni: str) -> bool:
    interfaces = seen.machines[node].network_interfaces
    return any(one.network_interface_id == eni and one.source_dest_check for one in interfaces)


# --- pins ---------------------------------------------------------------------------------------


def _pins(seen: Survey) -> Iterator[Step | Note]:
    """Yield, for every node, what its own table lacks of the pins to the others."""
    steered: dict[str, str] = {}
    for node in seen.group.nodes:
        table = seen.steering(node.name)
        if table is None:
            if node.name in seen.machines:
                yield Note(node.name, "EC2 shows no table that steers its subnet; give it one")
            continue
        other = steered.setdefault(table.route_table_id, node.name)
        if other != node.name:
            yield Note(
                node.name,
                f"is steered by the same table as {other}, {table.route_table_id}: a heartbeat "
                f"through {other} would be sent back to {other}; give each public subnet a table "
                "of its own",
            )
            continue
        for peer in seen.group.nodes:
            if peer is not node:
                yield from _pins_to(seen, table, peer)


def _pins_to(seen: Survey, table: Table, peer: Node) -> Iterator[Step]:
    instance = seen.instance(peer.name)
    if instance.state not in FORWARDING or not instance.eni:
        return  # noted already; a pin to what is not there is no evidence
    for address in peer.heartbeat:
        destination = host_route(address)
        entry = seen.entry(table.route_table_id, destination)
        if entry is not None and seen.node_of(entry) == peer.name:
            continue
        was = f" (now {entry.target or 'nowhere'})" if entry is not None else ""
        yield Step(
            action=Action.CREATE if entry is None else Action.REPLACE,
            resource=table.route_table_id,
            destination=destination,
            eni=instance.eni,
            node=peer.name,
            sentence=f"pin {destination} in {table.route_table_id} to {peer.name}{was}, "
            "so that its heartbeat crosses it",
        )


# --- routes -------------------------------------------------------------------------------------


def _routes(seen: Survey, adopted: frozenset[Route]) -> Iterator[Step | Note]:
    """Yield what is to be done about each guarded route."""
    for route in seen.group.routes():
        home = seen.group.order(route)[0]
        instance = seen.instance(home)
        if route.table not in seen.tables:
            yield Note(str(route), f"EC2 shows no table {route.table}; correct it in the file")
            continue
        entry = seen.entry(route.table, route.destination)
        holder = "" if entry is None else seen.node_of(entry)
        if holder == home:
            continue
        if instance.state not in FORWARDING or not instance.eni:
            yield Note(str(route), f"its home {home} is not there: left as it is", bad=False)
            continue
        reason = _left_alone(entry, holder, home, is_adopted=route in adopted)
        if reason is not None:
            yield Note(str(route), reason, bad=not holder)
            continue
        yield Step(
            action=Action.CREATE if entry is None else Action.REPLACE,
            resource=route.table,
            destination=route.destination,
            eni=instance.eni,
            node=home,
            sentence=_towards_home(route, entry, home),
        )


def _left_alone(entry: Entry | None, holder: str, home: str, *, is_adopted: bool) -> str | None:
    """Say why a route that is not at home is not moved; None when it should be."""
    if entry is None:
        return None
    if entry.is_propagated:
        return "is propagated, which no call can replace; create a static route beside it"
    if holder:
        return f"{holder} holds it; the daemons return it once {home} is alive"
    if entry.state == "blackhole" or is_adopted:
        return None
    return f"points at {entry.target}, outside the group; to take it over: nathb apply --adopt"


def _towards_home(route: Route, entry: Entry | None, home: str) -> str:
    if entry is None:
        return f"create {route} to its home {home}"
    how = "a blackhole" if entry.state == "blackhole" else "outside the group"
    return f"point {route} at its home {home} (now {entry.target or 'nowhere'}, {how})"


def _digest(seen: Survey, digest: str) -> Iterator[Step]:
    """Yield steps that leave the file's digest where every node can compare it with its own."""
    for table in dict.fromkeys(route.table for route in seen.group.routes()):
        shown = seen.tables.get(table)
        tags = {tag.key: tag.value for tag in shown.tags} if shown is not None else {}
        if shown is not None and tags.get(FILE_TAG) != digest:
            yield Step(
                action=Action.TAG,
                resource=table,
                value=digest,
                sentence=f"note the file's digest {digest} on {table}, "
                "so that every node can tell whether its file is the same",
            )
