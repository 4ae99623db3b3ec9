"""The file on disk: its bytes, and whether the service may read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NoFileError(Exception):
    """There are no bytes to be had; the message is the cause and the fix."""


def read_bytes(file: str, most: int) -> bytes:
    """Return what is in a regular file, `most` bytes of it; NoFileError for anything else.

    A FIFO or a device is refused before it is read, for that could wait for ever.
    """
    try:
        # O_NONBLOCK: to open a FIFO would wait for a writer (fifo(7)).
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            kind = os.fstat(handle).st_mode
            if not stat.S_ISREG(kind):
                raise NoFileError(_other(kind))
            with open(handle, "rb", closefd=False) as opened:
                return opened.read(most)
        finally:
            os.close(handle)
    except OSError as error:
        raise NoFileError(_unopened(file, error)) from error


def closed_to_service(file: str | os.PathLike[str]) -> str:
    """Return the command that lets the service read a file; empty when its mode does.

    The service has a user of its own (DynamicUser=, systemd.exec(5)), which owns no file: only
    what everybody may read can it read.
    """
    path = Path(file).absolute()
    for one, bit, mode in ((path.parent, stat.S_IXOTH, "755"), (path, stat.S_IROTH, "644")):
        try:
            if not one.stat().st_mode & bit:
                return f"chmod {mode} {one}"
        except OSError:  # gone meanwhile, or not ours to look at
            return ""
    return ""


def _other(kind: int) -> str:
    if stat.S_ISDIR(kind):
        return "this is a directory; name the file in it"
    what = "a FIFO" if stat.S_ISFIFO(kind) else "a device"
    return f"this is {what}, not a file; name a regular file"


def _unopened(file: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the name, or start from example.yaml"
    if isinstance(error, PermissionError):
        command = closed_to_service(file)
        fix = f"let everybody read it, the service too: {command}" if command else "run as root"
        return f"this user may not read it ({error.strerror}); {fix}"
    return f"cannot be read ({error.strerror}); name a regular file"
