"""What people type: verbs, durations, times. What makes no sense is 2, with what would."""

from __future__ import annotations

from pathlib import Path

import pytest

from nathb.cli import main
from nathb.ui.arguments import Parser, attached
from tests.config.test_good import EXAMPLE, MINIMAL

FILE = str(EXAMPLE)


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
    said = refused(capsys, "pause", FILE, "--for", typed)
    assert said == f"nathb pause: error: argument --for: {words}"


def test_the_command_line_takes_the_durations_that_the_file_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = refused(capsys, "drain", FILE, "nat-a", "--wait", "1h30m")
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
    said = refused(capsys, "check", FILE, "--node", "nat-a")
    assert said.endswith("add --aws, or leave out --node")


def test_check_as_a_node_that_the_group_does_not_have_names_those_that_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "check", FILE, "--aws", "--node", "nat-z")
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
