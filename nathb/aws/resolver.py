"""Host names to addresses, for calls that cannot wait as long as getaddrinfo(3) may.

getaddrinfo cannot be interrupted: with two name servers that do not answer it takes 20 s, see
resolv.conf(5). So it has a thread of its own, and whoever waits gives up when he must. All who
want one name wait for one thread, so that a name server that never answers costs one thread, and
a lookup that takes longer than a call may is there for a later call.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future
from math import inf
from typing import TYPE_CHECKING, Any

from urllib3.util.connection import allowed_gai_family

if TYPE_CHECKING:
    from collections.abc import Callable

KEEP = 10.0
"""Seconds for which addresses are used again: long enough for the next try of who gave up."""


class Lookup:
    """One lookup of a name, under way or ended."""

    def __init__(self, name: str, getaddrinfo: Callable[..., Any]) -> None:
        """Begin it; RuntimeError when the machine gives no thread."""
        self._name = name
        self._getaddrinfo = getaddrinfo
        self._addresses: Future[tuple[str, ...]] = Future()
        self._found_at = -inf
        threading.Thread(target=self._run, name=f"look up {name}", daemon=True).start()

    def result(self, within: float) -> tuple[str, ...]:
        """Wait for the addresses; TimeoutError, or what getaddrinfo raises."""
        return self._addresses.result(within)

    @property
    def is_of_use(self) -> bool:
        """Whether it is under way, or found addresses a short while ago."""
        return not self._addresses.done() or time.monotonic() < self._found_at + KEEP

    def _run(self) -> None:
        try:
            found = self._getaddrinfo(self._name, None, allowed_gai_family(), socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        except BaseException as error:  # noqa: BLE001  whoever waits raises it; a thread has no reader
            self._addresses.set_exception(error)
        else:
            self._found_at = time.monotonic()
            self._addresses.set_result(addresses)


class Resolver:
    """Looks names up, each in one thread at a time. Safe to use from several threads."""

    def __init__(self, getaddrinfo: Callable[..., Any] = socket.getaddrinfo) -> None:
        """`getaddrinfo` is called as socket.getaddrinfo is."""
        self._getaddrinfo = getaddrinfo
        self._lock = threading.Lock()
        self._lookups: dict[str, Lookup] = {}

    def addresses(self, name: str, within: float) -> tuple[str, ...]:
        """Return a name's addresses in the resolver's order; an address is its own.

        TimeoutError when they are not there `within` so many seconds; gaierror; RuntimeError when
        the machine gives no thread.
        """
        with self._lock:
            lookup = self._lookups.get(name)
            if lookup is None or not lookup.is_of_use:
                lookup = self._lookups[name] = Lookup(name, self._getaddrinfo)
        return lookup.result(within)
