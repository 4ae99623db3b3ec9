"""A child process, as a real one: what is read of it, and that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nathb.host.child_process import NOT_EXECUTED, End, Ended, environment_of, run

MOST = 1000


@pytest.fixture
def stopped() -> Iterator[int]:
    descriptor = os.eventfd(0, os.EFD_CLOEXEC)
    yield descriptor
    os.close(descriptor)


def shell(script: str, stopped: int, timeout: float = 60.0, stderr: int = subprocess.PIPE) -> Ended:
    return run(
        ["sh", "-c", script],
        environment_of(os.environ),
        timeout=timeout,
        stopped=stopped,
        most_output=MOST,
        stderr=stderr,
    )


def test_both_outputs_and_the_exit_code_are_returned(stopped: int) -> None:
    assert shell("echo yes; echo no >&2; exit 3", stopped) == Ended(
        End.BY_ITSELF, 3, b"yes\n", b"no\n"
    )
    both = shell("echo yes; echo no >&2", stopped, stderr=subprocess.STDOUT)
    assert both == Ended(End.BY_ITSELF, 0, b"yes\nno\n")


def test_a_program_that_is_not_there_is_told_from_one_that_fails(stopped: int) -> None:
    ended = run(["/nonexistent"], {}, timeout=60.0, stopped=stopped, most_output=MOST)
    assert ended.code in NOT_EXECUTED
    assert b"/nonexistent" in ended.errors


def test_more_than_is_read_is_cut_and_said_to_be(stopped: int) -> None:
    ended = shell("yes", stopped)
    assert ended.cut
    assert len(ended.output) == MOST
    assert not shell(f"printf %{MOST}d 7", stopped).cut


def test_a_child_that_takes_too_long_ends_with_its_own_children(
    stopped: int, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    ended = shell(f"sleep 1000 & echo $! > {pid}; wait", stopped, timeout=0.5)
    assert ended.end is End.TIMED_OUT
    assert time.monotonic() - began < 30.0
    deadline = time.monotonic() + 30.0
    while _is_alive(pid.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_that_leaves_another_behind_is_not_waited_for_and_the_other_ends_too(
    stopped: int, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    ended = shell(f"sleep 1000 & echo $! > {pid}; echo done", stopped)
    assert (ended.end, ended.output) == (End.BY_ITSELF, b"done\n")
    deadline = time.monotonic() + 30.0
    while _is_alive(pid.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stop_of_nathb_ends_it_at_once(stopped: int) -> None:
    os.eventfd_write(stopped, 1)
    assert shell("sleep 1000", stopped).end is End.STOPPED


def _is_alive(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
