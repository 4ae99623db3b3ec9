"""`nathb replace`: another instance for a node, in the file and in EC2, as one step."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.instances import machines_of
from nathb.aws.reader import Reader
from nathb.commands.plan import apply
from nathb.config import edit, files
from nathb.core.errors import RefusalError, UsageError
from nathb.core.model import Group
from nathb.ui.group_file import add_group, locate
from nathb.ui.interruption import saying_what_stays


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "replace",
        help="put a new instance in a dead one's place",
        description="Write another instance's id into the file, everything else kept as it is, "
        "and apply it. A node that is found by `match:` needs no replacing: start an instance "
        "with the same tag, and apply.",
        epilog="example: nathb replace tokyo nat-a i-0a9b954b0c0ffee01",
    )
    add_group(verb)
    verb.add_argument("node", metavar="NODE", help="the node, as the file calls it")
    verb.add_argument("instance", metavar="INSTANCE", help="id of the new instance")
    verb.add_argument("--yes", action="store_true", help="do not ask before the plan is applied")
    verb.add_argument("--json", action="store_true", help="print what was done as JSON; with --yes")
    verb.set_defaults(carry_out=carry_out, adopt=False)


def carry_out(given: argparse.Namespace) -> int:
    """Edit the file and apply it; return 0 when EC2 then matches the file."""
    if given.json and not given.yes:
        raise UsageError("--json: there is nobody to ask; read the plan, then add --yes")
    path = locate(given.group)
    group = config.load(path)
    text = path.read_text(encoding="utf-8")
    edited = edit.replace_instance(
        text, group, given.node, given.instance, lambda text: config.parse(text, str(path))
    )
    _expect(config.parse(edited, str(path)), given.node)
    if edited != text:
        files.write(path, edited)
    with saying_what_stays(lambda: _stays(path, given)):
        if given.json:
            return apply(given)
        print(f"{path}: {given.node} is {given.instance} now")
        code = apply(given)
        print("\n".join(_what_is_left(path, group)))
        return code


def _stays(path: Path, given: argparse.Namespace) -> str:
    return (
        f"{path} names {given.instance} for {given.node} now, and that stays; `nathb apply"
        f" {given.group}` makes EC2 match it, `nathb replace` with the old instance undoes it"
    )


def _expect(group: Group, node: str) -> None:
    """Refuse what EC2 does not show, before anything is written."""
    reader = Reader(make_client(group.region))
    found = machines_of(group, reader)[node]
    if found.unread:
        raise RefusalError(f"{found.unread}; nothing was changed")
    if found.machine is None:
        raise UsageError(
            f"{node}: EC2 shows no instance {group.node(node).instance} in "
            f"{reader.region(group.region)}; correct the id or the region; nothing was changed"
        )


def _what_is_left(path: Path, group: Group) -> list[str]:
    """Say what no command run here can do: the same file belongs on every node."""
    return [
        f"Now copy {path} to every node, and there:",
        f"    systemctl reload nathb@{group.name}",
        f"    systemctl enable --now nathb@{group.name}    # on the new instance",
    ]
