"""Where Prometheus finds figures: a file for node_exporter, and an address of our own.

Both show what `nathb status` would, for both read the file that it reads: the loop has nothing to
do with them. Each has a thread of its own, and logs once when it fails.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nathb.core.damping import Penalty, penalty_at
from nathb.core.errors import SnapshotError
from nathb.core.events import Event, EventKind
from nathb.core.model import Rule, Verdict
from nathb.core.snapshot import Snapshot
from nathb.host.status_file import is_live, read, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client.metrics_core import Metric

    from nathb.core.ports import Journal


PATIENCE = 5.0
"""Seconds for which a client may keep us waiting: one is served at a time."""
WAKE = 0.5
"""Seconds within which an endpoint notices that it is closed."""


class Status(Collector):
    """The newest snapshot that the daemon has written at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def collect(self) -> Iterator[Metric]:
        """Yield its figures; SnapshotError when there is none to be read."""
        yield from figures(read(self._path), time.monotonic())


def registry(status: Path) -> CollectorRegistry:
    """Return what prometheus_client serves from: the snapshot at `status`, read at each turn."""
    made = CollectorRegistry()
    made.register(Status(status))
    return made


class Textfile:
    """Writes a file over and over: see node_exporter's --collector.textfile.directory."""

    def __init__(self, path: Path, status: Path, journal: Journal, every: float) -> None:
        """`every` is how many seconds pass between two writes."""
        self._path = path
        self._every = every
        self._journal = journal
        self._registry = registry(status)
        self._closed = threading.Event()
        self._failing = False
        self._writer = threading.Thread(target=self._work, name="textfile", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Stop, and have the file removed: old figures look like new ones. Does not wait."""
        self._closed.set()

    def join(self, timeout: float) -> None:
        """After `close`, wait for at most `timeout` seconds until that is done."""
        self._writer.join(timeout)

    def _work(self) -> None:
        while not self._closed.wait(self._every):
            try:
                replace_file(self._path, generate_latest(self._registry))
                self._failing = False
            except OSError as error:
                self._fail(f"cannot be written: {error.strerror}")
            except SnapshotError as error:
                self._fail(f"not renewed: {error}")
        with suppress(OSError):
            self._path.unlink()

    def _fail(self, why: str) -> None:
        if not self._failing:
            self._failing = True
            self._journal.emit(lost(f"{self._path}: {why}"))


class Endpoint:
    """Answers on an address, given as 127.0.0.1:9477 or [::1]:9477."""

    def __init__(self, address: str, status: Path, journal: Journal) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._where = (host.strip("[]"), int(port))
        self._journal = journal
        self._app = make_wsgi_app(registry(status))
        self._closed = threading.Event()
        self._server = threading.Thread(target=self._work, name="endpoint", daemon=True)
        self._server.start()

    def close(self) -> None:
        """Stop soon, and let go of the address. Does not wait."""
        self._closed.set()

    def join(self, timeout: float) -> None:
        """After `close`, wait for at most `timeout` seconds until that is done."""
        self._server.join(timeout)

    def _work(self) -> None:
        family = socket.AF_INET6 if ":" in self._where[0] else socket.AF_INET
        try:
            server = _Server(self._where, family)
        except OSError as error:
            self._journal.emit(
                lost(f"{self._address}: cannot listen: {error.strerror}; write another port")
            )
            return
        with server:
            server.timeout = WAKE
            server.set_app(self._answer)
            while not self._closed.is_set():
                server.handle_request()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            answer: Iterable[bytes] = self._app(environ, start)
        except SnapshotError as error:
            start("503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{error}\n".encode()]
        return answer


class _Server(WSGIServer):
    """One request at a time: nobody on this machine can make us start threads without end."""

    def __init__(self, where: tuple[str, int], family: int) -> None:
        self.address_family = family
        super().__init__(where, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks DNS for our name.
        socketserver.TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up or sends nothing in time sees for itself that it failed."""


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, *_: object) -> None:
        """Say nothing: steady state is not logged."""


def lost(why: str) -> Event:
    """Report that figures are missing somewhere, and why."""
    return Event(kind=EventKind.METRICS_LOST, message=f"metrics: {why}")


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
        "1 for the state of this node's own uplink, 0 for the other states.",
        ["verdict"],
        [((verdict.value,), float(snapshot.uplink.verdict is verdict)) for verdict in Verdict],
    )
    yield show.gauge(
        "peer_verdict",
        "1 for the state of a peer, by its heartbeat; 0 for the other states.",
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
        "paused", "1 while the group is paused.", [], [((), float(view.intent.paused))]
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
