"""Names to addresses. Blocking, as getaddrinfo(3) is: for background threads, not for the loop."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from nathb.core.errors import ResolveError
from nathb.core.text import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[..., list[tuple[Any, Any, Any, Any, tuple[Any, ...]]]]

_MOST = 4
"""Addresses kept of one name: one check each, and a name with dozens must not flood the wire."""

_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def resolve(name: str, lookup: Lookup = socket.getaddrinfo) -> tuple[str, ...]:
    """Return one to four addresses of a host name, IPv4 first; an address stands for itself.

    It blocks for as long as the resolver takes (resolv.conf(5): timeout, attempts, servers).
    ResolveError when there is none, with the resolver's own words. `lookup` is getaddrinfo(3).
    """
    if is_address(name):
        return (name,)
    # getaddrinfo would read 8.8.8 as 8.8.0.8 (inet_aton(3)). No host name ends in a number
    # (RFC 1123, 2.1), so this is an address mistyped, and better refused than pinged.
    if _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]):
        raise ResolveError(f"{name}: not an IP address, nor can a host name end in a number")
    try:
        # One socket type only, for each address comes once per type.
        answers = lookup(name, None, type=socket.SOCK_DGRAM)
    except (OSError, ValueError) as error:  # ValueError: not encodable as a host name
        raise ResolveError(f"{name}: cannot be resolved: {_words(error)}") from error
    # Link-local addresses come with a zone and are left out: they are off every path we watch.
    found = [text for *_, (text, *_) in answers if is_address(text)]
    unique = sorted(dict.fromkeys(found), key=lambda text: ip_address(text).version)
    if not unique:
        raise ResolveError(f"{name}: has no address that could be pinged: check its DNS records")
    return tuple(unique[:_MOST])


def _words(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return f"{strerror or error}: check the name, and resolv.conf(5)"
