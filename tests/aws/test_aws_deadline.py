"""R16: a write leaves in time or not at all, and no call hangs, over real connections."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore
import pytest

from nathb.aws.client import make_client
from nathb.aws.connections import HTTPSPool, limit_retransmission, use_connections
from nathb.aws.deadline import Deadline
from nathb.aws.ec2 import Cloud
from nathb.aws.resolver import Resolver
from nathb.core.errors import CloudError
from nathb.core.model import Failure
from tests.aws.conftest import session_at
from tests.aws.scripted import Server, replaced, serving, tables, then_hang_up, trickle
from tests.aws.test_aws_api_errors import GROUP, MOVE, ROSTER, failing
from tests.aws.tls import Proxy, TlsServer, certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.aws.conftest import Time

SOON = 0.5
"""Seconds until a write may be sent, where something is to last longer."""
STALL = 1.5
"""Seconds that it lasts then."""
ENOUGH = 3.0
"""Seconds in which a write leaves even on a busy machine, and that a test can wait for."""
LONG = 60.0
"""Seconds within which a busy machine does anything."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls(authority: Path) -> Iterator[TlsServer]:
    server = TlsServer(authority)
    with serving(server):
        yield server


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that this process's environment names; clients made from now on go through it."""
    server = Proxy()
    with serving(server):
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        yield server


def cloud_at(url: str, folder: Path, bundle: Path | None = None, **settings: Any) -> Cloud:
    """EC2 there, by a client that is patient unless told otherwise."""
    given: dict[str, Any] = {"connect_timeout": LONG, "read_timeout": LONG, "call_timeout": LONG}
    known = {"ca_bundle": str(bundle)} if bundle else {}
    return Cloud(make_client(session=session_at(url, folder, **known), **given | settings), GROUP)


def move(cloud: Cloud, seconds: float) -> str:
    """Move with so many seconds left to send it; the request id."""
    return cloud.move(MOVE, "eni-c", monotonic() + seconds).request_id


# --- TLS and proxies ---------------------------------------------------------------------------


def test_over_tls_with_an_authority_of_ones_own_a_write_arrives(
    tls: TlsServer, authority: Path, tmp_path: Path
):
    tls.will(tables(), replaced())
    cloud = cloud_at(tls.url, tmp_path, authority)
    cloud.view(ROSTER)
    assert move(cloud, LONG) == "req-yes"
    read, write = tls.asked
    assert read.peer == write.peer


def test_an_authority_that_nobody_named_is_not_trusted(tls: TlsServer, tmp_path: Path):
    caught = failing(lambda: move(cloud_at(tls.url, tmp_path), LONG))
    assert caught.failure is Failure.UNAVAILABLE
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught)


def test_a_tls_handshake_that_takes_longer_than_a_write_may_wait_sends_nothing(
    tls: TlsServer, authority: Path, tmp_path: Path
):
    tls.will(replaced())
    tls.opening = lambda: tls.released.wait(STALL)
    caught = failing(lambda: move(cloud_at(tls.url, tmp_path, authority), SOON))
    assert caught.failure is Failure.EXPIRED
    assert "not sent: " in str(caught)
    assert "; the next round decides again" in str(caught)
    assert_nothing_comes(tls)


def test_the_clock_is_looked_at_once_more_when_the_handshake_is_done(
    tls: TlsServer, authority: Path, tmp_path: Path, time: Time
):
    def freeze() -> None:
        time.now += 3.5

    tls.will(replaced())
    tls.opening = freeze
    client = make_client(session=session_at(tls.url, tmp_path, ca_bundle=str(authority)))
    caught = failing(lambda: Cloud(client, GROUP, time.clock).move(MOVE, "eni-c", time.now + 3.0))
    assert caught.failure is Failure.EXPIRED
    assert "not sent: 500 ms too late" in str(caught)
    assert_nothing_comes(tls)


def test_a_handshake_that_stalls_was_not_a_write(tls: TlsServer, authority: Path, tmp_path: Path):
    tls.opening = lambda: tls.released.wait(STALL)
    cloud = cloud_at(tls.url, tmp_path, authority, connect_timeout=0.3)
    caught = failing(lambda: move(cloud, LONG))
    assert caught.failure is Failure.UNAVAILABLE
    assert "Connect timeout" in str(caught)


def test_a_connection_gone_stale_in_the_pool_and_slow_to_open_again_sends_nothing_late(
    tls: TlsServer, authority: Path, tmp_path: Path
):
    tls.will(then_hang_up(tables()), replaced())
    cloud = cloud_at(tls.url, tmp_path, authority)
    cloud.view(ROSTER)
    assert tls.hung_up.wait(10)
    tls.opening = lambda: tls.released.wait(STALL)
    caught = failing(lambda: move(cloud, SOON))
    assert caught.failure is Failure.EXPIRED
    assert_nothing_comes(tls, after=1)


def test_through_a_proxy_a_write_arrives(
    tls: TlsServer, authority: Path, proxy: Proxy, tmp_path: Path
):
    tls.will(replaced())
    assert move(cloud_at(tls.url, tmp_path, authority), LONG) == "req-yes"
    assert proxy.targets == [tls.url.removeprefix("https://")]


def test_a_proxy_that_is_slow_to_connect_sends_nothing_late(
    tls: TlsServer, authority: Path, proxy: Proxy, tmp_path: Path
):
    tls.will(replaced())
    proxy.opening = lambda: proxy.released.wait(STALL)
    caught = failing(lambda: move(cloud_at(tls.url, tmp_path, authority), SOON))
    assert caught.failure is Failure.EXPIRED
    assert_nothing_comes(tls)


def assert_nothing_comes(server: Server, after: int = 0) -> None:
    """Whatever is still under way would have come by then."""
    server.released.wait(2 * STALL)
    assert len(server.asked) == after


# --- names -------------------------------------------------------------------------------------


class NameServer:
    """A getaddrinfo for one address after another, which answers when it is told to."""

    def __init__(self, *addresses: str) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self._addresses = addresses

    def __call__(self, *question: Any) -> list[Any]:
        _, _, family, kind = question
        self.asked += 1
        self.answers.wait(LONG)
        if not self._addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(family, kind, 6, "", (address, 0)) for address in self._addresses]


def named(server: Server) -> str:
    return f"http://ec2.test:{server.server_address[1]}"


def test_a_resolver_slower_than_a_write_may_wait_sends_nothing_and_serves_the_next_try(
    script: Server, tmp_path: Path
):
    script.will(replaced())
    names = NameServer("127.0.0.1")
    cloud = cloud_at(named(script), tmp_path, getaddrinfo=names)
    begun = monotonic()
    for _ in range(2):
        assert failing(lambda: move(cloud, 0.2)).failure is Failure.EXPIRED
    assert 0.4 <= monotonic() - begun < LONG / 2
    assert script.asked == []
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(move, cloud, LONG)
        names.answers.set()
        assert waiting.result(LONG) == "req-yes"
    assert names.asked == 1
    assert script.actions == ["ReplaceRoute"]


def test_addresses_are_used_again_by_a_try_that_comes_a_moment_later(
    script: Server, tmp_path: Path
):
    script.will(then_hang_up(tables()), replaced())
    names = NameServer("127.0.0.1")
    names.answers.set()
    cloud = cloud_at(named(script), tmp_path, getaddrinfo=names)
    cloud.view(ROSTER)
    assert script.hung_up.wait(10)
    move(cloud, LONG)
    assert names.asked == 1


def test_a_resolver_that_never_answers_ends_a_read_and_costs_one_thread(
    script: Server, tmp_path: Path
):
    names = NameServer("127.0.0.1")
    cloud = cloud_at(named(script), tmp_path, getaddrinfo=names, call_timeout=0.2)
    before = threading.active_count()
    for _ in range(3):
        assert failing(lambda: cloud.view(ROSTER)).failure is Failure.UNAVAILABLE
    assert names.asked == 1
    assert threading.active_count() <= before + 1
    names.answers.set()


def test_a_name_that_could_not_be_resolved_is_looked_up_again(script: Server, tmp_path: Path):
    names = NameServer()
    names.answers.set()
    cloud = cloud_at(named(script), tmp_path, getaddrinfo=names)
    for _ in range(2):
        assert failing(lambda: move(cloud, LONG)).failure is Failure.UNAVAILABLE
    assert names.asked == 2


def test_the_second_address_is_tried_when_nobody_listens_at_the_first(
    script: Server, tmp_path: Path
):
    script.will(replaced())
    names = NameServer("127.0.0.2", "127.0.0.1")
    names.answers.set()
    assert move(cloud_at(named(script), tmp_path, getaddrinfo=names), LONG) == "req-yes"


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [True, False], ids=["head", "body"])
def test_an_answer_that_trickles_for_ever_ends_a_read(head: bool, script: Server, tmp_path: Path):
    script.will(trickle(head), trickle(head))
    begun = monotonic()
    caught = failing(lambda: cloud_at(script.url, tmp_path, call_timeout=0.5).view(ROSTER))
    assert caught.failure is Failure.NO_REPLY
    assert monotonic() - begun >= 0.5
    assert len(script.asked) == 2


def test_an_answer_that_trickles_for_ever_ends_a_write(script: Server, tmp_path: Path):
    script.will(trickle(False))
    caught = failing(lambda: move(cloud_at(script.url, tmp_path, read_timeout=0.5), ENOUGH))
    assert caught.failure is Failure.NO_REPLY
    assert len(script.asked) == 1


def test_a_write_that_arrived_in_time_is_waited_for_past_that_time(script: Server, tmp_path: Path):
    def late(handler: Any) -> None:
        handler.server.released.wait(ENOUGH + 0.5)
        replaced()(handler)

    script.will(late)
    assert move(cloud_at(script.url, tmp_path), ENOUGH) == "req-yes"


def test_what_has_been_given_up_is_reset_and_sent_no_further(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        cloud = cloud_at(url, tmp_path, read_timeout=0.3)
        caught = failing(lambda: move(cloud, LONG))
        peer, _ = listener.accept()
        with peer, pytest.raises(ConnectionResetError):
            received_until_the_end(peer)
    assert caught.failure is Failure.NO_REPLY


@pytest.mark.parametrize(("left", "told"), [(inf, 3000), (60.0, 3000), (3.0, 2600), (0.01, 1)])
def test_the_kernel_gives_up_two_retransmissions_before_it_would_be_too_late(
    left: float, told: int
):
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as connection,
    ):
        limit_retransmission(connection, left)
        timeout = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    # The least retransmission timeout is 200 ms; on loopback it is hardly more.
    assert told - 200 <= timeout <= told


def received_until_the_end(peer: socket.socket) -> bytes:
    peer.settimeout(LONG)
    return b"".join(iter(lambda: peer.recv(65536), b""))


def test_a_write_leaves_nothing_behind_that_would_bound_the_next_call(
    script: Server, tmp_path: Path
):
    script.will(replaced(), tables())
    cloud = cloud_at(script.url, tmp_path)
    assert move(cloud, ENOUGH) == "req-yes"
    script.released.wait(ENOUGH)
    cloud.view(ROSTER)


# --- what of botocore this rests on --------------------------------------------------------------


def test_botocore_makes_its_connections_where_this_client_puts_its_own(tmp_path: Path):
    client = make_client(session=session_at("https://127.0.0.1:9", tmp_path))
    pool = client._endpoint.http_session._manager.connection_from_url("https://127.0.0.1:9")
    assert type(pool) is HTTPSPool, "the table of pools is no longer what the manager looks into"
    connection = pool._new_conn()
    assert connection._deadline is client.deadline, "a pool's settings no longer reach connections"
    answer = connection.response_class
    connection.close()
    assert connection.response_class is answer, "closing puts another class of answers in place"


def test_a_botocore_that_makes_its_connections_elsewhere_is_refused_by_name():
    stranger = SimpleNamespace(_endpoint=SimpleNamespace(http_session=object()))
    with pytest.raises(CloudError, match=f"botocore {botocore.__version__}") as caught:
        use_connections(stranger, Deadline(1.0, 1.0), Resolver())
    assert caught.value.failure is Failure.REFUSED
    assert "packaging/lock" in str(caught.value)
