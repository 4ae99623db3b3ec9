"""Where Prometheus finds figures: a file for node_exporter, and an address of our own.

Both show what `nathb status` would, for both read the file that it reads: the loop has nothing to
do with them. Each has a thread of its own, and tells once when it fails.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.registry import Collector

from nathb.core.errors import SnapshotError
from nathb.core.events import Event, EventKind
from nathb.host.metric_families import figures
from nathb.host.status_file import read, replace_file

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
        """Stop, and have the file taken away: old figures look like new ones. Does not wait."""
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
    """Tell that figures are missing somewhere, and why."""
    return Event(kind=EventKind.METRICS_LOST, message=f"metrics: {why}")
