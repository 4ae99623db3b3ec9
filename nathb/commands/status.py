"""`nathb status`: the state now, as the daemon on this machine sees them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.reader import Reader
from nathb.core.diagnosis import diagnose, is_well
from nathb.core.errors import CloudError, FileError, IdentityError, SnapshotError
from nathb.core.snapshot import Snapshot, schema
from nathb.host.status_file import live_daemon, live_dry_run
from nathb.provision.inventory import survey
from nathb.ui.group_file import add_group, locate
from nathb.ui.status_screen import screen
from nathb.ui.status_without_daemon import bystander
from nathb.ui.terminal import for_this_terminal, takes_codes

CLEAR = "\x1b[H\x1b[2J"
PACE = 1.0
"""Seconds between two screens of --watch: as often as the daemon writes."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "status",
        help="show the state of nodes, paths and routes",
        description="Show what each node, path and route is now, and what would happen next. "
        "Exit 0 while all is well: all routes are at home, every node is up, EC2 can be read, and "
        "nothing is paused or drained; 1 otherwise. Where no daemon runs, show what EC2 shows.",
        epilog="example: nathb status tokyo --json | jq .peers",
    )
    add_group(verb)
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print the daemon's snapshot as JSON")
    how.add_argument("--schema", action="store_true", help="print the JSON Schema of --json")
    how.add_argument(
        "--watch",
        action="store_true",
        help="show it again every second, until ^C; into a pipe, one after another",
    )
    verb.add_argument(
        "--why", action="store_true", help="name the rule (R1 to R17) behind what happens next"
    )
    verb.add_argument(
        "--dry-run", action="store_true", help="show the dry run on this machine, not the daemon"
    )
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print the newest snapshot; return 0 when all is well, 1 when it is not."""
    if given.schema:
        print(_json(msgspec.json.encode(schema())))
        return 0
    path = locate(given.group)
    of = live_dry_run if given.dry_run else _daemon
    if given.watch:
        return _watch(lambda: of(path.stem), sys.stdout.write, why=given.why)
    try:
        snapshot = of(path.stem)
    except SnapshotError as error:
        if given.json:
            raise
        return _without_daemon(path, error)
    if given.json:
        print(_json(msgspec.json.encode(snapshot)))
    else:
        print("\n".join(screen(snapshot, for_this_terminal(), _clock, why=given.why)))
    return 0 if all_is_well(snapshot) else 1


def _daemon(name: str) -> Snapshot:
    """Return the snapshot of the daemon; SnapshotError, which names a dry run, when none is."""
    try:
        return live_daemon(name)
    except SnapshotError as error:
        if not _has_dry_run(name):
            raise
        hint = f"a dry run of {name} runs here: nathb status {name} --dry-run"
        raise SnapshotError(f"{error}\n{hint}") from error


def _has_dry_run(name: str) -> bool:
    try:
        live_dry_run(name)
    except SnapshotError:
        return False
    return True


def _watch(
    read: Callable[[], Snapshot], write: Callable[[str], object], *, why: bool = False
) -> int:
    """Show one screen a second until interrupted; each in the place of the one before it on a
    terminal, one after another with an empty line between them elsewhere.
    """
    paint = for_this_terminal()
    before, between = (CLEAR, CLEAR) if takes_codes() else ("", "\n")
    while True:
        try:
            lines = screen(read(), paint, _clock, why=why)
        except SnapshotError as error:
            lines = [str(error)]
        write(before + "\n".join(lines) + "\n")
        before = between
        sys.stdout.flush()
        time.sleep(PACE)


def _without_daemon(path: Path, error: SnapshotError) -> int:
    """Show what EC2 shows, if it can be read; return 1, since no daemon guards anything here."""
    try:
        group = config.load(path)
        seen = survey(Reader(make_client(group.region)), group)
    except (FileError, CloudError, IdentityError) as other:
        raise SnapshotError(f"{error}\nEC2 cannot be read either: {other}") from other
    print("\n".join(bystander(seen, str(error), for_this_terminal())))
    return 1


def all_is_well(snapshot: Snapshot) -> bool:
    """Whether nothing is wrong: then the exit code is 0 and the first line says so."""
    return is_well(diagnose(snapshot, _clock))


def _clock(at: float) -> str:
    """Spell a moment in monotonic seconds by the wall clock, with the day unless it is today."""
    now = datetime.now().astimezone()
    then = now - timedelta(seconds=time.monotonic() - at)
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def _json(data: bytes) -> str:
    return msgspec.json.format(data, indent=2).decode()
