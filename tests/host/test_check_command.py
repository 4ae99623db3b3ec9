"""The program of check_command, as a real one: what its end means, and that nothing is left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nathb.core.model import Outcome
from nathb.host.check_command import CheckCommand

LONG = 60.0


@pytest.fixture
def check() -> Iterator[CheckCommand]:
    command = CheckCommand()
    yield command
    command.stop()


def wait_for(path: Path) -> int:
    """Wait until a script has written its pid; return it."""
    deadline = time.monotonic() + LONG
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def test_exit_0_is_heard_and_any_other_is_missed_with_its_last_words(check: CheckCommand) -> None:
    assert check.run(["true"], LONG) == (Outcome.HEARD, "")
    assert check.run(["sh", "-c", "echo; echo no session; exit 2"], LONG) == (
        Outcome.MISSED,
        "ended with status 2; it wrote last: no session",
    )


def test_arguments_are_passed_as_they_are_without_a_shell(check: CheckCommand) -> None:
    assert check.run(["test", "$HOME", "=", "$HOME"], LONG)[0] is Outcome.HEARD


@pytest.mark.parametrize(
    "command", [["absent-program"], ["/absent/program"], ["sh", "-c", "absent"]]
)
def test_what_cannot_be_run_is_blind(check: CheckCommand, command: list[str]) -> None:
    outcome, why = check.run(command, LONG)
    assert outcome is Outcome.BLIND
    assert "no program that nathb's user may run" in why or "status 127" in why


def test_a_program_that_others_could_change_is_not_run(check: CheckCommand, tmp_path: Path) -> None:
    program = tmp_path / "check"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o777)
    outcome, why = check.run([str(program)], LONG)
    assert outcome is Outcome.BLIND
    assert f"others may write to {program}: chmod go-w" in why
    assert not (tmp_path / "ran").exists()


def test_a_program_that_does_not_end_is_missed_and_dies_with_its_children(
    check: CheckCommand, tmp_path: Path
) -> None:
    script = f"sleep 999 & echo $! > {tmp_path}/pid; wait"
    assert check.run(["sh", "-c", script], 0.5) == (Outcome.MISSED, "killed after 500 ms")
    child = Path(f"/proc/{wait_for(tmp_path / 'pid')}/cmdline")
    deadline = time.monotonic() + LONG
    while child.exists() and child.read_bytes():  # that of a zombie is empty
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_there_is_never_a_second_run_and_a_stop_ends_the_first(
    check: CheckCommand, tmp_path: Path
) -> None:
    ended: list[tuple[Outcome, str]] = []
    script = ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 999"]
    first = threading.Thread(target=lambda: ended.append(check.run(script, LONG)))
    first.start()
    pid = wait_for(tmp_path / "pid")
    assert check.run(["true"], LONG) == (Outcome.BLIND, "the run before it has not ended")
    check.stop()
    first.join(LONG)
    assert ended == [(Outcome.BLIND, "killed, because nathb stopped")]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
