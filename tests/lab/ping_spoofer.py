"""Answers pings in another's name, and errs in one thing; run as a script, standard library only.

    ping_spoofer.py LINK ADDRESS MANNER DELAY

It sees each echo request to ADDRESS that comes in over LINK (AF_PACKET, so before any firewall),
and knows all that an honest answer would carry. MANNER says in what its answers differ from that:

    faithful    nothing
    thrice       nothing, but it answers three times
    source      they come from another address
    id          the ICMP id is the next one
    sequence    the sequence is the next one
    payload     its last byte is another

DELAY is in seconds. Each answer sent is a line on stdout.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections import deque

STRANGER = "192.0.2.77"
ECHO_REQUEST, ECHO_REPLY = 8, 0
IP_FIELDS = struct.Struct("!BBHHHBBH4s4s")
ICMP_FIELDS = struct.Struct("!BBHHH")


def forge(packet: bytes, manner: str) -> bytes:
    """The IPv4 packet that answers an echo request, in that manner."""
    header = (packet[0] & 0x0F) * 4
    asker, asked = packet[12:16], packet[16:20]
    _, _, _, an_id, sequence = ICMP_FIELDS.unpack_from(packet, header)
    payload = packet[header + ICMP_FIELDS.size :]
    if manner == "source":
        asked = socket.inet_aton(STRANGER)
    elif manner == "id":
        an_id = (an_id + 1) & 0xFFFF
    elif manner == "sequence":
        sequence = (sequence + 1) & 0xFFFF
    elif manner == "payload":
        payload = payload[:-1] + bytes([payload[-1] ^ 1])
    unsummed = ICMP_FIELDS.pack(ECHO_REPLY, 0, 0, an_id, sequence) + payload
    summed = ICMP_FIELDS.pack(ECHO_REPLY, 0, checksum(unsummed), an_id, sequence) + payload
    # The kernel fills in what is zero of length, id and checksum (raw(7)).
    return IP_FIELDS.pack(0x45, 0, 0, 0, 0, 64, socket.IPPROTO_ICMP, 0, asked, asker) + summed


def checksum(message: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = message + b"\0" * (len(message) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def asks(packet: bytes, address: str) -> bool:
    """Whether it is an echo request to that address."""
    header = (packet[0] & 0x0F) * 4
    of_icmp = packet[9] == socket.IPPROTO_ICMP and packet[16:20] == socket.inet_aton(address)
    return of_icmp and packet[header] == ECHO_REQUEST


def answer(link: str, address: str, manner: str, delay: float) -> None:
    """Answer for ever."""
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    receiver.bind((link, 0x0800))
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    copies = 3 if manner == "thrice" else 1
    waiting: deque[tuple[float, bytes]] = deque()
    print("listening", flush=True)
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([receiver], [], [], patience)[0]:
            packet, (_, _, kind, *_) = receiver.recvfrom(2048)
            if kind != socket.PACKET_OUTGOING and asks(packet, address):
                due_at = time.monotonic() + delay
                waiting.extend([(due_at, forge(packet, manner))] * copies)
        while waiting and waiting[0][0] <= time.monotonic():
            _, reply = waiting.popleft()
            sender.sendto(reply, (socket.inet_ntoa(reply[16:20]), 0))
            print("answered", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [link, address, manner, delay]:
            answer(link, address, manner, float(delay))
        case _:
            sys.exit(__doc__)
