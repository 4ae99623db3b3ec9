"""The command line from outside: exit codes, streams, what people type, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nathb.cli import main
from nathb.commands import check
from nathb.ui import group_file
from nathb.ui.arguments import Parser, attached
from tests.aws.scripted import Server, error, serving
from tests.commands.command_line import ROOT, in_a_process, nathb
from tests.config.cases import FILE, Case, read_cases
from tests.config.test_good import MINIMAL

EXAMPLE = ROOT / "etc" / "nathb" / "example.yaml"
BROKEN = ROOT / "setup.cfg"
"""A file that is no group's."""
CASES = read_cases()


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
    done = in_a_process("check", str(EXAMPLE))
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
    done = in_a_process("check", str(BROKEN))
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
def test_a_tag_that_does_not_reach_ec2_says_so_with_a_fix(verb: str, arguments: list[str]) -> None:
    done = nathb(verb, str(EXAMPLE), *arguments, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Could not connect to the endpoint URL" in done.stderr
    assert "if it lasts, check this node's DNS" in done.stderr


def test_a_tag_without_credentials_says_where_they_come_from() -> None:
    done = nathb(
        "resume", str(EXAMPLE), AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true",
    )  # fmt: skip
    assert done.returncode == 1
    assert "Unable to locate credentials; check this node's instance profile" in done.stderr


def test_run_off_ec2_says_how_to_name_the_node(tmp_path: Path) -> None:
    done = in_a_process("run", str(EXAMPLE), RUNTIME_DIRECTORY=str(tmp_path / "nathb" / "example"))
    assert done.returncode == 1
    assert "--node NAME" in done.stderr


def test_run_as_a_node_that_is_not_in_the_file_is_2_and_names_those_that_are(
    tmp_path: Path,
) -> None:
    own = {"RUNTIME_DIRECTORY": str(tmp_path / "nathb" / "example")}
    done = in_a_process("run", str(EXAMPLE), "--node", "nat-z", **own)
    assert done.returncode == 2
    assert "nat-a" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("NATHB_LEAVE", "on-stop"), ("NATHB_JOURNAL", "socket")]
)
def test_a_variable_with_a_value_that_it_does_not_take_is_2_and_names_the_one(
    name: str, value: str
) -> None:
    done = in_a_process("run", str(EXAMPLE), **{name: "yes"})
    assert done.returncode == 2
    assert f"{name}=yes: the only value is {value} (" in done.stderr
    assert f"write {name}={value}, or remove it" in done.stderr


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


# --- what is typed --------------------------------------------------------------------------------

GOOD = str(EXAMPLE)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the last line of what a command line that makes no sense is answered with."""
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()[-1]


# --- verbs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"), [("stauts", "status"), ("undrian", "undrain"), ("iam_policy", "iam-policy")]
)
def test_a_mistyped_verb_is_answered_with_the_closest_one(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    said = refused(capsys, typed, "tokyo")
    assert said.startswith(f"nathb: error: there is no verb {typed!r}; did you mean {meant}? ")


def test_a_verb_that_is_like_no_other_is_answered_with_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "xyzzy")
    assert said.startswith("nathb: error: there is no verb 'xyzzy'; choose from run, init, check, ")


@pytest.mark.parametrize("listed", ["'status', 'resume'", "status, resume"])
def test_each_python_s_own_words_for_an_unknown_verb_are_understood(
    capsys: pytest.CaptureFixture[str], listed: str
) -> None:
    with pytest.raises(SystemExit):
        Parser().error(f"argument VERB: invalid choice: 'stauts' (choose from {listed})")
    assert "did you mean status? Choose from status, resume" in capsys.readouterr().err


# --- durations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("30", "'30' has no unit; write 30s, 30m, 30h or 30d"),
        ("-5m", "'-5m' is negative; write a duration such as 250ms, 30s, 5m or 2h"),
        ("0", "0 is under the limit of 1s: to end a pause, run `nathb resume`"),
        ("0s", "0s is under the limit of 1s: to end a pause, run `nathb resume`"),
        ("60d", "60d is over the limit of 30d: a group without takeover for a month"),
        ("a while", "'a while' is not a duration; write one such as 250ms, 30s, 5m or 2h"),
    ],
)
def test_a_pause_for_a_time_that_makes_no_sense_says_why(
    capsys: pytest.CaptureFixture[str], typed: str, words: str
) -> None:
    said = refused(capsys, "pause", GOOD, "--for", typed)
    assert said == f"nathb pause: error: argument --for: {words}"


def test_the_command_line_takes_the_durations_that_the_file_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = refused(capsys, "drain", GOOD, "nat-a", "--wait", "1h30m")
    assert "1h30m is over the limit of 1h" in said
    (tmp_path / "tokyo.yaml").write_text(f"{MINIMAL}preempt_delay: 1h30m\n")
    assert main(["check", str(tmp_path / "tokyo.yaml")]) == 0


# --- times --------------------------------------------------------------------------------------


def test_a_time_that_ends_before_it_begins_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "history", "tokyo", "--since", "-1h", "--until", "2h")
    assert said.startswith("nathb: --since -1h (")
    assert " is later than --until 2h (" in said
    assert said.endswith("exchange the two")


def test_a_value_that_begins_with_a_minus_sign_stays_with_its_option() -> None:
    assert attached(["history", "--since", "-2h", "--all"]) == ["history", "--since=-2h", "--all"]
    assert attached(["explain", "tokyo", "-2", "--json"]) == ["explain", "tokyo", "-2", "--json"]


# --- check --------------------------------------------------------------------------------------


def test_check_refuses_a_node_where_it_would_not_look_at_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "check", GOOD, "--node", "nat-a")
    assert said.endswith("add --aws, or leave out --node")


def test_check_as_a_node_that_the_group_does_not_have_names_those_that_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "check", GOOD, "--aws", "--node", "nat-z")
    assert said == "nathb: nat-z: no such node; one of nat-a, nat-c"


def test_a_warning_about_the_file_as_a_whole_has_no_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    path = tmp_path / "tokyo.yaml"
    path.write_text(MINIMAL)
    main(["check", str(path), "--aws"])
    warned = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert warned[0].startswith(f"warning  {path}: uplink: 1.1.1.1 alone decides")


# --- what every verb that asks EC2 has in common --------------------------------------------------

INSTANCE = "i-0123456789abcdef0"
VERBS: dict[str, tuple[str, ...]] = {
    "init": ("init", INSTANCE, "i-0123456789abcdef1"),
    "check": ("check", GOOD, "--aws"),
    "status": ("status", GOOD),
    "plan": ("plan", GOOD),
    "apply": ("apply", GOOD, "--yes"),
    "replace": ("replace", GOOD, "nat-a", INSTANCE, "--yes"),
    "drain": ("drain", GOOD, "nat-a"),
    "undrain": ("undrain", GOOD, "nat-a"),
    "pause": ("pause", GOOD),
    "resume": ("resume", GOOD),
}
NOWHERE = {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9"}
NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[Server]:
    """An EC2 that allows nobody anything."""
    with serving() as server:
        yield server


@pytest.mark.parametrize("verb", VERBS)
def test_ec2_that_cannot_be_reached_is_said_with_where_to_look(verb: str) -> None:
    done = nathb(*VERBS[verb], **NOWHERE)
    assert done.returncode == 1
    assert "Could not connect to the endpoint URL" in done.stdout + done.stderr
    assert "check this node's DNS, clock and route" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_credentials_that_are_not_there_are_said_with_where_they_come_from(verb: str) -> None:
    done = nathb(*VERBS[verb], **NOWHERE, **NOBODY)
    assert done.returncode == 1
    assert "Unable to locate credentials" in done.stdout + done.stderr
    assert "instance profile" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_permission_that_is_missing_is_named(verb: str, refusing: Server) -> None:
    refusing.will(*[error(403, "UnauthorizedOperation", "You are not authorized")] * 20)
    done = nathb(*VERBS[verb], AWS_ENDPOINT_URL_EC2=refusing.url)
    assert done.returncode == 1
    assert "allow ec2:Describe" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "init"])
def test_a_file_that_is_not_there_is_78(verb: str) -> None:
    name, _, *rest = VERBS[verb]
    done = nathb(name, "no-such-group", *rest)
    if verb == "status":  # which asks the daemon first, and then says both
        assert done.returncode == 1
    else:
        assert done.returncode == 78
    assert "/etc/nathb/no-such-group.yaml: there is no such file" in done.stderr


@pytest.mark.parametrize("verb", ["apply", "replace"])
def test_what_changes_something_as_json_has_nobody_to_ask(verb: str) -> None:
    done = nathb(*[one for one in VERBS[verb] if one != "--yes"], "--json")
    assert done.returncode == 2
    assert "there is nobody to ask" in done.stderr


def test_a_file_that_this_user_may_not_write_is_said_before_ec2_is_changed(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "tokyo.yaml"
    done = nathb("replace", str(absent), "nat-a", INSTANCE, "--yes")
    assert done.returncode == 78
    assert str(absent) in done.stderr


def test_the_schema_of_status_is_a_json_schema_of_its_snapshot() -> None:
    schema = json.loads(nathb("status", GOOD, "--schema").stdout)
    assert {"uplink", "peers", "rulings", "view"} <= schema["$defs"]["Snapshot"][
        "properties"
    ].keys()
    closed = [name for name, one in schema["$defs"].items() if "additionalProperties" in one]
    assert closed == [], "later versions add fields"
