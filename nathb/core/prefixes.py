"""Prefixes as a router prints them: lines of text, or the JSON of FRR and of iproute2. Pure.

What comes in is hostile until parsed. Whatever is not understood makes the whole of it unusable:
half of a reading is no reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import msgspec
from msgspec import Struct

from nathb.core.errors import ReadingError
from nathb.core.text import visible

MOST_BYTES = 1024 * 1024
MOST_PREFIXES = 2000
"""More than route tables take: a reading of that many was meant to be narrower."""
QUOTED = 60


class FrrRoute(Struct, frozen=True):
    """One entry of `show ip route json`; a prefix may have several, of which one is selected.

    https://docs.frrouting.org/en/latest/zebra.html
    """

    selected: bool = False


class KernelRoute(Struct, frozen=True):
    """One entry of `ip -json route show`, see ip-route(8). `type` is left out for unicast."""

    dst: str
    type: str = "unicast"
    flags: tuple[str, ...] = ()


UNUSABLE = {"dead", "linkdown"}
"""Flags of a kernel route that is there and carries nothing."""


def parse_prefixes(data: bytes) -> frozenset[str]:
    """Return the prefixes in what a router printed, each as EC2 writes it.

    ReadingError when it is empty, too large, or not of a known form.
    """
    if len(data) > MOST_BYTES:
        raise ReadingError(f"more than {MOST_BYTES} bytes; ask for fewer routes")
    text = data.strip()
    if text.startswith(b"{"):
        found = _of_frr(text)
    elif text.startswith(b"["):
        found = _of_kernel(text)
    else:
        found = _of_lines(text)
    prefixes = frozenset(found)
    if not prefixes:
        raise ReadingError("no prefix at all, which is no reason to withdraw any")
    if len(prefixes) > MOST_PREFIXES:
        raise ReadingError(f"more than {MOST_PREFIXES} prefixes; ask for fewer routes")
    return prefixes


def _of_frr(text: bytes) -> Iterator[str]:
    try:
        routes = msgspec.json.decode(text, type=dict[str, tuple[FrrRoute, ...]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadingError(f"no JSON as `show ip route json` prints it: {error}") from error
    return (_network(name) for name, entries in routes.items() if any(e.selected for e in entries))


def _of_kernel(text: bytes) -> Iterator[str]:
    try:
        routes = msgspec.json.decode(text, type=tuple[KernelRoute, ...])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadingError(f"no JSON as `ip -json route show` prints it: {error}") from error
    usable = (one for one in routes if one.type == "unicast" and not UNUSABLE & {*one.flags})
    return (_network(one.dst) for one in usable if one.dst != "default")


def _of_lines(text: bytes) -> Iterator[str]:
    lines = text.decode(errors="replace").splitlines()
    words = (line.partition("#")[0].strip() for line in lines)
    return (_network(word) for word in words if word)


def _network(text: str) -> str:
    """Return a network, or an address as the network of it alone, as EC2 writes it."""
    try:
        # A zone (fe80::1%eth0) names an interface of one machine; no route of a VPC has one.
        return str(ip_network(text.replace("%", "?")))
    except ValueError:
        shown = visible(text[:QUOTED])
        raise ReadingError(f"'{shown}' is no prefix; print one such as 10.8.0.0/16") from None
