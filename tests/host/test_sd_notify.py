"""What the service manager hears, on a socket of the test's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nathb.host.sd_notify import Manager


class Listener:
    """The manager's end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        """Return the datagrams sent since the last call, each as its lines."""
        datagrams = []
        while True:
            try:
                datagrams.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return datagrams


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def listener(path: str) -> Iterator[Listener]:
    made = Listener(path)
    with made.socket:
        yield made


@pytest.fixture
def manager(path: str) -> Manager:
    return Manager(environ={"NOTIFY_SOCKET": path}, monotonic_ns=lambda: 1_234_567_890)


def test_ready_comes_with_its_status(listener: Listener, manager: Manager) -> None:
    manager.ready("nat-a: uplink up")
    assert listener.heard() == [["READY=1", "STATUS=nat-a: uplink up"]]


def test_a_start_that_waits_says_why_and_asks_for_more_time_each_time(
    listener: Listener, manager: Manager
) -> None:
    manager.starting("waiting for EC2", 1.5)
    manager.starting("waiting for EC2", 1.5)
    assert listener.heard() == [
        ["STATUS=waiting for EC2", "EXTEND_TIMEOUT_USEC=1500000"],
        ["EXTEND_TIMEOUT_USEC=1500000"],
    ]


def test_a_status_is_sent_only_when_it_has_changed(listener: Listener, manager: Manager) -> None:
    for text in ("one", "one", "two", "one"):
        manager.status(text)
    assert listener.heard() == [["STATUS=one"], ["STATUS=two"], ["STATUS=one"]]


def test_the_watchdog_is_fed_each_time(listener: Listener, manager: Manager) -> None:
    manager.watchdog()
    manager.watchdog()
    assert listener.heard() == [["WATCHDOG=1"], ["WATCHDOG=1"]]


def test_a_reload_begins_with_its_time_and_ends_with_ready(
    listener: Listener, manager: Manager
) -> None:
    manager.ready("one")
    manager.reloading()
    manager.ready("one")
    assert listener.heard() == [
        ["READY=1", "STATUS=one"],
        ["RELOADING=1", "MONOTONIC_USEC=1234567"],
        ["READY=1"],
    ]


def test_stopping_is_said_once(listener: Listener, manager: Manager) -> None:
    manager.stopping()
    manager.watchdog()
    assert listener.heard() == [["STOPPING=1"], ["WATCHDOG=1"]]


def test_a_status_of_two_lines_cannot_say_anything_else(
    listener: Listener, manager: Manager
) -> None:
    manager.status("down:\nSTOPPING=1")
    assert listener.heard() == [["STATUS=down: STOPPING=1"]]


def test_an_abstract_socket_is_reached() -> None:
    listener = Listener("")  # the kernel chooses a name
    with listener.socket:
        name = listener.socket.getsockname()[1:].decode()
        Manager(environ={"NOTIFY_SOCKET": f"@{name}"}).ready("up")
        assert listener.heard() == [["READY=1", "STATUS=up"]]


@pytest.mark.timeout(60)
def test_a_manager_that_does_not_read_is_told_the_rest_when_it_does(
    listener: Listener, manager: Manager
) -> None:
    for _ in range(2000):
        manager.watchdog()
    manager.ready("one")
    manager.status("two")
    assert set(map(tuple, listener.heard())) == {("WATCHDOG=1",)}
    manager.watchdog()
    assert listener.heard() == [["READY=1", "STATUS=two", "WATCHDOG=1"]]


def test_what_was_not_heard_before_the_manager_was_there_is_said_then(
    path: str, manager: Manager
) -> None:
    manager.ready("one")
    listener = Listener(path)
    with listener.socket:
        manager.watchdog()
        assert listener.heard() == [["READY=1", "STATUS=one", "WATCHDOG=1"]]


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1", "/nowhere/at/all", "/" * 300])
def test_without_a_manager_nothing_happens(address: str) -> None:
    manager = Manager(environ={"NOTIFY_SOCKET": address})
    manager.ready("up")
    manager.reloading()
    manager.status("up")
    manager.watchdog()
    manager.stopping()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "42"}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"}, None),
    ],
)
def test_the_watchdog_interval_is_ours_only_by_our_pid(
    environ: dict[str, str], interval: float | None
) -> None:
    assert Manager(environ=environ, pid=42).watchdog_interval == interval
