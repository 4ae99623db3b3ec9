"""The daemon's state as a file, for `nathb status` and nobody else.

The daemon never reads it: the route tables are the only truth, and a restart may lose this.
So it is written without fsync(2), to /run, and replaced by rename(2): a reader sees the whole
of the old one or the whole of the new one.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nathb.core.errors import SnapshotError
from nathb.core.snapshot import Snapshot
from nathb.core.text import format_age

if TYPE_CHECKING:
    from collections.abc import Callable

    from nathb.core.snapshot import Snapshot
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MODE = 0o644
"""Anyone on the machine may ask how it is; there are no secrets in it."""


RUNTIME = Path("/run/nathb")


def default_path(group: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the group's daemon writes: its RuntimeDirectory= (systemd.exec(5)), or its like."""
    # One RuntimeDirectory= is set in our unit; of several, separated by colons, the first is ours.
    directory = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(directory or RUNTIME / group) / "status.json"


def dry_run_path(group: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a dry run of the group writes: the daemon beside it keeps its own."""
    return default_path(group, environ).parent / "dry-run" / "status.json"


def is_service(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd has started this process, and not a person."""
    return "RUNTIME_DIRECTORY" in environ


def publish(path: Path, snapshot: Snapshot) -> None:
    """Replace the file at `path` in one step, making its directory if need be.

    SnapshotError when it cannot be: the daemon works without it, and logs so once.
    """
    data = msgspec.json.encode(snapshot)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except OSError as error:
        raise SnapshotError(
            f"{path}: the state for `nathb status` cannot be written: {error.strerror}; "
            f"routes are still guarded; see `df {path.parent}` and who may write there"
        ) from error


def replace_file(path: Path, data: bytes) -> None:
    """Put a file that anyone may read in place of the one at `path`, in one step; OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            # Not left to the umask, which our unit keeps tight.
            os.fchmod(file.fileno(), MODE)
            file.write(data)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def read(path: Path, monotonic: Callable[[], float] = time.monotonic) -> Snapshot:
    """Return the newest snapshot at `path`.

    SnapshotError when there is none, it may not be read, is damaged, or is from before a reboot.
    A daemon that has died leaves its last one: compare `at` with CLOCK_MONOTONIC.
    """
    try:
        snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{path}: there is none; is the daemon running? "
            f"`systemctl status 'nathb@*'` shows the groups of this machine"
        ) from error
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror}; try as root") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(
            f"{path}: is not what this version of nathb writes: {error}; restart the daemon"
        ) from error
    # Where /run outlives the machine, as in a container, so may the file.
    if snapshot.at > monotonic():
        raise SnapshotError(f"{path}: is from before the last boot; is the daemon running?")
    return snapshot


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
            f"{path}: was last written {format_age(now - snapshot.at)} ago; the daemon does not "
            f"run, hangs or cannot write there: systemctl status nathb@{group}"
        )
    return snapshot


def look_now(
    snapshot: Snapshot, send: Callable[[int, int], None] = signal.pidfd_send_signal
) -> str:
    """Have the daemon that wrote this read EC2 at once; return why not, empty when it will."""
    return _signalled(snapshot, signal.SIGUSR1, "read EC2 at once", send)


def read_file_anew(
    snapshot: Snapshot, send: Callable[[int, int], None] = signal.pidfd_send_signal
) -> str:
    """Have the daemon that wrote this read its file again; return why not, empty when it will.

    Whether it uses the file is in a later snapshot's `told`.
    """
    return _signalled(snapshot, signal.SIGHUP, "read its file again", send)


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
        return f"only root may signal the daemon to {what}"
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
