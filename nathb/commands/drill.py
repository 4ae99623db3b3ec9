"""`nathb drill`: move a node's routes away and home, by the daemons themselves, and time it.

A drill is a drain that is watched, timed and undone (R6). So all that moves a route is what moves
it on a bad day: the daemons, their roles, EC2. And damping, which leaves drains aside, does not
count it (R11).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, Protocol

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.reader import Reader
from nathb.aws.tags import wall_clock
from nathb.core.diagnosis import diagnose, intended
from nathb.core.ec2_state import View
from nathb.core.errors import CloudError, Finding, Level, RefusalError, UsageError
from nathb.core.model import Failure, Group, Preempt, Route
from nathb.core.node_service import SERVES, service_of
from nathb.core.text import format_age, format_duration
from nathb.provision.audit import inspect_nodes, inspect_routes
from nathb.provision.inventory import survey
from nathb.provision.permissions import inspect_permissions
from nathb.provision.steps import Action, Step, carry_out, plan
from nathb.ui.confirmation import is_confirmed
from nathb.ui.drill_times import Leg
from nathb.ui.group_file import add_group
from nathb.ui.interruption import saying_what_stays
from nathb.ui.operator_session import PACE, PATIENCE, OperatorSession, count

PACE_OF_TIMES = 0.2
"""Seconds between two reads of EC2 while a leg is timed: how exact `read back` is."""
READ_MARGIN = 3.0
"""Seconds beyond `refresh` within which a node has read a tag, also when it had to read twice."""
PUBLISHED_WITHIN = 1.0
"""Seconds within which a daemon publishes what EC2 has answered."""
REVERT_FOR = 600.0
"""Seconds for which the tag nathb:revert counts at the longest."""
NOT_WRITTEN = {Failure.DENIED, Failure.REFUSED, Failure.MISSING, Failure.CREDENTIALS}
"""Failures after which EC2 has certainly not written a tag."""


class Surroundings(Protocol):
    """What the drill needs of EC2 beside the tags."""

    def findings(self) -> Iterable[Finding]:
        """Return what `nathb check --aws` says of EC2."""

    def point_home(self, route: Route) -> None:
        """Point a route at its home; CloudError when EC2 does not."""


class Ec2Surroundings:
    """EC2, for one group."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._client = make_client(group.region)

    def findings(self) -> Iterable[Finding]:
        """Yield what `nathb check --aws` says of EC2."""
        seen = survey(Reader(self._client), self._group)
        planned = plan(seen, config.digest(self._group))
        yield from inspect_nodes(seen, planned)
        yield from inspect_routes(seen, planned, wall_clock())
        yield from inspect_permissions(self._client, seen)

    def point_home(self, route: Route) -> None:
        """Point a route at its home; CloudError when EC2 does not."""
        home = self._group.home(route)
        eni = survey(Reader(self._client), self._group).instance(home).eni
        step = Step(
            action=Action.REPLACE, resource=route.table, destination=route.destination, eni=eni,
            node=home, fault="", sentence="",
        )  # fmt: skip
        carry_out(self._client, step)


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "drill",
        help="move a node's routes away and home, and time it",
        description="Show that another node can serve the clients of NODE: drain it, wait until "
        "its routes are away and every node has read that, undrain it, and wait until they are "
        "home. The daemons make the moves, as in a takeover, and EC2's answers are timed. It "
        "exercises the daemons, their permission for ReplaceRoute in both directions, EC2's delay, "
        "and the other node's NAT with these clients. It does not exercise detection, nor a take "
        "from a dead node: NODE hands its routes over itself, and stays up. Clients lose a few "
        "milliseconds twice, and their connections through NODE. Damping does not count it. It is "
        "refused unless all is well, and asks before it begins. It moves everything home also when "
        "it fails or is ended early. It takes up to three times `refresh` and 10 s, and is fastest "
        "on the node that gets the routes. Exit 0 when all routes went away and came home.",
        epilog="example: nathb drill tokyo nat-a",
    )
    add_group(verb)
    verb.add_argument("node", metavar="NODE", help="the node whose routes are moved")
    verb.add_argument("--yes", action="store_true", help="do not ask")
    verb.add_argument(
        "--json", action="store_true", help="print what was measured as JSON; with --yes"
    )
    verb.set_defaults(carry_out=drill)


def drill(given: argparse.Namespace) -> int:
    """Hold a drill; return 0 when all routes went away and are at home again, 1 otherwise."""
    if given.json and not given.yes:
        raise UsageError("--json: there is nobody to ask; read what it will do, then add --yes")
    session = OperatorSession.open(given)
    one = Drill(session, Ec2Surroundings(session.group), session.node(given.node))
    with saying_what_stays(lambda: one.stays):
        return one.hold(yes=given.yes)


class Drill:
    """One drill of one node. `stays` is what to tell when it is ended early; empty at first."""

    def __init__(self, session: OperatorSession, surroundings: Surroundings, node: str) -> None:
        self.stays = ""
        self._session = session
        self._surroundings = surroundings
        self._group = session.group
        self._node = node
        self._routes = [one for one in session.group.routes() if session.group.home(one) == node]
        self._reverting = False
        self._insisted = False

    def hold(self, *, yes: bool) -> int:
        """Carry out the drill after a yes; return its exit code."""
        self._refuse()
        self._announce()
        if not yes and not is_confirmed("drill", "Begin?", "lines above"):
            self._session.report.say("nothing was changed")
            return 1
        if not yes:
            self._refuse()  # the answer may have taken its time
        try:
            away = self._away()
            home = self._home(is_early=not away.is_complete)
        except BaseException as error:
            if not isinstance(error, CloudError) or error.failure not in NOT_WRITTEN:
                self._home(is_early=True)
            raise
        return self._end(away, home)

    # --- before -----------------------------------------------------------------------------------

    def _refuse(self) -> None:
        """RefusalError when anything is not well, with all that is not."""
        obstacles = [
            f"{one.subject}: {one.text}{one.fix and f'; {one.fix}'}" for one in self._amiss()
        ]
        if obstacles:
            listed = "\n".join(f"    {one}" for one in dict.fromkeys(obstacles))
            raise RefusalError(
                f"drill: not begun, and nothing was changed, for not all is well:\n{listed}"
            )

    def _amiss(self) -> list[Finding]:
        """Return what speaks against a drill now, as `status` and `check --aws` put it."""
        name, local = self._group.name, self._session.local()
        if not self._routes:
            return [_amiss(self._node, "has no routes of its own", "name another node")]
        if local is None:
            fix = f"run it on a node of the group, after: systemctl start nathb@{name}"
            return [_amiss("this machine", f"no daemon of {name} is alive here", fix)]
        found = [*diagnose(local, lambda at: f"{format_age(local.at - at)} ago")]
        if local.suspecting:
            found.append(_amiss(local.node, "something is in doubt", "try again in a minute"))
        if local.dry_run:
            found.append(_amiss(local.node, "its daemon is in dry run", "start it without"))
        view = self._session.tag_writer.view()
        found += intended(name, view.intent)
        if view.intent.revert:
            fix = f"wait until it ends; nathb status {name} shows the routes"
            found.append(_amiss("operators", "someone else's `nathb revert` is in force", fix))
        found = [one for one in found if one.level is not Level.GOOD]
        for seen in view.holdings:  # newer than what the daemon has read
            subject, where = str(seen.route), seen.node or seen.target
            if seen.node != self._group.home(seen.route) and not _names(found, subject):
                found.append(_amiss(subject, f"held by {where}, not by its home", ""))
        return found + [one for one in self._surroundings.findings() if one.level is Level.BAD]

    def _announce(self) -> None:
        say, node, taker = self._session.report.say, self._node, self._taker
        most = format_age(self._group.refresh + PATIENCE)
        say(f"drill of {node} in {self._group.name}:")
        say(f"  1. drain {node}: {count(self._routes, 'go')} to {taker}, moved by {node}")
        for route in self._routes:
            say(f"       {route}")
        say(f"  2. undrain {node} when every node has read that: {taker} returns what it got")
        say(
            "Clients of these routes lose a few milliseconds twice, and their connections through "
            f"{node}; new ones have the public address of {taker} in between. Each step is given "
            f"up after {most}; then, and after ^C, the routes are moved home."
        )

    @property
    def _taker(self) -> str:
        """The node that gets the routes: the next of the order, for all nodes are alive."""
        return self._group.order(self._routes[0])[1]

    # --- away and home ----------------------------------------------------------------------------

    def _away(self) -> Leg:
        """Drain the node; return once its routes are away and every node has read that, and why.

        A node that saw a route arrive without the drain would count it (R11), and return it late.
        """
        session, node = self._session, self._node
        leg = Leg(self._routes, self._taker, session.clock)
        self.stays = (
            f"{node} is drained, or may be; `nathb undrain {self._group.name} {node}` ends that"
        )
        session.tag_writer.drain({node})
        session.in_force(f"{node} is drained: {count(self._routes, 'go')} to {self._taker}")
        session.wait(leg.see, self._patience, PACE_OF_TIMES)
        self._report(leg, "away")
        if leg.is_complete:
            self._wait_until_read(session.clock())
        return leg

    def _wait_until_read(self, since: float) -> None:
        """Wait until every node but the drained one has read EC2 since then (monotonic seconds).

        The daemon on this machine is told to, and publishes when it did; of others it is known
        that they do within `refresh`.
        """
        session, here = self._session, self._session.read_now()
        end = since + self._group.refresh + READ_MARGIN
        if any(one.name not in {here, self._node} for one in self._group.nodes):
            session.rest_until(end)
        while not self._has_read(since) and session.clock() < end:
            session.rest_until(session.clock() + PACE_OF_TIMES)

    def _has_read(self, since: float) -> bool:
        local = self._session.local()
        if local is None or local.node == self._node:
            return True
        return local.view is not None and local.view.at >= since

    def _home(self, *, is_early: bool) -> Leg:
        """Undrain the node; return once its routes are at home, or cannot be brought there.

        After a drill that is ended early a node may still hand over what it was asked to a moment
        ago: so the routes count as home only when it has read otherwise.
        """
        session, node, name = self._session, self._node, self._group.name
        leg = Leg(self._routes, node, session.clock)
        self._undrain()
        written = session.clock()
        self.stays = (
            f"{node} is not drained any more, and its routes go home; `nathb status {name}` shows "
            f"them, `nathb revert {name}` hastens it"
        )
        if is_early or self._group.preempt is Preempt.MANUAL:
            self._revert()
        session.in_force(f"{node} is no longer drained: its routes go home")
        if is_early:
            session.rest_until(written + session.obeys()[node] + READ_MARGIN)
        view = session.wait(leg.see, self._patience, PACE_OF_TIMES)
        if not leg.is_complete and not self._reverting:
            self._revert()
            session.in_force("they have not, so all routes are asked to go home (nathb revert)")
            view = session.wait(leg.see, self._patience, PACE_OF_TIMES)
        if not leg.is_complete:
            self._insist(leg, view)
        self._revert_no_more()
        self._report(leg, "home")
        if leg.is_complete:
            self.stays = f"the drill is undone: every route of {node} is at home"
        return leg

    def _undrain(self) -> None:
        """Take the node's name out of the tag, also where EC2 fails at first; others' stay."""
        session, end = self._session, self._session.clock() + self._patience
        while True:
            try:
                drained = session.tag_writer.view().intent.drained
                session.tag_writer.drain(drained - {self._node})
            except CloudError as error:
                if error.failure in NOT_WRITTEN or session.clock() >= end:
                    message = f"{error}\n{self.stays}"
                    raise CloudError(error.failure, message, error.request_id) from error
                session.rest_until(session.clock() + PACE)
            else:
                return

    def _revert(self) -> None:
        """Ask for the routes to go home at once, with `preempt: manual` too."""
        try:
            self._session.tag_writer.revert(REVERT_FOR)
            self._reverting = True
        except CloudError as error:
            self._session.report.warn(str(error))

    def _revert_no_more(self) -> None:
        try:
            if self._reverting:
                self._session.tag_writer.reverted()
        except CloudError as error:  # it ends by itself
            self._session.report.warn(str(error))

    def _insist(self, leg: Leg, view: View | None) -> None:
        """Move home what no daemon has: its holder's may be dead, and nobody else may return it.

        Not while an operator has paused the group or drained the node, and to no node that is not
        seen to serve.
        """
        local, session = self._session.local(), self._session
        if view is None or view.intent.paused or self._node in view.intent.drained:
            return
        if local is None or service_of(local, self._node) is not SERVES:
            return
        for route in leg.missing:
            try:
                self._surroundings.point_home(route)
            except CloudError as error:
                session.report.warn(str(error))
                return
            self._insisted = True
            session.report.warn(
                f"{route} was not returned by the daemon of {self._taker}; this command moved it "
                f"home: see whether that daemon runs, and what its role allows"
            )
        session.wait(leg.see, PATIENCE, PACE_OF_TIMES)

    @property
    def _patience(self) -> float:
        return self._group.refresh + PATIENCE

    # --- what was measured ------------------------------------------------------------------------

    def _note_answers(self, leg: Leg) -> None:
        """Note when EC2 answered, where the daemon of this machine was the one that asked it."""
        session, writer = self._session, self._node if leg.to == self._taker else self._taker
        local = session.local()
        if local is not None and local.node == writer and not leg.note_answers(local.accepted):
            session.rest_until(session.clock() + PUBLISHED_WITHIN)
            if (later := session.local()) is not None:
                leg.note_answers(later.accepted)

    def _report(self, leg: Leg, where: str) -> None:
        """Say how long each route took, and which of them have not arrived."""
        self._note_answers(leg)
        for line in leg.lines():
            self._session.report.say(f"  {line}")
        for route in leg.missing:
            self._session.report.warn(f"{route} is not {where}: {self._session.why(route)}")

    def _end(self, away: Leg, home: Leg) -> int:
        say = self._session.report.say
        good = away.is_complete and home.is_complete and not self._insisted
        if good:
            say(
                f"all went well: away in {format_duration(away.seconds)}, home in "
                f"{format_duration(home.seconds)}; every route of {self._node} is at home"
            )
        elif home.is_complete:
            say(f"the drill FAILED, and is undone: every route of {self._node} is at home")
        else:
            say(
                f"the drill FAILED, and not every route is at home: nathb status {self._group.name}"
            )
        return self._session.end(
            good=good, node=self._node, away=away.facts(), home=home.facts(),
            is_home=home.is_complete,
        )  # fmt: skip


def _names(found: Iterable[Finding], subject: str) -> bool:
    return any(one.subject == subject for one in found)


def _amiss(subject: str, text: str, fix: str) -> Finding:
    return Finding(Level.BAD, subject, text, fix)
