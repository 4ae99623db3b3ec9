"""The container image: built by its file's own steps, and run in the lab with CAP_NET_RAW alone."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import journald, sandbox  # noqa: F401  fixtures
from tests.host.journald import Journald
from tests.install import container
from tests.install.built import Built
from tests.install.root import Root
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.processes import Daemon

pytestmark = pytest.mark.lab

NET_RAW = 1 << 13
"""CAP_NET_RAW of linux/capability.h, as a bit."""
VYOS_WAITS = 5.0
"""Seconds until VyOS kills a container that it stops (`podman stop -t 5` in its unit)."""


@pytest.fixture
def lab(root: Root, sandbox: None) -> Iterator[Lab]:  # noqa: ARG001, F811
    with Lab() as lab:
        yield lab


def process_1(started: Daemon) -> int:
    """The pid, as seen from here, of the process that is 1 in the container."""
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    return int(wait_until("the container starts", lambda: children.read_text().split())[0])


@pytest.mark.timeout(900)
def test_the_image_of_its_file_takes_over_returns_and_hands_over_when_it_is_stopped(
    root: Root,
    built: Built,
    lab: Lab,
    journald: Journald,  # noqa: F811
) -> None:
    image = container.read_image()
    assert re.fullmatch(r"debian:1\d-slim", image.base), "no host's name"
    container.build(image, root, built)

    config = lab.pair_config()
    file = lab.install("nat-a", config, name="tokyo")
    lab.start_nathb("nat-c", config, name="tokyo")
    argv = container.command_line(image, root, {"/config/nathb": file.parent})
    started = lab.start("nat-a", [*journald.within(), *argv])
    pid = process_1(started)
    enter = ["nsenter", f"--target={pid}", "--mount", "--pid", "--root", "--wd"]

    def answers(verb: str) -> bool:
        """Whether a verb says yes, run in the container as `podman exec` would."""
        assert started.running, started.lines()
        return lab.run("nat-a", [*enter, *image.entrypoint, verb, "tokyo"]).returncode == 0

    def is_well() -> bool:
        return answers("status")

    wait_until("nathb status says that all is well", is_well, 60.0, every=0.5)
    status = Path(f"/proc/{pid}/status").read_text()
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        (found,) = re.findall(rf"^{kind}:\s(\w+)$", status, re.M)
        assert int(found, 16) == NET_RAW, kind

    assert answers("reload")
    client = lab.clients["app-c"]
    lab.crash("nat-c")
    client.wait_served(via="nat-a", within=20.0)
    lab.revive("nat-c")
    client.wait_served(via="nat-c", within=30.0)
    wait_until("all is well again", is_well, 60.0, every=0.5)

    stopped = time.monotonic()
    os.kill(pid, signal.Signals[image.stop_signal])
    assert started.wait() == 0
    assert lab.pace.elapsed(stopped) <= VYOS_WAITS
    assert lab.holder("a") == lab.holder("c") == "nat-c"
    lab.clients["app-a"].wait_served(via="nat-c", within=10.0)
    events = [entry["NATHB_EVENT"] for entry in journald.entries("NATHB_GROUP=tokyo")]
    assert {"started", "took", "returned", "leaving", "handed-over", "stopped"} <= set(events)
