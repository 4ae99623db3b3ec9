"""One value of a file changed and nothing else: comments, order and spacing stay as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from nathb.core.errors import UsageError, no_such_node
from nathb.core.model import Group, Node


def replace_instance(
    text: str, group: Group, node: str, instance: str, parse: Callable[[str], Group]
) -> str:
    """Return the file's text with another instance for a node.

    Every place where the old id stands is tried, and the one counts after which `parse` reads
    just the group that is wanted. UsageError when the node is not named by an instance id, or
    when no single edit has that effect; FileError when the new id is none.
    """
    old = _node(group, node).instance
    edited = replace(_node(group, node), instance=instance)
    nodes = tuple(edited if one.name == node else one for one in group.nodes)
    wanted = replace(group, nodes=nodes)
    for candidate in _candidates(text, old, instance):
        if parse(candidate) == wanted:
            return candidate
    raise UsageError(
        f"{node}: its instance {old} cannot be changed in one place of the file; edit it by hand"
    )


def _node(group: Group, name: str) -> Node:
    names = [node.name for node in group.nodes]
    if name not in names:
        raise no_such_node(name, names)
    node = group.node(name)
    if not node.instance:
        raise UsageError(
            f"{name} is found by its `match`; start an instance with that tag, then: nathb apply"
        )
    if node.eni:
        raise UsageError(
            f"{name}: its `eni` {node.eni} belongs to the old instance; "
            "edit both by hand, then: nathb apply"
        )
    return node


def _candidates(text: str, old: str, new: str) -> Iterator[str]:
    for match in re.finditer(rf"(?<![\w-]){re.escape(old)}(?![\w-])", text):
        yield text[: match.start()] + new + text[match.end() :]
