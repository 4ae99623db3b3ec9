"""One broken file per mistake is refused in the recorded words; the cases are in `broken/`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nathb.config
from nathb.config import parse
from nathb.core.errors import FileError
from tests.config.cases import FILE, FOLDER, Case, read_cases, rewrite

HERE = Path(__file__).parent
CASES = {case.name: case for case in read_cases()}
SOURCES = sorted(Path(nathb.config.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_a_broken_file_is_refused_in_these_words(case: Case, pytestconfig: pytest.Config) -> None:
    with pytest.raises(FileError) as refusal:
        parse(case.data, FILE)
    messages = f"{refusal.value}\n"
    if pytestconfig.getoption("--rewrite"):
        rewrite(case, messages)
    else:
        assert messages == case.messages


def test_there_are_cases_for_each_of_many_mistakes_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) == len(read_cases()) > 140


def test_a_broken_file_holds_one_mistake_so_that_nothing_else_is_said() -> None:
    lines = {name: case.messages.count("\n") for name, case in CASES.items()}
    assert [name for name, count in lines.items() if count != 1] == ["many"]


def test_all_mistakes_of_a_file_are_told_at_once_in_order_of_line() -> None:
    with pytest.raises(FileError) as refusal:
        parse(CASES["many"].data, FILE)
    lines = [mistake.line for mistake in refusal.value.mistakes]
    assert lines == [1, 2, 5, 6, 9, 10, 13, 14, 15, 16, 16, 16, 16, 17]


def test_rewritten_messages_take_the_place_of_the_old_ones_and_nothing_else_changes(
    tmp_path: Path,
) -> None:
    for theme in FOLDER.iterdir():
        (tmp_path / theme.name).write_bytes(theme.read_bytes())
    before = read_cases(tmp_path)
    for case in before:
        rewrite(case, f"{case.messages}another\n")
    after = read_cases(tmp_path)
    assert [(one.name, one.data) for one in after] == [(one.name, one.data) for one in before]
    assert [one.messages for one in after] == [f"{one.messages}another\n" for one in before]
    for case in after:
        rewrite(case, CASES[case.name].messages)
    for theme in FOLDER.iterdir():
        assert (tmp_path / theme.name).read_bytes() == theme.read_bytes()


def sentences(source: Path) -> Iterator[str]:
    """Yield what a module may say: its texts of several words, but for those that only explain."""
    tree = ast.parse(source.read_text("utf-8"))
    explain = {id(part.value) for part in ast.walk(tree) if isinstance(part, ast.Expr)}
    for part in ast.walk(tree):
        match part:
            case ast.Constant(value=str(text)) if " " in text.strip() and id(part) not in explain:
                yield text


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_sentence_in_the_code_is_expected_by_a_test(source: Path) -> None:
    expected = [case.messages for case in CASES.values()]
    expected += [text for path in HERE.glob("test_*.py") for text in sentences(path)]
    unexpected = [
        sentence
        for sentence in sentences(source)
        if not any(sentence.strip() in text for text in expected)
    ]
    assert unexpected == []
