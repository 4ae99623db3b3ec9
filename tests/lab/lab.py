"""The lab: one context manager that builds all of it, and takes all of it down.

with Lab() as lab:
    lab.faults.dead("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c")
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from nathb.config import parse
from nathb.core.errors import FileError
from nathb.core.model import Group
from nathb.provision.iam import Feature, Place, policy
from tests.lab.account import Account, Ids, build_account, launch, operator_client
from tests.lab.api_faults import OPERATOR
from tests.lab.client import Client
from tests.lab.fork_server import ForkServer
from tests.lab.group_file import group_file
from tests.lab.machine import prefer
from tests.lab.network import Network
from tests.lab.network_faults import NetworkFaults
from tests.lab.pace import Pace
from tests.lab.plan import ECHO, ECHO_PORT, EVERYWHERE, PAIR, Plan
from tests.lab.processes import Command, Daemon, Processes, nathb
from tests.lab.remote import ApiFaults, Call
from tests.lab.role import ACCOUNT

ROUTE_WRITES = ("ReplaceRoute", "CreateRoute", "DeleteRoute")
DATAGRAMS = Path(__file__).with_name("datagrams.py")


class Lab:
    """A VPC, its internet, its EC2 API and its clients. Use it as a context manager.

    `fork_server` makes the API server quickly and can be shared by many labs; without one, the lab
    starts its own, which takes a second.
    """

    plan: Plan
    ec2: Any  # the operator's boto3 client; no fault affects it unless told to
    account: Account
    faults: NetworkFaults
    api: ApiFaults
    clients: dict[str, Client]
    pace: Pace
    pids: dict[str, int]  # of what measures: `echo`, `pace` and each client
    processes: Processes
    directory: Path

    def __init__(self, plan: Plan = PAIR, fork_server: ForkServer | None = None) -> None:
        if not os.environ.get("NATHB_SANDBOX"):
            raise RuntimeError(
                "the lab would rearrange this machine's own network; run it in tests/lab/sandbox"
            )
        self.plan = plan
        self._fork_server = fork_server
        self._crashed: dict[str, list[Command]] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Lab:
        with ExitStack() as undo:
            self._set_up(undo)
            self._exit = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    # What EC2 says

    @property
    def instances(self) -> Mapping[str, Ids]:
        """The instance's and ENI's id of each instance, by name."""
        return self.account.instances

    @property
    def tables(self) -> Mapping[str, str]:
        """The route table's id of each subnet: public-a, private-a, …"""
        return self.account.tables

    def routes(self) -> dict[tuple[str, str], str]:
        """Where every route points now: (table id, destination) to a node's name, or the target."""
        names = {ids.eni: name for name, ids in self.instances.items()}
        names |= {ids.instance: name for name, ids in self.instances.items()}
        answer = self.ec2.describe_route_tables(RouteTableIds=list(self.tables.values()))
        return {
            (table["RouteTableId"], destination_of(route)): names.get(target, target)
            for table in answer["RouteTables"]
            for route in table["Routes"]
            if (target := _target(route)) != "local"
        }

    def holder(self, zone: str, destination: str = EVERYWHERE) -> str:
        """Whom a zone's private route points at now."""
        return self.routes()[self.tables[f"private-{zone}"], destination]

    def calls(
        self, *, caller: str | None = None, action: str | None = None, since: float = 0.0
    ) -> list[Call]:
        """API calls as received, in order; `since` in monotonic seconds."""
        every = (Call(**one) for one in self._wire.ask("calls", since=0))
        return [
            one
            for one in every
            if one.at >= since and caller in (None, one.caller) and action in (None, one.action)
        ]

    def writes(self, *, caller: str | None = None, since: float = 0.0) -> list[Call]:
        """The route writes that instances meant: received, no dry run, applied or not."""
        return [
            one
            for one in self.calls(caller=caller, since=since)
            if one.action in ROUTE_WRITES and one.caller != OPERATOR and not one.dry_run
        ]

    # What an operator does

    def move(self, table: str, destination: str, node: str) -> None:
        """ReplaceRoute by the operator: a table by its subnet's name or its id, to a node."""
        self.ec2.replace_route(
            RouteTableId=self.tables.get(table, table),
            DestinationCidrBlock=destination,
            NetworkInterfaceId=self.instances[node].eni,
        )

    def source_dest_check(self, node: str, on: bool) -> None:
        """Switch an instance's source/dest check through the API."""
        self.ec2.modify_instance_attribute(
            InstanceId=self.instances[node].instance, SourceDestCheck={"Value": on}
        )

    def stop_instance(self, node: str) -> None:
        """StopInstances; the power goes from its daemons, and its routes become blackholes."""
        self.ec2.stop_instances(InstanceIds=[self.instances[node].instance])
        self._power_off(node)

    def start_instance(self, node: str) -> None:
        """StartInstances; what ran on it runs again."""
        self.ec2.start_instances(InstanceIds=[self.instances[node].instance])
        self._power_on(node)

    def replace_instance(self, node: str) -> Ids:
        """Terminate an instance and run another at the same address: new ids, no route to it."""
        old = self.instances[node]
        about = self.ec2.describe_instances(InstanceIds=[old.instance])
        subnet = about["Reservations"][0]["Instances"][0]["SubnetId"]
        self.ec2.terminate_instances(InstanceIds=[old.instance])
        self._power_off(node)
        self._crashed.pop(node, None)  # a new machine has nothing installed to come back
        self.network.reboot(node)
        self.account.instances[node] = launch(self.ec2, self.plan.instance(node), subnet)
        return self.instances[node]

    # Power

    def crash(self, *nodes: str) -> None:
        """The hosts go without a word: no packet any more, and kill -9 for their daemons."""
        self.faults.dead(*nodes)
        for node in nodes:
            self._power_off(node)

    def revive(self, *nodes: str) -> None:
        """The hosts are back, with an empty conntrack table, and run what they ran."""
        self.faults.dead(*nodes, on=False)
        for node in nodes:
            self._power_on(node)

    def heal(self) -> None:
        """Every fault is over: of the network, of the API, and of source/dest checks.

        Crashed daemons stay down until `revive`, stopped instances until `start_instance`.
        """
        self.faults.heal()
        self.api.lift()
        for nat in self.plan.nats:
            self.source_dest_check(nat.name, on=False)

    # Commands on instances

    def start(
        self,
        node: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> Daemon:
        """Run a command on an instance until it is stopped, or the lab ends."""
        return self.processes.start(node, argv, env, log)

    def run(
        self,
        node: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        within: float = 90.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on an instance to its end."""
        return self.processes.run(node, argv, env, within)

    def start_nathb(
        self,
        node: str,
        config: str,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        name: str = "lab",
        journal: str = "",
    ) -> Daemon:
        """`nathb run` with this file's text on a node; `journal` is a journald's socket for it."""
        argv = nathb("run", str(self.install(node, config, name)), *arguments)
        if journal:
            argv = self.processes.under_journald(node, journal, argv)
        return self.start(node, argv, env)

    def install(self, node: str, config: str, name: str = "lab") -> Path:
        """Write a group's file where a node can read it.

        The node's role gets what `nathb iam-policy` prints for the file, and EC2 denies the rest.
        """
        path = self.directory / node / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(config)
        self.grant(node, config, name)
        return path

    def grant(self, node: str, config: str, name: str) -> None:
        """Let a node's role have the whole policy of a file; that of a bad file stays as it was."""
        with suppress(FileError):
            self.allow(node, parse(config, f"{name}.yaml"), Feature)

    def allow(self, node: str, group: Group, features: Iterable[Feature]) -> dict[str, Any]:
        """Let a node's role have the policy of a group, for these uses; the policy."""
        place = Place("aws", self.plan.region, ACCOUNT, (self.account.vpc,))
        document = policy(group, features, place)
        self.api.allow(node, group.name, document)
        return document

    def pair_config(self, **overrides: Any) -> str:
        """The group's file for this lab as YAML text; keywords as `group_file` takes them."""
        return group_file(self.plan, self.account, **overrides)

    # The works

    def _set_up(self, undo: ExitStack) -> None:
        prefer(os.getpid())
        self.directory = Path(tempfile.mkdtemp(prefix="lab-", dir="/dev/shm"))
        undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
        fork_server = self._fork_server or undo.enter_context(ForkServer())
        self.network = Network(self.plan)
        undo.callback(self.network.tear_down)
        self.network.build()
        self.faults = NetworkFaults(self.network)
        self.processes = Processes(self.network, self.directory)
        undo.callback(self.processes.kill)
        vpc = f"/run/netns/{self.network.namespace('vpc')}"
        self._wire = fork_server.fork(self.plan, vpc)
        undo.callback(self._wire.close)
        self.api = ApiFaults(self._wire)
        self.ec2 = operator_client(self._wire.port, self.plan.region)
        undo.callback(self.ec2.close)
        self.account = build_account(self.ec2, self.plan)
        self.pids = {}
        self.pace = self._start_pace(undo)
        self.clients = dict(self._start_clients(undo))
        for client in self.clients.values():
            client.wait_served()

    def _start_clients(self, undo: ExitStack) -> list[tuple[str, Client]]:
        names = {str(nat.public_address): nat.name for nat in self.plan.nats}
        internet = f"/run/netns/{self.network.namespace('internet')}"
        self._measure(undo, "echo", "vpc", "echo", ECHO, ECHO_PORT, internet)
        clients = []
        for app in self.plan.apps:
            notes = self._notes(app.name)
            where = (ECHO, app.subnet.router, ECHO_PORT)
            self._measure(undo, app.name, app.name, "client", *where, notes)
            clients.append((app.name, Client(app.name, notes, names, self.pace)))
        return clients

    def _start_pace(self, undo: ExitStack) -> Pace:
        notes = self._notes("pace")
        self._measure(undo, "pace", "vpc", "pace", notes)
        return Pace(notes)

    def _measure(self, undo: ExitStack, name: str, where: str, *arguments: object) -> None:
        argv = [sys.executable, "-I", "-S", str(DATAGRAMS), *map(str, arguments)]
        process = subprocess.Popen(
            self.network.inside(where, *argv), stdin=subprocess.DEVNULL, start_new_session=True
        )
        undo.callback(_end, process)
        prefer(process.pid)
        self.pids[name] = process.pid

    def _notes(self, name: str) -> Path:
        path = self.directory / f"{name}.notes"
        path.touch()
        return path

    def _power_off(self, node: str) -> None:
        self._crashed.setdefault(node, []).extend(self.processes.kill(node))

    def _power_on(self, node: str) -> None:
        self.network.reboot(node)
        for command in self._crashed.pop(node, []):
            self.processes.launch(node, command)


def destination_of(route: Mapping[str, str]) -> str:
    """The destination of a route as EC2 shows it, or of a call that writes one."""
    keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    return next(route[key] for key in keys if key in route)


def _target(route: Mapping[str, str]) -> str:
    for key in ("NetworkInterfaceId", "InstanceId", "GatewayId", "NatGatewayId"):
        if key in route:
            return route[key]
    return "?"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
