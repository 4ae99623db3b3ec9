"""`nathb reload`: the daemon is told, and what it says to the new file is the answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.cli import main
from nathb.commands.reload import PATIENCE, wait
from nathb.core.errors import SnapshotError
from nathb.core.snapshot import Snapshot, Told
from nathb.host.status_file import publish
from tests.host.samples import SNAPSHOT

GOOD = "reloaded tokyo"
REFUSED = "reload refused, the old file stays in force: tokyo.yaml: the region has changed; restart"

Answers = Callable[[str, str], None]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Let this process answer SIGHUP with an event in its snapshot, as `nathb run` does."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))

    def answers(event: str, message: str) -> None:
        def handle(*_: object) -> None:
            now = time.monotonic()
            told = (Told(now, event, message),)
            publish(tmp_path / "status.json", replace(SNAPSHOT, at=now, told=told))

        signal.signal(signal.SIGHUP, handle)

    before = signal.getsignal(signal.SIGHUP)
    yield answers
    signal.signal(signal.SIGHUP, before)


def test_a_file_that_the_daemon_goes_on_with_is_0(
    daemon: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon("reloaded", GOOD)
    assert main(["reload", "tokyo", "--pid", str(os.getpid())]) == 0
    assert capsys.readouterr().out == f"{GOOD}\n"


def test_a_file_that_the_daemon_refuses_is_1_in_its_own_words(
    daemon: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon("reload-refused", REFUSED)
    assert main(["reload", "tokyo", "--pid", str(os.getpid())]) == 1
    assert capsys.readouterr().err == f"nathb: {REFUSED}\n"


def test_a_process_that_has_ended_is_said_to_be_none(
    daemon: Answers,  # noqa: ARG001
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert main(["reload", "tokyo", "--pid", str(ended.pid)]) == 1
    assert f"process {ended.pid} cannot be signalled" in capsys.readouterr().err


def test_without_a_daemon_it_is_1_and_says_where_one_would_be_seen(
    daemon: Answers,  # noqa: ARG001
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["reload", "tokyo"]) == 1
    assert f"{tmp_path}/status.json: there is none" in capsys.readouterr().err


def test_what_is_not_the_daemon_is_not_signalled(
    daemon: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon("reloaded", GOOD)
    snapshot = replace(SNAPSHOT, at=time.monotonic(), pid=os.getpid())
    publish(tmp_path / "status.json", snapshot)
    assert main(["reload", "tokyo"]) == 1
    assert f"process {os.getpid()} is not a nathb of this version" in capsys.readouterr().err


class Time:
    """A clock that each look and each pause moves on by a second."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.now += 1.0


def waited(looks: Callable[[float], Snapshot]) -> tuple[Told | None, float]:
    """Return the answer to what was asked at second 100, and how long it was waited for."""
    time = Time()
    answer = wait(lambda: looks(time.now), 100.0, clock=time.clock, sleep=time.sleep)
    return answer, time.now - 100.0


def test_an_answer_to_an_earlier_reload_is_none() -> None:
    old = Told(99.9, "reloaded", GOOD)
    new = Told(102.0, "reload-refused", REFUSED)
    looks = lambda now: replace(SNAPSHOT, told=(old, new) if now >= 103 else (old,))  # noqa: E731
    assert waited(looks) == (new, 3.0)


def test_a_daemon_that_says_nothing_is_waited_for_and_no_longer() -> None:
    assert waited(lambda _: SNAPSHOT) == (None, PATIENCE)


def test_a_snapshot_that_cannot_be_read_for_a_moment_is_read_again() -> None:
    answer = Told(100.5, "reloaded", GOOD)

    def looks(now: float) -> Snapshot:
        if now < 102:
            raise SnapshotError("torn")
        return replace(SNAPSHOT, told=(answer,))

    assert waited(looks) == (answer, 2.0)
