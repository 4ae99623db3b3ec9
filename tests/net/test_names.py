"""Names to addresses."""

from __future__ import annotations

import socket

import pytest

from nathb.core.errors import ResolveError
from nathb.core.text import is_address
from nathb.net.names import resolve


class FakeLookup:
    """getaddrinfo(3) with the given answers, or the given failure."""

    def __init__(self, *addresses: str, failure: Exception | None = None) -> None:
        self.addresses = addresses
        self.failure = failure

    def __call__(self, name: str, port: None, **_: object) -> list[tuple]:
        if self.failure:
            raise self.failure
        return [(None, None, None, name, (address, port)) for address in self.addresses]


@pytest.mark.parametrize("text", ["192.0.2.1", "::1", "2001:db8:0:0::1", "0.0.0.0"])
def test_an_address_is_an_address(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", ["", "8.8.8", "1", "fe80::1%eth0", "192.0.2.256", "dns.example"])
def test_names_fragments_and_zones_are_not_addresses(text: str) -> None:
    assert not is_address(text)


def test_an_address_stands_for_itself_without_asking_anyone() -> None:
    lookup = FakeLookup(failure=AssertionError("nobody is to be asked"))
    assert resolve("192.0.2.1", lookup) == ("192.0.2.1",)


def test_ipv4_comes_first_each_address_once_and_four_at_most() -> None:
    lookup = FakeLookup(
        "2001:db8::1", "192.0.2.9", "192.0.2.1", "192.0.2.9", "2001:db8::2", "2001:db8::3"
    )
    assert resolve("many.example", lookup) == (
        "192.0.2.9",
        "192.0.2.1",
        "2001:db8::1",
        "2001:db8::2",
    )


def test_link_local_addresses_are_left_out() -> None:
    assert resolve("host.example", FakeLookup("fe80::1%eth0", "192.0.2.1")) == ("192.0.2.1",)


def test_a_name_with_nothing_but_link_local_addresses_is_lost() -> None:
    with pytest.raises(ResolveError, match=r"^host\.example: has no address"):
        resolve("host.example", FakeLookup("fe80::1%eth0"))


def test_a_failure_is_told_in_the_resolvers_words() -> None:
    failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    with pytest.raises(ResolveError, match=r"^dns\.example: .*Temporary failure .*resolv\.conf"):
        resolve("dns.example", FakeLookup(failure=failure))


@pytest.mark.parametrize("name", ["8.8.8", "8.8.8.8.", "1", "0x7f000001", "1.2.3.0x4", "300.1.1.1"])
def test_a_mistyped_address_is_refused_before_getaddrinfo_can_guess(name: str) -> None:
    with pytest.raises(ResolveError, match="not an IP address"):
        resolve(name, FakeLookup("192.0.2.1"))


@pytest.mark.parametrize("name", ["", ".", "a..b", "a" * 64, "\0", "\ud800"])
def test_what_cannot_be_a_name_is_lost_and_nothing_worse(name: str) -> None:
    with pytest.raises(ResolveError):
        resolve(name)


def test_localhost_is_on_loopback() -> None:
    assert set(resolve("localhost")) <= {"127.0.0.1", "::1"}
