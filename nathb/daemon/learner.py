"""Learned routes: the router and the tables are read, and the difference is written.

All of it happens in the background, one write at a time, and never in the way of a check. Only the
node that holds a table's leading route writes to it (`core.learned`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from msgspec import Struct

from nathb.core import learn_events
from nathb.core.ec2_state import Roster, View
from nathb.core.errors import CloudError, NathbError, ReadingError
from nathb.core.events import Event
from nathb.core.learned import (
    Act,
    Change,
    LearnPlan,
    LearnStatus,
    Prefixes,
    Refusal,
    ShownTables,
    counted_anew,
    plan,
    tables_held,
    with_reading,
    without_reading,
)
from nathb.core.model import Done, Failure, Group, Learn, Route, is_gateway_table
from nathb.core.polling import PollSchedule
from nathb.core.ports import LearnPorts, Ports
from nathb.core.text import format_age

BRISK = 2.0
"""Seconds between two reads of the tables while something is changing."""
APART = 0.2
"""Seconds between two writes: EC2's limit on them is for the whole account."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 600.0
"""Seconds after the first failure of a write until the next try; they double, to the longest."""
GIVE_UP = 20.0
"""Seconds after which a call that has not ended counts as failed."""
WRITE_WITHIN = 3.0
"""Seconds after its decision within which a write reaches EC2, or never does (R16)."""


class Situation(Struct, frozen=True):
    """What the agent knows in a round that matters here."""

    routes: tuple[Route, ...]
    """All that are guarded now."""
    view: View | None
    """None when there is none that may be acted upon."""
    roster: Roster | None
    fit: bool
    """Whether this node's uplink is UP and it is neither stopping nor leaving."""
    withheld: str
    """Why nothing is written, though it is decided: a pause, or a dry run; empty to write."""


class Call(Struct, frozen=True):
    """A call under way, since when; for a write, what it writes."""

    begun_at: float
    change: Change | None = None


class Learner:
    """What this process knows of prefixes and learned routes. Times in seconds, monotonic."""

    def __init__(self, ports: Ports, group: Group, me: str, learn: Learn) -> None:
        """`group` is as the file has it."""
        self.ports = ports
        self.group = group
        self.me = me
        self.learn = learn
        self.prefixes = Prefixes()
        self.shown: ShownTables | None = None
        self.held: frozenset[str] = frozenset()
        self.plan = LearnPlan()
        self._tables = PollSchedule(group.refresh, min(BRISK, group.refresh))
        self._reading_due = float("-inf")
        self._last_written = float("-inf")
        self._reading: dict[Hashable, Call] = {}
        self._showing: dict[Hashable, Call] = {}
        self._writing: dict[Hashable, Call] = {}
        self._written: dict[Change, float] = {}
        self._failed: dict[Change, tuple[int, float]] = {}
        self._read_at: float | None = None
        self._failing_since: float | None = None
        self._error = ""
        self._reported: set[Hashable] = set()
        self._view: View | None = None
        self._changed = True

    def carry_on_from(self, old: Learner) -> None:
        """Keep what was read, after a reload that asks the same router."""
        if (old.learn.command, old.learn.file) == (self.learn.command, self.learn.file):
            self.prefixes, self._read_at = old.prefixes, old._read_at
            self._failing_since, self._error = old._failing_since, old._error

    @property
    def idle(self) -> bool:
        """Whether no write is under way."""
        return not self._writing

    def owns(self, ticket: Hashable) -> bool:
        """Whether a ticket is that of a call of ours, still waited for."""
        return any(ticket in calls for calls in (self._reading, self._showing, self._writing))

    def wake_at(self, now: float) -> float:
        """When the next call is due, as far as time alone decides it."""
        due = [call.begun_at + GIVE_UP for call in self._reading.values()] or [self._reading_due]
        due = [at for at in due if at > now or not self._reading]
        if self.held:
            due.append(self._tables.due_at(now))
        due += [] if self._writing else [self._due_at(one) for one in self._open()]
        return min(due, default=float("inf"))

    def status(self) -> LearnStatus:
        """Return how learning stands."""
        return LearnStatus(
            known=len(self.prefixes.present),
            made=self.plan.made if self.held and self.shown is not None else None,
            read_at=self._read_at,
            failing_since=self._failing_since,
            error=self._error,
            refused=len({one for few in self.plan.refused.values() for one in few}),
        )

    # --- what comes back ----------------------------------------------------------------------

    def take_in(self, ticket: Hashable, answer: object, now: float) -> Iterator[Event]:
        """Take in the answer to one of our calls; yield what is new."""
        if self._reading.pop(ticket, None) is not None:
            # In peace each reading is as the one before, and a plan of many prefixes takes time.
            known = self.prefixes.present if self.prefixes.read_at is not None else None
            self._changed = self._changed or answer != known or self.plan.waits
            yield from self._take_in_reading(answer, now)
            return
        self._changed = True
        if self._showing.pop(ticket, None) is not None:
            yield from self._take_in_tables(answer, now)
        elif (call := self._writing.pop(ticket, None)) is not None and call.change is not None:
            yield from self._take_in_write(call.change, answer, now)

    def _take_in_reading(self, answer: object, now: float) -> Iterator[Event]:
        if isinstance(answer, frozenset):
            self.prefixes = with_reading(self.prefixes, answer, now, self.learn)
            self._read_at = now
            if self._failing_since is not None:
                yield learn_events.sighted(len(answer))
            self._failing_since, self._error = None, ""
            return
        self.prefixes = without_reading(self.prefixes)
        self._error = str(answer)
        if self._failing_since is None:
            self._failing_since = now
            yield learn_events.blind(self._error)

    def _take_in_tables(self, answer: object, now: float) -> Iterator[Event]:
        if isinstance(answer, ShownTables):
            self._tables.succeeded()
            self.shown = answer
            settled = answer.at - self.group.settle
            self._written = {one: at for one, at in self._written.items() if at > settled}
            return
        failure = answer.failure if isinstance(answer, CloudError) else Failure.UNAVAILABLE
        if self._tables.failed(failure, now, self.ports.jitter()):
            yield learn_events.tables_lost(str(answer))

    def _take_in_write(self, change: Change, answer: object, now: float) -> Iterator[Event]:
        self._tables.at_once(now)
        self._tables.hurry(now, self.group.settle + BRISK)
        if isinstance(answer, Done):
            self._written[change] = now
            self._failed.pop(change, None)
            if not any((one.act, one.table) == (change.act, change.table) for one in self._failed):
                self._reported -= {(change.act, change.table, failure) for failure in Failure}
            yield learn_events.written(change, self._target(change), answer, self.learn)
            return
        error = _as_cloud_error(answer)
        attempts = self._failed.get(change, (0, 0.0))[0] + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempts - 1, 16))
        self._failed[change] = (attempts, now + wait * (0.5 + self.ports.jitter() / 2))
        if self._is_news((change.act, change.table, error.failure)):
            yield learn_events.failed(change, error)

    # --- what goes out ------------------------------------------------------------------------

    def step(self, now: float, situation: Situation) -> Iterator[Event]:
        """Begin what is due; yield what is new."""
        yield from self._overdue(now)
        if not self._reading and now >= self._reading_due:
            self._reading_due = now + self.learn.interval
            self._start(self._reading, Call(now), lambda ports: ports.read)
        self._follow(situation)
        roster, held = situation.roster, self.held
        if roster is None or not held:
            return
        if not self._showing and now >= self._tables.due_at(now):
            self._tables.begun(now)
            self._start(self._showing, Call(now), lambda ports: lambda: ports.shown(roster, held))
        if self._changed and self.shown is not None:
            self._changed = False
            self.plan = plan(self.group, self.prefixes, self.shown, held)
            yield from self._news_of_refusals()
        if not situation.fit or not self.plan.changes:
            return
        if situation.withheld:
            if self._is_news((self.plan.changes, situation.withheld)):
                yield learn_events.would(self.plan.changes, situation.withheld)
        elif not self._writing:
            self._write(now, roster)

    def _follow(self, situation: Situation) -> None:
        """Note which tables this node writes now; time counts anew when it gains one."""
        if situation.view is self._view:
            return
        self._view = view = situation.view
        before = self.held
        self.held = (
            tables_held(self.group, situation.routes, view, self.me)
            if view is not None
            else frozenset()
        )
        if self.held == before:
            return
        self.plan, self.shown, self._changed = LearnPlan(), None, True
        self._tables = PollSchedule(self._tables.refresh, self._tables.brisk)
        self._showing = {}
        if not self.held <= before:
            self.prefixes = counted_anew(self.prefixes)

    def _news_of_refusals(self) -> Iterator[Event]:
        for why in Refusal:
            prefixes = self.plan.refused.get(why, ())
            known = {key for key in self._reported if isinstance(key, tuple) and key[0] is why}
            if (why, prefixes) in known:
                continue
            self._reported -= known
            if prefixes:
                self._reported.add((why, prefixes))
                yield learn_events.refused(why, prefixes, self.learn)

    def _open(self) -> Iterator[Change]:
        """Yield what is to be written and was not, as far as the tables can show it yet."""
        return (one for one in self.plan.changes if one not in self._written)

    def _due_at(self, change: Change) -> float:
        _, not_before = self._failed.get(change, (0, 0.0))
        return max(not_before, self._last_written + APART)

    def _write(self, now: float, roster: Roster) -> None:
        """Begin the first write whose turn it is."""
        change = next((one for one in self._open() if now >= self._due_at(one)), None)
        if change is None:
            return
        self._last_written, not_after = now, now + WRITE_WITHIN
        self._start(
            self._writing,
            Call(now, change),
            lambda ports: lambda: ports.write(change, roster, not_after),
        )

    def _start(
        self,
        calls: dict[Hashable, Call],
        call: Call,
        pick: Callable[[LearnPorts], Callable[[], object]],
    ) -> None:
        ports = self.ports.learn
        assert ports is not None
        ticket = object()
        calls[ticket] = call
        self.ports.calls.start(ticket, pick(ports))

    def _overdue(self, now: float) -> Iterator[Event]:
        """Give up calls to EC2 that have not ended in time; a late answer counts for nothing.

        A reading that hangs, on a file system, say, is waited for: others would hang as well, each
        with a thread of its own. Until it ends the router counts as unread.
        """
        for calls in (self._showing, self._writing):
            for ticket, call in list(calls.items()):
                if now >= call.begun_at + GIVE_UP:
                    del calls[ticket]
                    if call.change is not None:
                        self._failed[call.change] = (1, now + GIVE_UP)
        hangs = any(now >= call.begun_at + GIVE_UP for call in self._reading.values())
        if hangs and self.prefixes.read_at is not None:
            self._changed = True
            error = ReadingError(f"a reading has not ended for {format_age(GIVE_UP)}")
            yield from self._take_in_reading(error, now)

    def _is_news(self, key: Hashable) -> bool:
        """Whether this was not reported before."""
        if key in self._reported:
            return False
        self._reported.add(key)
        return True

    def _target(self, change: Change) -> str:
        if change.act is Act.CREATE and is_gateway_table(change.table):
            return self.learn.attachment
        return self.me


def _as_cloud_error(answer: object) -> CloudError:
    if isinstance(answer, CloudError):
        return answer
    if isinstance(answer, NathbError):
        return CloudError(Failure.UNAVAILABLE, str(answer))
    return CloudError(Failure.NO_REPLY, f"unexpected {type(answer).__name__}: {answer}")
