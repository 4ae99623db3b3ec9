"""Which instance stands for which node, out of what DescribeInstances lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import CloudError
from nathb.core.model import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nathb.aws.reader import Reader
    from nathb.aws.responses import EC2Instance, Interface
    from nathb.core.model import Group, Node

LEAVING = {"shutting-down": 0, "terminated": 1}
"""States that an instance does not come back from; the lower says the more about right now."""

STATES = {state.value: state for state in InstanceState}


def machines_of(group: Group, reader: Reader) -> dict[str, EC2Instance | None]:
    """Return the machine that stands for each node now, by the node's name; None for none.

    One DescribeInstances for all nodes with an `instance`, and one for each `match`.
    CloudError(REFUSED) when a `match` finds two that are in use.
    """
    ids = [node.instance for node in group.nodes if node.instance]
    # As a filter: InstanceIds= would fail for all when EC2 has forgotten one.
    listed = reader.instances(group.name, [("instance-id", ids)]) if ids else []
    by_id = {machine.instance_id: machine for machine in listed}
    return {
        node.name: by_id.get(node.instance) if node.instance else _matched(node, reader)
        for node in group.nodes
    }


def _matched(node: Node, reader: Reader) -> EC2Instance | None:
    filters = [(key, [value]) for key, value in node.match]
    return choose(node, reader.instances(node.name, filters))


def choose(node: Node, listed: Sequence[EC2Instance]) -> EC2Instance | None:
    """Return the one machine that stands for the node now; None when none is listed.

    A node found by `match` may be listed with machines it has outlived. Those count only when
    nothing else is left: then they are how EC2 says that this node is gone. CloudError(REFUSED)
    when two or more machines match and none of them is on its way out.
    """
    staying = [machine for machine in listed if machine.state.name not in LEAVING]
    if len(staying) > 1:
        ids = ", ".join(sorted(machine.instance_id for machine in staying))
        raise CloudError(
            Failure.REFUSED,
            f"{node.name}: its `match` finds {len(staying)} instances: {ids};"
            " narrow it, or name the one with `instance:`",
        )
    if staying:
        return staying[0]
    return min(listed, key=lambda machine: LEAVING[machine.state.name], default=None)


def describe(node: Node, machine: EC2Instance | None) -> Instance:
    """Reduce a machine to what the core needs of it; UNSEEN when there is none.

    A state that EC2 did not use to have is no evidence either way, and so UNSEEN as well.
    """
    if machine is None:
        enis = (node.eni,) if node.eni else ()
        return Instance(node.name, node.instance, node.eni, enis, state=InstanceState.UNSEEN)
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
