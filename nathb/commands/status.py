"""`nathb status`: how things stand now, as the daemon on this machine sees them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec

from nathb.commands.locate import add_group, locate
from nathb.core.errors import SnapshotError
from nathb.core.model import Evidence, Route, Ruling
from nathb.core.snapshot import Snapshot
from nathb.host.runtime import default_path, read

STALE = 10.0
"""Seconds; a daemon that is alive writes every second."""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "status",
        help="show how nodes, paths and routes stand",
        description="Show what each node, path and route is now, and what would happen next. "
        "Exit 0 while all routes are at home and every peer is up, 1 otherwise.",
        epilog="example: nathb status tokyo --json | jq .peers",
    )
    add_group(verb)
    verb.add_argument("--json", action="store_true", help="print the daemon's snapshot as JSON")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print the newest snapshot; return 0 when all is well, 1 when it is not."""
    name = locate(given.group).stem
    path = Path(default_path(name))
    snapshot = read(path)
    age = time.monotonic() - snapshot.at
    if age > STALE:
        raise SnapshotError(
            f"{path}: was last written {age:.0f} s ago; the daemon does not run or hangs: "
            f"systemctl status nathb@{name}"
        )
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(snapshot), indent=2).decode())
    else:
        print("\n".join(screen(snapshot)))
    return 0 if all_is_well(snapshot) else 1


def all_is_well(snapshot: Snapshot) -> bool:
    """Whether all is guarded, every path is up and every route at home, by a view of today."""
    view = snapshot.view
    if view is None or snapshot.at - view.at > snapshot.view_max_age:
        return False
    if view.intent.paused or view.intent.drained:
        return False
    paths = [snapshot.uplink, *snapshot.peers.values()]
    homes = {home.route: home.node for home in snapshot.homes}
    return all(path.verdict.value == "up" and not path.blind for path in paths) and all(
        _holder(snapshot, route) == node for route, node in homes.items()
    )


def screen(snapshot: Snapshot) -> list[str]:
    """Return the lines that show a snapshot to people."""
    mode = " (dry run)" if snapshot.dry_run else ""
    pace = ", checking fast" if snapshot.suspecting else ""
    lines = [f"{snapshot.group} as seen by {snapshot.node}{mode}{pace}", ""]
    lines.append(_path("uplink", snapshot.uplink, snapshot.at))
    for name, evidence in snapshot.peers.items():
        pulse = snapshot.pulses.get(name)
        lines.append(_path(name, evidence, snapshot.at) + (f", pulse {pulse}" if pulse else ""))
    lines.append(_view(snapshot))
    lines.append("")
    rulings = {ruling.route: ruling for ruling in snapshot.rulings}
    for home in snapshot.homes:
        holder = _holder(snapshot, home.route) or "not seen yet"
        where = "at home" if holder == home.node else f"home is {home.node}"
        lines.append(f"{home.route}  held by {holder} ({where})")
        lines.append(f"    {_next(rulings.get(home.route), snapshot.at)}")
    if snapshot.told:
        lines += ["", "lately"]
        lines += [f"  {_ago(snapshot.at - told.at)}  {told.message}" for told in snapshot.told]
    return lines


def _view(snapshot: Snapshot) -> str:
    """How old the view is, and what operators ask for."""
    view = snapshot.view
    if view is None:
        return "EC2          not read yet"
    age = snapshot.at - view.at
    old = ": too old to move anything" if age > snapshot.view_max_age else ""
    paused = ", PAUSED: nothing is moved" if view.intent.paused else ""
    drained = f", drained: {', '.join(sorted(view.intent.drained))}" if view.intent.drained else ""
    return f"EC2          read {_ago(age).strip()} ago{old}{paused}{drained}"


def _path(name: str, evidence: Evidence, at: float) -> str:
    addresses = ", ".join(evidence.addresses) or "no address to ask"
    missed = f", missed {evidence.missed} of {evidence.needed}" if evidence.missed else ""
    since = _ago(at - evidence.since).strip()
    blind = ", CANNOT ASK" if evidence.blind else ""
    return f"{name:<12} {evidence.verdict.value:<8} for {since}: {addresses}{missed}{blind}"


def _holder(snapshot: Snapshot, route: Route) -> str:
    holding = snapshot.view.holding(route) if snapshot.view is not None else None
    return "" if holding is None else holding.node or holding.target


def _next(ruling: Ruling | None, at: float) -> str:
    if ruling is None:
        return "no ruling yet"
    if ruling.move is not None:
        would = "would move" if ruling.would else "moves"
        return f"{would} to {ruling.move.to}: {ruling.reason} [{ruling.rule.value}]"
    due = "" if ruling.due is None else f" in {max(0.0, ruling.due - at):.0f} s"
    return f"{ruling.reason}{due} [{ruling.rule.value}]"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:5.0f} {unit}"
    return f"{max(0.0, seconds):5.0f} s"
