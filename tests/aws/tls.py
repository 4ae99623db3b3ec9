"""The scripted server behind TLS, with an authority of its own, and a proxy that tunnels to it."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.aws.scripted import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TlsServer(Server):
    """Does what `opening` says before it says a word of TLS."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self.opening: Callable[[], object] = bool
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.opening()
        super().process_request_thread(request, client_address)


class Proxy(Server):
    """Does what `opening` says, answers CONNECT, and then carries bytes both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = Tunnel
        self.opening: Callable[[], object] = bool
        self.targets: list[str] = []


class Tunnel(Handler):
    server: Proxy

    def do_CONNECT(self) -> None:  # noqa: N802  http.server's name for it
        self.server.targets.append(self.path)
        self.server.opening()
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as target:
            self.send_response(200)
            self.end_headers()
            there = threading.Thread(target=carry, args=(self.connection, target), daemon=True)
            there.start()
            carry(target, self.connection)
            there.join(10)
        self.close_connection = True


def carry(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way until either end has had enough."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def certificate(folder: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
