"""`nathb check`: is the file good? With --aws: is everything around it?"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from shlex import join
from typing import Any

from nathb import config
from nathb.aws.access import read_access
from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud, find_me
from nathb.aws.imds import Metadata
from nathb.aws.reader import Reader
from nathb.aws.tags import wall_clock
from nathb.core.errors import (
    CloudError,
    FileError,
    Finding,
    IdentityError,
    Level,
    Mistake,
    ReadingError,
    SnapshotError,
    UsageError,
    bad,
    good,
    warning,
)
from nathb.core.learned import is_allowed
from nathb.core.model import Group, Metrics, Outcome
from nathb.core.text import counted
from nathb.daemon import metrics_exporter
from nathb.daemon.notifier import HOOKS
from nathb.host.check_command import CheckCommand
from nathb.host.hooks import refused_in
from nathb.host.prefix_reader import PrefixReader
from nathb.host.status_file import live_daemon
from nathb.host.trusted_path import owners_of_machine
from nathb.provision.audit import inspect_nodes, inspect_routes
from nathb.provision.forwarding import inspect_forwarding
from nathb.provision.inventory import Inventory, survey
from nathb.provision.learning import inspect_learning
from nathb.provision.permissions import inspect_permissions
from nathb.provision.proof import Proof
from nathb.provision.reachability import inspect_reach
from nathb.provision.security_groups import inspect_access
from nathb.provision.steps import plan
from nathb.ui.confirmation import is_confirmed
from nathb.ui.group_file import DIRECTORY, add_group, locate, node_of
from nathb.ui.interruption import saying_what_stays
from nathb.ui.json_output import json_text
from nathb.ui.other_groups import shared_tables

Said = tuple[tuple[Mistake, ...], tuple[Mistake, ...]]
"""What there is to say of the file alone: what is unwise, and what is bad."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "check",
        help="check the file of a group, and with --aws all that it depends on",
        description="Check the file of a group: every mistake at once, each with its fix. With "
        "--aws also EC2 and this node: identity, instances, pins, routes, permissions, forwarding, "
        "masquerade, and who answers. Only --prove changes anything. Exit 0 when nothing is bad, 1 "
        "when something is, 78 when the file is.",
        epilog="example: nathb check tokyo --aws",
    )
    add_group(verb)
    verb.add_argument("--aws", action="store_true", help="also check EC2 and this node")
    verb.add_argument(
        "--node", metavar="NAME", help="with --aws: be this node, whatever the instance says"
    )
    verb.add_argument(
        "--prove",
        action="store_true",
        help="with --aws: after asking, create a route to a documentation address (192.0.2.107/32) "
        "in a guarded table, move it and remove it, to show how this account's EC2 behaves",
    )
    verb.add_argument("--yes", action="store_true", help="with --prove: do not ask")
    verb.add_argument("--json", action="store_true", help="print the findings as JSON")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print what was found; return 0 when nothing is bad, 1 when something is, 78 for the file."""
    if given.node is not None and not given.aws:
        raise UsageError(
            "check: --node says which node this machine is, and only --aws checks this machine; "
            "add --aws, or leave out --node"
        )
    _refuse_mixture(given)
    path = locate(given.group)
    try:
        group = config.load(path)
    except FileError as error:
        if given.json:
            print(_as_json(False, error.mistakes))
        else:
            print(error, file=sys.stderr)
        return 78
    if given.node is not None:
        node_of(group, given.node)
    unwise = config.find_warnings(group, str(path))
    if group.metrics != Metrics() and not metrics_exporter.is_installed():
        unwise = (*unwise, Mistake(str(path), 0, "metrics", metrics_exporter.MISSING))
    if path.parent == DIRECTORY and (command := config.chmod_for_service(path)):
        text = f"the service has a user of its own, which may not read this file: {command}"
        unwise = (*unwise, Mistake(str(path), 0, "", text))
    unwise = (*unwise, *_hooks(path))
    shared = shared_tables(group, path)
    if given.aws:
        return _with_aws(group, path, (unwise, shared), given)
    if given.json:
        print(_as_json(not shared, (*unwise, *shared)))
        return 1 if shared else 0
    for mistake in unwise:
        print(f"{mistake} (warning)")
    if shared:
        print("\n".join(map(str, shared)), file=sys.stderr)
        return 1
    print(f"{path}: good: {_summary(group)}")
    return 0


def _hooks(path: Path) -> Iterator[Mistake]:
    """Yield the hooks beside a file that its daemon does not run."""
    owners = owners_of_machine()
    if path.parent != DIRECTORY:  # a daemon by hand, as this user; the service's owns no file
        owners |= {os.geteuid()}
    for hook, why in refused_in(path.absolute().parent / HOOKS, owners):
        yield Mistake(str(hook), 0, "", f"this hook is {why}")


def _refuse_mixture(given: argparse.Namespace) -> None:
    """UsageError for flags that do not go together."""
    if given.prove and not given.aws:
        raise UsageError("check: --prove shows how EC2 behaves, so it goes with --aws; add --aws")
    if given.yes and not given.prove:
        raise UsageError("check: --yes answers what --prove asks; add --prove, or leave out --yes")
    if given.prove and given.json and not given.yes:
        raise UsageError("--json: there is nobody to ask; read what --prove does, then add --yes")


def _with_aws(group: Group, path: Path, said: Said, given: argparse.Namespace) -> int:
    """Print the findings about the file, EC2 and this node, as they come."""
    found: list[Finding] = []
    with closing(_everything(group, path, said, given)) as everything:
        for finding in everything:
            found.append(finding)
            if not given.json:
                print(finding, flush=True)
    count = {level: sum(one.level is level for one in found) for level in Level}
    if given.json:
        print(_as_json(not count[Level.BAD], tuple(found)))
    else:
        warnings = count[Level.WARNING]
        plural = "" if warnings == 1 else "s"
        print(f"{count[Level.BAD]} bad, {warnings} warning{plural}, ", end="")
        print(f"{count[Level.GOOD]} good")
    return 1 if count[Level.BAD] else 0


def _everything(
    group: Group, path: Path, said: Said, given: argparse.Namespace
) -> Generator[Finding]:
    yield good(str(path), _summary(group))
    unwise, shared = said
    for mistake in unwise:
        yield warning(mistake.where, _text(mistake), "")
    for mistake in shared:
        yield bad(mistake.where, _text(mistake), "")
    try:
        client = make_client(group.region)
        reader = Reader(client)
        seen = survey(reader, group)
    except (CloudError, IdentityError) as error:
        yield bad("EC2", str(error), "")
        return
    planned = plan(seen, config.digest(group))
    yield from inspect_nodes(seen, planned)
    yield from inspect_routes(seen, planned, wall_clock())
    yield from _access(reader, seen)
    yield from inspect_learning(reader, seen)
    try:
        yield from inspect_permissions(client, seen)
    except CloudError as error:
        yield bad("EC2", str(error), "")
    yield from _here(seen, given.node or _who(group, client))
    if given.prove:
        yield from _proven(Proof(client, seen), given)


def _proven(proof: Proof, given: argparse.Namespace) -> Iterator[Finding]:
    """Yield what EC2 shows on a route of the proof's own, after a yes."""
    if (obstacle := proof.obstacle()) is not None:
        yield obstacle
        return
    if not given.json:
        print(proof.announcement(), flush=True)
    if not given.yes and not is_confirmed("check --prove", "Begin?", "line above"):
        yield bad("proof", "was not wanted, and nothing was changed", "")
        return
    with saying_what_stays(lambda: proof.stays):
        yield from proof.findings()


def _access(reader: Reader, seen: Inventory) -> Iterator[Finding]:
    """Yield who may send to the nodes; a role that runs the daemon need not be able to read it."""
    try:
        access = read_access(reader, (machine.vpc_id for machine in seen.machines.values()))
    except CloudError as error:
        fix = f"nathb iam-policy {seen.group.name} --features check"
        yield warning(seen.group.name, f"who may send to its nodes was not read: {error}", fix)
        return
    yield from inspect_access(seen, access)


def _who(group: Group, client: Any) -> str | IdentityError:
    """Return which node this is, or why that is not known."""
    try:
        instance = Metadata.from_environment(os.environ).instance_id()
        return find_me(group, Cloud(client, group), instance)
    except IdentityError as error:
        return error


def _here(seen: Inventory, me: str | IdentityError) -> Iterator[Finding]:
    """Yield what can be seen only on a node itself."""
    if isinstance(me, IdentityError):
        yield warning("this machine", str(me), "run it on each node as well")
        return
    yield good("this node", f"is {me}")
    yield from inspect_forwarding(seen.group)
    yield from _local_check(seen.group, me)
    yield from _router(seen.group)
    try:
        daemon = live_daemon(seen.group.name)
    except SnapshotError as error:
        yield from inspect_reach(seen, me, frozenset())
        fix = f"systemctl enable --now nathb@{seen.group.name}"
        yield warning("this node", f"its daemon is not seen to run: {error}", fix)
    else:
        peers = daemon.peers.items()
        yield from inspect_reach(seen, me, frozenset(n for n, one in peers if one.never_answered))
        yield good("this node", "its daemon runs")


def _local_check(group: Group, me: str) -> Iterator[Finding]:
    """Yield what the program of `check_command` says now, as this user runs it."""
    command = group.check_command_of(me)
    if not command:
        return
    subject = f"check_command {command[0]}"
    outcome, why = CheckCommand().run(command, group.check.command_timeout)
    if outcome is Outcome.HEARD:
        yield good(subject, "ends with status 0: this node serves")
    elif outcome is Outcome.MISSED:
        yield bad(subject, f"says that this node does not serve: {why}", f"run it: {join(command)}")
    else:
        yield bad(subject, f"cannot be run: {why}", "see docs/checks.md for what it needs")


def _router(group: Group) -> Iterator[Finding]:
    """Yield what the source of `learn` gives now, as this user reads it."""
    if group.learn is None:
        return
    try:
        known = PrefixReader(group.learn).read()
    except ReadingError as error:
        fix = "see docs/learned-routes.md for what the service needs to read it"
        yield bad("learn", f"what the router knows cannot be read: {error}", fix)
        return
    allowed = sum(is_allowed(group.learn, ip_network(prefix)) for prefix in known)
    text = f"the router knows {counted(len(known), 'prefix')}, of which `allow` has {allowed}"
    yield good("learn", text) if allowed else warning("learn", text, "correct `allow`")


def _text(mistake: Mistake) -> str:
    return f"{mistake.path}: {mistake.text}" if mistake.path else mistake.text


def _summary(group: Group) -> str:
    nodes = ", ".join(node.name for node in group.nodes)
    routes, matches = len(group.routes()), sum(len(node.found) for node in group.nodes)
    found = f" and {matches} match{'es' if matches != 1 else ''}" if matches else ""
    return f"group {group.name}, nodes {nodes}, {routes} route{'s' if routes != 1 else ''}{found}"


def _as_json(is_good: bool, findings: tuple[Mistake, ...] | tuple[Finding, ...]) -> str:
    return json_text({"good": is_good, "findings": findings})
