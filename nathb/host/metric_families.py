"""A snapshot as Prometheus metrics: what each is called, and what it means.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from nathb.core.damping import Penalty, penalty_at
from nathb.core.model import Rule, Verdict
from nathb.core.snapshot import Snapshot
from nathb.host.live_daemon import is_live

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Label values, and the figure."""

MOVES = (Rule.R3, Rule.R4, Rule.R5, Rule.R6)
"""The rules that move routes: take, return, release, drain."""


def figures(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Yield what the snapshot says as of `now`, in monotonic seconds."""
    show = _Shower(snapshot)
    yield show.gauge("info", "Always 1.", ["version"], [((snapshot.version,), 1)])
    yield show.gauge(
        "snapshot_age_seconds",
        "Age of all figures here; the daemon renews them every second.",
        [],
        [((), now - snapshot.at)],
    )
    yield show.gauge(
        "daemon_live",
        "1 while the daemon renews them, as `nathb status` has it; 0 when it hangs.",
        [],
        [((), float(is_live(snapshot, now)))],
    )
    yield from _paths(show, snapshot)
    yield from _routes(show, snapshot, now)
    yield from _counters(show, snapshot)
    yield from _view(show, snapshot, now)


class _Shower:
    """Makes metrics that all say whose they are."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._whose = (snapshot.group, snapshot.node)

    def gauge(self, name: str, text: str, labels: list[str], samples: Samples) -> Metric:
        return self._fill(GaugeMetricFamily, name, text, labels, samples)

    def counter(self, name: str, text: str, labels: list[str], samples: Samples) -> Metric:
        return self._fill(CounterMetricFamily, name, text, labels, samples)

    def _fill(
        self,
        family: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        text: str,
        labels: list[str],
        samples: Samples,
    ) -> Metric:
        metric = family(f"nathb_{name}", text, labels=["group", "node", *labels])
        for values, figure in samples:
            metric.add_metric([*self._whose, *values], figure)
        return metric


def _paths(show: _Shower, snapshot: Snapshot) -> Iterator[Metric]:
    yield show.gauge(
        "uplink_verdict",
        "1 for what this node's own way to the internet is, 0 for what it is not.",
        ["verdict"],
        [((verdict.value,), float(snapshot.uplink.verdict is verdict)) for verdict in Verdict],
    )
    yield show.gauge(
        "peer_verdict",
        "1 for what a peer is, by its heartbeat; 0 for what it is not.",
        ["peer", "verdict"],
        [
            ((peer, verdict.value), float(evidence.verdict is verdict))
            for peer, evidence in snapshot.peers.items()
            for verdict in Verdict
        ],
    )
    yield show.gauge(
        "suspecting",
        "1 while anything is in doubt, so that all is checked fast.",
        [],
        [((), float(snapshot.suspecting))],
    )


def _routes(show: _Shower, snapshot: Snapshot, now: float) -> Iterator[Metric]:
    nodes = (snapshot.node, *snapshot.peers)
    routes = [home.route for home in snapshot.homes]
    penalties = snapshot.counters.penalties
    if snapshot.view is not None:
        held = {seen.route: seen.node for seen in snapshot.view.holdings}
        yield show.gauge(
            "route_holder",
            "1 for the node that the route points at; 0 for all means outside of the group.",
            ["table", "destination", "holder"],
            [
                ((route.table, route.destination, node), float(held.get(route) == node))
                for route in routes
                for node in nodes
            ],
        )
        yield show.gauge(
            "route_at_home",
            "1 while the route points at the node that it belongs to.",
            ["table", "destination"],
            [
                (
                    (home.route.table, home.route.destination),
                    float(held.get(home.route) == home.node),
                )
                for home in snapshot.homes
            ],
        )
    yield show.gauge(
        "route_damping_penalty",
        "What the route's takes have added up to (R11); above 2000 its return waits.",
        ["table", "destination"],
        [
            (
                (route.table, route.destination),
                penalty_at(penalties.get(str(route), Penalty()), now),
            )
            for route in routes
        ],
    )


def _counters(show: _Shower, snapshot: Snapshot) -> Iterator[Metric]:
    counters = snapshot.counters
    yield show.counter(
        "moves",
        "Routes moved by this node: R3 takes, R4 returns, R5 releases, R6 drains.",
        ["rule"],
        [((rule.value,), counters.moves_by_rule.get(rule.value, 0)) for rule in MOVES],
    )
    yield show.counter(
        "failed_moves", "Moves that EC2 did not confirm.", [], [((), counters.failed_moves)]
    )
    yield show.counter(
        "checks", "Echo requests sent: checks and pulses.", [], [((), counters.checks)]
    )
    yield show.counter(
        "check_outcomes",
        "What came of them; blind could not be sent.",
        ["outcome"],
        [
            (("heard",), counters.heard),
            (("missed",), counters.missed),
            (("blind",), counters.blind),
        ],
    )


def _view(show: _Shower, snapshot: Snapshot, now: float) -> Iterator[Metric]:
    yield show.gauge(
        "view_max_age_seconds",
        "Age at which the route tables, as last read, are too old to act upon.",
        [],
        [((), snapshot.view_max_age)],
    )
    view = snapshot.view
    if view is None:
        return
    yield show.gauge(
        "view_age_seconds", "Since the route tables were last read.", [], [((), now - view.at)]
    )
    yield show.gauge(
        "paused", "1 while operators want no moves.", [], [((), float(view.intent.paused))]
    )
    yield show.gauge(
        "drained",
        "1 for nodes that operators have drained.",
        ["drained"],
        [
            ((node,), float(node in view.intent.drained))
            for node in (snapshot.node, *snapshot.peers)
        ],
    )
