"""The program of `check_command`, run for a thread that may wait.

Its exit status is the answer: 0 is Heard, another is Missed, and so is no end in time. 126 and 127
mean, as in sh(1), that a program could not be run: that is Blind, and so is a program that others
than root could change.
"""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

from nathb.core.model import Outcome
from nathb.core.text import format_duration
from nathb.host.child_process import NOT_EXECUTED, End, Ended, environment_of, run
from nathb.host.journal_schema import one_line
from nathb.host.trusted_path import find_program, owners_of_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_OUTPUT = 64 * 1024
STOP_WAIT = 0.5
"""Seconds, of the two in which the service must be gone."""
SHOWN = 200
"""Characters of its last output that are shown when it failed."""


class CheckCommand:
    """Runs one program at a time, whoever asks. What runs is killed by `stop`, children too."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._owners = owners_of_machine() | {os.geteuid()}
        self._environment = environment_of(environ)
        self._one_at_a_time = threading.Lock()
        self._left: subprocess.Popen[bytes] | None = None
        """A run that was killed, and has not died."""
        self._stopped = os.eventfd(0, os.EFD_CLOEXEC)

    def run(self, command: Sequence[str], timeout: float) -> tuple[Outcome, str]:
        """Run a command for `timeout` seconds at most; return what came of it, and why."""
        if not self._one_at_a_time.acquire(blocking=False):
            return Outcome.BLIND, "the run before it has not ended"
        try:
            return self._run(command, timeout)
        finally:
            self._one_at_a_time.release()

    def stop(self) -> None:
        """End what runs, and wait a moment for that; later runs end at once."""
        os.eventfd_write(self._stopped, 1)
        if self._one_at_a_time.acquire(timeout=STOP_WAIT):
            self._one_at_a_time.release()

    def _run(self, command: Sequence[str], timeout: float) -> tuple[Outcome, str]:
        if self._left is not None and self._left.poll() is None:
            return Outcome.MISSED, "it still runs: it waits for a disk or a file system"
        self._left = None
        try:
            program, why = find_program(command[0], self._environment["PATH"], self._owners)
            if why:
                return Outcome.BLIND, why
            ended = run(
                [program, *command[1:]],
                self._environment,
                timeout=timeout,
                stopped=self._stopped,
                most_output=MOST_OUTPUT,
                stderr=subprocess.STDOUT,
            )
        except (OSError, ValueError) as error:
            return Outcome.BLIND, f"could not be started: {error}"
        self._left = ended.left
        outcome, what = _outcome(ended, timeout)
        said = one_line(ended.output.decode(errors="replace"))[-SHOWN:].lstrip()
        return outcome, f"{what}; it wrote last: {said}" if what and said else what


def _outcome(ended: Ended, timeout: float) -> tuple[Outcome, str]:
    if ended.end is End.STOPPED:
        return Outcome.BLIND, "killed, because nathb stopped"
    if ended.end is End.TIMED_OUT:
        return Outcome.MISSED, f"killed after {format_duration(timeout)}"
    if ended.code in NOT_EXECUTED:
        return Outcome.BLIND, f"could not be run: status {ended.code}"
    if ended.code == 0:
        return Outcome.HEARD, ""
    return Outcome.MISSED, f"ended with status {ended.code}"
