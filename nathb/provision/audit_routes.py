"""What EC2 shows of pins, routes and tags, held against what a takeover needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nathb.aws.responses import Tag
from nathb.aws.routes import host_route, leads_to
from nathb.aws.tags import DRAIN_TAG, FILE_TAG, PAUSE_TAG, REVERT_TAG, read_intent
from nathb.core.findings import Finding, bad, good, warning
from nathb.core.model import Node, Route
from nathb.provision.inventory import Inventory
from nathb.provision.steps import Action, Plan, sharer


def inspect_routes(seen: Inventory, planned: Plan, utc: datetime) -> Iterator[Finding]:
    """Yield what is good, unwise or wrong: the pins, the guarded routes, all others, the tags.

    `utc` is the wall clock's idea of now, for wishes that carry their end.
    """
    for node in seen.group.nodes:
        yield from _pins(seen, planned, node)
    for route in seen.group.routes():
        yield _route(seen, planned, route)
    yield from _unguarded(seen)
    yield from _tags(seen, utc)
    yield from _alike(seen, planned)


def _pins(seen: Inventory, planned: Plan, node: Node) -> Iterator[Finding]:
    """Yield how the heartbeats of all others are pinned in this node's own table."""
    table = seen.steering(node.name)
    if table is None:
        return
    note = planned.note(node.name)
    if note is not None and sharer(seen, node):
        yield bad(node.name, note.text, note.mend)
        return
    where, apply = table.route_table_id, f"nathb apply {seen.group.name}"
    for peer in seen.group.nodes:
        for address in peer.heartbeat if peer is not node else ():
            destination = host_route(address)
            subject = f"{node.name}'s pin {destination}"
            entry = seen.entry(where, destination)
            step = planned.step(where, destination)
            if step is not None:
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
    subject, home = str(route), seen.group.order(route)[0]
    tables = {node.name: seen.steering(node.name) for node in seen.group.nodes}
    looped = [name for name, one in tables.items() if one and one.route_table_id == route.table]
    if looped and route.is_default:
        mend = "guard the private subnets' tables only, and give the public subnets their own"
        return bad(subject, f"steers {looped[0]} itself, whose packets would loop", mend)
    step, note = planned.step(route.table, route.destination), planned.note(subject)
    if step is not None:
        return bad(subject, step.fault, f"nathb apply {seen.group.name}")
    if note is not None:
        return (bad if note.bad else warning)(subject, note.text, note.mend)
    return good(subject, f"points at its home {home}")


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
                f"leads to {node}, but is not in the file: nobody moves it when {node} dies",
                f"add it to the routes of {node} in the file",
            )


# --- tags ---------------------------------------------------------------------------------------


def _tags(seen: Inventory, utc: datetime) -> Iterator[Finding]:
    """Yield what operators have asked for and may have forgotten."""
    for table in sorted({route.table for route in seen.group.routes()} & seen.tables.keys()):
        for tag in seen.tables[table].tags:
            mend = _end_of(seen, tag, utc)
            if mend is not None:
                by_hand = f"aws ec2 delete-tags --resources {table} --tags Key={tag.key}"
                yield warning(table, f"carries the tag {tag.key} = {tag.value}", mend or by_hand)


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
