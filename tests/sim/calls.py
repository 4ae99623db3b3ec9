"""The background calls of one process, and what an API with faults does to them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nathb.core.errors import CloudError, ResolveError
from nathb.core.model import Failure
from nathb.daemon.agent import LocalRun

if TYPE_CHECKING:
    from tests.sim.host import Host

SOCKET_TIMEOUT = 2.0
"""Seconds that a call takes whose answer never comes."""
LONGEST_WRITE = 5.0
"""Seconds that a write can take at most: to connect, and to wait for its answer."""
READ_TIMEOUT = 3.0
"""Seconds after which a write whose answer does not come is given up."""
LANDS_LATE = (0.1, 3.0)
"""Seconds after which a write can still reach EC2, once its answer was given up or is awaited.

With TCP_USER_TIMEOUT the kernel gives up what is not acknowledged after 3 s. Without it the kernel
tries for minutes: (10.0, 60.0) shows what that does.
"""
LONGEST_READ = 22.0
"""The same for a look: two calls, each made twice, with a pause of a second between."""
LOCAL_RUN = 0.02
"""Seconds that the check of a machine takes."""
HUNG = Failure.NO_REPLY, "given up, with or without effect"


@dataclass
class Calls:
    """Background calls of one process: sent, carried out half-way, answered at the end."""

    host: Host
    done: list[tuple[Hashable, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.epoch, self.cloud = self.host.epoch, self.host.cloud

    def start(self, ticket: Hashable, call: Callable[[], object]) -> None:
        shared, faults = self.host.shared, self.host.shared.ec2.faults
        if isinstance(ticket, LocalRun):
            self._run_locally(ticket, call)
            return
        self.host.judge.begun(ticket, self.host.now)
        writes = isinstance(ticket, tuple)
        endless = faults.endless or (writes and faults.endless_writes)
        if endless and shared.rng.random() < shared.ec2.likely:
            return
        connect = shared.ec2.connect()
        half = shared.ec2.latency() / 2
        hang = shared.ec2.hang(LONGEST_WRITE if writes else LONGEST_READ)
        if connect:  # the clock is looked at again once the connection is there
            sent = Sent(ticket, call, self.host.now, None, half, hang)
            shared.clock.later(connect + half, lambda: self._carry_out(sent), stirs=False)
            return
        if writes and faults.late and shared.rng.random() < shared.ec2.likely:
            self._deliver_late(ticket, call)
            return
        sent = Sent(ticket, call, self.host.now, self.host.now, half, hang)
        if hang:
            given_up = CloudError(*HUNG)
            shared.clock.later(hang, lambda: self._answer(ticket, given_up), stirs=False)
            if shared.rng.random() < 0.5:
                return
        shared.clock.later(half, lambda: self._carry_out(sent), stirs=False)

    def ended(self) -> list[tuple[Hashable, object]]:
        done, self.done = self.done, []
        for ticket, answer in done:
            if isinstance(ticket, LocalRun):
                self.host.evidence.checked(answer, self.host.now)
            self.host.judge.ended(ticket, answer, self.host.now)
        return done

    def _run_locally(self, ticket: LocalRun, call: Callable[[], object]) -> None:
        """Run the check of the machine itself, with which no API has to do."""
        shared, answer = self.host.shared, call()
        self.host.evidence.check_begun(self.host.now)
        shared.clock.later(LOCAL_RUN, lambda: self._answer(ticket, answer), stirs=False)

    @property
    def _orphaned(self) -> bool:
        return self.host.epoch != self.epoch

    def _carry_out(self, sent: Sent) -> None:
        host, shared = self.host, self.host.shared
        now = host.now
        if not self._orphaned and host.frozen and shared.rng.random() < 0.5:
            # The whole process stands still, and the request has yet to leave it.
            if sent.hang:
                return
            again = replace(sent, at=now + 0.5)
            shared.clock.later(0.5, lambda: self._carry_out(again), stirs=False)
            return
        if self._orphaned and shared.rng.random() < 0.5:
            return
        self.cloud.left_at = now if sent.at is None else sent.at
        self.cloud.begun_at = now if self._orphaned else sent.begun_at
        answer: object
        try:
            answer = sent.call()
        except (CloudError, ResolveError) as error:
            answer = error
        if sent.hang:
            return
        lost = isinstance(answer, CloudError) and answer.failure is Failure.NO_REPLY
        wait = SOCKET_TIMEOUT if lost else sent.half
        shared.clock.later(wait, lambda: self._answer(sent.ticket, answer), stirs=False)

    def _deliver_late(self, ticket: Hashable, call: Callable[[], object]) -> None:
        """Give the answer up in time, and let the kernel deliver the request when it can."""
        shared, left_at = self.host.shared, self.host.now

        def deliver() -> None:
            self.cloud.left_at = self.cloud.begun_at = left_at
            with suppress(CloudError):
                call()

        shared.clock.later(READ_TIMEOUT, lambda: self._answer(ticket, CloudError(*HUNG)))
        shared.clock.later(shared.rng.uniform(*shared.late), deliver)

    def _answer(self, ticket: Hashable, answer: object) -> None:
        if not self._orphaned:
            self.done.append((ticket, answer))
            self.host.wake()


@dataclass(frozen=True)
class Sent:
    """A call on its way: when it was begun, when sent if that is settled, and how long it takes."""

    ticket: Hashable
    call: Callable[[], object]
    begun_at: float
    at: float | None
    half: float
    hang: float
