"""Finding the daemon of this machine, and telling it to look, without ever hitting another."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.core.errors import SnapshotError
from nathb.host import status_file
from nathb.host.status_file import publish
from tests.host.samples import SNAPSHOT

pytestmark = pytest.mark.clock

# The handler writes past print, which must not be entered again while it flushes "ready".
WAITS = """
import os, signal, sys, time
if "deaf" not in sys.argv:
    signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b"told\\n"))
print("ready", flush=True)
time.sleep(60)
time.sleep(60)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program of this name that waits to be told; end it with the test."""
    started = []

    def begin(name: str, *words: str) -> subprocess.Popen[str]:
        program = tmp_path / name
        program.write_text(WAITS)
        process = subprocess.Popen(
            [sys.executable, str(program), *words], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("word", ["tokyo", "/etc/nathb/tokyo.yaml", "./tokyo.yml"])
def test_the_daemon_of_the_group_is_told(start: Start, word: str) -> None:
    process = start("nathb", "run", word)
    assert status_file.look_now(replace(SNAPSHOT, pid=process.pid)) == ""
    assert told(process) == "told\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nathb", ("run", "osaka")),
        ("nathb", ("status", "tokyo")),
        ("vim", ("run", "tokyo")),
        ("nathb", ("run", "tokyo", "deaf")),
    ],
    ids=["another group", "another verb", "another program", "one without a handler"],
)
def test_nobody_else_is_signalled(start: Start, name: str, words: tuple[str, ...]) -> None:
    process = start(name, *words)
    why_not = status_file.look_now(replace(SNAPSHOT, pid=process.pid))
    assert why_not == f"process {process.pid} is not a nathb of this version"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)


def test_a_process_that_has_ended_is_said_to_have(start: Start) -> None:
    process = start("nathb", "run", "tokyo")
    process.kill()
    process.wait()
    assert status_file.look_now(replace(SNAPSHOT, pid=process.pid)) == "the daemon has just ended"


def test_who_may_not_signal_is_told_that_root_may(start: Start) -> None:
    def forbidden(_process: int, _number: int) -> None:
        raise PermissionError

    process = start("nathb", "run", "tokyo")
    why_not = status_file.look_now(replace(SNAPSHOT, pid=process.pid), forbidden)
    assert why_not == "only root may signal the daemon to read EC2 at once"


def test_a_daemon_lives_while_its_snapshot_is_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with pytest.raises(SnapshotError, match="there is none; is the daemon running"):
        status_file.live_daemon("tokyo")
    fresh = replace(SNAPSHOT, at=time.monotonic())
    publish(tmp_path / "status.json", fresh)
    assert status_file.live_daemon("tokyo").pid == fresh.pid
    publish(tmp_path / "status.json", replace(SNAPSHOT, at=time.monotonic() - 11.0))
    with pytest.raises(SnapshotError, match="was last written 11 s ago; the daemon does not run"):
        status_file.live_daemon("tokyo")
