"""The wire's own bookkeeping: the parser against hostile bytes, and sockets that are not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nathb.core.errors import BlindError
from nathb.net.echo import Arrival, Echo, from_icmp, from_icmpv6, from_ipv4
from nathb.net.icmp import IcmpWire
from tests.net.loopback import icmp, readable

# --- the parser of echo replies -------------------------------------------------------------------

ECHO = Echo(id=0xBEEF, sequence=0x0102, payload=b"sixteen bytes...")
echoes = st.builds(Echo, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=64))


def ipv4(message: bytes, *, options: bytes = b"", version: int = 4, protocol: int = 1) -> bytes:
    words = 5 + len(options) // 4
    start = bytes([version << 4 | words]) + bytes(8) + bytes([protocol])
    return start + bytes(10) + options + message


@given(st.binary(max_size=200))
def test_no_bytes_make_a_parser_raise(datagram: bytes) -> None:
    for parse in (from_icmp, from_icmpv6, from_ipv4):
        assert parse(datagram) is None or isinstance(parse(datagram), Echo)


@given(echoes, st.integers(0, 10))
def test_an_echo_reply_is_read_back_as_it_was_sent(echo: Echo, option_words: int) -> None:
    assert from_icmp(icmp(0, echo)) == echo
    assert from_icmpv6(icmp(129, echo)) == echo
    assert from_ipv4(ipv4(icmp(0, echo), options=bytes(4 * option_words))) == echo


@given(st.integers(0, 255), st.integers(0, 255))
def test_only_echo_replies_are_echo_replies(kind: int, code: int) -> None:
    message = icmp(kind, ECHO, code)
    assert (from_icmp(message) is not None) == ((kind, code) == (0, 0))
    assert (from_icmpv6(message) is not None) == ((kind, code) == (129, 0))


@given(echoes, st.integers(0, 27))
def test_a_reply_cut_short_in_its_headers_is_none(echo: Echo, length: int) -> None:
    assert from_ipv4(ipv4(icmp(0, echo))[:length]) is None


@pytest.mark.parametrize("protocol", [0, 6, 17, 58])
def test_other_protocols_are_none(protocol: int) -> None:
    assert from_ipv4(ipv4(icmp(0, ECHO), protocol=protocol)) is None


@pytest.mark.parametrize("first_byte", [0x65, 0x05, 0x44, 0x40])
def test_a_header_of_another_version_or_too_short_to_be_one_is_none(first_byte: int) -> None:
    packet = bytes([first_byte]) + ipv4(icmp(0, ECHO))[1:]
    assert from_ipv4(packet) is None


def test_the_header_may_claim_more_than_there_is() -> None:
    assert from_ipv4(b"\x4f" + ipv4(b"")[1:] + bytes(8)) is None


# --- the wire -------------------------------------------------------------------------------------


class FakeSocket:
    """An EchoSocket whose network is two lists. Its descriptor is always readable."""

    def __init__(self, *, raw: bool = True, kernel_id: int = 0) -> None:
        self.raw = raw
        self.sent: list[Arrival] = []
        self.inbox: list[Arrival] = []
        self.refusal: OSError | None = None
        self.is_closed = False
        self._kernel_id = kernel_id
        self._fileno = os.eventfd(1)

    def send(self, address: str, request: Echo) -> Echo:
        if self.refusal:
            raise self.refusal
        sent = request if self.raw else replace(request, id=self._kernel_id)
        self.sent.append(Arrival(ip_address(address), sent))
        return sent

    def read(self, limit: int) -> list[Arrival]:
        arrivals, self.inbox = self.inbox[:limit], self.inbox[limit:]
        return arrivals

    def answer(self) -> None:
        """Let everything that was sent come back."""
        self.inbox += self.sent

    def fileno(self) -> int:
        return self._fileno

    def close(self) -> None:
        self.is_closed = True
        os.close(self._fileno)


class FakeOpener:
    """Opens raw or ping sockets of the fake kind, and remembers them; or refuses."""

    def __init__(self, *, raw: bool = True) -> None:
        self.raw = raw
        self.opened: list[FakeSocket] = []
        self.asked_for: list[tuple[int, str, str]] = []
        self.refusal: OSError | None = None

    def __call__(self, version: int, source: str, interface: str) -> FakeSocket:
        if self.refusal:
            raise self.refusal
        self.asked_for.append((version, source, interface))
        self.opened.append(FakeSocket(raw=self.raw, kernel_id=len(self.opened)))
        return self.opened[-1]


@contextmanager
def wired(*, raw: bool = True) -> Iterator[tuple[IcmpWire, FakeOpener]]:
    opener = FakeOpener(raw=raw)
    with IcmpWire(opener) as wire:
        yield wire, opener


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@given(
    st.one_of(
        st.builds(lambda n: {"source": n}, st.ip_addresses()),
        st.builds(lambda n: {"id": n}, st.integers(0, 0xFFFF)),
        st.builds(lambda n: {"sequence": n}, st.integers(0, 0xFFFF)),
        st.builds(lambda n: {"payload": n}, st.binary(max_size=40)),
    )
)
def test_what_differs_in_anything_from_the_answer_is_a_stray(change: dict) -> None:
    with wired() as (wire, opener):
        ticket = wire.send("192.0.2.1")
        [socket] = opener.opened
        [answer] = socket.sent
        echo = {name: change[name] for name in ("id", "sequence", "payload") if name in change}
        forged = Arrival(change.get("source", answer.source), replace(answer.echo, **echo))
        socket.inbox = [forged]
        if forged == answer:
            assert (wire.receive(), wire.strays) == ([ticket], 0)
        else:
            assert (wire.receive(), wire.strays) == ([], 1)


def test_a_payload_that_only_begins_or_ends_like_ours_is_a_stray() -> None:
    with wired() as (wire, opener):
        wire.send("192.0.2.1")
        [socket] = opener.opened
        [answer] = socket.sent
        payload = answer.echo.payload
        for forged in (payload[:-1], payload[1:], payload + b"\0", b""):
            socket.inbox.append(replace(answer, echo=replace(answer.echo, payload=forged)))
        assert (wire.receive(), wire.strays) == ([], 4)


def test_a_datagram_that_is_no_echo_reply_is_a_stray() -> None:
    with wired() as (wire, opener):
        wire.send("192.0.2.1")
        opener.opened[0].inbox = [Arrival(ip_address("192.0.2.1"), None)]
        assert (wire.receive(), wire.strays) == ([], 1)


def test_an_ipv6_address_may_be_written_in_any_way() -> None:
    with wired() as (wire, opener):
        ticket = wire.send("2001:DB8:0:0:0:0:0:1")
        [socket] = opener.opened
        assert socket.sent[0].source == ip_address("2001:db8::1")
        socket.answer()
        assert wire.receive() == [ticket]


def test_no_id_comes_back_before_all_others_have_been_used() -> None:
    with wired() as (wire, opener):
        for _ in range(0x10000):
            wire.forget(wire.send("192.0.2.1"))
        ids = [answer.echo.id for answer in opener.opened[0].sent]
        assert sorted(ids) == list(range(0x10000))


def test_each_check_carries_a_small_payload_of_its_own() -> None:
    with wired() as (wire, opener):
        for _ in range(100):
            wire.send("192.0.2.1")
        payloads = {answer.echo.payload for answer in opener.opened[0].sent}
        assert len(payloads) == 100
        assert {len(payload) for payload in payloads} == {16}


def test_one_call_reads_a_bounded_number_and_the_next_goes_on() -> None:
    with wired() as (wire, opener):
        tickets = [wire.send("192.0.2.1") for _ in range(300)]
        opener.opened[0].answer()
        assert wire.receive() == tickets[:256]
        assert wire.receive() == tickets[256:]


def test_the_descriptor_for_the_selector_stays_the_same() -> None:
    with wired(raw=False) as (wire, _):
        before = wire.filenos()
        wire.send("192.0.2.1")
        wire.send("2001:db8::1")
        assert wire.filenos() == before


@pytest.mark.parametrize("address", ["", "dns.example", "8.8.8", "fe80::1%lo", "192.0.2.1 "])
def test_what_is_no_address_is_never_sent(address: str) -> None:
    with wired() as (wire, opener), pytest.raises(BlindError, match="give an IP address"):
        wire.send(address)
    assert opener.opened == []


@pytest.mark.parametrize(
    ("number", "name", "fix"),
    [
        (errno.ENOBUFS, "ENOBUFS", "tc -s qdisc"),
        (errno.EAGAIN, "EAGAIN", "tc -s qdisc"),
        (errno.EPERM, "EPERM", "nft list ruleset"),
        (errno.ENETUNREACH, "ENETUNREACH", "ip route get"),
        (errno.EXDEV, "EXDEV", "sendto"),
    ],
)
@pytest.mark.parametrize("raw", [True, False])
def test_a_refused_send_is_blind_with_address_errno_and_mend(
    raw: bool, number: int, name: str, fix: str
) -> None:
    with wired(raw=raw) as (wire, opener):
        ticket = wire.send("192.0.2.1")
        wire.forget(ticket)
        refusing = FakeSocket(raw=raw)
        refusing.refusal = error(number)
        with IcmpWire(lambda *_: refusing) as blind, pytest.raises(BlindError) as caught:
            blind.send("192.0.2.7")
        assert str(caught.value).startswith(f"192.0.2.7: request not sent: {name} (")
        assert fix in str(caught.value)
        assert opener.opened[0].is_closed is not raw


def test_a_raw_socket_outlives_a_refused_send() -> None:
    with wired() as (wire, opener):
        first = wire.send("192.0.2.1")
        [socket] = opener.opened
        socket.refusal = error(errno.ENOBUFS)
        with pytest.raises(BlindError):
            wire.send("192.0.2.1")
        socket.refusal = None
        second = wire.send("192.0.2.1")
        socket.answer()
        assert wire.receive() == [first, second]
        assert opener.opened == [socket]


def test_a_socket_that_could_not_be_opened_is_tried_again_at_the_next_send() -> None:
    with wired() as (wire, opener):
        opener.refusal = error(errno.EACCES)
        with pytest.raises(
            BlindError, match=r"^192\.0\.2\.1: no ICMP socket: EACCES .*CAP_NET_RAW"
        ):
            wire.send("192.0.2.1")
        opener.refusal = None
        ticket = wire.send("192.0.2.1")
        opener.opened[0].answer()
        assert wire.receive() == [ticket]


def test_each_check_has_a_ping_socket_of_its_own_until_it_is_over() -> None:
    with wired(raw=False) as (wire, opener):
        answered, forgotten, still_open = (wire.send("192.0.2.1") for _ in range(3))
        opener.opened[0].answer()
        assert wire.receive() == [answered]
        wire.forget(forgotten)
        assert [socket.is_closed for socket in opener.opened] == [True, True, False]
        opener.opened[2].answer()
        assert wire.receive() == [still_open]


def test_a_ping_socket_whose_send_was_refused_is_closed() -> None:
    socket = FakeSocket(raw=False)
    socket.refusal = error(errno.ENETUNREACH)
    with IcmpWire(lambda *_: socket) as wire:
        with pytest.raises(BlindError):
            wire.send("192.0.2.1")
        assert socket.is_closed


def test_a_closed_ping_socket_that_a_child_still_holds_wakes_nobody() -> None:
    with wired(raw=False) as (wire, opener):
        ticket = wire.send("192.0.2.1")
        childs = os.dup(opener.opened[0].fileno())
        assert readable(*wire.filenos(), within=0)
        wire.forget(ticket)
        assert not readable(*wire.filenos(), within=0)
        os.close(childs)


def test_ping_sockets_are_bounded_and_the_next_check_is_blind() -> None:
    with wired(raw=False) as (wire, opener):
        tickets = [wire.send("192.0.2.1") for _ in range(256)]
        with pytest.raises(
            BlindError, match=r"EMFILE \(256 ping sockets are in use\).*CAP_NET_RAW"
        ):
            wire.send("192.0.2.1")
        assert len(opener.opened) == 256
        wire.forget(tickets[0])
        wire.send("192.0.2.1")


def test_a_reply_heard_by_a_raw_socket_may_close_the_ping_socket_next_in_line() -> None:
    with wired() as (wire, opener):
        wire.send("2001:db8::1")
        opener.raw = False
        ticket = wire.send("192.0.2.1")
        raw, ping = opener.opened
        raw.inbox = list(ping.sent)
        assert wire.receive() == [ticket]
        assert ping.is_closed


def test_closing_closes_every_socket() -> None:
    for raw in (True, False):
        with wired(raw=raw) as (wire, opener):
            for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
                wire.send(address)
        assert opener.opened
        assert all(socket.is_closed for socket in opener.opened)


def test_each_source_has_a_socket_of_its_own_and_only_asks_its_own_family() -> None:
    with wired() as (wire, opener):
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
            wire.send(address, "10.0.0.11")
        wire.send("192.0.2.1")
    assert opener.asked_for == [(4, "10.0.0.11", ""), (6, "", ""), (4, "", "")]
