"""What this node sees of the cloud: who stands for each node, where routes and pins point, and
what the uplink's host names resolve to. All of it is looked up in the background, at a pace of its
own, and the last good answer stays until there is a newer one (R10).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from msgspec.structs import replace

from nathb.core import events
from nathb.core.ec2_state import Instance, InstanceState, Pin, PinState, Roster, View
from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.found_routes import Resolved, plain, with_found
from nathb.core.learned import is_learned
from nathb.core.model import Failure, Group, Route
from nathb.core.polling import PollSchedule
from nathb.core.ports import Ports
from nathb.core.snapshot import FailedRead
from nathb.core.text import is_address

BRISK = 2.0
"""Seconds between two reads while something is changing; spares EC2's token buckets."""
ROSTER_REFRESH = 300.0
NAME_REFRESH = 300.0

ROSTER = "roster"
VIEW = "view"

READS = {ROSTER: "instances", VIEW: "route tables"}
"""What is read of EC2, in words for people."""


class EC2Watcher:
    """The latest good answers, and the reads that keep them fresh. Times in seconds."""

    def __init__(self, ports: Ports, group: Group, me: str) -> None:
        self.ports = ports
        self.group = group
        """As the file has it."""
        self.me = me
        self.resolved = plain(group)
        """With the routes that were found in the last view; the file's own where none are."""
        self.claims: dict[Route, tuple[str, ...]] | None = None
        """The nodes whose matches find each of these; None before the first such view."""
        self._refused: dict[Route, str] = {}
        """Found routes that another daemon of this machine guards."""
        self.roster: Roster | None = None
        self.view: View | None = None
        self.addresses: dict[str, tuple[str, ...]] = {}
        """What each host name of the uplink was last resolved to."""
        self.schedules = {
            ROSTER: PollSchedule(ROSTER_REFRESH, BRISK),
            VIEW: PollSchedule(group.refresh, min(BRISK, group.refresh)),
            **{
                name: PollSchedule(NAME_REFRESH, BRISK)
                for part in group.uplink_of(me)
                for name in part
                if not is_address(name)
            },
        }
        self._awaited: dict[Hashable, str] = {}
        self._failed: dict[str, FailedRead] = {}

    def carry_on_from(self, old: EC2Watcher) -> None:
        """Keep what was seen for the same nodes: a reload is no reason to forget it."""
        if old.group.nodes == self.group.nodes:
            self.roster, self.view = old.roster, old.view
            self.resolved = with_found(self.group, old.claims or {})
        if self.group.finds_routes:
            self.claims, self._refused = old.claims, old._refused
        self.addresses = old.addresses
        self._failed = dict(old._failed)

    def hurry(self, now: float, seconds: float) -> None:
        """Read EC2 briskly for a while."""
        self.schedules[ROSTER].hurry(now, seconds)
        self.schedules[VIEW].hurry(now, seconds)

    def look_again(self, now: float, seconds: float) -> None:
        """Read EC2 as soon as possible, and briskly after that: something has just happened."""
        self.schedules[ROSTER].at_once(now)
        self.schedules[VIEW].at_once(now)
        self.hurry(now, seconds)

    @property
    def awaited_since(self) -> float | None:
        """Since when a newer view is on its way; None when none is, or when it failed."""
        return self.schedules[VIEW].asked_at

    def look(self, now: float) -> None:
        """Start every read that is due."""
        for key, schedule in self.schedules.items():
            if schedule.due_at(now) <= now and (key != VIEW or self.roster is not None):
                schedule.begun(now)
                ticket = object()  # unlike any before it, those of an agent's former watcher too
                self._awaited = {t: k for t, k in self._awaited.items() if k != key}
                self._awaited[ticket] = key
                self.ports.calls.start(ticket, self._call(key))

    def wake_at(self, now: float) -> float:
        """When the next read is due."""
        return min(
            [
                schedule.due_at(now)
                for key, schedule in self.schedules.items()
                if key != VIEW or self.roster is not None
            ]
        )

    def owns(self, ticket: Hashable) -> bool:
        """Whether the ticket is that of a read still waited for; others came too late."""
        return ticket in self._awaited

    def learn(self, ticket: Hashable, answer: object, now: float) -> Iterator[Event]:
        """Take in the answer to a read; yield an event when reads begin or cease to fail."""
        key = self._awaited.pop(ticket)
        schedule = self.schedules[key]
        if isinstance(answer, BaseException):
            self._note_failed(key, answer, now)
            failure = answer.failure if isinstance(answer, CloudError) else Failure.UNAVAILABLE
            if schedule.failed(failure, now, self.ports.jitter()):
                yield self._lost(key, answer)
            return
        before = self._failed.pop(key, None)
        recovered = schedule.succeeded()
        claims, refused = self.claims, self._refused
        self._keep(key, answer)
        for route, who in self._refused.items():
            if route not in refused:
                yield events.guarded_by_another(route, self.me, who)
        if claims is not None and self.claims is not claims:
            yield from self._changes(claims, self.claims or {})
        if key == ROSTER and self._unread():
            yield from self._partly_lost(before)
        elif recovered or (key == ROSTER and before is not None):
            yield _back(key)

    def pinned(self) -> tuple[tuple[str, str], ...]:
        """Return the (node, address) pairs whose pin leads to the peer, blackhole or not (R12)."""
        good = {PinState.GOOD, PinState.BLACKHOLE}
        return tuple((pin.node, pin.address) for pin in self._pins() if pin.state in good)

    def hastened(self) -> frozenset[str]:
        """Return the peers that a pin or route shows as a blackhole (R13)."""
        return self.view.blackholes if self.view is not None else frozenset()

    @property
    def roster_at(self) -> float:
        """When the instances were last described; long ago if never."""
        return self.roster.at if self.roster is not None else float("-inf")

    def gone(self) -> frozenset[str]:
        """Return the nodes that EC2 says are stopping, stopped or terminated (R13)."""
        return self.roster.gone if self.roster is not None else frozenset()

    def private_addresses(self) -> list[tuple[str, str]]:
        """Return (node, private address) of the peers that EC2 shows one for, for the pulse."""
        instances = self.roster.instances if self.roster is not None else ()
        return [(one.node, one.address) for one in instances if one.node != self.me]

    def failed_reads(self) -> tuple[FailedRead, ...]:
        """Return what of EC2 cannot be read at present."""
        return tuple(self._failed.values())

    def states(self) -> dict[str, InstanceState]:
        """Return what EC2 says that each node's instance is doing; empty before the first read.

        A node that it gives no answer for is left out.
        """
        instances = self.roster.instances if self.roster is not None else ()
        return {one.node: one.state for one in instances if not one.unread}

    def eni(self, node: str) -> str:
        """Return the interface that routes to this node point at; empty while it is not known."""
        instance = self.roster.instance(node) if self.roster is not None else None
        return instance.eni if instance is not None else ""

    def uplink(self) -> list[list[str]]:
        """Return the addresses of the uplink, by part: as the file gives them, or as last resolved.

        A part of which no name was resolved yet is empty.
        """
        return [
            [address for one in part for address in self._resolved(one)]
            for part in self.group.uplink_of(self.me)
        ]

    def _resolved(self, target: str) -> tuple[str, ...]:
        return (target,) if is_address(target) else self.addresses.get(target, ())

    def _shows_strangers(self, view: View) -> bool:
        """Whether a node may have become another instance, which would explain what is seen."""
        unseen = self.roster is not None and any(
            one.state is InstanceState.UNSEEN for one in self.roster.instances
        )
        elsewhere = any(pin.state is PinState.ELSEWHERE for pin in view.pins)
        return unseen or elsewhere or any(seen.node == "" for seen in view.holdings)

    def _pins(self) -> tuple[Pin, ...]:
        return self.view.pins if self.view is not None else ()

    def _call(self, key: str) -> Callable[[], object]:
        cloud, me, roster, resolve = self.ports.cloud, self.me, self.roster, self.ports.resolve
        if key == ROSTER:
            return lambda: cloud.roster(me)
        if key == VIEW and roster is not None:
            if self.group.finds_routes:
                before = frozenset(self.claims or ())
                return lambda: cloud.resolved(roster, before)
            return lambda: cloud.view(roster)
        return lambda: resolve(key)

    def _note_failed(self, key: str, error: BaseException, now: float) -> None:
        """Remember since when this read of EC2 fails without a break, and its last error."""
        if key in READS:
            sent_at = self.schedules[key].begun_at
            first = FailedRead(READS[key], now if sent_at is None else sent_at, "")
            self._failed[key] = replace(
                self._failed.get(key, first), what=READS[key], error=str(error)
            )

    def _unread(self) -> list[Instance]:
        """Return the nodes that the last read of the instances gave no answer for."""
        return [one for one in self.roster.instances if one.unread] if self.roster else []

    def _partly_lost(self, before: FailedRead | None) -> Iterator[Event]:
        """Remember which instances cannot be read; yield an event when these are others now."""
        unread = self._unread()
        what = f"instance of {' and '.join(one.node for one in unread)}"
        error = "; ".join(dict.fromkeys(one.unread for one in unread))
        since = before.since if before is not None else self.roster_at
        self._failed[ROSTER] = FailedRead(what, since, error)
        if before is None or before.what != what:
            until = "so what was last read of it is used, or what the file says"
            message = f"cannot read the {what}, {until}: {error}"
            yield Event(kind=EventKind.VIEW_LOST, message=message, rule="R10")

    def _lost(self, key: str, error: BaseException) -> Event:
        if key in {ROSTER, VIEW}:
            what = "the route tables" if key == VIEW else "the instances"
            until = "the last view is used while it lasts" if self.view else "nothing can be moved"
            message = f"cannot read {what}, so {until}: {error}"
            return Event(kind=EventKind.VIEW_LOST, message=message, rule="R10")
        until = "its last addresses stay in use" if key in self.addresses else "it is not pinged"
        return Event(kind=EventKind.NAME_LOST, message=f"cannot resolve {key}, so {until}: {error}")

    def _keep(self, key: str, answer: object) -> None:
        if isinstance(answer, Roster):
            roster = _with_interfaces(_with_unread(answer, self.roster), self.roster)
            if self.roster is None or _shown(self.roster) != _shown(roster):
                self.schedules[VIEW].at_once(answer.at)
            self.roster = roster
        elif isinstance(answer, Resolved):
            if self.view is None or answer.view.at >= self.view.at:
                self._guard(answer)
            self._keep(key, answer.view)
        elif isinstance(answer, View):
            if self.view is None or answer.at >= self.view.at:
                self.view = answer
            if self._shows_strangers(answer):
                self.schedules[ROSTER].at_once(answer.at)
        elif isinstance(answer, tuple):
            self.addresses[key] = answer

    def _changes(
        self, before: dict[Route, tuple[str, ...]], after: dict[Route, tuple[str, ...]]
    ) -> Iterator[Event]:
        """Yield an event for each route that was found, is found elsewhere, or is found no more.

        Whoever creates and withdraws learned routes reports that.
        """
        for route, nodes in after.items():
            if nodes != before.get(route) and not is_learned(self.group, route):
                yield events.found(route, nodes)
        for route, nodes in before.items():
            is_gone = route not in after and route not in self._refused
            if is_gone and not is_learned(self.group, route):
                yield events.no_longer_found(route, nodes[0])

    def _guard(self, answer: Resolved) -> None:
        """Go on with what was found now; where it is the same, with the group that knows it."""
        self._refused = answer.refused
        if answer.claims != self.claims:
            self.claims = answer.claims
        if answer.group != self.resolved:
            self.resolved = answer.group


def _with_unread(new: Roster, old: Roster | None) -> Roster:
    """What EC2 gives no answer for now, it has not changed: routes point at what it was."""
    if old is None:
        return new
    before = {one.node: one for one in old.instances}
    mine = new.instance(new.me)
    return replace(
        new,
        instances=tuple(
            replace(before[one.node], state=InstanceState.UNSEEN, unread=one.unread)
            if one.unread and one.node in before
            else one
            for one in new.instances
        ),
        own_table=old.own_table if mine is not None and mine.unread else new.own_table,
    )


def _shown(roster: Roster) -> list[Instance]:
    """Return what a view depends on: all but the words of an error."""
    return [replace(one, unread="") for one in roster.instances]


def _with_interfaces(new: Roster, old: Roster | None) -> Roster:
    """A terminated instance may show no interfaces; routes and pins still point at those it had."""
    before = {one.instance: one for one in old.instances} if old is not None else {}
    return replace(
        new,
        instances=tuple(
            replace(one, eni=before[one.instance].eni, enis=before[one.instance].enis)
            if one.state.is_gone and not one.eni and one.instance in before
            else one
            for one in new.instances
        ),
    )


def _back(key: str) -> Event:
    if key in {ROSTER, VIEW}:
        what = "the route tables" if key == VIEW else "the instances"
        return Event(kind=EventKind.VIEW_BACK, message=f"{what} can be read again", rule="R10")
    return Event(kind=EventKind.NAME_BACK, message=f"{key} can be resolved again")
