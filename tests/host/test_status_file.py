"""The file between the daemon and `nathb status`, and how the live daemon is found by it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from nathb.core.errors import SnapshotError
from nathb.host import status_file
from nathb.host.status_file import default_path, publish, read
from tests.host.samples import SNAPSHOT


def later() -> float:
    """Tell a time after the sample was written."""
    return SNAPSHOT.at + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nathb" / "tokyo" / "status.json"


def test_what_was_published_is_read(path: Path) -> None:
    publish(path, SNAPSHOT)
    assert read(path, later) == SNAPSHOT


def test_anyone_may_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        publish(path, SNAPSHOT)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_publishing_leaves_nothing_else_behind(path: Path) -> None:
    publish(path, SNAPSHOT)
    publish(path, SNAPSHOT)
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    sizes = (1, 50_000)
    publish(path, SNAPSHOT)
    done = threading.Event()

    def write() -> None:
        for turn in range(400):
            publish(path, replace(SNAPSHOT, version="x" * sizes[turn % 2]))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not done.is_set():
            read(path, later)
    finally:
        writer.join()


def test_a_failed_publish_keeps_the_old_file_and_leaves_no_draft(path: Path) -> None:
    path.mkdir(parents=True)  # rename(2) refuses to put a file over a directory
    with pytest.raises(SnapshotError, match=r"status\.json: .* cannot be written: Is a directory"):
        publish(path, SNAPSHOT)
    assert list(path.parent.iterdir()) == [path]


def test_a_directory_that_cannot_be_made_is_an_error_of_ours() -> None:
    with pytest.raises(SnapshotError, match="Not a directory; routes are still guarded"):
        publish(Path("/dev/null/tokyo/status.json"), SNAPSHOT)


def test_without_a_file_the_reader_is_asked_about_the_daemon(path: Path) -> None:
    with pytest.raises(SnapshotError, match="there is none; is the daemon running"):
        read(path)


def test_a_file_that_cannot_be_read_says_why(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(SnapshotError, match="cannot be read: Is a directory; try as root"):
        read(path)


WHOLE = msgspec.json.encode(SNAPSHOT)


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="half"),
        pytest.param(WHOLE.replace(b'"nat-c"', b'"\xff"'), id="no unicode"),
        pytest.param(WHOLE.replace(b'"down"', b'"perhaps"'), id="unknown word"),
        pytest.param(b"[]", id="another shape"),
    ],
)
def test_a_damaged_file_is_an_error_of_ours(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(damaged)
    with pytest.raises(SnapshotError, match="not what this version of nathb writes"):
        read(path, later)


def test_a_file_from_before_a_reboot_does_not_pass_for_fresh(path: Path) -> None:
    publish(path, SNAPSHOT)
    with pytest.raises(SnapshotError, match="from before the last boot"):
        read(path, lambda: SNAPSHOT.at - 1)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/run/nathb/tokyo/status.json"),
        ({"RUNTIME_DIRECTORY": "/run/nathb/tokyo"}, "/run/nathb/tokyo/status.json"),
        ({"RUNTIME_DIRECTORY": "/run/one:/run/two"}, "/run/one/status.json"),
    ],
)
def test_the_path_is_the_unit_s_runtime_directory_or_its_like(
    environ: dict[str, str], path: str
) -> None:
    assert default_path("tokyo", environ) == Path(path)


# --- the live daemon ------------------------------------------------------------------------------

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


@pytest.mark.clock
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
