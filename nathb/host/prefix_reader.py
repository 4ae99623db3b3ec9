"""What the router of this machine knows, read from a command's output or from a file.

For a thread that may wait. Whatever goes wrong is a ReadingError, which changes nothing in EC2.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING

from nathb.core.errors import ReadingError
from nathb.core.prefixes import MOST_BYTES, parse_prefixes
from nathb.core.text import format_duration
from nathb.host.child_process import NOT_EXECUTED, End, Ended, environment_of, run
from nathb.host.journal_schema import one_line
from nathb.host.trusted_path import find_program, owners_of_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nathb.core.model import Learn

TIMEOUT = 5.0
"""Seconds a command may take."""
SHOWN = 200
"""Characters of a command's last words that are shown."""


class PrefixReader:
    """The source that a file's `learn` names."""

    def __init__(
        self, learn: Learn, environ: Mapping[str, str] = os.environ, timeout: float = TIMEOUT
    ) -> None:
        """`timeout` is in seconds; `environ` is what the daemon was started with."""
        self._learn = learn
        self._owners = owners_of_machine() | {os.geteuid()}
        self._environ = environment_of(environ)
        self._timeout = timeout
        self._stopped = os.eventfd(0, os.EFD_CLOEXEC)

    def read(self) -> frozenset[str]:
        """Return the prefixes that the router knows now; ReadingError when that is not known."""
        source = self._learn.command[0] if self._learn.command else self._learn.file
        try:
            return parse_prefixes(self._output() if self._learn.command else self._content())
        except ReadingError as error:
            raise ReadingError(f"{source}: {error}") from error

    def stop(self) -> None:
        """End the command that runs, and every later one at once. For another thread."""
        os.eventfd_write(self._stopped, 1)

    def _output(self) -> bytes:
        command = self._learn.command
        try:
            program, why = find_program(command[0], self._environ["PATH"], self._owners)
            if why:
                raise ReadingError(why)
            ended = run(
                [program, *command[1:]],
                self._environ,
                timeout=self._timeout,
                stopped=self._stopped,
                most_output=MOST_BYTES,
            )
        except (OSError, ValueError) as error:
            raise ReadingError(f"could not be started: {error}") from error
        if failure := self._failure(ended):
            raise ReadingError(failure)
        return ended.output

    def _failure(self, ended: Ended) -> str:
        """Say what went wrong with the command; empty when nothing did."""
        if ended.end is End.STOPPED:
            return "killed, because nathb stopped"
        if ended.end is End.TIMED_OUT:
            return f"killed after {format_duration(self._timeout)}"
        if ended.cut:
            return f"printed more than {MOST_BYTES} bytes; ask for fewer routes"
        if not ended.code:
            return ""
        last = one_line((ended.errors or ended.output).decode(errors="replace"))[-SHOWN:].lstrip()
        said = f"; it wrote last: {last}" if last else ""
        if ended.code in NOT_EXECUTED:
            return f"could not be run{said}"
        return f"ended with status {ended.code}{said}"

    def _content(self) -> bytes:
        path = self._learn.file
        try:
            # A FIFO or a device would keep us waiting.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with closing(os.fdopen(descriptor, "rb")) as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ReadingError("is not a regular file")
                return file.read(MOST_BYTES + 1)
        except OSError as error:
            raise ReadingError(f"cannot be read: {error.strerror}") from error
