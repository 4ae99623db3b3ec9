"""What measures, run as a script inside the namespaces, standard library only.

    datagrams.py echo ADDRESS PORT NETWORK   answers each datagram with it and the sender's address:
                                             here at every address, and at ADDRESS in NETWORK
    datagrams.py client ADDRESS CONTROL PORT FILE
                                             sends one to ADDRESS and one to CONTROL every 10 ms,
                                             notes in FILE what comes back
    datagrams.py pace FILE                   notes the time in FILE every 10 ms

The client takes a new source port every second. A port that lived for ever would be one flow for
ever in a NAT's conntrack table, and the fate of new flows would go unseen.

CONTROL is where no route table leads to: the router of the client's own subnet. The two datagrams
share the two processes and all but the NATs, so what silences both is the machine. Where it is
allowed, both processes go before all other work, and the kernel says when an answer came.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

INTERVAL = 0.01
BEAT_INTERVAL = 0.01
PORT_LASTS = 1.0
SENT = struct.Struct("!d?")  # when (monotonic seconds), whether to the control
RECORD = struct.Struct("!dd4s?")  # sent, heard, the address the echo server saw, whether by control
BEAT = struct.Struct("!d")
SO_TIMESTAMPNS = 35  # socket(7); Python has no name for it
TIMESPEC = struct.Struct("@ll")
CLONE_NEWNET = 0x40000000


def enter_network(namespace: str) -> None:
    """Move this process to a network namespace (os.setns comes with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace, "rb") as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            cause = os.strerror(ctypes.get_errno())
            raise OSError(f"{namespace} cannot be entered: {cause}; is this inside the sandbox?")


def go_first() -> None:
    """Have this process run before all ordinary ones, or as soon as it may."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    with suppress(OSError):  # EPERM for an ordinary user, and where real-time has no budget
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def echo(address: str, port: int, network: str) -> None:
    """Answer each datagram with its content and the address it came from."""
    here = _bound("", port)
    enter_network(network)
    there = _bound(address, port)
    while True:
        for server in select.select([here, there], [], [])[0]:
            payload, peer = server.recvfrom(64)
            with suppress(OSError):  # no way back: the client will not hear it
                server.sendto(payload + socket.inet_aton(peer[0]), peer)


def client(address: str, control: str, port: int, path: str) -> None:
    """Send two datagrams every INTERVAL; append a RECORD to `path` for each that comes back."""
    new, old = _port(), _port()
    born = due = time.monotonic()
    with Path(path).open("ab", buffering=0) as notes:
        while True:
            now = time.monotonic()
            if now - born > PORT_LASTS:  # late answers to the port before are still welcome
                old.close()
                new, old, born = _port(), new, now
            if now >= due:
                _send(new, SENT.pack(now, False), (address, port))
                _send(new, SENT.pack(now, True), (control, port))
                due = max(due + INTERVAL, now)
            ready, _, _ = select.select([new, old], [], [], max(0.0, due - time.monotonic()))
            for one in ready:
                _note(one, notes)


def pace(path: str) -> None:
    """Append a BEAT to `path` every BEAT_INTERVAL."""
    with Path(path).open("ab", buffering=0) as notes:
        while True:
            notes.write(BEAT.pack(time.monotonic()))
            time.sleep(BEAT_INTERVAL)


def _bound(address: str, port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    return server


def _port() -> socket.socket:
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.setblocking(False)
    port.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return port


def _send(port: socket.socket, payload: bytes, to: tuple[str, int]) -> None:
    try:
        port.sendto(payload, to)
    except OSError:
        return  # what cannot be sent will not be heard, and that is all that counts


def _note(port: socket.socket, notes: BinaryIO) -> None:
    try:
        answer, stamps, _, _ = port.recvmsg(64, socket.CMSG_SPACE(TIMESPEC.size))
    except OSError:
        return
    (sent, by_control), seen_as = SENT.unpack(answer[: SENT.size]), answer[SENT.size :]
    notes.write(RECORD.pack(sent, _heard(sent, stamps), seen_as, by_control))


def _heard(sent: float, stamps: list[tuple[int, int, bytes]]) -> float:
    """When an answer came, in monotonic seconds. The kernel's stamp is in those of the wall clock.

    Where that clock was set in between, the stamp is of no use: it is now that the answer came.
    """
    now = time.monotonic()
    for _, _, stamp in stamps:
        seconds, nanoseconds = TIMESPEC.unpack(stamp)
        waited = (time.time_ns() - seconds * 10**9 - nanoseconds) / 1e9
        if 0.0 <= waited <= now - sent:
            return now - waited
    return now


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo", address, port, network]:
            go_first()
            echo(address, int(port), network)
        case ["client", address, control, port, path]:
            go_first()
            client(address, control, int(port), path)
        case ["pace", path]:
            pace(path)
        case _:
            sys.exit(__doc__)
