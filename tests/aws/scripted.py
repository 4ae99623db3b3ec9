"""A small HTTP server that answers as a script says, and remembers what it was asked.

An answer is a function of the connection; what is past the end of the script gets a 500. Every
request is counted once it has been read whole, whatever becomes of it then.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Reply = Callable[["Handler"], None]

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append(Asked(self, dict(parse_qsl(text))))
        reply = self.server.script.popleft() if self.server.script else text_reply(500, "no more")
        reply(self)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a test says what went wrong."""


class Asked:
    """One request as it arrived."""

    def __init__(self, handler: Handler, form: dict[str, str]) -> None:
        self.method, self.path, self.headers = handler.command, handler.path, handler.headers
        self.peer = handler.client_address
        self.form = form

    @property
    def action(self) -> str:
        return self.form.get("Action", "")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        self.script: deque[Reply] = deque()
        self.released = threading.Event()
        self.hung_up = threading.Event()
        """Set once a `hang_up` of this script has closed its connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def actions(self) -> list[str]:
        return [asked.action for asked in self.asked]

    def will(self, *replies: Reply) -> None:
        """Start a new script; forget what was asked before."""
        self.script = deque(replies)
        self.asked.clear()
        self.hung_up.clear()

    def handle_error(self, *_: object) -> None:
        """Clients hang up on purpose here."""


@contextmanager
def serving(server: Server | None = None) -> Iterator[Server]:
    server = server or Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def text_reply(status: int, text: str, **headers: str) -> Reply:
    def reply(handler: Handler) -> None:
        body = text.encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def error(status: int, code: str, message: str = "as the script says") -> Reply:
    """What EC2 sends when it says no; its request id is req-no."""
    return text_reply(
        status,
        f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        "</Errors><RequestID>req-no</RequestID></Response>",
    )


def answer(action: str, inner: str = "") -> Reply:
    """What EC2 sends when it says yes; its request id is req-yes."""
    return text_reply(
        200,
        f'<{action}Response xmlns="{NAMESPACE}"><requestId>req-yes</requestId>{inner}'
        f"</{action}Response>",
    )


def replaced() -> Reply:
    return answer("ReplaceRoute", "<return>true</return>")


def tables(*items: str, token: str = "") -> Reply:
    listed = "".join(f"<item>{item}</item>" for item in items)
    next_token = f"<nextToken>{token}</nextToken>" if token else ""
    inner = f"<routeTableSet>{listed}</routeTableSet>{next_token}"
    return answer("DescribeRouteTables", inner)


def hang(handler: Handler) -> None:
    """Never answer: the client gives up, or the test ends."""
    handler.server.released.wait(10)
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """Break the connection with a RST, the request read and unanswered."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Close politely, the request read and unanswered."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    handler.server.hung_up.set()


def torn(handler: Handler) -> None:
    """Begin an answer and break off in the middle."""
    handler.send_response(200)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b"<ReplaceRouteResponse><requ")
    handler.wfile.flush()
    hang_up(handler)


def trickle(status_line: bool) -> Reply:
    """Answer a byte at a time, ten a second, and without end: the head of it, or its body."""

    def reply(handler: Handler) -> None:
        if not status_line:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000000")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 ")
        while not handler.server.released.wait(0.1):
            handler.wfile.write(b"x")

    return reply


def then_hang_up(reply: Reply) -> Reply:
    """Answer in full, then close the connection although the client may keep it in its pool."""

    def both(handler: Handler) -> None:
        reply(handler)
        handler.wfile.flush()
        hang_up(handler)

    return both
