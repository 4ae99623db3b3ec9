"""Which node of the group this machine is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nathb.core.errors import IdentityError

if TYPE_CHECKING:
    from nathb.aws.ec2 import Cloud
    from nathb.core.model import Group


def find_me(group: Group, cloud: Cloud, instance_id: str) -> str:
    """Return the name of the node that an instance id (i-…) stands for.

    Where the file names the id itself, EC2 is not asked. IdentityError when it is none of the
    group's; CloudError when EC2 had to be asked and did not answer.
    """
    for node in group.nodes:
        if node.instance == instance_id:
            return node.name
    if any(node.match for node in group.nodes):
        instances = cloud.instances()
        for one in instances:
            if one.instance == instance_id:
                return one.node
        known = {one.node: one.instance or f"not found in {cloud.region}" for one in instances}
    else:
        known = {node.name: node.instance for node in group.nodes}
    nodes = ", ".join(f"{name} {known[name]}" for name in known)
    raise IdentityError(
        f"this machine, {instance_id}, is none of the nodes of {group.name} ({nodes}):"
        " give one of them this id in the file, or pass --node NAME"
    )
