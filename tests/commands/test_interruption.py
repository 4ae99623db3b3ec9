"""`nathb replace` that is ended after it has written the file, and an answer that never comes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nathb.cli import main
from nathb.commands import plan, replace
from tests.commands.test_command_line import EXAMPLE

NEW = "i-0123456789abcdef0"


def interrupted(*_: object) -> int:
    raise KeyboardInterrupt


def test_ctrl_c_after_the_file_is_written_says_what_it_names_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tokyo.yaml"
    file.write_text(EXAMPLE.read_text())
    monkeypatch.setattr(replace, "_expect", lambda *_: None)
    monkeypatch.setattr(replace, "apply", interrupted)
    assert main(["replace", str(file), "nat-a", NEW]) == 130
    assert NEW in file.read_text()
    assert capsys.readouterr().err == (
        f"nathb: ended early: {file} names {NEW} for nat-a now, and that stays; "
        f"`nathb apply {file}` makes EC2 match it, "
        "`nathb replace` with the old instance undoes it\n"
    )


class Terminal(io.StringIO):
    """A person's terminal on which ^D is typed."""

    def isatty(self) -> bool:
        return True


def test_ctrl_d_for_an_answer_is_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    assert plan._is_wanted() is False
    assert capsys.readouterr().out == "Carry this out? [y/N] \n"
