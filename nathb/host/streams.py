"""Standard input, output and error of a command: always there, and lost with clear words.

Left to Python, a full disk or a closed descriptor ends a command in a traceback, or in a silent
exit status 120 when the interpreter ends; and a descriptor that is closed is given to the next
socket, which then gets what is meant for people.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from nathb.core.errors import OutputError, ReaderGoneError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2
ERROR, WARNING = 3, 4
"""Priorities of syslog(3)."""

FIXES = {
    errno.ENOSPC: "free some space there (`df`), or write to another place",
    errno.EDQUOT: "free some space there (`quota`), or write to another place",
    errno.EBADF: "it is closed, or not open for writing: run it without `>&-`, or with `>FILE`",
}
"""What to do, by errno; see write(2)."""
OTHER_FIX = "write to another place"


def prepare() -> None:
    """Replace `sys.stdin`, `sys.stdout` and `sys.stderr`; for a process's own main alone.

    Afterwards a write to standard output fails with OutputError, once; one to standard error never
    fails, for no output is left for it.
    """
    closed = [fd for fd in (STDIN, STDOUT, STDERR) if not _is_open(fd)]
    for fd in closed:
        # open(2) gives the lowest free number, which is this one. Writes to standard output fail
        # with EBADF as before; standard error may be lost.
        os.open(os.devnull, os.O_WRONLY if fd == STDERR else os.O_RDONLY)
    if STDIN in closed:
        sys.stdin = open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  as long as we run
    sys.stdout = _text(_Output(STDOUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Error(STDERR, "w", closefd=False), sys.stderr, line_buffering=True)


def complain(text: str, priority: int = ERROR) -> None:
    """Say on standard error what is wrong; to journald with its priority, sd-daemon(3)."""
    level = f"<{priority}>" if os.environ.get("JOURNAL_STREAM") else ""
    for line in text.splitlines():
        print(f"{level}{line}", file=sys.stderr)


class _Output(io.FileIO):
    """Standard output. Its first failure is an error of ours; what comes after that is dropped."""

    _lost = False

    def write(self, data: ReadableBuffer) -> int:
        if self._lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self._lost = True
            if isinstance(error, BrokenPipeError):
                raise ReaderGoneError("standard output: nobody reads it any more") from error
            fix = FIXES.get(error.errno or 0, OTHER_FIX)
            raise OutputError(
                f"standard output: cannot be written: {error.strerror}; {fix}"
            ) from error


class _Error(io.FileIO):
    """Standard error. What cannot be written is dropped."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _text(raw: io.FileIO, before: TextIO | None, *, line_buffering: bool = False) -> TextIO:
    """Return a stream of text as Python makes its own; characters that it lacks are escaped."""
    at_once = isinstance(before, io.TextIOWrapper) and before.write_through  # PYTHONUNBUFFERED
    return io.TextIOWrapper(
        raw if at_once else io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering or raw.isatty(),
        write_through=at_once,
    )


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
