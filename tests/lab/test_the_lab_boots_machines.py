"""A booted instance behaves as one on EC2 does when it starts, shuts down, reboots and crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.cgroups import OURS, remove_group, sweep, tree
from tests.lab.fork_server import CHECKOUT, ForkServer
from tests.lab.installed import installed
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine

SANDBOX = str(Path(__file__).with_name("sandbox"))
STOPS_SLOWLY = """
[Service]
ExecStart=sleep infinity
ExecStop=sleep {seconds}
"""
BOOT_AND_STAY = """
import time
from tests.lab.nspawn import NspawnMachine
from tests.lab.installed import bare
from tests.lab.lab import Lab
with Lab() as lab, NspawnMachine(lab, "nat-a", ()) as machine:
    bare(machine)
    print(machine.power_on().group, flush=True)
    time.sleep(600)
"""


def test_a_machine_has_the_network_of_its_instance_and_all_that_it_should_start(
    lab: Lab, machine: NspawnMachine
) -> None:
    assert machine.did("systemctl", "is-system-running") == "running\n", machine.did(
        "systemctl", "--failed"
    )
    assert machine.did("hostname") == "nat-a\n"
    assert "10.0.0.10/32" in machine.did("ip", "-brief", "address", "show", "eth0")
    machine.did("ping", "-c", "1", "193.0.14.129")
    lab.clients["app-a"].wait_served(via="nat-a")


def test_a_machine_that_shuts_down_forwards_until_its_power_goes_and_no_longer(
    lab: Lab, machine: NspawnMachine
) -> None:
    machine.write("/etc/systemd/system/slow.service", STOPS_SLOWLY.format(seconds=2))
    machine.did("systemctl", "start", "slow")
    client = lab.clients["app-a"]
    begun = time.monotonic()

    took = machine.poweroff()

    ended = time.monotonic()
    assert took >= 2.0
    time.sleep(0.5)
    last = client.arrivals(begun)[-1].heard
    assert begun + took - 0.5 <= last <= ended, "served to the last"
    assert not machine.on
    assert lab.holder("a") == "nat-a"

    machine.power_on()
    client.wait_served(via="nat-a")


def test_a_reboot_keeps_the_disk_and_forgets_the_rest(lab: Lab, machine: NspawnMachine) -> None:
    machine.write("/etc/kept", "kept")
    machine.write("/run/forgotten", "forgotten")
    before = machine.did("cat", "/proc/sys/kernel/random/boot_id")
    begun = time.monotonic()

    machine.reboot(off=1.0)

    (silence,) = lab.clients["app-a"].silences(begun, longer_than=0.9)
    assert silence.length >= 1.0
    assert machine.did("cat", "/etc/kept") == "kept"
    assert machine.run("test", "-e", "/run/forgotten").returncode == 1
    assert machine.did("cat", "/proc/sys/kernel/random/boot_id") != before
    lab.clients["app-a"].wait_served(via="nat-a")


def test_a_crash_takes_the_machine_and_a_revival_boots_it_again(
    lab: Lab, machine: NspawnMachine
) -> None:
    leader = machine.leader
    lab.crash("nat-a")
    assert not machine.on
    wait_until("its process 1 is gone", lambda: not Path(f"/proc/{leader}").exists())

    lab.revive("nat-a")
    machine.wait_up()
    lab.clients["app-a"].wait_served(via="nat-a")
    assert machine.leader != leader


def test_a_machine_leaves_nothing_behind(lab: Lab, root: Path) -> None:
    with NspawnMachine(lab, "nat-a", [root]) as machine:
        leader = machine.power_on().leader
        assert (tree() / machine.group).exists()
    assert not Path(f"/proc/{leader}").exists()
    assert not (tree() / machine.group).exists()


@pytest.mark.usefixtures("root")
def test_a_killed_sandbox_takes_its_machines_with_it() -> None:
    argv = [SANDBOX, sys.executable, "-c", BOOT_AND_STAY]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as sandbox:
        group = sandbox.stdout.readline().strip()
        events = tree() / group / "cgroup.events"
        assert "populated 1" in events.read_text()
        sandbox.send_signal(signal.SIGKILL)
        sandbox.wait()
    wait_until("it is dead", lambda: "populated 0" in events.read_text())
    remove_group(group)


@pytest.mark.usefixtures("root")
def test_what_a_killed_sandbox_has_left_is_swept_unless_it_is_in_use_or_new() -> None:
    old, busy, fresh = (tree() / f"{OURS}{age}-{os.getpid()}" for age in (0, 1, 1 << 40))
    for group in (old, busy, fresh):
        (group / "payload" / "init.scope").mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        (busy / "payload" / "cgroup.procs").write_text(str(sleeper.pid))
        sweep()
        assert [one.exists() for one in (old, busy, fresh)] == [False, True, True]
        sleeper.kill()
    remove_group(busy.name)
    remove_group(fresh.name)


def test_a_root_is_made_once(fork_server: ForkServer, root: Path) -> None:
    made = root.stat()
    assert installed(fork_server) == root
    assert (root.stat().st_ino, root.stat().st_ctime_ns) == (made.st_ino, made.st_ctime_ns)


def test_in_a_user_namespace_it_is_said_why_no_machine_can_be_booted() -> None:
    ask = "from tests.lab.installed import obstacle; print(obstacle())"
    argv = ["unshare", "--user", "--map-root-user", sys.executable, "-c", ask]
    said = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert said.stdout == "to boot a machine takes root, not a user namespace: `sudo make test`\n"
