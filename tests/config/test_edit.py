"""Another instance for a node: one value changes, and nothing else of the file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nathb import config
from nathb.config import edit
from nathb.core.errors import FileError, UsageError

EXAMPLE = Path(__file__).parents[2] / "etc" / "nathb" / "example.yaml"
FILE = str(EXAMPLE)
TEXT = EXAMPLE.read_text()
OLD = config.load(EXAMPLE).nodes[0].instance
NEW = "i-0123456789abcdef0"


def edited(text: str, node: str = "nat-a", instance: str = NEW) -> str:
    group = config.parse(text, FILE)
    return edit.with_instance(text, group, node, instance, lambda new: config.parse(new, FILE))


def test_one_line_changes_and_every_comment_stays() -> None:
    before, after = TEXT.splitlines(), edited(TEXT).splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [(line, line.replace(OLD, NEW)) for line, _ in changed]
    assert len(changed) == 1


def test_an_old_id_in_a_comment_above_is_left_as_it_is() -> None:
    text = f"# formerly {OLD}\n{TEXT}"
    assert edited(text).splitlines()[0] == f"# formerly {OLD}"
    assert config.parse(edited(text), FILE).node("nat-a").instance == NEW


def test_a_longer_id_that_begins_alike_is_another_id() -> None:
    text = f"# {OLD}ff\n{TEXT}"
    assert edited(text).splitlines()[0] == f"# {OLD}ff"


@pytest.mark.parametrize(
    ("text", "node", "instance", "words"),
    [
        (TEXT, "nat-z", NEW, "name one of these"),
        (TEXT.replace(f"instance: {OLD}", 'match: {"tag:Name": nat-a}'), "nat-a", NEW, "`match`"),
        (
            TEXT.replace(f"instance: {OLD}", f"instance: {OLD}\n    eni: eni-0123456789abcdef0"),
            "nat-a",
            NEW,
            "edit both by hand",
        ),
    ],
    ids=["no such node", "found by match", "its interface is named too"],
)
def test_what_cannot_be_edited_is_refused_with_what_to_do(
    text: str, node: str, instance: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        edited(text, node, instance)


def test_what_is_no_instance_id_is_refused_like_in_any_file() -> None:
    with pytest.raises(FileError, match="instance"):
        edited(TEXT, instance="nonsense")


def test_a_file_is_replaced_whole_with_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    edit.write(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.yaml", "real.yaml"]


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        edit.write(tmp_path / "absent" / "file.yaml", "new")


def test_the_digest_tells_what_files_mean_not_how_they_are_written() -> None:
    group = config.parse(TEXT, FILE)
    assert config.digest(config.parse(f"# a remark\n{TEXT}", FILE)) == config.digest(group)
    assert config.digest(config.parse(edited(TEXT), FILE)) != config.digest(group)
