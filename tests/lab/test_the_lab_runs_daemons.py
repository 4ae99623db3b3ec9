"""What runs on an instance: it has a place of its own, it dies with its host and comes back."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import yaml

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.node_requests import can_ping

WHO = """
import boto3, signal, sys
role = boto3.Session().get_credentials()
print("credentials", role.method, role.access_key, flush=True)
signal.pause()
"""
ECHO_FOREVER = ["sh", "-c", "echo up; trap 'echo asked; exit 3' TERM; while :; do sleep 0.02; done"]


def test_a_daemon_has_its_credentials_from_the_role_and_only_from_there(lab: Lab) -> None:
    daemon = lab.start("nat-a", [sys.executable, "-c", WHO])

    assert daemon.wait_line("credentials") == "credentials iam-role ASIALABNATA"


def test_a_daemon_can_be_asked_to_go_and_be_killed(lab: Lab) -> None:
    asked, killed = lab.start("nat-a", ECHO_FOREVER), lab.start("nat-a", ECHO_FOREVER)
    asked.wait_line("up")
    killed.wait_line("up")
    assert asked.pid != killed.pid
    assert Path(f"/proc/{asked.pid}").exists()

    assert asked.stop() == 3
    assert asked.lines() == ["up", "asked"]
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert lab.processes.on("nat-a") == []


def test_a_crash_takes_host_and_daemons_and_a_revival_brings_both_back(lab: Lab) -> None:
    daemon = lab.start("nat-c", ECHO_FOREVER)
    daemon.wait_line("up")

    lab.crash("nat-c")
    assert not daemon.running
    assert not can_ping(lab, "nat-a", "10.0.1.10")

    lab.revive("nat-c")
    (again,) = lab.processes.on("nat-c")
    wait_until("it writes again, to the same log", lambda: daemon.lines() == ["up", "up"])
    assert again.pid != daemon.pid
    lab.clients["app-c"].wait_served(via="nat-c")


def test_each_instance_has_a_run_of_its_own(lab: Lab) -> None:
    lab.run("nat-a", ["sh", "-c", "echo mine > /run/nathb.state"])

    assert lab.run("nat-a", ["cat", "/run/nathb.state"]).stdout == "mine\n"
    assert lab.run("nat-c", ["ls", "/run"]).stdout == ""


def test_a_reboot_empties_the_conntrack_table(lab: Lab) -> None:
    lab.processes.kill()
    lab.faults.dead("app-a", "app-c")
    count = ["sysctl", "-n", "net.netfilter.nf_conntrack_count"]
    assert int(lab.network.read("nat-a", *count)) > 0

    lab.network.reboot("nat-a")

    wait_until("its flows are forgotten", lambda: int(lab.network.read("nat-a", *count)) == 0)


def test_the_groups_file_names_what_is_there(lab: Lab) -> None:
    group = yaml.safe_load(lab.pair_config(preempt="manual", preempt_delay=None, check={"fall": 2}))

    assert group["nodes"]["nat-c"] == {
        "instance": lab.instances["nat-c"].instance,
        "heartbeat": "193.0.14.129",
        "routes": [lab.tables["private-c"]],
    }
    assert group["preempt"] == "manual"
    assert "preempt_delay" not in group
    assert (group["check"]["fall"], group["check"]["rise"]) == (2, 3)
    path = lab.install("nat-a", lab.pair_config())
    assert lab.run("nat-a", ["cat", str(path)]).returncode == 0


def test_a_lab_leaves_nothing_behind(lab: Lab) -> None:
    daemon = lab.start("nat-a", ECHO_FOREVER)
    namespaces = set(os.listdir("/run/netns"))
    assert f"{lab.network.prefix}-vpc" in namespaces

    lab.__exit__(None, None, None)

    assert not daemon.running
    left = [one for one in os.listdir("/run/netns") if one.startswith(lab.network.prefix)]
    assert left == []
    assert not lab.directory.exists()
