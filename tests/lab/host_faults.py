"""What can be wrong with an instance itself: its firewall, its interface, its disk, its clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.machine import nft, run
from tests.lab.plan import API, API_PORT

SOURCE = Path(__file__).with_name("wall_clock.c")

# Once /run is full not even the smallest status file has room.
RUN_SIZE = "256k"

# A command line's beginning: raw sockets are denied, and only ping sockets are left.
WITHOUT_RAW_SOCKETS = ("setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw", "--")


def no_echo_requests_out(lab: Lab, node: str, on: bool = True) -> None:
    """The node's own firewall drops every ping it sends: sendto(2) says EPERM.

    What it forwards, and its answers to others' pings, pass.
    """
    namespace = lab.network.namespace(node)
    rules = "add table ip host_fault\ndelete table ip host_fault\n"
    if on:
        rules += """
table ip host_fault {
    chain out {
        type filter hook output priority filter;
        icmp type echo-request drop
    }
}
"""
    nft(namespace, rules)


def connections_to_ec2(lab: Lab, node: str, *options: str) -> list[int]:
    """How many bytes each of the node's connections to the EC2 API has sent unacknowledged.

    `options` are more of ss(8)'s; with `--kill` they are closed.
    """
    shown = lab.network.read(node, "ss", "-Htn", *options, "dst", f"{API}:{API_PORT}")
    return [int(line.split()[2]) for line in shown.splitlines()]


def queue_full(lab: Lab, node: str, on: bool = True) -> None:
    """Nothing leaves the node: its interface's queue has no room for a single packet.

    The kernel tells a ping socket so (ENOBUFS), and keeps it from a raw one: raw(7) sockets hear
    of it only with IP_RECVERR.
    """
    change = ["replace", "dev", "eth0", "root", "pfifo", "limit", "0"]
    run(lab.network.inside(node, "tc", "qdisc", *(change if on else ["delete", *change[1:4]])))


class RunDisk:
    """The file system behind one instance's /run, small enough to be filled."""

    def __init__(self, path: Path) -> None:
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                return

    def clear(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextmanager
def small_run(lab: Lab, node: str) -> Iterator[RunDisk]:
    """Put a small file system behind a node's /run, for what is started there from now on."""
    path = lab.directory / "run" / node
    path.mkdir(parents=True, exist_ok=True)
    run(["mount", "-n", "-t", "tmpfs", "-o", f"size={RUN_SIZE},mode=755", "lab", str(path)])
    try:
        yield RunDisk(path)
    finally:
        run(["umount", "-n", "--lazy", str(path)])


class WallClock:
    """A wall clock that can be set, for the commands that are started with `env`."""

    def __init__(self, directory: Path) -> None:
        """`directory` is a place for its files. Takes as long as the C compiler: a moment."""
        self._file = directory / "wall-clock"
        library = directory / "wall_clock.so"
        run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(library), str(SOURCE)])
        self.env = {"LD_PRELOAD": str(library), "LAB_WALL_CLOCK": str(self._file)}
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set it so many seconds off the true time."""
        draft = self._file.with_suffix(".new")
        draft.write_text(str(seconds))
        os.replace(draft, self._file)
