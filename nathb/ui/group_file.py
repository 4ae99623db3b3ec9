"""Where a group's file is: a bare name stands for /etc/nathb/NAME.yaml."""

from __future__ import annotations

import argparse
from pathlib import Path

from nathb.core.errors import no_such_node
from nathb.core.model import Group

DIRECTORY = Path("/etc/nathb")


def add_group(verb: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the argument that names the group."""
    verb.add_argument(
        "group",
        metavar="NAME|FILE",
        nargs="?" if optional else None,
        help=f"a group's name, for {DIRECTORY}/NAME.yaml, or the path of its file",
    )


def locate(group: str) -> Path:
    """Return the file's path; what has a slash or an ending is a path already."""
    is_path = "/" in group or group.endswith((".yaml", ".yml"))
    return Path(group) if is_path else DIRECTORY / f"{group}.yaml"


def node_of(group: Group, name: str) -> str:
    """Return the name of a node of this group; UsageError, which lists all, for any other."""
    names = [node.name for node in group.nodes]
    if name not in names:
        raise no_such_node(name, names)
    return name
