"""`nathb reload`: have the daemon on this machine read its file again, and wait for its answer."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nathb.core.errors import RefusalError, SnapshotError
from nathb.core.events import EventKind
from nathb.core.snapshot import Snapshot, Told
from nathb.core.text import format_age
from nathb.host import status_file
from nathb.host.status_file import default_path, read
from nathb.ui.group_file import add_group, locate

ANSWERS = {EventKind.RELOADED.value, EventKind.RELOAD_REFUSED.value}
PATIENCE = 10.0
"""Seconds in which the daemon has to answer; it takes one at most."""
PACE = 0.05


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "reload",
        help="have the daemon on this machine read its file again",
        description="Have the group's daemon on this machine read its file again, and wait for its "
        "answer. Exit 0 when the new file is in force, 1 when the daemon refuses it and continues "
        "with the old one. `systemctl reload nathb@NAME` does this, after a `nathb check`.",
        epilog="example: nathb reload tokyo",
    )
    add_group(verb)
    verb.add_argument("--pid", type=int, help="the daemon's process, as systemd knows it")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Signal the daemon, and print its answer; return 0, or 1 by way of RefusalError."""
    name = locate(given.group).stem
    path = Path(default_path(name))
    asked_at = time.monotonic()
    if given.pid is None:
        _signal_running(read(path))
    else:
        _signal(given.pid)
    answer = wait(lambda: read(path), asked_at)
    if answer is None:
        raise SnapshotError(
            f"{path}: the daemon has not reported within {format_age(PATIENCE)} whether it uses "
            f"the new file; see `systemctl status nathb@{name}` and `journalctl -u nathb@{name}`"
        )
    if answer.event == EventKind.RELOAD_REFUSED.value:
        raise RefusalError(answer.message)
    print(answer.message)
    return 0


def wait(
    look: Callable[[], Snapshot],
    asked_at: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Told | None:
    """Return what the daemon has said to the reload that it was asked for; None when it says
    nothing in time. `asked_at` is monotonic seconds.
    """
    while clock() < asked_at + PATIENCE:
        try:
            told = look().told
        except SnapshotError:  # not written yet, or cannot be: what counts is whether it comes
            told = ()
        answers = [one for one in told if one.event in ANSWERS and one.at >= asked_at]
        if answers:
            return answers[-1]
        sleep(PACE)
    return None


def _signal_running(snapshot: Snapshot) -> None:
    if why_not := status_file.read_file_anew(snapshot):
        raise RefusalError(
            f"the daemon of {snapshot.group} was not notified: {why_not}; "
            f"see `systemctl status nathb@{snapshot.group}`"
        )


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise RefusalError(
            f"process {pid} cannot be signalled to read its file again: {error.strerror}; is it "
            "the daemon, and is this user root?"
        ) from error
