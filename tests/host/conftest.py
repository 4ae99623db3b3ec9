"""Fixtures of the machine: a journald of the test's own, where the sandbox allows one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nathb.host.journal import Journal
from tests.host.hook_runner import HookRunner
from tests.host.journald import Journald

OUTSIDE = "needs the sandbox: run `make test`"


@pytest.fixture
def sandbox() -> None:
    """For tests that mount or start what belongs to a machine; mark them `lab` too."""
    if not os.environ.get("NATHB_SANDBOX"):
        if os.environ.get("NATHB_LAB") == "required":
            pytest.fail(f"NATHB_LAB=required, but this test {OUTSIDE}", pytrace=False)
        pytest.skip(OUTSIDE)


@pytest.fixture
def journald(sandbox: None) -> Iterator[Journald]:  # noqa: ARG001
    with Journald() as running:
        yield running


@pytest.fixture
def journal_for() -> Iterator[Callable[[Journald], Journal]]:
    """Make journals whose stderr is said to lead to journald."""
    with open(os.devnull, "wb") as stderr:
        stat = os.fstat(stderr.fileno())
        stream = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        yield lambda journald: Journal(
            "tokyo",
            "nat-a",
            environ=stream,
            stderr=stderr.fileno(),
            address=journald.address,
            backlog=50,
        )


@pytest.fixture
def runner(tmp_path: Path) -> HookRunner:
    return HookRunner(tmp_path)
