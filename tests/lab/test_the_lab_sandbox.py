"""The sandbox keeps what happens in it in it, and takes all of it along when it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.fork_server import CHECKOUT
from tests.lab.machine import wait_until

SANDBOX = str(Path(__file__).with_name("sandbox"))
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
