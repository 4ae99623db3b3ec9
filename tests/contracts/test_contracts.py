"""What other programs rely on is as recorded; README.md in this folder says what that is."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from nathb.cli import main
from nathb.core.model import Rule
from nathb.core.replay import decides_alike, parse, render
from nathb.core.rules import decide
from nathb.host.status_file import publish
from tests.commands.test_command_line import BROKEN, EXAMPLE
from tests.contracts.recorded import OLDER, TRACES, compare, rounds
from tests.contracts.texts import TEXTS
from tests.host.samples import SNAPSHOT


@pytest.fixture
def rewrite(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--rewrite"))


@pytest.fixture
def as_recorded(monkeypatch: pytest.MonkeyPatch, tokyo_time: None) -> None:  # noqa: ARG001
    """The circumstances of a recording: a place on the earth, and a screen that wraps nothing."""
    monkeypatch.setenv("COLUMNS", "1000")


@pytest.mark.parametrize("name", TEXTS)
def test_what_other_programs_rely_on_is_as_recorded(
    name: str,
    rewrite: bool,
    as_recorded: None,  # noqa: ARG001
) -> None:
    compare(name, TEXTS[name](), rewrite=rewrite)


def test_status_json_is_as_recorded(
    rewrite: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    publish(tmp_path / "status.json", replace(SNAPSHOT, at=time.monotonic()))
    main(["status", "tokyo", "--json"])
    shown = json.loads(capsys.readouterr().out) | {"at": SNAPSHOT.at}
    made = json.dumps(shown, indent=2) + "\n"
    compare("status.json", made, rewrite=rewrite)


# --- recorded rounds ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", rounds())
def test_a_recorded_round_is_read_and_written_again_to_the_same_bytes(name: str) -> None:
    recorded = parse(rounds()[name])
    assert render(recorded.known, recorded.rulings) == rounds()[name]


@pytest.mark.parametrize("name", rounds(OLDER))
def test_a_round_that_0_1_recorded_is_read_as_today_would_have_recorded_it(name: str) -> None:
    older, today = rounds(OLDER)[name], rounds()[name]
    assert parse(older).known == parse(today).known
    assert older != today


@pytest.mark.parametrize("name", rounds())
def test_a_recorded_round_leads_to_the_decision_that_was_recorded(name: str, rewrite: bool) -> None:
    recorded = parse(rounds()[name])
    routes = [ruling.route for ruling in recorded.rulings]
    today = tuple(ruling for ruling in decide(recorded.known) if ruling.route in routes)
    assert routes, "a line without a decision proves nothing"
    alike = [decides_alike(one, other) for one, other in zip(recorded.rulings, today, strict=True)]
    if rewrite and not all(alike):
        text = TRACES.read_text().replace(rounds()[name], render(recorded.known, today))
        TRACES.write_text(text)
    elif not all(alike):
        assert msgspec.to_builtins(today) == msgspec.to_builtins(recorded.rulings)


def test_there_is_a_recorded_round_for_every_rule_and_it_is_what_its_name_says() -> None:
    named = {name.split()[0] for name in rounds()}
    assert named == {rule.value for rule in Rule}
    for name, line in rounds().items():
        assert name.split()[0] in {ruling.rule.value for ruling in parse(line).rulings}, name


# --- exit codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ["check", str(EXAMPLE)]),
        (0, ["status", "tokyo", "--schema"]),
        (0, ["--version"]),
        (1, ["run", str(EXAMPLE)]),
        (2, ["bring-up"]),
        (2, ["run", str(EXAMPLE), "--node", "nat-z"]),
        (78, ["check", str(BROKEN)]),
        (78, ["pause", "no-such-group"]),
    ],
    ids=lambda value: value if isinstance(value, int) else value[0],
)
def test_an_exit_code_says_what_it_always_said(
    code: int, arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "nathb" / "example"))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
    try:
        found = main(arguments)
    except SystemExit as end:
        found = int(end.code or 0)
    assert found == code
