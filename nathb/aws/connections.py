"""The EC2 client's connections: a request arrives in time or not at all, and no call hangs.

A ReplaceRoute that arrives late undoes what others have decided since. Three things prevent that:

- The clock is looked at after name lookup, connect, CONNECT and TLS, just before the bytes.
- At `not_after`, bytes that the peer's kernel has not acknowledged end the connection. It is
  closed with a reset (SO_LINGER of 0, socket(7)). Otherwise the kernel goes on sending them for a
  quarter of an hour, after close(2) and after the process has died.
- A frozen process can do neither, so the kernel gets the limit too: TCP_USER_TIMEOUT, tcp(7), RFC
  5482. Linux counts it from the first retransmission after a tail loss probe, that is two
  retransmission timeouts after the write, which are therefore subtracted. It restarts when a
  packet comes in while nothing can be sent, so it is not enough alone.

What is left are the microseconds between reading the clock and the system call.
"""

from __future__ import annotations

import fcntl
import io
import socket
import struct
import termios
from functools import partial
from http.client import HTTPResponse
from math import inf
from typing import TYPE_CHECKING, Any

import botocore
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from nathb.core.errors import CloudError
from nathb.core.model import Failure

if TYPE_CHECKING:
    from nathb.aws.deadline import Deadline
    from nathb.aws.resolver import Resolver

USER_TIMEOUT = 3.0
"""Seconds for which the kernel sends unacknowledged bytes again, where nothing else is said."""
SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(USER_TIMEOUT * 1000)),
    (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
)
RETRANSMISSION_TIMEOUT = struct.Struct("8xI")
"""The beginning of struct tcp_info, to tcpi_rto, in microseconds: linux/tcp.h."""


def use_connections(client: Any, deadline: Deadline, resolver: Resolver) -> None:
    """Let a boto3 client make its connections here; all else stays botocore's.

    CloudError when this botocore keeps them elsewhere: then no promise could be kept.
    """
    pools = _pools_of(client)
    # The one table that the session and the managers for its proxies, made later, look into.
    for scheme, pool in (("http", HTTPPool), ("https", HTTPSPool)):
        pools[scheme] = partial(pool, deadline=deadline, resolver=resolver)
    client.meta.events.register("before-send.ec2", deadline.begin)


def _pools_of(client: Any) -> Any:
    try:
        session = client._endpoint.http_session
        pools, used = session._pool_classes_by_scheme, session._manager.pool_classes_by_scheme
    except AttributeError:
        pools, used = None, None
    if used is pools == {"http": AWSHTTPConnectionPool, "https": AWSHTTPSConnectionPool}:
        return pools
    raise CloudError(
        Failure.REFUSED,
        f"EC2 client: botocore {botocore.__version__} keeps its connections elsewhere than nathb"
        " expects; install the version that packaging/lock names",
    )


class Timely:
    """Mixin for botocore's connections, which are urllib3's, which are http.client's."""

    host: Any
    timeout: Any
    sock: Any
    auto_open: Any
    _dns_host: Any

    def __init__(
        self,
        *args: Any,
        deadline: Deadline,
        resolver: Resolver,
        socket_options: Any = (),
        **settings: Any,
    ) -> None:
        self._deadline = deadline
        self._resolver = resolver
        self.response_class = partial(Response, deadline)
        options = [*(socket_options or ()), *SOCKET_OPTIONS]
        super().__init__(*args, socket_options=options, **settings)  # type: ignore[call-arg]

    def connect(self) -> None:
        """Connect, with CONNECT and TLS; ConnectTimeoutError or TooLate: nothing was sent."""
        try:
            super().connect()  # type: ignore[misc]
        except TimeoutError as error:
            self._deadline.check()
            raise ConnectTimeoutError(self, f"no connection: {error}") from error

    def send(self, data: Any) -> None:
        """Send bytes of the request; TooLate when they would not arrive in time."""
        if self.sock is None and self.auto_open:
            self.connect()  # as http.client's own would, but before the look at the clock
        self._deadline.check()
        limit_retransmission(self.sock, self._deadline.to_send)
        super().send(data)  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        """Return a socket connected to the first address that answers, as urllib3 has it."""
        name, timeout = self._dns_host, self.timeout
        failed: HTTPError = NewConnectionError(self, f"{name} has no address")  # type: ignore[arg-type]
        try:
            for address in self._addresses():
                self.host, self.timeout = address, self._deadline.limit_before_sending(timeout)
                try:
                    sock: socket.socket = super()._new_conn()  # type: ignore[misc]
                except HTTPError as error:
                    failed = error
                else:
                    # The TLS handshake counts its whole duration: what is left is its limit.
                    sock.settimeout(self._deadline.limit_before_sending(timeout))
                    return sock
        finally:
            self.host, self.timeout = name, timeout
        self._deadline.check()
        raise failed

    def _addresses(self) -> tuple[str, ...]:
        within = self._deadline.limit_before_sending(inf)
        try:
            return self._resolver.addresses(self._dns_host.strip("[]"), within)
        except (OSError, RuntimeError) as error:
            self._deadline.check()
            text = f"cannot resolve {self._dns_host}: {error}"
            raise NewConnectionError(self, text) from error  # type: ignore[arg-type]


class HTTPConnection(Timely, AWSHTTPConnection):  # type: ignore[misc]
    """Without TLS: to an endpoint or proxy whose URL begins with http:."""


class HTTPSConnection(Timely, AWSHTTPSConnection):  # type: ignore[misc]
    """With TLS."""


class HTTPPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    """botocore's, of these connections."""

    ConnectionCls = HTTPConnection


class HTTPSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    """botocore's, of these connections."""

    ConnectionCls = HTTPSConnection


class Response(HTTPResponse):
    """http.client's, read within the deadline; a proxy's answer to CONNECT too."""

    def __init__(self, deadline: Deadline, sock: Any, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.fp = io.BufferedReader(Stream(self.fp.detach(), sock, deadline))


class Stream(io.RawIOBase):
    """What a socket receives. The socket's timeout is the longest silence, in seconds."""

    def __init__(self, raw: io.RawIOBase, sock: Any, deadline: Deadline) -> None:
        """`raw` is the socket's own file, which keeps it open."""
        self._raw = raw
        self._sock = sock
        self._deadline = deadline
        silence = sock.gettimeout()
        self._silence = inf if silence is None else float(silence)

    def readable(self) -> bool:
        """Yes."""
        return True

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int:
        """Receive; TimeoutError after silence, at the deadline, or with bytes unacknowledged."""
        silence = self._silence
        if (to_send := max(0.001, self._deadline.to_send)) < silence:
            try:
                return self._receive(buffer, to_send)
            except TimeoutError as error:
                # With a number it is the kernel that has given up, and not the wait.
                if error.errno is not None or unacknowledged(self._sock):
                    raise
            silence -= to_send
        return self._receive(buffer, silence)

    def close(self) -> None:
        """Let go of the socket."""
        if not self.closed:
            self._raw.close()
        super().close()

    def _receive(self, buffer: Any, silence: float) -> int:
        self._sock.settimeout(self._deadline.limit(silence))
        return int(self._sock.recv_into(buffer))


def limit_retransmission(sock: Any, seconds: float) -> None:
    """Have the kernel end the connection when bytes sent now are not acknowledged by then."""
    tcp = tcp_of(sock)
    info = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RETRANSMISSION_TIMEOUT.size)
    (timeout,) = RETRANSMISSION_TIMEOUT.unpack(info)
    left = min(seconds * 1000 - 2 * timeout / 1000, USER_TIMEOUT * 1000)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(left)))


def unacknowledged(sock: Any) -> bool:
    """Whether the peer's kernel has not acknowledged all that was written: SIOCOUTQ, tcp(7)."""
    count = fcntl.ioctl(tcp_of(sock).fileno(), termios.TIOCOUTQ, bytes(4))
    return struct.unpack("i", count) != (0,)


def tcp_of(sock: Any) -> Any:
    """Return the socket below urllib3's TLS within TLS, which a proxy behind https: needs."""
    return getattr(sock, "socket", sock)
