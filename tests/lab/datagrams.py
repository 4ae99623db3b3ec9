"""The two ends of the measurement, run as a script inside the namespaces, standard library only.

    datagrams.py echo ADDRESS PORT          answers each datagram with it and the sender's address
    datagrams.py client ADDRESS PORT FILE   sends one every 5 ms, notes in FILE what comes back

The client takes a new source port every second. A port that lived for ever would be one flow for
ever in a NAT's conntrack table, and the fate of new flows would go unseen.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import BinaryIO

INTERVAL = 0.005
PORT_LASTS = 1.0
SENT = struct.Struct("!d")
RECORD = struct.Struct("!dd4s")  # sent, heard (monotonic seconds), the address the echo server saw


def echo(address: str, port: int) -> None:
    """Answer each datagram with its content and the address it came from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        while True:
            payload, peer = server.recvfrom(64)
            server.sendto(payload + socket.inet_aton(peer[0]), peer)


def client(address: str, port: int, path: str) -> None:
    """Send a datagram every INTERVAL; append a RECORD to `path` for each that comes back."""
    new, old = _port(), _port()
    born = due = time.monotonic()
    with Path(path).open("ab", buffering=0) as notes:
        while True:
            now = time.monotonic()
            if now - born > PORT_LASTS:  # late answers to the port before are still welcome
                old.close()
                new, old, born = _port(), new, now
            if now >= due:
                _send(new, SENT.pack(now), (address, port))
                due = max(due + INTERVAL, now)
            ready, _, _ = select.select([new, old], [], [], max(0.0, due - time.monotonic()))
            for one in ready:
                _note(one, notes)


def _port() -> socket.socket:
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.setblocking(False)
    return port


def _send(port: socket.socket, payload: bytes, to: tuple[str, int]) -> None:
    try:
        port.sendto(payload, to)
    except OSError:
        return  # what cannot be sent will not be heard, and that is all that counts


def _note(port: socket.socket, notes: BinaryIO) -> None:
    try:
        answer = port.recv(64)
    except OSError:
        return
    sent, seen_as = SENT.unpack(answer[: SENT.size])[0], answer[SENT.size :]
    notes.write(RECORD.pack(sent, time.monotonic(), seen_as))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo", address, port]:
            echo(address, int(port))
        case ["client", address, port, path]:
            client(address, int(port), path)
        case _:
            sys.exit(__doc__)
