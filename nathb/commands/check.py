"""`nathb check`: is the file good?"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from nathb import config
from nathb.commands.locate import add_group, locate
from nathb.core.errors import FileError, Mistake
from nathb.core.model import Group


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "check",
        help="check the file of a group",
        description="Check the file of a group: every mistake at once, each with its mend.",
        epilog="example: nathb check /etc/nathb/tokyo.yaml",
    )
    add_group(verb)
    verb.add_argument("--json", action="store_true", help="print the findings as JSON")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print what is wrong or unwise; return 0 for a good file, 78 for a bad one."""
    path = locate(given.group)
    try:
        group = config.load(path)
    except FileError as error:
        if given.json:
            print(_as_json(False, error.mistakes))
        else:
            print(error, file=sys.stderr)
        return 78
    unwise = config.warnings(group, str(path))
    if given.json:
        print(_as_json(True, unwise))
        return 0
    for warning in unwise:
        print(f"{warning} (warning)")
    print(f"{path}: good: {_summary(group)}")
    return 0


def _summary(group: Group) -> str:
    nodes = ", ".join(node.name for node in group.nodes)
    routes = len(group.routes())
    return f"group {group.name}, nodes {nodes}, {routes} route{'s' if routes != 1 else ''}"


def _as_json(good: bool, findings: tuple[Mistake, ...]) -> str:
    return msgspec.json.encode({"good": good, "findings": findings}).decode()
