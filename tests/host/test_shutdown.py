"""Whether the machine goes down, as a program that stands in for systemctl answers it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nathb.host.shutdown import Shutdown


def answer(*command: str) -> bool:
    """Ask, wait for the answer, and return it."""
    with Shutdown(command) as shutdown:
        deadline = time.monotonic() + 10.0
        while not shutdown.is_known and time.monotonic() < deadline:
            time.sleep(0.005)
        return shutdown.is_coming


def test_a_machine_whose_manager_is_stopping_goes_down() -> None:
    assert answer("sh", "-c", "echo stopping; exit 1")


@pytest.mark.parametrize("state", ["running", "degraded", "starting", "offline", "maintenance", ""])
def test_in_every_other_state_only_the_service_ends(state: str) -> None:
    assert not answer("echo", state)


def test_without_a_service_manager_only_the_service_ends(tmp_path: Path) -> None:
    assert not answer(str(tmp_path / "systemctl"))


def test_a_manager_that_does_not_answer_is_not_waited_for() -> None:
    begun = time.monotonic()
    with Shutdown(("sleep", "60")) as shutdown:
        assert not shutdown.is_known
        assert not shutdown.is_coming
    assert time.monotonic() - begun < 30.0
