"""What the router knows, read from real commands and files; whatever goes wrong has its reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nathb.core.errors import ReadingError
from nathb.core.model import Learn
from nathb.core.prefixes import MOST_BYTES
from nathb.host.prefix_reader import PrefixReader

INTO, ALLOW = ("rtb-0000000a",), ("10.8.0.0/13",)


def command(*words: str, timeout: float = 60.0) -> PrefixReader:
    return PrefixReader(Learn(INTO, ALLOW, command=words), timeout=timeout)


def file(path: Path) -> PrefixReader:
    return PrefixReader(Learn(INTO, ALLOW, file=str(path)))


def failure(reader: PrefixReader) -> str:
    with pytest.raises(ReadingError) as refusal:
        reader.read()
    return str(refusal.value)


def test_a_command_prints_the_prefixes_and_no_shell_reads_its_words(tmp_path: Path) -> None:
    assert command("echo", "10.8.0.0/16").read() == {"10.8.0.0/16"}
    path = tmp_path / "$(touch x); y"
    path.write_text("10.9.0.0/16\n")
    assert command("cat", str(path)).read() == {"10.9.0.0/16"}


def test_a_file_has_the_prefixes(tmp_path: Path) -> None:
    path = tmp_path / "prefixes"
    path.write_text("10.8.0.0/16\n")
    assert file(path).read() == {"10.8.0.0/16"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 3", "sh: ended with status 3"),
        ("echo 10.8.0.0/16; echo no such view >&2; exit 1", "it wrote last: no such view"),
        ("kill -9 $$", "sh: ended with status -9"),
        ("true", "sh: no prefix at all"),
        (f"head -c {MOST_BYTES + 1} /dev/zero", f"sh: printed more than {MOST_BYTES} bytes"),
        ("printf 'a\\033[2Jb'; exit 1", "it wrote last: a [2Jb"),
    ],
)
def test_a_command_that_fails_is_no_reading(script: str, why: str) -> None:
    assert why in failure(command("sh", "-c", script))


def test_a_command_that_is_not_there_cannot_be_run() -> None:
    name = "nathb-no-such-program"
    assert failure(command(name)) == f"{name}: {name} is no program that nathb's user may run"


def test_a_program_that_others_could_change_is_not_run(tmp_path: Path) -> None:
    program = tmp_path / "prefixes"
    program.write_text("#!/bin/sh\necho 10.8.0.0/16\n")
    program.chmod(0o777)
    assert f"others may write to {program}: chmod go-w {program}" in failure(command(str(program)))


def test_a_command_that_takes_too_long_is_killed() -> None:
    assert failure(command("sleep", "1000", timeout=0.2)) == "sleep: killed after 200 ms"


def test_a_stop_of_nathb_kills_it() -> None:
    reader = command("sleep", "1000")
    reader.stop()
    assert failure(reader) == "sleep: killed, because nathb stopped"


def test_a_file_that_is_not_there_too_large_or_no_file_is_no_reading(tmp_path: Path) -> None:
    path = tmp_path / "prefixes"
    assert failure(file(path)) == f"{path}: cannot be read: No such file or directory"
    path.write_bytes(b"1" * (MOST_BYTES + 1))
    assert f"{path}: more than {MOST_BYTES} bytes" in failure(file(path))
    path.unlink()
    os.mkfifo(path)
    assert failure(file(path)) == f"{path}: is not a regular file"
    assert failure(file(tmp_path)).startswith(f"{tmp_path}: ")
