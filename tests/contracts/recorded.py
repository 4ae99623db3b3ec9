"""Recorded texts: what was promised, held against what the program makes today."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def compare(name: str, made: str, *, rewrite: bool) -> None:
    """Fail, showing the difference, unless a text is as the recording of this name has it.

    With `rewrite` the recording is renewed instead.
    """
    file = HERE / name
    if rewrite:
        file.write_text(made)
    recorded = file.read_text() if file.exists() else ""
    if made == recorded:
        return
    lines = difflib.unified_diff(
        recorded.splitlines(), made.splitlines(), f"{name} as promised", f"{name} today", n=1,
        lineterm="",
    )  # fmt: skip
    told = "see tests/contracts/README.md for what a difference means"
    pytest.fail("\n".join([*lines, told]), pytrace=False)


TRACES = HERE / "traces.txt"
OLDER = HERE / "traces-0.1.txt"


def rounds(file: Path = TRACES) -> dict[str, str]:
    """Return the recorded rounds, each a line as NATHB_TRACE has it, by their names."""
    blocks = file.read_text().strip().split("\n\n")
    return dict(block.removeprefix("# ").split("\n") for block in blocks)


def round_named(beginning: str) -> str:
    """Return the one round whose name begins so."""
    (line,) = (line for name, line in rounds().items() if name.startswith(f"{beginning}:"))
    return line
