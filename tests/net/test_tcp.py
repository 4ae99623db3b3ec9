"""Checks by TCP on loopback: only an accepted connection is an answer."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

import pytest

from nathb.core.errors import BlindError
from nathb.net.tcp import TcpWire
from nathb.net.wire import Wire

LOOPBACK = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server


def target(server: socket.socket) -> str:
    return f"tcp://{LOOPBACK}:{server.getsockname()[1]}"


def heard(wire: TcpWire | Wire, within: float = 5.0) -> list[int]:
    """The first tickets that come back; none when nothing does for so many seconds."""
    end = time.monotonic() + within
    while (left := end - time.monotonic()) > 0:
        select.select(wire.filenos(), [], [], left)
        if tickets := wire.receive():
            return tickets
    return []


def test_a_connection_that_is_accepted_is_an_answer(listener: socket.socket) -> None:
    with TcpWire() as wire:
        ticket = wire.send(target(listener))
        assert heard(wire) == [ticket]
        assert wire.receive() == []


def test_a_reset_is_no_answer_and_leaves_nothing_open() -> None:
    with socket.create_server((LOOPBACK, 0)) as closed:
        nobody = target(closed)
    with TcpWire() as wire:
        wire.send(nobody)
        assert heard(wire, within=0.3) == []
        select.select(wire.filenos(), [], [], 0)
        assert wire.receive() == []


def test_checks_overlap_and_one_that_is_forgotten_is_never_heard(listener: socket.socket) -> None:
    with TcpWire() as wire:
        first, second = wire.send(target(listener)), wire.send(target(listener))
        assert first != second
        wire.forget(first)
        wire.forget(first)
        assert heard(wire) == [second]


def test_it_leaves_from_the_source_that_is_given(listener: socket.socket) -> None:
    with TcpWire() as wire:
        ticket = wire.send(target(listener), "127.0.0.9")
        assert heard(wire) == [ticket]
        assert listener.accept()[1][0] == "127.0.0.9"


def test_it_leaves_by_the_interface_that_is_given(listener: socket.socket) -> None:
    with TcpWire() as wire:
        ticket = wire.send(target(listener), "", "lo")
        assert heard(wire) == [ticket]
        with pytest.raises(BlindError, match=r"ENODEV .*correct `interface:`, or bring"):
            wire.send(target(listener), "", "absent0")


def test_a_source_that_is_not_this_machines_is_blind_and_says_so(listener: socket.socket) -> None:
    with TcpWire() as wire, pytest.raises(BlindError) as blind:
        wire.send(target(listener), "192.0.2.1")
    assert "EADDRNOTAVAIL" in str(blind.value)
    assert "the address that the file calls its source" in str(blind.value)


def test_one_wire_sends_pings_and_connections_and_tells_them_apart(
    listener: socket.socket,
) -> None:
    with Wire() as wire:
        connection, ping = wire.send(target(listener)), wire.send(LOOPBACK)
        answered: set[int] = set()
        while len(answered) < 2 and (tickets := heard(wire)):
            answered.update(tickets)
        assert answered == {connection, ping}
        wire.forget(connection)
        wire.forget(ping)
