"""Fixtures of the lab, and the rule of where its tests may run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.fork_server import ForkServer
from tests.lab.installed import installed, obstacle
from tests.lab.lab import Lab
from tests.lab.nspawn import NspawnMachine
from tests.lab.plan import PAIR, Plan
from tests.lab.service import Service

HERE = Path(__file__).parent
OUTSIDE = "needs the lab's namespaces: run `make test`, or tests/lab/sandbox python -m pytest"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and begin with what takes longest: it must not be the last."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def _only_in_the_sandbox() -> None:
    if not os.environ.get("NATHB_SANDBOX"):
        if os.environ.get("NATHB_LAB") == "required":
            pytest.fail(f"NATHB_LAB=required, but this test {OUTSIDE}", pytrace=False)
        pytest.skip(OUTSIDE)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One process with moto in it, from which every lab's server is forked."""
    with ForkServer() as fork_server:
        yield fork_server


@pytest.fixture
def make_lab(
    fork_server: ForkServer, _only_in_the_sandbox: None
) -> Iterator[Callable[[Plan], Lab]]:
    """A fresh lab by any plan."""
    with ExitStack() as labs:
        yield lambda plan: labs.enter_context(Lab(plan, fork_server))


@pytest.fixture
def lab(make_lab: Callable[[Plan], Lab]) -> Lab:
    """A fresh pair."""
    return make_lab(PAIR)


@pytest.fixture(scope="session")
def bootable() -> None:
    """For tests that boot machines: skips where none can be booted, or fails if required."""
    if why := obstacle():
        if os.environ.get("NATHB_LAB") == "required":
            pytest.fail(f"NATHB_LAB=required, but no machine can be booted here: {why}", False)
        pytest.skip(why)


@pytest.fixture(scope="session")
def root(fork_server: ForkServer, bootable: None) -> Path:  # noqa: ARG001
    """The root of machines that have nathb installed as README.md says."""
    return installed(fork_server)


@pytest.fixture
def machine(lab: Lab, root: Path) -> Iterator[NspawnMachine]:
    """nat-a of the lab's pair, with a real systemd and nathb installed; it is up."""
    with NspawnMachine(lab, "nat-a", [root]) as machine:
        yield machine.power_on()


@pytest.fixture
def service(lab: Lab, machine: NspawnMachine) -> Service:
    """nathb on that machine, enabled and at peace; on nat-c it runs as an ordinary process."""
    lab.start_nathb("nat-c", lab.pair_config(), name="pair")
    return Service(machine, lab.pair_config()).enable().settle()
