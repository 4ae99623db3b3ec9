"""An instance with a real systemd: systemd-nspawn boots it inside the instance's namespace.

with NspawnMachine(lab, "nat-a", layers) as machine:
    machine.run("systemctl", "enable", "--now", "nathb@pair")
    machine.poweroff()

Its root is an overlay of this machine's, so it has the same programs, and none of the services
that somebody has enabled here. To the lab it is one more process on the instance: `lab.crash` and
`lab.revive` cut and restore its power. Its controllers for memory and CPU are off (it gets a
cgroup for naming processes, no more), so limits such as MemoryMax= are read and not enforced.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.lab.cgroups import new_group, remove_group, tree
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.processes import Command, Daemon

PATH = "/opt/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UP = ("running", "degraded")

# Everything that is mounted here is mounted for this process alone, and goes with it. One cgroup
# tree without controllers is what every kernel since 4.5 can give, whatever the machine has.
# In a process namespace of its own, since a machine would outlive its nspawn that was killed.
BOOT = """
set -e
mkdir -p {place}/upper {place}/work {place}/root
mount -t overlay -o lowerdir={lower},upperdir={place}/upper,workdir={place}/work lab {place}/root
mount --bind {tree} /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/{group}
echo $$ >/sys/fs/cgroup/{group}/cgroup.procs
exec unshare --pid --fork --kill-child=SIGKILL --mount-proc -- \\
    systemd-nspawn --boot --quiet --register=no --keep-unit --link-journal=no --console=pipe \\
    --resolv-conf=off --timezone=off --directory={place}/root \\
    --network-namespace-path=/proc/self/ns/net --capability=CAP_NET_ADMIN
"""


class NspawnMachine:
    """An instance of a lab as a machine of its own. Use it as a context manager.

    `layers` lie between this machine's own files and those of the lab's root, topmost first.
    Whatever it writes is kept in memory, over reboots and crashes too, until the lab ends.
    """

    def __init__(self, lab: Lab, node: str, layers: Sequence[Path]) -> None:
        self.lab = lab
        self.node = node
        self.group = new_group(f"{lab.network.prefix}-{node}")
        place = lab.directory / f"{node}-machine"
        self.disk = place / "upper"  # what it has written, and what was put there before
        boot = BOOT.format(
            place=place,
            lower=":".join(str(one) for one in (*layers, "/")),
            tree=tree(),
            group=self.group,
        )
        console = lab.directory / f"{node}-console.log"
        self._command = Command(("sh", "-c", boot), {}, console)
        self.furnish("/etc/machine-id", f"{uuid.uuid4().hex}\n")
        self.furnish("/etc/hostname", f"{node}\n")
        self.hide("/var/log/journal")

    def __enter__(self) -> NspawnMachine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for daemon in self._daemons():
            daemon.kill()
        remove_group(self.group)

    # Before it boots

    def furnish(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file onto its disk, while it is off."""
        file = self._on_disk(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def hide(self, path: str) -> None:
        """Make a folder empty, whatever the layers below have there; while it is off."""
        folder = self._on_disk(path)
        folder.mkdir(parents=True, exist_ok=True)
        os.setxattr(folder, "trusted.overlay.opaque", b"y")

    def _on_disk(self, path: str) -> Path:
        return self.disk / path.lstrip("/")

    # Power

    def power_on(self, within: float = 90.0) -> NspawnMachine:
        """Switch it on, and wait until systemd has started all it should."""
        self.lab.network.reboot(self.node)
        self.lab.faults.dead(self.node, on=False)
        self.lab.processes.launch(self.node, self._command)
        return self.wait_up(within)

    def wait_up(self, within: float = 90.0) -> NspawnMachine:
        """Wait until it has booted, after `lab.revive` for one."""
        wait_until(f"{self.node} is up", self._is_up, within, every=0.05)
        return self

    def poweroff(self, within: float = 90.0) -> float:
        """`systemctl poweroff`; returns when it is off, with the seconds that took.

        Its network works through the whole shutdown, as an instance's does, and is gone as soon as
        its process 1 is. To EC2 it is running still: `lab.stop_instance` tells it afterwards.
        """
        return self._go_down("poweroff", within)

    def reboot(self, off: float = 1.0, within: float = 90.0) -> float:
        """`systemctl reboot`, `off` seconds without power, and up again; seconds to the power cut.

        EC2 is told nothing: an instance that reboots is running all the time.
        """
        took = self._go_down("reboot", within)
        time.sleep(off)
        self.power_on(within)
        return took

    def _go_down(self, verb: str, within: float) -> float:
        leader = self.leader
        process = os.pidfd_open(leader)
        try:
            begun = time.monotonic()
            self.run("systemctl", "--no-block", verb)
            if not select.select([process], [], [], within)[0]:
                raise AssertionError(f"{self.node} is not off {within:g} s after {verb}")
            self.lab.faults.dead(self.node)
            took = time.monotonic() - begun
        finally:
            os.close(process)
        for daemon in self._daemons():
            daemon.wait()
        return took

    @property
    def leader(self) -> int:
        """Its process 1, by the pid that it has here; LookupError while it is off."""
        for daemon in self._daemons():
            for nspawn in _children(daemon.pid):
                for child in _children(nspawn):
                    if _comm(child) == "systemd":
                        return child
        raise LookupError(f"{self.node} is off; its console: {self.console()}")

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return bool(self._daemons())

    def console(self) -> str:
        """What nspawn and the boot have written."""
        try:
            return self._command.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _daemons(self) -> list[Daemon]:
        return [one for one in self.lab.processes.on(self.node) if one.command is self._command]

    def _is_up(self) -> bool:
        if not self.on:
            raise AssertionError(f"{self.node} did not boot; its console: {self.console()}")
        try:
            return self.run("systemctl", "is-system-running").stdout.strip() in UP
        except LookupError:
            return False

    # What runs on it

    def run(self, *argv: str, within: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Run a command on it as root, to its end; it may fail. stdout and stderr are one."""
        return subprocess.run(
            [*self._enter(), *argv],
            env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )

    def did(self, *argv: str, within: float = 90.0) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.run(*argv, within=within)
        assert done.returncode == 0, f"{shlex.join(argv)} on {self.node}: {done.stdout}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file while it is on."""
        self.did("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "write", path, text)

    def show(self, unit: str, setting: str) -> str:
        """One property of a unit, as `systemctl show` gives it."""
        return self.did("systemctl", "show", "--value", f"--property={setting}", unit).strip()

    def journal(self, *arguments: str) -> str:
        """What `journalctl` prints for these arguments."""
        return self.run("journalctl", "--no-pager", *arguments).stdout

    def _enter(self) -> list[str]:
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        return ["nsenter", f"--target={self.leader}", *spaces, "--"]


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
