"""A snapshot as metrics, read back by prometheus_client's own parser."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from nathb.core.damping import HALF_LIFE
from nathb.core.ec2_state import Holding, View
from nathb.core.snapshot import Snapshot
from nathb.host.metrics import figures
from tests.host.samples import ROUTE, SNAPSHOT

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
