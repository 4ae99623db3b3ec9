"""`nathb run`: the daemon. Here the ports are put together, and the loop goes round."""

from __future__ import annotations

import argparse
import functools
import os
import random
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud, find_me
from nathb.aws.imds import Metadata
from nathb.aws.learned_routes import LearnedRoutes
from nathb.core.errors import CloudError, UsageError
from nathb.core.model import Failure, Group
from nathb.core.ports import LearnPorts, Ports
from nathb.daemon.agent import Agent
from nathb.daemon.loop import GOING_DOWN, Service
from nathb.daemon.metrics_exporter import Prometheus
from nathb.daemon.notifier import Notifier
from nathb.host.background import Background
from nathb.host.check_command import CheckCommand
from nathb.host.clock import Clock
from nathb.host.journal import Journal
from nathb.host.lock import Lock
from nathb.host.prefix_reader import PrefixReader
from nathb.host.sd_notify import Manager
from nathb.host.status_file import default_path, dry_run_path, is_service, publish
from nathb.host.streams import WARNING, complain
from nathb.net.names import resolve
from nathb.net.wire import Wire
from nathb.ui.group_file import add_group, locate, node_of
from nathb.ui.variables import JOURNAL, LEAVE, is_set

PASSING = {Failure.UNAVAILABLE, Failure.NO_REPLY, Failure.THROTTLED}
"""Failures that pass without anybody doing anything here."""
PAUSE = 5.0
"""Seconds, and up to twice as many, between two tries to learn which node this is."""
LONGEST_TRY = 90.0
"""Seconds within which the next try has ended."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "run",
        help="watch the peers and move routes (the daemon)",
        description="Watch the peers and move routes, until SIGTERM. SIGHUP reads the file again.",
        epilog="example: nathb run --dry-run tokyo",
    )
    add_group(verb)
    verb.add_argument("--node", metavar="NAME", help="be this node, whatever the instance says")
    verb.add_argument(
        "--dry-run",
        action="store_true",
        help="decide and log as usual, but change nothing in EC2 and notify nobody",
    )
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Run until stopped; return 0 then."""
    leave_on = {GOING_DOWN, signal.SIGTERM} if is_set(LEAVE) else {GOING_DOWN}
    to_socket = is_set(JOURNAL)
    path = locate(given.group)
    group = config.load(path)
    status = (dry_run_path if given.dry_run else default_path)(group.name)
    lock = Lock(status.parent, by_service=is_service(), dry_run=given.dry_run)
    with closing(lock):
        if why_not := lock.take(group, path):
            complain(f"nathb: no lock ({why_not}): a second daemon would not be noticed", WARNING)
        return _guard(
            given, path, group, status, lock, leave_on=frozenset(leave_on), to_socket=to_socket
        )


def _guard(
    given: argparse.Namespace,
    path: Path,
    group: Group,
    status: Path,
    lock: Lock,
    *,
    leave_on: frozenset[signal.Signals],
    to_socket: bool,
) -> int:
    clock = Clock()
    manager = Manager()
    client = make_client(group.region)  # costly, and so done before any check is under way
    me, here = _node(group, given.node, Cloud(client, group, clock.monotonic), manager)
    own = Metadata.from_environment(os.environ).machine if here else None
    with Wire() as wire:
        background = Background()
        check_command = CheckCommand()
        journal = Journal(group.name, me, to_socket=to_socket)
        notifier = Notifier(journal, me)
        prometheus = Prometheus(status, journal)
        readers: list[PrefixReader] = []

        def ports(now: Group) -> Ports:
            if not given.dry_run:
                notifier.follow(now, path.parent)
                prometheus.follow(now.metrics)
            return Ports(
                clock=clock,
                wire=wire,
                cloud=Cloud(client, now, clock.monotonic, here=here, own=own, claim=lock.claim),
                calls=background,
                journal=notifier,
                manager=manager,
                publish=functools.partial(publish, status),
                resolve=resolve,
                check=check_command.run,
                jitter=random.random,
                learn=_learn(now, client, readers),
            )

        agent = Agent(
            group,
            me,
            ports(group),
            pid=os.getpid(),
            dry_run=given.dry_run,
            digest=config.digest(group),
        )
        service = Service(agent, lambda: _reloaded(path, agent, ports, lock), manager, leave_on)
        try:
            service.run([*wire.filenos(), background.fileno()])
        finally:
            check_command.stop()
            for reader in readers:
                reader.stop()
            prometheus.close()
            notifier.close()
            journal.close(timeout=0.5)  # within the two seconds that a stop may take
    return 0


def _learn(group: Group, client: Any, readers: list[PrefixReader]) -> LearnPorts | None:
    """Return the ports of learned routes, if the file has any; its reader joins `readers`."""
    if group.learn is None:
        return None
    reader, tables = PrefixReader(group.learn), LearnedRoutes(client, group.learn)
    readers.append(reader)
    return LearnPorts(reader.read, tables.shown, tables.write)


def _node(group: Group, named: str | None, cloud: Cloud, manager: Manager) -> tuple[str, str]:
    """Return which node this is, and its instance id: as named, or as the metadata say.

    A node that is found by `match` waits here for an EC2 that does not answer: a daemon that ends
    and is started again each second would be of no more use, and ask EC2 more often.
    """
    if named is not None:
        return node_of(group, named), ""
    here = Metadata.from_environment(os.environ).instance_id()
    said = ""
    while True:
        try:
            return find_me(group, cloud, here), here
        except CloudError as error:
            if error.failure not in PASSING:
                raise
            said, before = str(error), said
        if said != before:
            complain(
                f"nathb: which node of {group.name} this is, is not known yet: {said}", WARNING
            )
        manager.starting("waiting for EC2 to say which node this is", LONGEST_TRY)
        time.sleep(PAUSE * (1.0 + random.random()))


def _reloaded(path: Path, agent: Agent, ports: Any, lock: Lock) -> None:
    """Go on with what the file says now; FileError, UsageError or HeldError when that cannot be."""
    group = config.load(path)
    if agent.me not in {node.name for node in group.nodes}:
        raise UsageError(f"{path}: has no node {agent.me} any more; restart to be another node")
    if group.region != agent.group.region:
        raise UsageError(f"{path}: the region has changed; restart to use another region")
    if _identity(group, agent.me) != _identity(agent.group, agent.me):
        raise UsageError(f"{path}: {agent.me} is another instance now; restart to be that one")
    lock.renew(group, path)
    agent.reload(group, ports(group), config.digest(group))


def _identity(group: Group, name: str) -> tuple[object, ...]:
    node = group.node(name)
    return node.instance, node.match, node.eni
