"""A stranger with two bare machines and the README: every command of it, as it stands there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.lab.installed import bare, commands, install, step
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.processes import CLOUD
from tests.lab.service import ENVIRONMENT

MOST = 5
"""Commands a node, in all, until it guards the pair."""
GUARDING = ("Install", "Draft", "Apply", "Start")
"""The steps that it takes."""
GROUP = "tokyo"


@pytest.fixture
def machines(lab: Lab, bootable: None) -> Iterator[dict[str, NspawnMachine]]:  # noqa: ARG001
    """Both NATs of the lab as bare machines that are up, in a VPC in which nothing is set up."""
    for node, peer in (("a", "193.0.14.129/32"), ("c", "199.7.83.42/32")):
        lab.ec2.delete_route(RouteTableId=lab.tables[f"public-{node}"], DestinationCidrBlock=peer)
    with ExitStack() as machines:
        booted = {}
        for node in ("nat-a", "nat-c"):
            booted[node] = machines.enter_context(NspawnMachine(lab, node, ()))
            bare(booted[node])
            # where EC2 is, in the lab
            booted[node].furnish(f"/etc/nathb/{GROUP}.env", ENVIRONMENT)
            booted[node].power_on()
        yield booted


def lines(title: str) -> list[str]:
    return commands(title).strip().splitlines()


def wait_holder(lab: Lab, node: str, within: float) -> None:
    wait_until(f"{node} has zone c's route", lambda: lab.holder("c") == node, within=within)


def type_in(machine: NspawnMachine, line: str, keys: str = "") -> str:
    """Type a command at a terminal of the machine, and `keys` when it asks."""
    settings = "".join(f"export {key}={shlex.quote(value)}; " for key, value in CLOUD.items())
    inner = shlex.quote(f"{settings}cd; {line}")
    terminal = f"printf '{keys}' | script --quiet --return --command {inner} /dev/null"
    return machine.did("sh", "-c", terminal, within=600.0)


def set_in_kernel(lab: Lab, line: str) -> None:
    """Type it on nat-c, outside of its machine: systemd-nspawn leaves /proc/sys read-only there."""
    sudo, *command = shlex.split(line)
    assert sudo == "sudo"
    done = lab.run("nat-c", command)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(900)
def test_from_nothing_to_a_guarded_pair_in_five_commands_a_node(
    lab: Lab, machines: dict[str, NspawnMachine]
) -> None:
    first, second = machines["nat-a"], machines["nat-c"]
    assert sum(len(lines(title)) for title in GUARDING) <= MOST
    for machine in machines.values():
        assert machine.run("sh", "-c", "command -v nathb").returncode != 0
        install(machine)
        type_in(machine, *lines("Draft"))
    drafts = [one.did("cat", f"/etc/nathb/{GROUP}.yaml") for one in machines.values()]
    assert drafts[0] == drafts[1]
    lab.source_dest_check("nat-c", on=True)

    said = type_in(first, *lines("Apply"), keys="y\\n")
    assert "pin 193.0.14.129/32" in said
    assert "switch the source/dest check of nat-c off" in said
    assert "EC2 matches the file" in said
    for machine in machines.values():
        type_in(machine, *lines("Check"))
        type_in(machine, *lines("Start"))

    for machine in machines.values():
        wait_until(
            f"{machine.node} guards the pair",
            lambda machine=machine: machine.run("nathb", "status", GROUP).returncode == 0,
            within=30.0,
            every=0.5,
        )
    (stops,) = lines("Break")
    resumes = stops.replace("=0", "=1")
    assert f"`{resumes}`" in step("Break")
    set_in_kernel(lab, stops)
    wait_holder(lab, "nat-a", within=60.0)
    set_in_kernel(lab, resumes)
    wait_holder(lab, "nat-c", within=150.0)

    lab.crash("nat-c")
    wait_holder(lab, "nat-a", within=15.0)
    lab.clients["app-c"].wait_served(via="nat-a")
    assert second.on is False
    history = first.did("nathb", "history", GROUP)
    assert "took" in history
    assert "nat-c" in history
