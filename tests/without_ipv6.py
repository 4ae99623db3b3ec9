"""Runs a command as on a kernel that has no IPv6: socket(2) says that it knows no such family.

    python3 tests/without_ipv6.py CMD ...

A filter of system calls does that, seccomp(2); the command and all it starts have it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys

SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""By machine: what linux/audit.h calls it, and the number of socket(2) there."""
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOW, FAIL = 0x7FFF0000, 0x00050000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # places in struct seccomp_data


class Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def main(command: list[str]) -> None:
    """Become the command."""
    architecture, number = SOCKET[os.uname().machine]
    code = b"".join(
        (
            instruction(LOAD, ARCHITECTURE),
            instruction(EQUAL, architecture, 0, 5),
            instruction(LOAD, NUMBER),
            instruction(EQUAL, number, 0, 3),
            instruction(LOAD, FIRST_ARGUMENT),
            instruction(EQUAL, socket.AF_INET6, 0, 1),
            instruction(RETURN, FAIL | errno.EAFNOSUPPORT),
            instruction(RETURN, ALLOW),
        )
    )
    held = ctypes.create_string_buffer(code)
    program = Program(len(code) // 8, ctypes.cast(held, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise SystemExit(f"no filter: {os.strerror(ctypes.get_errno())}; run it as root")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
