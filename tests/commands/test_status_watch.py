"""`nathb status --watch`: a screen a second on a terminal, plain text for any other reader."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREENS = 2
"""How many screens are read; the process is ended then."""


def watching(stdout: int, **variables: str) -> subprocess.Popen[bytes]:
    """Start `status --watch` of a group that no daemon guards, which is said in every screen."""
    return subprocess.Popen(
        [sys.executable, "-m", "nathb", "status", "no-such-group", "--watch"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdout=stdout,
    )


def read(fileno: int, word: bytes) -> bytes:
    """Read until a word has come so many times, or for as long as anything comes."""
    text = b""
    while text.count(word) < SCREENS and (more := os.read(fileno, 65536)):
        text += more
    return text


def shown(process: subprocess.Popen[bytes], fileno: int) -> bytes:
    try:
        return read(fileno, b"there is none")
    finally:
        process.kill()
        process.wait()


def test_into_a_pipe_the_screens_are_plain_text_with_an_empty_line_between_them() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w"):
        text = shown(watching(writing, TERM="xterm"), reading)
    assert b"\x1b" not in text
    first, second = text.split(b"\n\n")[:SCREENS]
    assert first.startswith(b"/run/nathb/no-such-group/status.json: there is none")
    assert second.startswith(b"/run/nathb/no-such-group/status.json: there is none")


@pytest.mark.parametrize(("term", "clears"), [("xterm", True), ("dumb", False)])
def test_a_terminal_is_cleared_before_each_screen_unless_it_is_dumb(
    term: str, *, clears: bool
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0), os.fdopen(slave, "w"):
        text = shown(watching(slave, TERM=term), master)
    assert (text.count(b"\x1b[H\x1b[2J") == SCREENS) is clears
