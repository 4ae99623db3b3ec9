"""A snapshot as metrics: read back by a parser, from a file and over real HTTP."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from nathb.core.damping import HALF_LIFE
from nathb.core.ec2_state import Holding, View
from nathb.core.snapshot import Snapshot
from nathb.host.metrics import Endpoint, Textfile, figures
from nathb.host.status_file import publish
from tests.host.samples import ROUTE, SNAPSHOT
from tests.sim.recorders import JournalRecorder

# --- families -------------------------------------------------------------------------------------

NOW = 1236.0
WHERE = {"table": "rtb-0bee8f2dc00000003", "destination": "0.0.0.0/0"}


class Shown(Collector):
    def __init__(self, snapshot: Snapshot, now: float) -> None:
        self.snapshot = snapshot
        self.now = now

    def collect(self):  # type: ignore[no-untyped-def]
        return figures(self.snapshot, self.now)


Name = tuple[str, frozenset[tuple[str, str]]]


def named(name: str, **labels: str) -> Name:
    return name, frozenset(labels.items())


def samples(snapshot: Snapshot = SNAPSHOT, now: float = NOW) -> dict[Name, float]:
    """Return what Prometheus would store: each sample with its own labels, and the figure."""
    registry = CollectorRegistry()
    registry.register(Shown(snapshot, now))
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert family.documentation
        for sample in family.samples:
            assert (sample.labels.pop("group"), sample.labels.pop("node")) == ("tokyo", "nat-a")
            found[named(sample.name.removeprefix("nathb_"), **sample.labels)] = sample.value
    return found


def test_a_snapshot_is_these_samples_and_no_others() -> None:
    assert samples() == {
        named("info", version="1.2.3"): 1.0,
        named("snapshot_age_seconds"): 1.5,
        named("daemon_live"): 1.0,
        named("uplink_verdict", verdict="unknown"): 0.0,
        named("uplink_verdict", verdict="up"): 1.0,
        named("uplink_verdict", verdict="down"): 0.0,
        named("peer_verdict", peer="nat-c", verdict="unknown"): 0.0,
        named("peer_verdict", peer="nat-c", verdict="up"): 0.0,
        named("peer_verdict", peer="nat-c", verdict="down"): 1.0,
        named("suspecting"): 1.0,
        named("route_holder", holder="nat-a", **WHERE): 1.0,
        named("route_holder", holder="nat-c", **WHERE): 0.0,
        named("route_at_home", **WHERE): 0.0,
        named("route_damping_penalty", **WHERE): pytest.approx(1000.0, rel=0.01),
        named("moves_total", rule="R3"): 2.0,
        named("moves_total", rule="R4"): 1.0,
        named("moves_total", rule="R5"): 0.0,
        named("moves_total", rule="R6"): 0.0,
        named("failed_moves_total"): 2.0,
        named("checks_total"): 100.0,
        named("check_outcomes_total", outcome="heard"): 96.0,
        named("check_outcomes_total", outcome="missed"): 3.0,
        named("check_outcomes_total", outcome="blind"): 1.0,
        named("view_max_age_seconds"): 300.0,
        named("view_age_seconds"): 2.0,
        named("paused"): 1.0,
        named("drained", drained="nat-a"): 0.0,
        named("drained", drained="nat-c"): 1.0,
    }


def test_before_the_first_view_nothing_is_said_of_holders() -> None:
    names = {name for name, _ in samples(replace(SNAPSHOT, view=None))}
    assert names.isdisjoint({"route_holder", "view_age_seconds", "paused"})
    assert "peer_verdict" in names


def test_a_route_outside_of_the_group_has_no_holder() -> None:
    away = View(at=NOW, holdings=(Holding(ROUTE, "", "igw-0a"),))
    shown = samples(replace(SNAPSHOT, view=away))
    holders = [figure for (name, _), figure in shown.items() if name == "route_holder"]
    assert holders == [0.0, 0.0]


def test_a_penalty_decays_while_nothing_happens() -> None:
    name = named("route_damping_penalty", **WHERE)
    assert samples(now=1234.5 + HALF_LIFE)[name] == pytest.approx(500.0)


# --- the file and the endpoint --------------------------------------------------------------------

PATIENCE = 20.0
BRIEFLY = 0.02


@pytest.fixture
def journal() -> JournalRecorder:
    return JournalRecorder()


@pytest.fixture
def status(tmp_path: Path) -> Path:
    path = tmp_path / "status.json"
    publish(path, replace(SNAPSHOT, at=time.monotonic()))
    return path


def eventually(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def names(text: str) -> set[str]:
    return {family.name for family in text_string_to_metric_families(text)}


# --- the file ---------------------------------------------------------------------------------


@pytest.fixture
def textfile(status: Path, journal: JournalRecorder) -> Iterator[Callable[[Path], Textfile]]:
    made: list[Textfile] = []

    def make(path: Path) -> Textfile:
        made.append(Textfile(path, status, journal, every=BRIEFLY))
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.join(PATIENCE)


@pytest.mark.clock
def test_the_file_is_whole_at_any_time_readable_by_all_and_follows_the_snapshot(
    tmp_path: Path, status: Path, textfile: Callable[[Path], Textfile]
) -> None:
    path = tmp_path / "metrics.prom"
    textfile(path)
    eventually(path.exists)
    for _ in range(50):
        assert "nathb_drained" in names(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o644
    publish(status, replace(SNAPSHOT, at=time.monotonic(), version="9.9.9"))
    eventually(lambda: 'version="9.9.9"' in path.read_text())


def test_a_file_that_cannot_be_written_is_told_once_and_again_after_it_could(
    tmp_path: Path, journal: JournalRecorder, textfile: Callable[[Path], Textfile]
) -> None:
    path = tmp_path / "absent" / "metrics.prom"
    textfile(path)
    eventually(lambda: journal.events)
    time.sleep(5 * BRIEFLY)
    assert journal.sentences() == [f"metrics: {path}: cannot be written: No such file or directory"]
    path.parent.mkdir()
    eventually(path.exists)
    path.parent.rename(tmp_path / "elsewhere")
    eventually(lambda: len(journal.events) == 2)
    assert set(journal.kinds()) == {"metrics-lost"}


@pytest.mark.clock
def test_without_a_snapshot_the_file_is_not_renewed_and_that_is_told(
    tmp_path: Path, status: Path, journal: JournalRecorder, textfile: Callable[[Path], Textfile]
) -> None:
    status.unlink()
    textfile(tmp_path / "metrics.prom")
    eventually(lambda: journal.events)
    assert f"not renewed: {status}: there is none" in journal.sentences()[0]
    assert not (tmp_path / "metrics.prom").exists()


@pytest.mark.clock
def test_old_figures_are_taken_away_at_the_end(
    tmp_path: Path, textfile: Callable[[Path], Textfile]
) -> None:
    path = tmp_path / "metrics.prom"
    one = textfile(path)
    eventually(path.exists)
    one.close()
    one.join(PATIENCE)
    assert not path.exists()


# --- the endpoint -----------------------------------------------------------------------------


def free(family: socket.AddressFamily, host: str) -> int:
    with socket.socket(family) as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


@pytest.fixture
def endpoint(status: Path, journal: JournalRecorder) -> Iterator[Callable[[str], Endpoint]]:
    made: list[Endpoint] = []

    def make(address: str) -> Endpoint:
        made.append(Endpoint(address, status, journal))
        return made[-1]

    yield make
    for one in made:
        one.close()
        one.join(PATIENCE)


def get(address: str) -> str:
    """Fetch the metrics, as soon as somebody listens there."""
    deadline = time.monotonic() + PATIENCE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"http://{address}/metrics", timeout=PATIENCE) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.clock
def test_the_endpoint_answers_with_what_the_snapshot_says_now(
    status: Path, endpoint: Callable[[str], Endpoint]
) -> None:
    assert_answers_with_the_snapshot(status, endpoint, socket.AF_INET, "127.0.0.1")


@pytest.mark.usefixtures("ipv6")
def test_the_endpoint_answers_over_ipv6_too(
    status: Path, endpoint: Callable[[str], Endpoint]
) -> None:
    assert_answers_with_the_snapshot(status, endpoint, socket.AF_INET6, "::1")


def assert_answers_with_the_snapshot(
    status: Path, endpoint: Callable[[str], Endpoint], family: socket.AddressFamily, host: str
) -> None:
    shown = f"[{host}]" if ":" in host else host
    address = f"{shown}:{free(family, host)}"
    endpoint(address)
    assert {"nathb_moves", "nathb_route_holder", "nathb_peer_verdict"} <= names(get(address))
    publish(status, replace(SNAPSHOT, at=time.monotonic(), version="9.9.9"))
    assert 'version="9.9.9"' in get(address)


def test_an_endpoint_without_a_snapshot_says_so_and_answers_again_later(
    status: Path, endpoint: Callable[[str], Endpoint], journal: JournalRecorder
) -> None:
    address = f"127.0.0.1:{free(socket.AF_INET, '127.0.0.1')}"
    endpoint(address)
    get(address)
    status.unlink()
    with pytest.raises(urllib.error.HTTPError) as refusal:
        get(address)
    assert refusal.value.code == 503
    assert "is the daemon running?" in refusal.value.read().decode()
    publish(status, replace(SNAPSHOT, at=time.monotonic()))
    assert get(address)
    assert journal.events == []


def test_a_port_that_is_taken_is_told_with_the_mend(
    endpoint: Callable[[str], Endpoint], journal: JournalRecorder
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        endpoint(address).join(PATIENCE)
    assert journal.sentences() == [
        f"metrics: {address}: cannot listen: Address already in use; write another port"
    ]


def test_whoever_hangs_up_at_once_stops_nobody_else(endpoint: Callable[[str], Endpoint]) -> None:
    port = free(socket.AF_INET, "127.0.0.1")
    address = f"127.0.0.1:{port}"
    endpoint(address)
    get(address)
    for _ in range(5):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    assert get(address)


def test_an_address_is_free_again_when_the_endpoint_is_closed(
    endpoint: Callable[[str], Endpoint],
) -> None:
    port = free(socket.AF_INET, "127.0.0.1")
    one = endpoint(f"127.0.0.1:{port}")
    get(f"127.0.0.1:{port}")
    one.close()
    one.join(PATIENCE)
    socket.create_server(("127.0.0.1", port)).close()
