"""Which instance stands for which node, out of what DescribeInstances lists.

While a zone is disrupted, DescribeInstances fails for a call that names one of its instances, and
for every call that names none: so nodes are asked for by id, and on a failure one by one.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nathb.aws.reader import named
from nathb.aws.responses import EC2Instance
from nathb.aws.routes import pointed_at
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import CloudError
from nathb.core.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nathb.aws.reader import Filters, Reader
    from nathb.aws.responses import Interface
    from nathb.core.model import Group, Node

LEAVING = {"shutting-down": 0, "terminated": 1}
"""States that an instance does not come back from; the lower says the more about right now."""

FORWARDING = {"pending", "running"}

STATES = {state.value: state for state in InstanceState}

OF_SOME = {Failure.UNAVAILABLE, Failure.NO_REPLY, Failure.REFUSED, Failure.MISSING}
"""Failures of a call that another call, for fewer instances, need not share."""

LONGEST = 10.0
"""Seconds after which no further node is asked for: the whole read is given up after 20."""


class Found(Struct, frozen=True):
    """What EC2 shows for one node."""

    machine: EC2Instance | None = None
    """What stands for the node; None when EC2 shows nothing, or when that is not known."""
    unread: str = ""
    """Why it is not known what stands for the node; empty when it is."""
    others: tuple[EC2Instance, ...] = ()
    """What its `match` finds besides, terminated instances aside."""


def machines_of(group: Group, reader: Reader, me: str = "", here: str = "") -> dict[str, Found]:
    """Return what stands for each node now, by the node's name.

    One DescribeInstances for all nodes with an `instance`, and one for each `match`. A node that
    EC2 gives no answer for is `unread`, and so is one whose `match` finds two; CloudError when
    there is no answer for any. `here` is the id of the instance that this runs on, and `me` the
    node that it is, where both are known.
    """
    began = reader.clock()
    found: dict[str, Found] = {}
    errors: list[CloudError] = []
    named_by_id = [node for node in group.nodes if node.instance]
    if named_by_id:
        found |= _by_id(group.name, named_by_id, reader, began, errors)
    for node in group.nodes:
        if not node.instance:
            own = here if node.name == me else ""
            found[node.name] = _matched(group, node, reader, own, errors)
    if len(errors) == len(group.nodes):
        raise errors[0]
    return found


def _by_id(
    whose: str, nodes: Sequence[Node], reader: Reader, began: float, errors: list[CloudError]
) -> dict[str, Found]:
    """Ask for all at once, and where that fails for each: one id may fail the call for all."""
    try:
        listed = reader.instances(whose, ids=[node.instance for node in nodes])
    except CloudError as error:
        if error.failure not in OF_SOME:
            raise
        return {node.name: _alone(node, reader, began, error, errors) for node in nodes}
    by_id = {machine.instance_id: machine for machine in listed}
    return {node.name: Found(by_id.get(node.instance)) for node in nodes}


def _alone(
    node: Node, reader: Reader, began: float, first: CloudError, errors: list[CloudError]
) -> Found:
    try:
        if reader.clock() - began > LONGEST:
            raise first
        listed = reader.instances(node.name, ids=[node.instance], tries=1)
    except CloudError as error:
        if error.failure is Failure.MISSING:  # an answer too: EC2 knows no such instance
            return Found()
        errors.append(error)
        return Found(unread=str(error))
    return Found(next((one for one in listed if one.instance_id == node.instance), None))


def _matched(group: Group, node: Node, reader: Reader, own: str, errors: list[CloudError]) -> Found:
    """Find by the tags; and if EC2 does not answer to those, by the id of this very instance."""
    try:
        listed = reader.instances(node.name, filters_of(node))
    except CloudError as error:
        if error.failure not in OF_SOME:
            raise
        listed = _only(node, reader, own)
        if not listed:
            errors.append(error)
            return Found(unread=str(error))

    def preferred(candidates: Sequence[EC2Instance]) -> set[str]:
        vpcs = sorted({one.vpc_id for one in candidates if one.vpc_id})
        thing = f"the tables of {', '.join(vpcs)}"
        tables = reader.tables(thing, Filters=named([("vpc-id", vpcs)])) if vpcs else []
        return pointed_at(group, node, candidates, tables)

    return choose(node, listed, preferred)


def filters_of(node: Node) -> Filters:
    """Return a node's `match` as filters of EC2's."""
    return [(key, [value]) for key, value in node.match]


def _only(node: Node, reader: Reader, an_id: str) -> list[EC2Instance]:
    try:
        return reader.instances(node.name, filters_of(node), [an_id], tries=1) if an_id else []
    except CloudError:
        return []  # the error to report is that of the call for all


def choose(
    node: Node,
    listed: Sequence[EC2Instance],
    preferred: Callable[[Sequence[EC2Instance]], set[str]],
) -> Found:
    """Return the one machine that stands for a node found by `match`.

    Of several, what forwards goes before what is stopped, then what routes point at before what
    none do, then what runs before what still starts. If that leaves two, the node is unread.
    `preferred` returns the ids of those that routes point at, and is called only for two.

    Machines that are on their way out count when nothing else is left: then they are how EC2 says
    that this node is gone.
    """
    staying = [machine for machine in listed if machine.state.name not in LEAVING]
    if not staying:
        return Found(min(listed, key=lambda one: LEAVING[one.state.name], default=None))
    left = _those(staying, lambda one: one.state.name in FORWARDING)
    if len(left) > 1:
        ids = preferred(left)
        left = _those(left, lambda one: one.instance_id in ids)
        left = _those(left, lambda one: one.state.name == "running")
    if len(left) == 1:
        return Found(left[0], others=tuple(one for one in staying if one is not left[0]))
    shown = "; ".join(sorted(describe_launch(machine) for machine in left))
    return Found(
        unread=f"{node.name}: its `match` finds {len(left)} instances, and the routes do not say"
        f" which one is meant: {shown}; narrow it, or name the one with `instance:`",
        others=tuple(staying),
    )


def _those(
    machines: Sequence[EC2Instance], wanted: Callable[[EC2Instance], bool]
) -> list[EC2Instance]:
    """Return the machines that are wanted; all of them when none is."""
    return [one for one in machines if wanted(one)] or list(machines)


def describe_launch(machine: EC2Instance) -> str:
    """Say in words which instance this is, whose, and since when."""
    parts = [machine.instance_id, machine.state.name]
    if machine.owner_id:
        parts.append(f"owned by {machine.owner_id}")
    if machine.launch_time is not None:
        parts.append(f"launched {machine.launch_time:%Y-%m-%d %H:%M:%S %Z}".rstrip())
    return ", ".join(parts)


def describe(node: Node, found: Found) -> Instance:
    """Reduce a machine to what the core needs; UNSEEN, as the file has it, when there is none.

    A state that EC2 did not use to have is no evidence either way, and so UNSEEN as well.
    """
    machine = found.machine
    if machine is None:
        enis = (node.eni,) if node.eni else ()
        return Instance(
            node.name,
            node.instance,
            node.eni,
            enis,
            state=InstanceState.UNSEEN,
            unread=found.unread,
        )
    chosen = _interface(node, machine)
    shown = [interface.network_interface_id for interface in machine.network_interfaces]
    eni = node.eni or (chosen.network_interface_id if chosen else "")
    return Instance(
        node=node.name,
        instance=machine.instance_id,
        eni=eni,
        enis=tuple(dict.fromkeys([eni, *shown] if eni else shown)),
        address=chosen.private_ip_address if chosen else "",
        state=STATES.get(machine.state.name, InstanceState.UNSEEN),
    )


def _interface(node: Node, machine: EC2Instance) -> Interface | None:
    """Return the interface that routes point at: the file's, or else the primary one."""
    for interface in machine.network_interfaces:
        if interface.network_interface_id == node.eni or (not node.eni and interface.is_primary):
            return interface
    return None
