"""The group's daemon on this machine, as another process finds it and tells it something.

It is found by the snapshot that it writes every second. A signal would end a process that does not
catch it, so nobody is signalled on the word of a file alone: the process must be `nathb run` of
this very group and must have a handler installed, both as the kernel says (proc_pid_status(5)),
and it is held by a pidfd meanwhile, so that no other can have taken its number.
"""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from nathb.core.errors import SnapshotError
from nathb.host.status_file import default_path, dry_run_path, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from nathb.core.snapshot import Snapshot

LIVE_FOR = 10.0
"""Seconds for which a daemon counts as alive after its last snapshot; it writes one a second."""
PROC = Path("/proc")


def is_live(snapshot: Snapshot, now: float) -> bool:
    """Whether the daemon that wrote this counts as alive at `now`, in monotonic seconds."""
    return now - snapshot.at <= LIVE_FOR


def live_daemon(group: str) -> Snapshot:
    """Return what the group's daemon on this machine said last.

    SnapshotError, saying why, when none is alive here.
    """
    return _live(default_path(group), group)


def live_dry_run(group: str) -> Snapshot:
    """Return what a dry run of the group on this machine said last; SnapshotError likewise."""
    return _live(dry_run_path(group), group)


def _live(path: Path, group: str) -> Snapshot:
    snapshot, now = read(path), time.monotonic()
    if not is_live(snapshot, now):
        raise SnapshotError(
            f"{path}: was last written {now - snapshot.at:.0f} s ago; the daemon does not run, "
            f"hangs or cannot write there: systemctl status nathb@{group}"
        )
    return snapshot


def look_now(
    snapshot: Snapshot, send: Callable[[int, int], None] = signal.pidfd_send_signal
) -> str:
    """Have the daemon that wrote this look at EC2 at once; return why not, empty when it will."""
    return _signalled(snapshot, signal.SIGUSR1, "look at once", send)


def read_file_anew(
    snapshot: Snapshot, send: Callable[[int, int], None] = signal.pidfd_send_signal
) -> str:
    """Have the daemon that wrote this read its file anew; return why not, empty when it will.

    Whether it goes on with the file is told afterwards, in a snapshot's `told`.
    """
    return _signalled(snapshot, signal.SIGHUP, "read its file anew", send)


def _signalled(
    snapshot: Snapshot, number: signal.Signals, what: str, send: Callable[[int, int], None]
) -> str:
    try:
        process = os.pidfd_open(snapshot.pid)
    except OSError:
        return "the daemon has just ended"
    try:
        if not _is_daemon(PROC / str(snapshot.pid), snapshot.group):
            return f"process {snapshot.pid} is not a nathb of this version"
        send(process, number)
    except PermissionError:
        return f"only root may tell the daemon to {what}"
    except OSError:
        return "the daemon has just ended"
    finally:
        os.close(process)
    return ""


def _is_daemon(process: Path, group: str) -> bool:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    names = [Path(word).name for word in words]
    runs = ("nathb", "run") in pairwise(names)
    return (
        runs
        and {group, f"{group}.yaml", f"{group}.yml"} & set(names) != set()
        and _catches(process)
    )


def _catches(process: Path) -> bool:
    """Whether the process has a handler for SIGUSR1."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
    return False
