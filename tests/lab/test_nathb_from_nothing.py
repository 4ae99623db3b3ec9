"""From bare machines to guarded routes: the README's commands, `check --aws`, a new instance."""

from __future__ import annotations

import json
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from nathb.provision.iam import first_policy
from tests.lab.installed import bare, commands, install, step
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.pair import Pair
from tests.lab.processes import CLOUD, nathb
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


def printed_policy(machine: NspawnMachine) -> dict[str, Any]:
    """What the README has people give to the role."""
    (command,) = re.findall(r"`(nathb iam-policy tokyo --features [a-z,]+)`", step("Draft"))
    text = type_in(machine, f"sudo {command}")
    return dict(json.loads(text[text.index("{") : text.rindex("}") + 1]))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_from_nothing_to_a_guarded_pair_in_five_commands_a_node(
    lab: Lab, machines: dict[str, NspawnMachine]
) -> None:
    first, second = machines["nat-a"], machines["nat-c"]
    assert sum(len(lines(title)) for title in GUARDING) <= MOST
    for machine in machines.values():
        lab.api.allow(machine.node, GROUP, first_policy())
        assert machine.run("sh", "-c", "command -v nathb").returncode != 0
        install(machine)
        type_in(machine, *lines("Draft"))
    drafts = [one.did("cat", f"/etc/nathb/{GROUP}.yaml") for one in machines.values()]
    assert drafts[0] == drafts[1]
    lab.source_dest_check("nat-c", on=True)
    for machine in machines.values():
        lab.api.allow(machine.node, GROUP, printed_policy(first))

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


# --- what `check --aws` finds ---------------------------------------------------------------------

NODE = "nat-a"


def found(lab: Lab) -> list[dict[str, Any]]:
    """All that is not good about the lab's pair, seen from nat-a."""
    file = lab.install(NODE, lab.pair_config())
    done = lab.run(NODE, nathb("check", str(file), "--aws", "--json"), within=60.0)
    assert "Traceback" not in done.stderr
    return [one for one in json.loads(done.stdout)["findings"] if one["level"] != "good"]


def told(lab: Lab, words: str) -> dict[str, Any]:
    return next(one for one in found(lab) if words in one["text"])


def forwarding_off(lab: Lab) -> None:
    lab.run(NODE, ["sysctl", "-w", "net.ipv4.ip_forward=0"])


def masquerade_off(lab: Lab) -> None:
    rules = lab.run(NODE, ["nft", "list", "ruleset"]).stdout
    (lab.directory / "rules").write_text(rules)
    lab.run(NODE, ["nft", "flush", "ruleset"])


def peer_does_not_forward(lab: Lab) -> None:
    lab.run("nat-c", ["sysctl", "-w", "net.ipv4.ip_forward=0"])


def gateway_cut(lab: Lab) -> None:
    lab.faults.gateway_cut(NODE)


def icmp_closed(lab: Lab) -> None:
    lab.faults.partition("a", "c")


FAULTS: dict[str, tuple[Callable[[Lab], None], str, str]] = {
    "no forwarding": (forwarding_off, "ip_forward is 0", "sysctl -w net.ipv4.ip_forward=1"),
    "no masquerade": (masquerade_off, "no rule masquerades", "systemctl enable --now nathb-nat"),
    "a peer that does not forward": (
        peer_does_not_forward,
        "heartbeat 193.0.14.129 does not answer through nat-c",
        "nathb check --aws on nat-c",
    ),
    "no way out": (gateway_cut, "through this node's own gateway", "default route"),
    "ICMP closed": (icmp_closed, "its crash will be noticed late", "allow ICMP echo"),
}


def repair(lab: Lab) -> None:
    """Take back every fault of this file."""
    lab.heal()
    rules = lab.directory / "rules"
    if rules.exists():
        lab.run(NODE, ["nft", "-f", str(rules)])
    for node in ("nat-a", "nat-c"):
        lab.run(node, ["sysctl", "-w", "net.ipv4.ip_forward=1"])


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_node_is_found_with_its_mend(lab: Lab, fault: str) -> None:
    breaks, words, fix = FAULTS[fault]
    before = found(lab)
    breaks(lab)
    assert fix in told(lab, words)["fix"]
    repair(lab)
    assert found(lab) == before


def test_a_pair_that_is_applied_and_guarded_is_good_on_every_line(lab: Lab) -> None:
    file = lab.install(NODE, lab.pair_config())
    applied = lab.run(NODE, nathb("apply", str(file), "--yes"))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    daemon = lab.start_nathb(NODE, lab.pair_config())
    daemon.wait_line("guards lab")
    checked = lab.run(NODE, nathb("check", str(file), "--aws"), within=60.0)
    assert checked.returncode == 0, checked.stdout
    lines = [line for line in checked.stdout.splitlines() if not line.startswith("good")]
    *warnings, summary = lines
    # Of the lab's own making: it pins well-known addresses, translates without telling EC2, and
    # gives its NATs one private address.
    known = "public (resolver|address)|no `source`"
    assert [one for one in warnings if not re.search(known, one)] == []
    assert summary.startswith("0 bad, ")


# --- from a terminated instance to home again -----------------------------------------------------


def lost(lab: Lab, pair: Pair) -> str:
    """Lose nat-c for good, wait for the takeover, and start another; return its instance id."""
    pair.settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    new = lab.replace_instance("nat-c")
    lab.faults.dead("nat-c", on=False)
    return new.instance


def by_tag(lab: Lab) -> Any:
    """The nodes of the lab's file, nat-c found by its name."""
    nodes = yaml.safe_load(lab.pair_config())["nodes"]
    del nodes["nat-c"]["instance"]
    nodes["nat-c"]["match"] = {"tag:Name": "nat-c"}
    return nodes


def file_on(lab: Lab, node: str) -> Path:
    return lab.directory / node / "lab.yaml"


def come_home(lab: Lab, pair: Pair, text: str) -> None:
    """The same file on both nodes, the old daemon told of it and the new one started."""
    for node in pair.nodes:
        lab.install(node, text)
    pair.daemons["nat-a"].signal(signal.SIGHUP)
    pair.daemons["nat-a"].wait_line("reloaded lab")
    lab.start_nathb("nat-c", text)
    pair.wait_holder("c", "nat-c", within=30.0)
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_node_named_by_its_id_is_replaced_by_one_command_and_comments_stay(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="3s")
    new = lost(lab, pair)
    path = file_on(lab, "nat-a")
    path.write_text(f"# the pair of the lab\n{pair.config}")
    done = lab.run("nat-a", nathb("replace", str(path), "nat-c", new, "--yes"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EC2 matches the file" in done.stdout
    assert path.read_text().startswith("# the pair of the lab\n")
    come_home(lab, pair, path.read_text())


def test_a_node_found_by_tag_takes_no_edit_at_all_only_apply(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="3s", nodes=by_tag(lab))
    lost(lab, pair)
    path = str(file_on(lab, "nat-a"))
    planned = lab.run("nat-a", nathb("plan", path))
    assert planned.returncode == 1
    assert "pin 193.0.14.129/32" in planned.stdout
    done = lab.run("nat-a", nathb("apply", path, "--yes"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.run("nat-a", nathb("plan", path)).returncode == 0
    lab.start_nathb("nat-c", pair.config)
    pair.wait_holder("c", "nat-c", within=30.0)
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_new_instance_that_ec2_does_not_show_changes_nothing(lab: Lab) -> None:
    pair = Pair(lab)
    path = file_on(lab, "nat-a")
    done = lab.run("nat-a", nathb("replace", str(path), "nat-c", "i-0123456789abcdef0", "--yes"))
    assert done.returncode == 2
    assert "EC2 shows no instance i-0123456789abcdef0" in done.stderr
    assert path.read_text() == pair.config
