"""The parser of echo replies, against hostile bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nathb.net.echo import Echo, from_icmp, from_icmpv6, from_ipv4
from tests.net.loopback import icmp

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
