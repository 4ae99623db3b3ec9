"""Standard output that is full, closed or not read, of the installed program: never a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nathb.cli import parser
from tests.commands.installed import command, environment, through_shell
from tests.commands.test_command_line import BROKEN, EXAMPLE
from tests.commands.told import tell
from tests.host.journald import Journald
from tests.sim.pair import A, C, pair

FILE = str(EXAMPLE)
(TABLE,) = (one for one in parser()._actions if one.dest == "==SUPPRESS==" and one.choices)
VERBS = sorted(TABLE.choices)
SHOWN = [
    ["--version"],
    ["--help"],
    *([verb, "--help"] for verb in VERBS),
    ["check", FILE],
    ["check", FILE, "--json"],
    ["status", FILE, "--schema"],
    ["iam-policy", FILE, "--account", "123456789012"],
]
FULL = (
    "nathb: standard output: cannot be written: No space left on device; "
    "free some space there (`df`), or write to another place\n"
)
CLOSED = (
    "nathb: standard output: cannot be written: Bad file descriptor; "
    "it is closed, or not open for writing: run it without `>&-`, or with `>FILE`\n"
)


def words(arguments: list[str]) -> str:
    return " ".join(arguments).replace(FILE, "FILE")


@pytest.mark.parametrize("arguments", SHOWN, ids=words)
def test_on_a_full_disk_it_says_so_with_the_fix_and_is_1(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = through_shell(">/dev/full", command(tmp_path, *arguments))
    assert (done.returncode, done.stderr) == (1, FULL)


@pytest.mark.parametrize("arguments", [SHOWN[0], SHOWN[1], *SHOWN[-4:]], ids=words)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_with_standard_output_closed_it_says_so_and_is_1(
    tmp_path: Path, arguments: list[str], unbuffered: str
) -> None:
    argv = command(tmp_path, *arguments)
    done = through_shell(">&-", argv, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (1, CLOSED)


@pytest.mark.parametrize("arguments", [SHOWN[0], SHOWN[1], *SHOWN[-4:]], ids=words)
def test_a_pipe_that_nobody_reads_is_1_without_a_word(tmp_path: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command(tmp_path, *arguments), env=environment(), stdout=writing,
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("redirection", [">&- 2>&-", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"])
def test_with_nowhere_left_to_say_it_the_exit_code_still_tells(
    tmp_path: Path, redirection: str
) -> None:
    assert through_shell(redirection, command(tmp_path, "check", FILE)).returncode == 1


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_what_standard_error_does_not_take_changes_no_exit_code_and_soils_no_output(
    tmp_path: Path, redirection: str
) -> None:
    bad = through_shell(redirection, command(tmp_path, "check", str(BROKEN)))
    assert (bad.returncode, bad.stdout) == (78, "")
    usage = through_shell(redirection, command(tmp_path, "check"))
    assert (usage.returncode, usage.stdout) == (2, "")


def test_what_is_wrong_with_the_file_is_said_though_the_disk_is_full(tmp_path: Path) -> None:
    done = through_shell(">/dev/full", command(tmp_path, "check", "no-such-group"))
    assert done.returncode == 78
    assert "there is no such file" in done.stderr


def test_a_terminal_of_another_encoding_gets_escapes_and_no_traceback(tmp_path: Path) -> None:
    argv = command(tmp_path, "check", "--json", str(tmp_path / "gr\xfc\xdfe.yaml"))
    done = through_shell("", argv, PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 78
    assert "Traceback" not in done.stderr


def test_nobody_to_ask_is_said_when_standard_input_is_closed(tmp_path: Path) -> None:
    nowhere = {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9"}
    done = through_shell("<&-", command(tmp_path, "apply", FILE), **nowhere)
    assert done.returncode == 1
    assert "Could not connect" in done.stderr


@pytest.mark.lab
@pytest.mark.clock
@pytest.mark.parametrize("verb", ["history", "explain"])
def test_what_the_journal_has_is_not_shown_on_a_full_disk_and_that_is_said(
    tmp_path: Path, journald: Journald, verb: str
) -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    at = ("--directory", tell(world, A, journald))
    done = through_shell(">/dev/full", command(tmp_path, verb, "pair", *at))
    assert (done.returncode, done.stderr) == (1, FULL)
