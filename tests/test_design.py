"""docs/design.md says what the code does: its rules and its tree are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from nathb.core.rules import RULES

ROOT = Path(__file__).parent.parent
DESIGN = (ROOT / "docs" / "design.md").read_text()
NUMBER = re.compile(r"\bR(?:[1-9]|1[0-9])(?:[bc]\b|\b)")
STATED = re.compile(r"^- \*\*(R\d+[bc]?)\*\* ", re.MULTILINE)
FOLDER = re.compile(r"^  (\w+)/ ", re.MULTILINE)


def test_every_rule_that_the_code_cites_is_stated_and_every_stated_one_is_cited() -> None:
    cited = {
        number
        for file in (ROOT / "nathb").rglob("*.py")
        for number in NUMBER.findall(file.read_text())
    }
    stated = STATED.findall(DESIGN)
    assert sorted(stated) == sorted(cited)
    assert len(stated) == len(set(stated))


def test_the_rules_are_asked_in_the_order_that_is_stated() -> None:
    block = DESIGN.split("```")[1]
    assert block.split() == [rule.__name__ for rule in RULES]


def test_the_tree_shows_every_folder_and_every_file_of_the_code() -> None:
    tree = next(block for block in DESIGN.split("```") if block.startswith("\nnathb/\n"))
    shown: set[str] = set()
    for part in re.split(r"(?=^  \w+/ )", tree, flags=re.MULTILINE):
        folder = FOLDER.match(part)
        home = f"{folder[1]}/" if folder else ""
        shown |= {home + name for name in re.findall(r"\b(?!_)\w+\.py|__main__\.py", part)}
    there = {
        str(file.relative_to(ROOT / "nathb"))
        for file in (ROOT / "nathb").rglob("*.py")
        if file.name != "__init__.py"
    }
    assert shown == there


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:nathb|tests|etc|systemd)/[\w/.-]+)`", DESIGN))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    rooms = set(
        re.findall(r"`((?:core|net|aws|host|daemon|provision|config)/\w+)(?:\.py)?`", DESIGN)
    )
    assert [room for room in sorted(rooms) if not (ROOT / "nathb" / f"{room}.py").exists()] == []
