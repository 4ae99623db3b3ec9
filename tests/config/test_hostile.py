"""Whatever stands in the file, or instead of it: a Group or a FileError, and soon."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nathb.config import chmod_for_service, load, parse
from nathb.core.errors import FileError, Mistake
from nathb.core.model import Group

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "etc" / "nathb" / "example.yaml"
FULL = 64 * 1024
READ_ANY_FILE = "-dac_override,-dac_read_search"
POWERLESS = ("setpriv", f"--bounding-set={READ_ANY_FILE}", f"--inh-caps={READ_ANY_FILE}")
"""What root puts before a command that is to be refused what its files' modes refuse."""


def mistakes_in(text: str | bytes, file: str = "tokyo.yaml") -> list[str]:
    with pytest.raises(FileError) as refusal:
        parse(text, file)
    return [str(mistake) for mistake in refusal.value.mistakes]


# --- instead of a file ------------------------------------------------------------------------


def refusal_of(path: Path) -> list[str]:
    with pytest.raises(FileError) as refusal:
        load(path)
    return [str(mistake) for mistake in refusal.value.mistakes]


def test_an_absent_file_is_refused_by_the_path_as_given() -> None:
    assert refusal_of(Path("no/tokyo.yaml")) == [
        "no/tokyo.yaml: there is no such file; check the name, or start from example.yaml"
    ]


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == [f"{tmp_path}: this is a directory; name the file in it"]


def test_a_file_that_this_user_may_not_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "tokyo.yaml"
    path.parent.mkdir()
    path.parent.chmod(0o755)
    path.write_text("")
    path.chmod(0)
    asked = [*(POWERLESS if os.geteuid() == 0 else ()), sys.executable, "-m", "nathb", "check"]
    done = subprocess.run(
        [*asked, path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 78
    told = (
        f"{path}: this user may not read it (Permission denied); "
        f"let everybody read it, the service too: chmod 644 {path}"
    )
    assert told in (done.stdout + done.stderr).splitlines()


def test_any_other_failure_to_read_is_told_in_the_words_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "tokyo.yaml"
    path.symlink_to(path)
    assert refusal_of(path) == [
        f"{path}: cannot be read (Too many levels of symbolic links); name a regular file"
    ]


def test_a_fifo_is_refused_at_once_though_nobody_writes(tmp_path: Path) -> None:
    path = tmp_path / "tokyo.yaml"
    os.mkfifo(path)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "nathb", "check", path],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert done.stderr == f"{path}: this is a FIFO, not a file; name a regular file\n"
    assert time.monotonic() - begun < 30.0


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_a_device_is_refused(tmp_path: Path, device: str) -> None:
    path = tmp_path / "tokyo.yaml"
    path.symlink_to(device)
    assert refusal_of(path) == [f"{path}: this is a device, not a file; name a regular file"]


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("tokyo.yaml")
        assert refusal_of(Path("tokyo.yaml")) == [
            "tokyo.yaml: cannot be read (No such device or address); name a regular file"
        ]


@pytest.mark.parametrize(
    ("folder", "mode", "command"),
    [
        (0o755, 0o644, ""),
        (0o755, 0o600, "chmod 644 {path}"),
        (0o755, 0o640, "chmod 644 {path}"),
        (0o700, 0o644, "chmod 755 {path.parent}"),
    ],
)
def test_what_lets_the_service_read_the_file_is_named(folder: int, mode: int, command: str) -> None:
    # Not in tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        Path(place).chmod(folder)
        path = Path(place, "tokyo.yaml")
        path.write_text("")
        path.chmod(mode)
        assert chmod_for_service(path) == command.format(path=path)


@pytest.mark.parametrize(
    "name", ["-tokyo.yaml", "my group.yaml", "東京.yaml", ".yaml", "", "x" * 64]
)
def test_a_file_whose_name_cannot_name_a_group_is_refused(name: str) -> None:
    (told,) = mistakes_in(EXAMPLE.read_text(), name)
    assert told.startswith(f"{name}: ")
    assert told.endswith(
        " cannot name a group; rename the file to letters, digits and . _ -, as in tokyo.yaml"
    )


# --- too much of anything ---------------------------------------------------------------------


def test_a_file_over_64_kib_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokyo.yaml"
    good = EXAMPLE.read_text()
    path.write_text(good + "#" * (FULL - len(good)))
    assert load(path).name == "tokyo"
    path.write_text(path.read_text() + "#")
    assert refusal_of(path) == [f"{path}: larger than 64 KiB; a group needs far less"]


def test_more_mistakes_than_anyone_fixes_at_once_are_cut_short() -> None:
    told = mistakes_in("".join(f"key{number}: 1\n" for number in range(1000)))
    assert told[0] == "tokyo.yaml: more than 100 mistakes; fix these first, then check again"
    assert len(told) == 101


def test_more_values_than_any_group_has_are_refused() -> None:
    assert mistakes_in("uplink: [" + "\n" * 9 + "a," * 20000 + "]") == [
        "tokyo.yaml:10: far more values than a group needs; delete what is not needed"
    ]


def test_nesting_is_refused_only_beyond_16_levels() -> None:
    for brackets, refused in ((15, False), (16, True)):
        told = mistakes_in("uplink: " + "[" * brackets + "]" * brackets)
        assert any("nested deeper than 16 levels" in line for line in told) is refused


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("match: {Name: nat}", "'Name' is not a tag filter; "),
        ("match: {'tag:Name': ''}", "a tag's value has 1 to 256 characters, not 0"),
        ("instance: nat", "'nat' is not the id of an instance; "),
    ],
)
def test_two_nodes_with_one_mistake_are_not_called_one_instance_on_top(
    wrong: str, words: str
) -> None:
    told = mistakes_in(re.sub(r"\n    instance: .*", f"\n    {wrong}", EXAMPLE.read_text()))
    assert len(told) == 2
    assert all(words in line for line in told)


def test_two_routes_with_one_mistake_are_not_called_one_route_on_top() -> None:
    told = mistakes_in(re.sub(r"- rtb-\w+", "- rtb-1", EXAMPLE.read_text()))
    assert len(told) == 2
    assert all("'rtb-1' is not the id of a route table; " in line for line in told)


def test_a_text_of_60_characters_is_shown_whole() -> None:
    for length, shown in ((60, "x" * 60), (61, "x" * 59 + "…")):
        assert f"region: '{shown}' is not a region" in mistakes_in(f"region: {'x' * length}")[-1]


def test_a_long_or_unprintable_text_is_shown_in_one_short_line() -> None:
    told = mistakes_in('region: "\\e[31m\\n' + "x" * 1000 + '"')[-1]
    assert told.startswith(f"tokyo.yaml:1: region: '\\x1b[31m\\n{'x' * 53}…' is not a region;")


HOSTILE: dict[str, str] = {
    "brackets": "[" * FULL,
    "braces": "{" * FULL,
    "brackets and braces": "[{" * (FULL // 2),
    "brackets below a refused key": "<<: " + "[" * (FULL - 4),
    "dashes": "- " * (FULL // 2),
    "question marks": "? " * (FULL // 2),
    "one flat list": "[" + "a," * (FULL // 2 - 1),
    "empty lists": "[" + "[]," * (FULL // 3 - 1),
    "one key again and again": "a: b\n" * (FULL // 5),
    "keys that are nearly right": "".join(f"perfesretlhy{i}:\n" for i in range(3600)),
    "documents": "---\n" * (FULL // 4),
    "directives": "%TAG !a! b\n" * (FULL // 11),
    "a version": "%YAML 1." + "9" * 60000 + "\n---\na: b",
    "an escape beyond Unicode": 'uplink: "\\UFFFFFFFF"',
    "a lone surrogate": 'uplink: "\\ud800"',
    "laughter": "a: &a [x, x]\n" + "b: &a [*a, *a]\n" * (FULL // 16),
    "one long word": "uplink: " + "a" * (FULL - 8),
    "one long address": "uplink: " + "1." * (FULL // 2 - 4),
    "one long number": "settle: " + "1" * (FULL - 8),
    "tabs": "\t" * FULL,
    "line ends": "\n" * FULL,
    "many uplinks": "uplink: ["
    + ",".join(f"4.{number // 250}.{number % 250}.1" for number in range(6000))
    + "]",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_64_kib_of_malice_are_refused_within_a_second(name: str) -> None:
    began = time.process_time()
    assert mistakes_in(HOSTILE[name][:FULL])
    assert time.process_time() - began < 1


# --- anything at all --------------------------------------------------------------------------


def is_group_or_refusal(text: str | bytes) -> bool:
    """Any other exception than FileError comes through, and fails the test."""
    began = time.process_time()
    try:
        return isinstance(parse(text, "tokyo.yaml"), Group)
    except FileError as refusal:
        mistakes = refusal.mistakes
        return bool(mistakes) and all(is_well_told(mistake, text) for mistake in mistakes)
    finally:
        assert time.process_time() - began < 1


def is_well_told(mistake: Mistake, text: str | bytes) -> bool:
    end_of_line = "\n" if isinstance(text, str) else b"\n"
    carriage_return = "\r" if isinstance(text, str) else b"\r"
    lines = 1 + text.count(end_of_line) + text.count(carriage_return)  # type: ignore[arg-type]
    return str(mistake).isprintable() and 0 <= mistake.line <= lines and len(mistake.text) < 300


KEYS = st.sampled_from([
    "region", "uplink", "nodes", "check", "preempt", "refresh", "view_max_age", "instance",
    "match", "eni", "heartbeat", "routes", "table", "destination", "interval", "fast_interval",
    "fall", "pulse", "tag:Name", "nat-a", "nat-c", "<<", "uplinks",
])  # fmt: skip
SCALARS = st.sampled_from([
    "8.8.8.8", "2001:db8::1", "10.0.0.1", "one.one.one.one", "rtb-00000001", "i-00000001",
    "eni-00000001", "30s", "250ms", "off", "auto", "0.0.0.0/0", "10.0.0.1/8", "pl-00000001",
]) | st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates()
)  # fmt: skip
STRUCTURES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | SCALARS, inner, max_size=6),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(st.text() | st.binary())
def test_any_text_or_bytes_give_a_group_or_a_refusal(text: str | bytes) -> None:
    assert is_group_or_refusal(text)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, STRUCTURES, max_size=8), st.sampled_from([None, False, True]))
def test_any_structure_gives_a_group_or_a_refusal(structure: object, flow: bool | None) -> None:
    assert is_group_or_refusal(yaml.safe_dump(structure, default_flow_style=flow))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_example_with_anything_put_or_cut_in_gives_a_group_or_a_refusal(
    data: st.DataObject,
) -> None:
    text = EXAMPLE.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 40, len(text))))
    graft = data.draw(st.text(max_size=8) | st.sampled_from([*"[]{}&*!|>'\"%@`:-?#,\t\n", "<<: "]))
    assert is_group_or_refusal(text[:start] + graft + text[end:])
