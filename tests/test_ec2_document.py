"""docs/ec2.md is true: each test that it names exists, each step is one of the proof's, each quote
is in botocore's model, each file of the code is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import botocore.session
import pytest

from nathb.provision.proof import DESTINATION, STEPS

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "ec2.md").read_text()
HEAD, _, *ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in DOCUMENT.splitlines()
    if line.startswith("|")
]
NAMED = re.compile(r"`(test_\w+)`")
QUOTE = re.compile(r'^botocore (\w+)(?:\.(\w+))?: "(.+)"$')


@cache
def code_of(folder: str) -> str:
    return "".join(file.read_text() for file in (ROOT / folder).rglob("test_*.py"))


@cache
def model() -> botocore.model.ServiceModel:
    return botocore.session.get_session().get_service_model("ec2")


def row(cells: list[str]) -> str:
    return cells[0][:60]


def test_the_table_has_a_row_for_each_behaviour_and_five_cells_in_each() -> None:
    assert len(HEAD) == 5
    assert len(ROWS) >= 20
    assert [cells for cells in ROWS if len(cells) != 5 or not all(cells)] == []


@pytest.mark.parametrize("cells", ROWS, ids=row)
def test_the_lab_has_it_by_a_test_that_exists_or_the_page_says_why_not(cells: list[str]) -> None:
    shown = cells[3]
    is_of_lab = not shown.startswith("no: ")
    assert NAMED.findall(shown)
    for name in NAMED.findall(shown):
        assert f"def {name}(" in code_of("tests/lab" if is_of_lab else "tests")


@pytest.mark.parametrize("cells", ROWS, ids=row)
def test_each_step_that_shows_it_is_one_of_the_proof_or_the_page_says_why_there_is_none(
    cells: list[str],
) -> None:
    shown = cells[4]
    if not shown.startswith("no: "):
        steps = re.findall(r"`([a-z-]+)`", shown)
        assert steps
        assert set(steps) <= STEPS.keys()


def test_each_step_of_the_proof_shows_a_behaviour_on_the_page() -> None:
    shown = {step for cells in ROWS for step in re.findall(r"`([a-z-]+)`", cells[4])}
    assert shown >= STEPS.keys()
    assert DESTINATION in DOCUMENT


@pytest.mark.parametrize("cells", ROWS, ids=row)
def test_each_source_is_a_page_of_aws_or_words_of_botocores_model_or_said_to_be_missing(
    cells: list[str],
) -> None:
    source = cells[2]
    quoted = QUOTE.match(source)
    if quoted is None:
        pages = re.findall(r"\]\((https://docs\.aws\.amazon\.com/[^)]+)\)", source)
        assert pages or source == "no document says so"
        return
    name, member, words = quoted.groups()
    shape = model().shape_for(name) if name[0].isupper() and member == "State" else None
    if shape is not None:
        text = shape.members[member].documentation
    else:
        operation = model().operation_model(name)
        text = operation.input_shape.members[member].documentation if member else (
            operation.documentation
        )  # fmt: skip
    assert words in re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))


@pytest.mark.parametrize("cells", ROWS, ids=row)
def test_the_code_that_leans_on_it_is_there(cells: list[str]) -> None:
    files = re.findall(r"`(\w+/\w+)`", cells[1])
    assert [one for one in files if not (ROOT / "nathb" / f"{one}.py").exists()] == []
    assert files or "`source:`" in cells[1]
