"""The file on disk: read, written whole or not at all, and readable for the service."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from nathb.core.errors import FileError, Mistake

FOLDER, NEW = 0o755, 0o644
"""Modes of what is made here: the service, which has a user of its own, has to read it."""


def read_bytes(file: str, most: int) -> bytes:
    """Return what is in a regular file, `most` bytes of it.

    Raises FileError for anything else. A FIFO or a device is refused before it is read, because
    that could wait for ever.
    """
    try:
        # O_NONBLOCK: to open a FIFO would wait for a writer (fifo(7)).
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode):
                raise _error(file, _why_not_regular(mode))
            with open(handle, "rb", closefd=False) as opened:
                return opened.read(most)
        finally:
            os.close(handle)
    except OSError as error:
        raise _error(file, _why_not_opened(file, error)) from error


def chmod_for_service(file: str | os.PathLike[str]) -> str:
    """Return the command that lets the service read a file; empty when its mode does.

    The service has a user of its own (DynamicUser=, systemd.exec(5)), which owns no file: only
    what everybody may read can it read.
    """
    path = Path(file).absolute()
    for one, bit, mode in ((path.parent, stat.S_IXOTH, "755"), (path, stat.S_IROTH, "644")):
        try:
            if not one.stat().st_mode & bit:
                return f"chmod {mode} {one}"
        except OSError:  # removed meanwhile, or this user may not look at it
            return ""
    return ""


def read_text(path: Path) -> str | None:
    """Return a file's text, whatever it means; None when there is no file, FileError when this user
    may not read it.
    """
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f"cannot be read ({error.strerror}); run as root, or name another file"
        raise _error(path, text) from error


def create(path: Path, text: str) -> None:
    """Write a file, whole or not at all, and its folder if there is none; FileError when this user
    may not. Anybody may read a new one.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            path.parent.chmod(FOLDER)  # whatever the umask
    except OSError as error:
        raise _error(path, _why_not_written(error)) from error
    write(path, text)


def write(path: Path, text: str) -> None:
    """Put text in a file's place, whole or not at all; FileError when this user may not.

    What the path leads to is replaced, so that a link stays a link; its mode stays too.
    """
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else NEW
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fchmod(opened.fileno(), mode)
                os.fsync(opened.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _error(path, _why_not_written(error)) from error


def _why_not_regular(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "this is a directory; name the file in it"
    what = "a FIFO" if stat.S_ISFIFO(mode) else "a device"
    return f"this is {what}, not a file; name a regular file"


def _why_not_opened(file: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the name, or start from example.yaml"
    if isinstance(error, PermissionError):
        command = chmod_for_service(file)
        fix = f"let everybody read it, the service too: {command}" if command else "run as root"
        return f"this user may not read it ({error.strerror}); {fix}"
    return f"cannot be read ({error.strerror}); name a regular file"


def _why_not_written(error: OSError) -> str:
    return f"cannot be written ({error.strerror}); run as root, or check its folder"


def _error(file: str | os.PathLike[str], text: str) -> FileError:
    return FileError([Mistake(os.fspath(file), 0, "", text)])
