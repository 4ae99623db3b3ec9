"""Metrics are there when the file asks for them, follow a reload, and are missed by nobody else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.cli import main
from nathb.core.model import Metrics
from nathb.daemon.metrics_exporter import Prometheus
from nathb.host.status_file import publish
from tests.host.samples import SNAPSHOT
from tests.sim.recorders import JournalRecorder

PATIENCE = 20.0
EXAMPLE = Path(__file__).parents[2] / "etc" / "nathb" / "example.yaml"


@pytest.fixture
def journal() -> JournalRecorder:
    return JournalRecorder()


@pytest.fixture
def prometheus(tmp_path: Path, journal: JournalRecorder) -> Iterator[Prometheus]:
    status = tmp_path / "status.json"
    publish(status, replace(SNAPSHOT, at=time.monotonic()))
    one = Prometheus(status, journal, every=0.02)
    yield one
    one.close()


def eventually(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.clock
def test_a_reload_moves_the_file_and_one_that_names_none_takes_it_away(
    prometheus: Prometheus, tmp_path: Path, journal: JournalRecorder
) -> None:
    first, second = tmp_path / "first.prom", tmp_path / "second.prom"
    prometheus.follow(Metrics())
    prometheus.follow(Metrics(textfile=str(first)))
    eventually(first.exists)
    prometheus.follow(Metrics(textfile=str(second)))
    eventually(lambda: second.exists() and not first.exists())
    prometheus.follow(Metrics())
    eventually(lambda: not second.exists())
    assert journal.events == []


def test_without_the_library_the_daemon_runs_on_and_says_how_to_get_it(
    prometheus: Prometheus, journal: JournalRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    for _ in range(2):
        prometheus.follow(Metrics(listen="127.0.0.1:9477"))
    assert journal.kinds() == ["metrics-lost"]
    assert "sudo make install EXTRAS=metrics, then restart" in journal.sentences()[0]


def test_check_warns_that_the_library_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tokyo.yaml"
    file.write_text(f"{EXAMPLE.read_text()}\nmetrics: {{listen: '127.0.0.1:9477'}}\n")
    assert main(["check", str(file)]) == 0
    assert "prometheus_client" not in capsys.readouterr().out
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert main(["check", str(file)]) == 0
    assert f"{file}: metrics: prometheus_client is not installed" in capsys.readouterr().out


def test_who_asks_for_no_metrics_does_not_load_the_library() -> None:
    code = "import sys, nathb.cli; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
