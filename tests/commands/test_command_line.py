"""The command line from outside: exit codes, streams, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nathb.cli import main
from nathb.commands import check
from nathb.ui import group_file
from tests.config.cases import FILE, Case, read_cases

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "etc" / "nathb" / "example.yaml"
BROKEN = ROOT / "setup.cfg"
"""A file that is no group's."""
CASES = read_cases()
OFF_EC2 = {
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9",
    "AWS_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


def nathb(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "nathb", *arguments],
        env=kept | OFF_EC2 | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_help_names_every_verb_and_each_verb_shows_an_example() -> None:
    top = nathb("--help")
    assert top.returncode == 0
    verbs = re.findall(r"^    ([a-z][a-z-]+)(?: {2,}|$)", top.stdout, flags=re.MULTILINE)
    assert {"run", "check", "status", "plan", "apply", "replace"} <= set(verbs)
    for verb in verbs:
        assert f"example: nathb {verb}" in nathb(verb, "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("bring-up",),
        ("check",),
        ("run", "--node"),
        ("drain", str(EXAMPLE)),
        ("drain", str(EXAMPLE), "nat-a", "--wait", "soon"),
        ("pause", str(EXAMPLE), "--for", "60d"),
        ("drain", str(EXAMPLE), "nat-z"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_2(arguments: tuple[str, ...]) -> None:
    assert nathb(*arguments).returncode == 2


def test_a_good_file_is_0_and_says_what_it_guards() -> None:
    done = nathb("check", str(EXAMPLE))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith(f"{EXAMPLE}: good: group example, nodes ")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_file_is_78_with_every_mistake_on_stderr(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_bytes(case.data)
    assert main(["check", FILE]) == 78
    shown = capsys.readouterr()

    assert shown.err == case.messages
    assert shown.out == ""


def test_a_bad_file_is_78_from_a_process_of_its_own_too() -> None:
    done = nathb("check", str(BROKEN))
    assert done.returncode == 78
    assert done.stderr.startswith(str(BROKEN))


@pytest.mark.parametrize("verb", ["check", "run", "pause", "resume", "revert"])
def test_a_file_that_is_not_there_is_78_and_says_where_it_was_looked_for(verb: str) -> None:
    done = nathb(verb, "no-such-group")
    assert done.returncode == 78
    assert "/etc/nathb/no-such-group.yaml: there is no such file" in done.stderr


def test_check_json_tells_the_same_to_machines() -> None:
    good = json.loads(nathb("check", "--json", str(EXAMPLE)).stdout)
    assert good["good"] is True
    bad = nathb("check", "--json", str(BROKEN))
    assert bad.returncode == 78
    found = json.loads(bad.stdout)
    assert found["good"] is False
    assert found["findings"][0]["line"] >= 0


WISHES = [("drain", "nat-a"), ("undrain", "nat-a"), ("pause",), ("resume",)]


@pytest.mark.parametrize(("verb", "arguments"), [(verb, rest) for verb, *rest in WISHES])
def test_a_wish_that_does_not_reach_ec2_says_so_with_a_mend(
    verb: str, arguments: list[str]
) -> None:
    done = nathb(verb, str(EXAMPLE), *arguments, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Could not connect to the endpoint URL" in done.stderr
    assert "if it lasts, check this node's DNS" in done.stderr


def test_a_wish_without_credentials_says_where_they_come_from() -> None:
    done = nathb(
        "resume", str(EXAMPLE), AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true",
    )  # fmt: skip
    assert done.returncode == 1
    assert "Unable to locate credentials; check this node's instance profile" in done.stderr


def test_run_off_ec2_says_how_to_name_the_node(tmp_path: Path) -> None:
    done = nathb("run", str(EXAMPLE), RUNTIME_DIRECTORY=str(tmp_path / "nathb" / "example"))
    assert done.returncode == 1
    assert "--node NAME" in done.stderr


def test_run_as_a_node_that_is_not_in_the_file_is_2_and_names_those_that_are(
    tmp_path: Path,
) -> None:
    own = {"RUNTIME_DIRECTORY": str(tmp_path / "nathb" / "example")}
    done = nathb("run", str(EXAMPLE), "--node", "nat-z", **own)
    assert done.returncode == 2
    assert "nat-a" in done.stderr


def test_under_journald_a_complaint_is_an_error_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")
    assert main(["run", "no-such-group"]) == 78
    assert capsys.readouterr().err.startswith("<3>/etc/nathb/no-such-group.yaml: ")


def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    command = f"{shlex.quote(sys.executable)} -m nathb check {shlex.quote(str(EXAMPLE))} | true"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_a_file_that_the_service_may_not_read_is_warned_of_though_this_user_may(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not in tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        Path(place).chmod(0o755)
        file = Path(place, "tokyo.yaml")
        file.write_text(EXAMPLE.read_text())
        file.chmod(0o600)
        for module in (check, group_file):
            monkeypatch.setattr(module, "DIRECTORY", file.parent)
        assert main(["check", "tokyo"]) == 0
        assert capsys.readouterr().out.splitlines()[-2] == (
            f"{file}: the service has a user of its own, which may not read this file: "
            f"chmod 644 {file} (warning)"
        )
        file.chmod(0o644)
        assert main(["check", "tokyo"]) == 0
        assert "the service" not in capsys.readouterr().out


@pytest.fixture
def tokyo(tmp_path: Path) -> Path:
    """A good file, alone in its directory."""
    file = tmp_path / "tokyo.yaml"
    file.write_text(EXAMPLE.read_text())
    return file


def test_a_table_that_a_file_beside_it_guards_too_is_refused_with_both_names(
    tokyo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    osaka = tokyo.with_name("osaka.yml")
    osaka.write_text(tokyo.read_text())
    assert main(["check", str(tokyo)]) == 1
    shown = capsys.readouterr()
    assert re.match(rf"{tokyo}: rtb-\w+: {osaka} guards it too; name each", shown.err)
    assert "good:" not in shown.out
    assert main(["check", str(tokyo), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is False
    assert any("guards it too" in one["text"] for one in told["findings"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokyo.yml", EXAMPLE.read_text()),
        ("osaka.yaml.bak", EXAMPLE.read_text()),
        ("osaka.yaml", re.sub(r"(rtb-\w+)\w", r"\1f", EXAMPLE.read_text())),
        ("osaka.yaml", "nodes: none"),
        ("osaka.yaml", None),
    ],
    ids=["the same group", "a backup", "other tables", "a bad file", "a FIFO"],
)
def test_other_files_beside_it_are_no_matter(
    tokyo: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None
) -> None:
    other = tokyo.with_name(name)
    if text is None:
        os.mkfifo(other)
    else:
        other.write_text(text)
    assert main(["check", str(tokyo)]) == 0
    assert f"{tokyo}: good: " in capsys.readouterr().out
