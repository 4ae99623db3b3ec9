"""Serves WSGI applications as EC2 serves its API: many at a time, on connections that are kept."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app

Wsgi = Callable[..., Iterable[bytes]]
NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends a reset


class Handler(WSGIRequestHandler):
    """Werkzeug's, except that it does not close the connection after each answer."""

    # Headers and body are two writes; on a kept connection Nagle would hold the second for 40 ms.
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request. The application is to read the whole of it."""
        environ = self.make_environ()
        try:
            chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
            self.send_response(int(status.split()[0]))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"".join(chunks))
        except ConnectionError:
            self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the API keeps a record of its own."""


def listen(listener: socket.socket, app: Wsgi) -> None:
    """Serve `app` on a listening socket, in threads that end with the process."""
    host, port = listener.getsockname()
    # Given a listener, werkzeug does not look its host name up.
    server = make_server(
        host, port, app, threaded=True, request_handler=Handler, fd=listener.fileno()
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def drip(environ: dict[str, Any], end: threading.Event) -> NoReturn:
    """Answer a byte every half second until `end`, and then reset the connection.

    No timeout of whoever reads it ends that, if it counts silence.
    """
    connection: socket.socket = environ["werkzeug.socket"]
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not end.wait(0.5):
        connection.sendall(b" ")  # ConnectionError once nobody reads it any more
    reset(environ)


def reset(environ: dict[str, Any]) -> NoReturn:
    """Reset the caller's connection instead of answering."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    os.close(connection.detach())  # close() would wait for the server's own file objects
    raise ConnectionResetError("reset on purpose")
