"""Whether the daemon lives has one answer: every verb and the metrics give it by one limit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from nathb.cli import main
from nathb.commands import check
from nathb.core.errors import Level
from nathb.host.metrics import registry
from nathb.host.status_file import publish
from nathb.provision.inventory import Inventory
from nathb.ui.operator_session import OperatorSession, Report
from tests.core.build import PAIR
from tests.host.samples import SNAPSHOT

pytestmark = pytest.mark.clock


def answers(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, bool]:
    """Ask all who know whether the daemon lives."""
    main(["status", "pair", "--json"])
    shown = capsys.readouterr()
    finding = list(check._here(Inventory(PAIR, {}, {}, ""), "nat-a"))[-1]
    session = OperatorSession(PAIR, None, Report(as_json=True))  # type: ignore[arg-type]  it asks EC2 nothing
    metrics = generate_latest(registry(path)).decode()
    return {
        "status": shown.out != "",
        "check": finding.level is Level.GOOD,
        "drain": session.local() is not None,
        "metrics": 'nathb_daemon_live{group="pair",node="nat-a"} 1.0' in metrics,
    }


@pytest.mark.parametrize(
    ("age", "lives"), [(0.0, True), (9.0, True), (11.0, False), (600.0, False)]
)
def test_all_agree_on_whether_the_daemon_lives(
    age: float,
    lives: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(check, "inspect_forwarding", lambda _: ())
    monkeypatch.setattr(check, "inspect_reach", lambda _seen, _me, _never: ())
    snapshot = replace(SNAPSHOT, group="pair", at=time.monotonic() - age)
    publish(tmp_path / "status.json", snapshot)
    found = answers(tmp_path / "status.json", capsys)
    assert found == dict.fromkeys(found, lives)
