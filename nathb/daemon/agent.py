"""The loop of one node: read, judge, decide, move, report.

`step` does whatever is due and says when it wants to be called next; it never waits for anything.
Level-triggered: every step compares where each route should point with where it points. EC2 is
only ever called in the background, so that no API call delays a check.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from nathb import __version__
from nathb.core.change_detector import ChangeDetector
from nathb.core.context import Facts
from nathb.core.ec2_state import Intent, View
from nathb.core.errors import BlindError
from nathb.core.events import Event, EventKind
from nathb.core.local_check import LocalCheck
from nathb.core.memory import Observer
from nathb.core.model import Evidence, Group, Outcome, Ruling, Verdict
from nathb.core.path import Path, Pulse
from nathb.core.ports import Ports
from nathb.core.prober import Prober
from nathb.core.replay import render
from nathb.core.rules import decide
from nathb.core.snapshot import Counters, Home, Snapshot
from nathb.core.split import Split, follow
from nathb.core.subject import UPLINK
from nathb.core.text import format_duration
from nathb.daemon.ec2_watcher import BRISK, EC2Watcher
from nathb.daemon.learner import Learner, Situation
from nathb.daemon.mover import Mover
from nathb.daemon.reporter import Reporter

IDLE = 1.0
"""Longest time between two steps in seconds, so that status and watchdog stay fresh."""


WRITE_WITHIN = 3.0
"""Seconds after its round within which a write reaches EC2, or never does (R16)."""


class LocalRun:
    """The ticket of one run of the check of this machine."""

    def __init__(self, check: LocalCheck) -> None:
        self.check = check


class Agent:
    """One node of a group. Single-threaded: the one loop calls all methods."""

    group: Group
    """The file's, with plain routes: those that its matches find too (`core.found_routes`)."""
    prober: Prober
    ec2_watcher: EC2Watcher

    def __init__(
        self,
        group: Group,
        me: str,
        ports: Ports,
        *,
        pid: int = 0,
        dry_run: bool = False,
        digest: str = "",
    ) -> None:
        self.me = me
        self.digest = digest
        """Of this node's file, to be compared with what `nathb apply` has noted (R17)."""
        self.ports = ports
        self.pid = pid
        self.dry_run = dry_run
        self.counters = Counters()
        self.reporter = Reporter(ports, IDLE)
        self.mover = Mover(ports, self.counters)
        self.change_detector = ChangeDetector()
        self.stopping = False
        self.leaving = False
        self.undrained: dict[str, float] = {}
        self.revert_since: float | None = None
        self.learner: Learner | None = None
        self.splits: dict[str, Split] = {}
        self.evidence: dict[str, Evidence] = {}
        """How the uplink and each peer stand in this round."""
        self.rulings: tuple[Ruling, ...] = ()
        self._expected_at = float("inf")
        self._suspended = self._time_suspended()
        self._suspected = False
        self._silent: set[str] = set()
        self._refreshed_at = float("-inf")
        self._begin(group)

    def step(self) -> float:
        """Do what is due; return the monotonic time in seconds at which to call again."""
        now = self.ports.clock.monotonic()
        self._notice_stall(now)
        self._receive(now)
        self._learn(now)
        self._decide(now, self._judge(now))
        self._probe(now)
        self.ec2_watcher.look(now)
        if self.learner is not None:
            self.reporter.emit_all(self.learner.step(now, self._situation(now)))
        self.reporter.report(now, self.status, lambda: self.snapshot(now))
        due_at = min(self.prober.wake_at(), self.ec2_watcher.wake_at(now))
        if self.learner is not None:
            due_at = min(due_at, self.learner.wake_at(now))
        self._expected_at = min(now + IDLE, max(now, due_at))
        return self._expected_at

    def reload(self, group: Group, ports: Ports, digest: str = "") -> None:
        """Go on with another file. If targets or timers changed, all is UNKNOWN again (R1)."""
        before, watcher = self.prober, self.ec2_watcher
        same = _targets(group) == _targets(watcher.group)
        self.ports = self.mover.ports = self.reporter.ports = ports
        self.digest = digest
        self._begin(group)
        self.ec2_watcher.carry_on_from(watcher)
        self.group = self.ec2_watcher.resolved
        if same:
            self.prober = before
        else:
            self._forget(before.tickets)
            self.prober.set_pins(self.ec2_watcher.pinned())
            # Of names too, as they were last resolved.
            self.prober.set_uplink(*self.ec2_watcher.uplink())
        self.emit(Event(kind=EventKind.RELOADED, message=f"reloaded {group.name}"))

    def look_now(self) -> None:
        """Read EC2 at once: somebody knows that it has something new to show."""
        self.ec2_watcher.look_again(self.ports.clock.monotonic(), self.group.settle)

    @property
    def may_leave(self) -> bool:
        """Whether a leaving node has handed over, and seen in a view, all that it can."""
        return self.idle and not any(ruling.is_pending for ruling in self.rulings)

    @property
    def idle(self) -> bool:
        """Whether nothing is being written, so that the process may end."""
        return self.mover.idle and (self.learner is None or self.learner.idle)

    def emit(self, event: Event) -> None:
        """Report an event that this process' surroundings have brought about."""
        self.reporter.emit(event)

    def _begin(self, group: Group) -> None:
        now = self.ports.clock.monotonic()
        heartbeats = {node.name: node.heartbeat for node in group.nodes if node.name != self.me}
        self.prober = Prober(
            group.check,
            heartbeats,
            now,
            source=group.node(self.me).source,
            interface=group.node(self.me).interface,
            command=group.check_command_of(self.me),
        )
        self.ec2_watcher = EC2Watcher(self.ports, group, self.me)
        self.group = self.ec2_watcher.resolved
        self.prober.set_uplink(*self.ec2_watcher.uplink())
        before, learn = self.learner, group.learn
        self.learner = None if learn is None else Learner(self.ports, group, self.me, learn)
        if self.learner is not None and before is not None:
            self.learner.carry_on_from(before)
        self._expected_at = float("inf")

    # --- read -------------------------------------------------------------------------------

    def _notice_stall(self, now: float) -> None:
        """R14: after a stall or a suspend, nothing that was in flight means anything."""
        bound = self._patience
        late, suspended = now - self._expected_at, self.ports.clock.boottime() - now
        if late <= bound and abs(suspended - self._suspended) <= bound:
            return
        gap = max(late, suspended - self._suspended)
        if abs(suspended - self._suspended) > bound:
            self.ec2_watcher.view = None  # monotonic time stood still, so its age is not known
        self._suspended = suspended
        self.prober.restart(now)
        self.ec2_watcher.look_again(now, self.group.settle)
        message = (
            f"was stalled for {format_duration(gap)}: all is unknown until there is fresh evidence"
        )
        self.emit(Event(kind=EventKind.STALLED, message=message, rule="R14"))

    @property
    def _patience(self) -> float:
        """Seconds by which this process may be late before it distrusts what it knows."""
        return max(1.0, 2 * self.group.check.fast_interval)

    def _time_suspended(self) -> float:
        return self.ports.clock.boottime() - self.ports.clock.monotonic()

    def _receive(self, now: float) -> None:
        for ticket in self.ports.wire.receive():
            self.counters.heard += ticket in self.prober.tickets
            self._forget(self.prober.replied(ticket, now))
        over = self.prober.expire(now)
        self.counters.missed += over.missed
        self._forget(over.tickets)
        dropped, self.prober.dropped = self.prober.dropped, []
        self._forget(dropped)

    def _forget(self, tickets: Iterable[int]) -> None:
        for ticket in tickets:
            self.ports.wire.forget(ticket)

    def _learn(self, now: float) -> None:
        """Take in whatever came back from the background."""
        view = self.ec2_watcher.view
        answers = [*self.ports.calls.ended(), *self.mover.overdue(now)]
        for ticket, answer in answers:
            if self.mover.owns(ticket):
                self.reporter.emit_all(self.mover.ended(ticket, answer, now))
                # until just after settle, when a contradiction becomes news
                self.ec2_watcher.look_again(now, self.group.settle + BRISK)
            elif self.ec2_watcher.owns(ticket):
                self.reporter.emit_all(self.ec2_watcher.learn(ticket, answer, now))
            elif isinstance(ticket, LocalRun) and ticket.check is self.prober.local:
                self._checked(ticket.check, answer, now)
            elif self.learner is not None and self.learner.owns(ticket):
                self.reporter.emit_all(self.learner.take_in(ticket, answer, now))
        if self.ec2_watcher.view is not None and self.ec2_watcher.view is not view:
            self._take_in(self.ec2_watcher.view, view, now)
        if answers:
            for node, address in self.ec2_watcher.private_addresses():
                self.prober.set_pulse(node, address)
            self.prober.set_uplink(*self.ec2_watcher.uplink())
        gone, gone_at = self.ec2_watcher.gone(), self.ec2_watcher.roster_at
        self.prober.set_hastened(self.ec2_watcher.hastened(), gone, now, gone_at)

    def _take_in(self, view: View, before: View | None, now: float) -> None:
        if self.group is not self.ec2_watcher.resolved:
            self.group = self.ec2_watcher.resolved
            self.mover.keep(self.group.routes())
            self.change_detector.keep(self.group.routes())
        self.prober.set_pins(self.ec2_watcher.pinned())
        self.reporter.emit_all(self.change_detector.pins(view.pins))
        self.reporter.emit_all(self.change_detector.intent(view.intent, now))
        self.reporter.emit_all(self.change_detector.files(view.digests, self.digest))
        onlooker = Observer(self.me, self.group, self._believed_up())
        self.reporter.emit_all(self.mover.observe(view, onlooker))
        ended = (before.intent if before is not None else Intent()).drained - view.intent.drained
        self.undrained = {**self.undrained, **dict.fromkeys(ended, now)}
        reverted_at = now if self.revert_since is None else self.revert_since
        self.revert_since = reverted_at if view.intent.revert else None
        if before is not None and before.holdings != view.holdings:
            self.ec2_watcher.hurry(now, self.group.settle)

    # --- judge, decide, move ----------------------------------------------------------------

    def _judge(self, now: float) -> list[Event]:
        """Return what is new in verdicts; read EC2 the moment anything comes into doubt."""
        self.prober.conclude(now)
        before, self.evidence = self.evidence, self._weigh(now)
        self._follow_splits()
        news: list[Event] = []
        if self.evidence != before:  # most rounds bring nothing new
            for name, evidence in self.evidence.items():
                news += self.change_detector.verdict(name, evidence)
            news += self.change_detector.heartbeats(self._of_peers())
        news += self.change_detector.pulses(self._pulses())
        peers, suspecting = self.prober.peers, self.prober.suspecting
        silent = {name for name in peers if self.evidence[name].silent_since is not None}
        if silent - self._silent or (suspecting and not self._suspected):
            self.ec2_watcher.look_again(now, self.group.settle)
        self._suspected, self._silent = suspecting, silent
        news += self.change_detector.view(self.ec2_watcher.view, now, self.group.view_max_age)
        self.reporter.emit_all(self.change_detector.reminders(now))
        return news

    def _weigh(self, now: float) -> dict[str, Evidence]:
        return {name: self.prober.evidence(name, now) for name in (UPLINK, *self.prober.peers)}

    def _of_peers(self) -> dict[str, Evidence]:
        return {name: self.evidence[name] for name in self.prober.peers}

    def _follow_splits(self) -> None:
        """R7c: bring up to date which peers have convicted this node while it convicted them."""
        acts, timers = self.mover.acts, self.group.check
        if not acts and not self.splits:
            return
        found = {
            name: follow(self.splits.get(name), self.evidence[name], acts.get(name), timers)
            for name in self.prober.peers
        }
        self.splits = {name: split for name, split in found.items() if split is not None}

    def _believed_up(self) -> frozenset[str]:
        return frozenset(
            name for name, one in self.prober.peers.items() if one.verdict is Verdict.UP
        )

    def _decide(self, now: float, news: list[Event]) -> None:
        """Apply the rules, and report the changes with the round that they led to."""
        known = Facts(
            now=now,
            me=self.me,
            group=self.group,
            uplink=self.evidence[UPLINK],
            peers=self._of_peers(),
            view=self.ec2_watcher.view,
            memory=self.mover.memory,
            undrained=self.undrained,
            revert_since=self.revert_since,
            awaited_since=self.ec2_watcher.awaited_since,
            leaving=self.leaving,
            dry_run=self.dry_run,
            splits=self.splits,
        )
        self.rulings = decide(known)
        news += self.change_detector.rulings(self.rulings, known.view, now, dry_run=self.dry_run)
        self.reporter.emit_all(self._with_round(event, known) for event in news)
        self._refresh([ruling.fresh for ruling in self.rulings if ruling.fresh], now)
        for ruling in self.rulings:
            move = ruling.move
            if move is None or ruling.would or self.stopping or not self.mover.may_start(move, now):
                continue  # what still has to wait its turn is due again in the next round
            self.mover.start(ruling, move, known, self.ec2_watcher.eni(move.to), now + WRITE_WITHIN)

    def _with_round(self, event: Event, known: Facts) -> Event:
        """Return the event with what was known and ruled: on its route, or on all of them."""
        rulings = (one for one in self.rulings if event.route in {None, one.route})
        return replace(event, trace=render(known, tuple(rulings)))

    def _refresh(self, nodes: list[str], now: float) -> None:
        """Ask these peers and EC2 at once, for a ruling waits for it; again only after a while."""
        if nodes and now >= self._refreshed_at + BRISK:
            self._refreshed_at = now
            for node in nodes:
                self.prober.probe_now(UPLINK if node == self.me else node)
            self.ec2_watcher.look_again(now, BRISK)

    # --- ask --------------------------------------------------------------------------------

    def _probe(self, now: float) -> None:
        for asked in self.prober.due(now):
            try:
                ticket = self.ports.wire.send(asked.address, asked.source, asked.interface)
            except BlindError as error:
                self._not_sent(asked, str(error), now)
            else:
                if isinstance(asked, Path) and asked.blind:
                    message = f"{asked.subject} {asked.address} can be pinged again"
                    self.emit(Event(kind=EventKind.SIGHTED, message=message, rule="R1"))
                self.prober.sent(asked, ticket, now)
                self.counters.checks += 1

        if (local := self.prober.local_due(now)) is not None:
            run, command, timeout = self.ports.check, local.command, local.timeout
            local.started(now)
            self.ports.calls.start(LocalRun(local), lambda: run(command, timeout))
            self.counters.checks += 1

    def _checked(self, local: LocalCheck, answer: object, now: float) -> None:
        """Take in what came of the check of this machine."""
        outcome, why = answer if isinstance(answer, tuple) else (Outcome.BLIND, str(answer))
        self.counters.heard += outcome is Outcome.HEARD
        self.counters.missed += outcome is Outcome.MISSED
        self.counters.blind += outcome is Outcome.BLIND
        if outcome is Outcome.BLIND and not local.blind:
            message = f"cannot run {local.address}: {why}"
            self.emit(Event(kind=EventKind.BLIND, message=message, rule="R1"))
        elif outcome is not Outcome.BLIND and local.blind:
            message = f"{local.address} can be run again"
            self.emit(Event(kind=EventKind.SIGHTED, message=message, rule="R1"))
        self.prober.local_ended(outcome, why, now)

    def _not_sent(self, asked: Path | Pulse, why: str, now: float) -> None:
        self.counters.blind += 1
        if isinstance(asked, Path) and not asked.blind:
            message = f"cannot ping {asked.subject} {asked.address}: {why}"
            self.emit(Event(kind=EventKind.BLIND, message=message, rule="R1"))
        self.prober.not_sent(asked, why, now)

    def _situation(self, now: float) -> Situation:
        """Return what learned routes depend on in this round."""
        view, uplink = self.ec2_watcher.view, self.evidence[UPLINK].verdict
        usable = view is not None and now - view.at <= self.group.view_max_age
        withheld = "dry run" if self.dry_run else ""
        if view is not None and view.intent.paused:
            withheld = "paused"
        return Situation(
            routes=self.group.routes(),
            view=view if usable else None,
            roster=self.ec2_watcher.roster,
            fit=uplink is Verdict.UP and not self.stopping and not self.leaving,
            withheld=withheld,
        )

    def _pulses(self) -> dict[str, str]:
        return {name: pulse.state for name, pulse in self.prober.pulses.items()}

    # --- report -----------------------------------------------------------------------------

    def status(self) -> str:
        """Return the state in one line, for STATUS= of the service manager."""
        peers = ", ".join(f"{name} {s.verdict.value}" for name, s in self.prober.peers.items())
        view = self.ec2_watcher.view
        held = [seen for seen in view.holdings if seen.node == self.me] if view else []
        holds = f"holds {len(held)} of {len(self.group.routes())} routes" if view else "no view yet"
        mode = ", dry run" if self.dry_run else ""
        return f"{self.me}: uplink {self.prober.uplink.verdict.value}, {peers}; {holds}{mode}"

    def snapshot(self, now: float) -> Snapshot:
        """Return all that `nathb status` shows."""
        return Snapshot(
            version=__version__,
            group=self.group.name,
            node=self.me,
            pid=self.pid,
            at=now,
            dry_run=self.dry_run,
            suspecting=self.prober.suspecting,
            uplink=self.prober.evidence(UPLINK, now),
            peers={name: self.prober.evidence(name, now) for name in self.prober.peers},
            pulses=self._pulses(),
            view=self.ec2_watcher.view,
            view_max_age=self.group.view_max_age,
            homes=tuple(Home(route, self.group.home(route)) for route in self.group.routes()),
            rulings=self.rulings,
            told=self.reporter.lately,
            counters=self.counters,
            preempt=self.group.preempt,
            instances=self.ec2_watcher.states(),
            instances_at=self.ec2_watcher.roster.at
            if self.ec2_watcher.roster is not None
            else None,
            failed_reads=self.ec2_watcher.failed_reads(),
            writes=self.mover.writes(self.group, self.ec2_watcher.view),
            file_digest=self.digest,
            failed_moves=self.mover.failed_moves(),
            accepted=self.mover.accepted(self.group),
            learned=UNSET if self.learner is None else self.learner.status(),
        )


def _targets(group: Group) -> tuple[object, ...]:
    """What a reload must leave alone for evidence to mean what it meant."""
    return group.nodes, group.uplink, group.check, group.check_command
