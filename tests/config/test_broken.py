"""One broken file per mistake, and beside it, to the letter, what nathb says about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nathb.config
from nathb.config import parse
from nathb.core.errors import FileError

HERE = Path(__file__).parent
BROKEN = HERE / "broken"
SOURCES = sorted(Path(nathb.config.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_file_is_refused_in_these_words(path: Path) -> None:
    with pytest.raises(FileError) as refusal:
        parse(path.read_bytes(), path.name)
    assert f"{refusal.value}\n" == path.with_suffix(".txt").read_text("utf-8")


def test_every_broken_file_has_its_words_and_all_words_have_their_file() -> None:
    files, words = ({path.stem for path in BROKEN.glob(pattern)} for pattern in ("*.yaml", "*.txt"))
    assert files == words
    assert len(files) > 30
    assert len(list(BROKEN.iterdir())) == len(files) + len(words)


def test_a_broken_file_holds_one_mistake_so_that_nothing_else_is_said() -> None:
    told = {path.stem: path.read_text("utf-8").splitlines() for path in BROKEN.glob("*.txt")}
    assert [stem for stem, lines in told.items() if len(lines) != 1] == ["many"]


def test_all_mistakes_of_a_file_are_told_at_once_in_order_of_line() -> None:
    with pytest.raises(FileError) as refusal:
        parse((BROKEN / "many.yaml").read_bytes(), "many.yaml")
    lines = [mistake.line for mistake in refusal.value.mistakes]
    assert lines == [1, 2, 5, 6, 9, 10, 13, 14, 15, 16, 16, 16, 16, 17]


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
    expected = [path.read_text("utf-8") for path in BROKEN.glob("*.txt")]
    expected += [text for path in HERE.glob("test_*.py") for text in sentences(path)]
    unexpected = [
        sentence
        for sentence in sentences(source)
        if not any(sentence.strip() in text for text in expected)
    ]
    assert unexpected == []
