"""Another instance for a node: one value changes, and nothing else of the file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nathb import config
from nathb.config import edit, files
from nathb.core.errors import FileError, UsageError
from tests.config.cases import PAIR

EXAMPLE = Path(__file__).parents[2] / "etc" / "nathb" / "example.yaml"
FILE = str(EXAMPLE)
TEXT = EXAMPLE.read_text()
OLD = config.load(EXAMPLE).nodes[0].instance
NEW = "i-0123456789abcdef0"


def edited(text: str, node: str = "nat-a", instance: str = NEW) -> str:
    group = config.parse(text, FILE)
    return edit.replace_instance(text, group, node, instance, lambda new: config.parse(new, FILE))


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


def with_eni(text: str) -> str:
    return text.replace(f"instance: {OLD}", f"instance: {OLD}\n    eni: eni-0123456789abcdef0")


REFUSED = {
    "no such node": (
        TEXT,
        "nat-z",
        "nat-z: no such node; one of nat-a, nat-c",
    ),
    "found by match": (
        TEXT.replace(f"instance: {OLD}", 'match: {"tag:Name": nat-a}'),
        "nat-a",
        "nat-a is found by its `match`; start an instance with that tag, then: nathb apply",
    ),
    "its interface is named too": (
        with_eni(TEXT),
        "nat-a",
        "nat-a: its `eni` eni-0123456789abcdef0 belongs to the old instance; "
        "edit both by hand, then: nathb apply",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_edited_is_refused_with_what_to_do(what: str) -> None:
    text, node, words = REFUSED[what]
    with pytest.raises(UsageError) as refusal:
        edited(text, node)
    assert str(refusal.value) == words


def test_an_id_that_no_single_edit_can_change_is_left_to_a_person() -> None:
    group = config.parse(TEXT, FILE)
    with pytest.raises(UsageError) as refusal:
        edit.replace_instance("", group, "nat-a", NEW, lambda new: config.parse(new, FILE))
    assert str(refusal.value) == (
        f"nat-a: its instance {OLD} cannot be changed in one place of the file; edit it by hand"
    )


def test_what_is_no_instance_id_is_refused_like_in_any_file() -> None:
    with pytest.raises(FileError, match="instance"):
        edited(TEXT, instance="nonsense")


def test_a_file_is_replaced_whole_with_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    files.write(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.yaml", "real.yaml"]


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "file.yaml"
    with pytest.raises(FileError) as refusal:
        files.write(absent, "new")
    assert str(refusal.value) == (
        f"{absent}: cannot be written (No such file or directory); run as root, or check its folder"
    )


def test_the_digest_tells_what_files_mean_not_how_they_are_written() -> None:
    group = config.parse(TEXT, FILE)
    assert config.digest(config.parse(f"# a remark\n{TEXT}", FILE)) == config.digest(group)
    assert config.digest(config.parse(edited(TEXT), FILE)) != config.digest(group)


def test_a_file_is_read_whatever_it_means_and_one_that_is_not_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "tokyo.yaml"
    assert files.read_text(path) is None
    path.write_bytes(b"caf\xe9\n")
    assert files.read_text(path) == "caf\ufffd\n"
    words = r"cannot be read \(Is a directory\); run as root, or name another file"
    with pytest.raises(FileError, match=words):
        files.read_text(tmp_path)


def test_a_key_that_a_file_does_not_use_leaves_its_digest_as_older_versions_noted_it() -> None:
    assert config.digest(config.parse(PAIR, "pair.yaml")) == "92d1c6e6217fc526"
