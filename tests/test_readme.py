"""What the README says of tests and verbs is so."""

from __future__ import annotations

import re
from pathlib import Path

from nathb.cli import parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TESTS = "".join(file.read_text() for file in (ROOT / "tests" / "lab").glob("test_*.py"))


def test_every_test_that_the_readme_names_is_in_the_lab() -> None:
    named = re.findall(r"`(test_[a-z0-9_]{20,})`", README)
    assert len(named) > 50
    assert [name for name in named if f"def {name}(" not in TESTS] == []


def test_every_verb_is_in_the_readmes_table_of_commands() -> None:
    commands = README.partition("## Commands")[2].partition("\n## ")[0]
    verbs = re.findall(r"^    ([a-z][a-z-]+)(?: {2,}|$)", parser().format_help(), re.MULTILINE)
    assert len(verbs) > 10
    assert [verb for verb in verbs if f"`nathb {verb}" not in commands] == []
