"""A name server with a handful of names, run as a script, standard library only.

    name_server.py ADDRESS NAME=ADDRESS ...

It answers questions for A records (RFC 1035); a name has nothing of any other type, and a name it
does not know does not exist.
"""

from __future__ import annotations

import socket
import struct
import sys

HEADER = struct.Struct("!HHHHHH")
QUESTION_END = struct.Struct("!HH")
RECORD = struct.Struct("!HHHIH4s")
A, IN = 1, 1
RESPONSE = 0x8400  # authoritative
NO_SUCH_NAME = 3
ITS_NAME = 0xC000 | HEADER.size  # a pointer to the name in the question
TTL = 60


def answer(query: bytes, names: dict[str, str]) -> bytes:
    """The response to a query with one question."""
    an_id, flags, *_ = HEADER.unpack_from(query)
    name, end = read_name(query)
    kind, _ = QUESTION_END.unpack_from(query, end)
    question = query[HEADER.size : end + QUESTION_END.size]
    address = names.get(name)
    record = b""
    if address is not None and kind == A:
        record = RECORD.pack(ITS_NAME, A, IN, TTL, 4, socket.inet_aton(address))
    code = RESPONSE | flags & 0x0100 | (NO_SUCH_NAME if address is None else 0)
    return HEADER.pack(an_id, code, 1, 1 if record else 0, 0, 0) + question + record


def read_name(query: bytes) -> tuple[str, int]:
    """The name in the question, and where it ends."""
    labels, place = [], HEADER.size
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode())
        place += 1 + length
    return ".".join(labels).lower(), place + 1


def serve(address: str, names: dict[str, str]) -> None:
    """Answer for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        print("listening", flush=True)
        while True:
            query, peer = server.recvfrom(512)
            server.sendto(answer(query, names), peer)
            print("answered", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, *pairs]:
            serve(address, dict(pair.split("=", 1) for pair in pairs))  # type: ignore[misc]
        case _:
            sys.exit(__doc__)
