"""What the verbs that ask something of a group share: the file, EC2, the daemon here, the report.

A request is a tag; every node reads it within `refresh`. The daemon on this machine reads EC2
at once, if there is one and this user may.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable

import msgspec

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.tag_writer import TagWriter
from nathb.config import values
from nathb.config.values import InvalidValueError
from nathb.core.ec2_state import View
from nathb.core.errors import CloudError, SnapshotError
from nathb.core.model import Group, Route
from nathb.core.snapshot import Snapshot
from nathb.core.text import format_age
from nathb.host import status_file
from nathb.ui.group_file import add_group, locate, node_of
from nathb.ui.interruption import saying_what_stays

PACE = 0.5
"""Seconds between two reads of EC2 while waiting."""
PATIENCE = 30.0
"""Seconds beyond `refresh` that a move may take, a first failed try included."""

WAIT = values.Duration(1.0, "EC2 takes about that", 3600.0, "nobody waits for longer")


class Report:
    """What a verb reports: line by line to people, or all at the end to machines."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._said: list[str] = []
        self._warnings: list[str] = []

    def say(self, text: str) -> None:
        """Report what was done, or what comes next."""
        self._said.append(text)
        if not self._as_json:
            print(text, flush=True)

    def warn(self, text: str) -> None:
        """Report what the operator may not expect; on stderr too when stdout is for machines."""
        self._warnings.append(text)
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def end(self, *, good: bool, **facts: object) -> int:
        """Close the report; return the exit code."""
        if self._as_json:
            told = {"good": good, **facts, "said": self._said, "warnings": self._warnings}
            print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
        return 0 if good else 1


class OperatorSession:
    """One request for one group. `here` is the node whose daemon on this machine obeys at once."""

    def __init__(
        self,
        group: Group,
        tag_writer: TagWriter,
        report: Report,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        find: Callable[[str], Snapshot] = status_file.live_daemon,
        look_now: Callable[[Snapshot], str] = status_file.look_now,
    ) -> None:
        """`find` and `look_now` reach the daemon on this machine, as `host.status_file` does."""
        self.group = group
        self.tag_writer = tag_writer
        self.report = report
        self.here = ""
        self._begun = ""
        self._written = False
        self.clock = clock
        self._sleep = sleep
        self._find = find
        self._look_now = look_now

    @classmethod
    def open(cls, given: argparse.Namespace) -> OperatorSession:
        """Read the file and reach for EC2, by one command line."""
        group = config.load(locate(given.group))
        tag_writer = TagWriter(make_client(group.region), group, before=_guarded_here(group))
        return cls(tag_writer.group, tag_writer, Report(as_json=given.json))

    def node(self, name: str) -> str:
        """Return the name of a node of this group; UsageError for any other."""
        return node_of(self.group, name)

    def begin(self, what: str, then: str) -> None:
        """Say, before it is written, what is asked for and how to undo it; for `stays`."""
        status = f"`nathb status {self.group.name}` shows the state"
        self._begun = f"{what}; {status}, {then}"

    def stays(self) -> str:
        """Say what stays of what was asked for; empty when nothing was written yet."""
        if not self._begun or self._written:
            return self._begun and f"what was asked for stays: {self._begun}"
        return f"EC2 had not confirmed it, and may have carried it out: {self._begun}"

    def local(self) -> Snapshot | None:
        """Return what the daemon on this machine said last; None when none is alive."""
        try:
            return self._find(self.group.name)
        except SnapshotError:
            return None

    def in_force(self, what: str) -> None:
        """Have the daemon on this machine read EC2 now; say what was done, and where it holds.

        Where no daemon can be signalled, which needs root, it is in force within `refresh`.
        """
        self._written = True
        local = self.local()
        why_not = self._look_now(local) if local else "no daemon of this group runs here"
        self.here = local.node if local and not why_not else ""
        at_once = [f"at once on {self.here}"] if self.here else []
        others = [name for name, seconds in self.obeys().items() if seconds]
        within = f"within {format_age(self.group.refresh)}"
        later = [f"{within} on {', '.join(others)}"] if others else []
        self.report.say(what)
        self.report.say(f"in force {', '.join(at_once + later)}{why_not and f' ({why_not})'}")

    def read_now(self) -> str:
        """Have the daemon on this machine read EC2 now; return its node, empty for no daemon."""
        local = self.local()
        if local is not None:
            self._look_now(local)
        return local.node if local is not None else ""

    def obeys(self) -> dict[str, float]:
        """Return within how many seconds each node has read the tag."""
        names = (node.name for node in self.group.nodes)
        return {name: 0.0 if name == self.here else self.group.refresh for name in names}

    def end(self, *, good: bool, **facts: object) -> int:
        """Close the report with these facts; return the exit code."""
        return self.report.end(
            good=good, group=self.group.name, in_force_seconds=self.obeys(), **facts
        )

    def wait(
        self, wanted: Callable[[View], bool], seconds: float, pace: float = PACE
    ) -> View | None:
        """Read EC2 until it shows what is wanted, or for so long; return what it showed last.

        None when EC2 did not answer once. A read that fails is made again. `pace` is the seconds
        between two reads.
        """
        view, end = None, self.clock() + seconds
        while True:
            try:
                view = self.tag_writer.view()
            except CloudError as error:
                failed = str(error)
                view = None
            if (view is not None and wanted(view)) or self.clock() >= end:
                break
            self._sleep(pace)
        if view is None:
            self.report.warn(f"EC2 does not show the result: {failed}")
        return view

    def rest_until(self, then: float) -> None:
        """Wait until a moment of the clock, in monotonic seconds."""
        if (left := then - self.clock()) > 0.0:
            self._sleep(left)

    def unknown(self, node: str, view: View) -> str:
        """Say that it is not known what a node holds: EC2 gives no answer, and the file no id.

        Empty when it is known, or when every route is seen to be held by the others.
        """
        instance = self.tag_writer.instance(node)
        is_known = not instance.unread or instance.instance or instance.enis
        if is_known or all(seen.node for seen in view.holdings):
            return ""
        return f"it is not known what {node} holds: {instance.unread}"

    def why(self, route: Route) -> str:
        """Say what keeps a route, as far as the daemon on this machine knows."""
        local = self.local()
        rulings = {ruling.route: ruling for ruling in local.rulings} if local else {}
        if local is None or route not in rulings:
            return "see `nathb status` on the node that holds it"
        return f"{local.node} says: {rulings[route].reason}"


def add_request(verb: argparse.ArgumentParser, carry_out: Callable[..., int]) -> None:
    """Add what every such verb takes to the command line."""
    add_group(verb)
    verb.add_argument("--json", action="store_true", help="print what was done as JSON")
    verb.set_defaults(
        carry_out=lambda given: carried_out(carry_out, OperatorSession.open(given), given)
    )


def carried_out(
    verb: Callable[..., int], session: OperatorSession, given: argparse.Namespace
) -> int:
    """Return a verb's exit code; when it is ended early, say what stays."""
    with saying_what_stays(session.stays):
        return verb(session, given)


def add_waiting(verb: argparse.ArgumentParser) -> None:
    """Add how long to wait for the routes: `given.wait` in seconds, None for the default."""
    how = verb.add_mutually_exclusive_group()
    how.add_argument(
        "--wait",
        type=duration(WAIT),
        metavar="TIME",
        help=f"wait so long for the routes, by default `refresh` and {format_age(PATIENCE)}",
    )
    how.add_argument(
        "--no-wait", dest="wait", action="store_const", const=0.0, help="do not wait for the routes"
    )


def patience(group: Group, given: argparse.Namespace) -> float:
    """Return the seconds to wait, as given or by default; 0 for not at all."""
    return group.refresh + PATIENCE if given.wait is None else float(given.wait)


def duration(shape: values.Duration) -> Callable[[str], float]:
    """Return what reads a duration of the command line, in the file's spelling, as seconds."""

    def read(text: str) -> float:
        try:
            return shape(text)
        except InvalidValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _guarded_here(group: Group) -> list[Route]:
    """Return what the daemon on this machine guards: it may have found what EC2 has forgotten."""
    if not group.finds_routes:
        return []
    try:
        return [home.route for home in status_file.live_daemon(group.name).homes]
    except SnapshotError:
        return []


def held_by(view: View, node: str) -> list[Route]:
    """Return the routes that point at a node."""
    return [seen.route for seen in view.holdings if seen.node == node]


def holders(view: View, routes: Iterable[Route]) -> list[dict[str, str]]:
    """Return who holds these routes, for machines."""
    seen = {one.route: one.node or one.target for one in view.holdings}
    return [
        {"table": one.table, "destination": one.destination, "holder": seen.get(one, "")}
        for one in routes
    ]


def count(routes: list[Route], do: str) -> str:
    """Say how many routes `do` something: `1 route goes`, `2 routes go`."""
    one = {"go": "goes", "wait": "waits"}
    return f"1 route {one.get(do, do)}" if len(routes) == 1 else f"{len(routes)} routes {do}"
