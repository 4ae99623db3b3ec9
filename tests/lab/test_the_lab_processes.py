"""What runs in the lab: daemons, booted instances, and the sandbox that takes all of it along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.lab.cgroups import OURS, remove_group, sweep, tree
from tests.lab.fork_server import CHECKOUT, ForkServer
from tests.lab.installed import installed
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.node_requests import can_ping
from tests.lab.nspawn import NspawnMachine

# --- daemons --------------------------------------------------------------------------------------

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


# --- booted instances -----------------------------------------------------------------------------

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
    assert not (tree() / machine.group).exists()
    wait_until("its init is gone", lambda: not Path(f"/proc/{leader}").exists())


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


# --- the sandbox ----------------------------------------------------------------------------------

# An odd duration, by which the processes of this test are known from all others.
BUSY = """
ip netns add stay; ip netns exec stay sleep 4711.{mark} & setsid sleep 4711.{mark} &
echo ready; wait
"""


def sleepers(mark: int) -> list[str]:
    """The pids of processes that were started with that mark."""
    wanted = f"sleep\0004711.{mark}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes() == wanted:
                found.append(entry.name)
        except OSError:
            continue  # it has just ended
    return found


def test_a_killed_sandbox_leaves_no_process_and_no_namespace() -> None:
    mark, before = os.getpid(), set(Path("/run/netns").glob("*"))
    busy = ["sh", "-c", BUSY.format(mark=mark)]
    with subprocess.Popen([SANDBOX, *busy], stdout=subprocess.PIPE) as sandbox:
        assert sandbox.stdout.readline() == b"ready\n"
        wait_until("both processes are there", lambda: len(sleepers(mark)) == 2)
        assert set(Path("/run/netns").glob("*")) == before, "its /run is its own"

        sandbox.send_signal(signal.SIGKILL)
        sandbox.wait()
        wait_until("no process is left", lambda: not sleepers(mark))


def test_a_sandbox_ends_as_its_command_does() -> None:
    assert subprocess.run([SANDBOX, "sh", "-c", "exit 7"], check=False).returncode == 7


def test_a_sandbox_has_a_network_run_and_processes_of_its_own() -> None:
    look = ["sh", "-c", "ip -o link | wc -l; ls /run; ls -d /proc/[0-9]* | wc -l; id -u"]
    seen = subprocess.run([SANDBOX, *look], capture_output=True, text=True, check=True)

    links, *left, processes, user = seen.stdout.split()
    assert (links, left, user) == ("1", [], "0")
    assert int(processes) < 10


def test_a_probe_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    for tool in ("sh", "id", "ip", "unshare", "nsenter", "mount", "ping", "sysctl"):
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=True)
        (tmp_path / tool).symlink_to(found.stdout.strip())
    script = Path(SANDBOX).read_text().replace("/usr/local/sbin:/usr/sbin:/sbin", "")

    probe = subprocess.run(
        ["/bin/sh", "-c", script, "sandbox", "--probe"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (probe.returncode, probe.stdout) == (77, "")
    assert probe.stderr.startswith("sandbox: programs are missing")
    assert probe.stderr.endswith("apt-get install nftables\n")


def test_a_probe_of_a_machine_that_can_is_silent() -> None:
    probe = subprocess.run([SANDBOX, "--probe"], capture_output=True, text=True, check=False)

    assert (probe.returncode, probe.stdout, probe.stderr) == (0, "", "")


def test_a_probe_does_not_lose_its_own_ping(tmp_path: Path) -> None:
    script = Path(SANDBOX).read_text()
    assert script.count("mod 100 < 1 drop") == 1
    unlucky = tmp_path / "sandbox"
    unlucky.write_text(script.replace("mod 100 < 1 drop", "mod 100 < 99 drop"))
    unlucky.chmod(0o755)

    probe = subprocess.run([unlucky, "--probe"], capture_output=True, text=True, check=False)

    assert (probe.returncode, probe.stderr) == (0, "")


# --- how long the machine has been up -----------------------------------------------------------


def after(seconds: int, *argv: str) -> list[str]:
    """The command line of a command that is to find the machine up for so long."""
    return [sys.executable, "-m", "tests.uptime", str(seconds), *argv]


@pytest.mark.parametrize("seconds", [0, 5, 94608000])
def test_the_machine_seems_as_young_or_old_as_asked_whatever_it_seemed_before(seconds: int) -> None:
    look = "import time; print(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))"
    asked = after(4711, *after(seconds, sys.executable, "-c", look))
    shown = subprocess.run(asked, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for clock in shown.stdout.split():
        assert seconds <= float(clock) < seconds + 20.0


def test_where_the_clocks_cannot_be_set_nothing_runs_and_it_is_said_what_that_takes() -> None:
    asked = ["setpriv", "--bounding-set=-sys_admin", *after(0, "echo", "ran")]
    tried = subprocess.run(asked, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (tried.returncode, tried.stdout) == (1, "")
    assert tried.stderr.startswith("tests.uptime: no time namespace here: unshare: ")
    assert "it takes Linux 5.6 or later with CONFIG_TIME_NS" in tried.stderr
