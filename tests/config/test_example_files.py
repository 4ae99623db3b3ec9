"""Every file in etc/nathb is one that nathb takes, whoever it is written for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nathb.config import find_warnings, load
from nathb.ui.other_groups import shared_tables

FOLDER = Path(__file__).parents[2] / "etc" / "nathb"
FILES = sorted(FOLDER.glob("*.yaml"))
KINDS = ("nat-pair", "three-zones", "vyos-tunnels", "direct-connect", "sdwan-hubs")


def test_there_is_one_for_each_kind_of_user() -> None:
    assert {file.stem for file in FILES} >= {"example", *KINDS}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_loads_without_a_warning_and_shares_no_table_with_another(file: Path) -> None:
    group = load(file)
    assert find_warnings(group, str(file)) == ()
    assert shared_tables(group, file) == ()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_says_in_its_first_lines_who_it_is_for_and_where_the_keys_are(
    file: Path,
) -> None:
    head = file.read_text().partition("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert file.stem == "example" or "example.yaml" in head


def test_the_keys_that_other_ways_are_translated_to_are_keys_of_the_file() -> None:
    text = (FOLDER.parents[1] / "docs" / "coming-from.md").read_text()
    translated = "".join(re.findall(r"^\| .+? \| (.+) \|$", text, re.MULTILINE))
    named = set(re.findall(r"`(?:check\.)?([a-z_]+)(?:`|:)", translated))
    named -= {"nathb", "took", "returned", "lo"}
    keys = (FOLDER / "example.yaml").read_text()
    assert len(named) > 10
    assert [key for key in sorted(named) if f"{key}:" not in keys] == []
