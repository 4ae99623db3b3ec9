"""An uplink of several parts: of each, one address must answer, or a program end well."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from nathb.core.context import heard_since
from nathb.core.health import all_of
from nathb.core.local_check import LocalCheck
from nathb.core.model import Evidence, Outcome, Timers, Verdict
from nathb.core.path import Path
from nathb.core.prober import Prober
from nathb.core.subject import UPLINK

UP, DOWN, UNKNOWN = Verdict.UP, Verdict.DOWN, Verdict.UNKNOWN
ONE, NINE, FAR, HEARTBEAT = "1.1.1.1", "9.9.9.9", "10.8.0.5", "198.51.100.1"
TIMERS = Timers(interval=30.0, fast_interval=1.0, timeout=1.0, fall=3, rise=3, pulse=0.0)


@pytest.mark.parametrize("verdicts", list(itertools.product(Verdict, repeat=3)))
def test_an_uplink_is_down_if_any_part_is_and_up_only_if_all_are(
    verdicts: tuple[Verdict, ...],
) -> None:
    expected = UNKNOWN
    if DOWN in verdicts:
        expected = DOWN
    elif set(verdicts) == {UP}:
        expected = UP
    assert all_of(verdicts) is expected


@dataclass
class World:
    """A Prober in rounds of one second. An answer comes at once, unless its address is silent."""

    prober: Prober = field(default_factory=lambda: Prober(TIMERS, {"nat-c": (HEARTBEAT,)}, 0.0))
    silent: set[str] = field(default_factory=set)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.prober.set_uplink([ONE, NINE], [FAR])
        self.prober.set_pins([("nat-c", HEARTBEAT)])
        self.tickets = itertools.count(1)

    def rounds(self, count: int) -> World:
        for _ in range(count):
            self.now += 1.0
            self.prober.expire(self.now)
            for asked in self.prober.due(self.now):
                ticket = next(self.tickets)
                self.prober.sent(asked, ticket, self.now)
                if asked.address not in self.silent:
                    self.prober.replied(ticket, self.now)
        return self

    def cut(self, *addresses: str) -> World:
        """Let these fall silent, just before the next check at rest is due."""
        self.silent = set(addresses)
        return self.rounds(30)

    @property
    def uplink(self) -> Evidence:
        return self.prober.evidence(UPLINK, self.now)

    @property
    def needed(self) -> int:
        return self.prober.evidence("nat-c", self.now).needed


def test_one_address_of_each_part_is_enough() -> None:
    world = World().rounds(5)
    assert world.uplink.verdict is UP
    assert world.uplink.addresses == (ONE, NINE, FAR)
    assert world.cut(ONE).rounds(5).uplink.verdict is UP


def test_a_part_of_which_no_address_answers_is_down_and_what_it_says_is_of_that_part_alone() -> (
    None
):
    world = World().rounds(5).cut(FAR).rounds(5)
    assert world.uplink.verdict is DOWN
    assert world.uplink.addresses == (FAR,)
    assert world.uplink.missed >= world.uplink.needed == 3
    assert world.uplink.silent_since is not None
    far = world.prober.uplink.parts[1].paths[0]
    assert world.uplink.silent_since == far.silent_since


def test_a_part_that_was_never_heard_keeps_the_uplink_unknown_or_down_and_no_witness() -> None:
    world = World(silent={FAR}).rounds(2)
    assert world.uplink.verdict is UNKNOWN
    assert not heard_since(world.uplink, 0.0)
    assert world.rounds(5).uplink.verdict is DOWN


def test_a_part_whose_names_are_not_resolved_yet_keeps_the_uplink_unknown() -> None:
    world = World()
    world.prober.set_uplink([ONE], [])
    assert world.rounds(5).uplink.verdict is UNKNOWN
    world.prober.set_uplink([ONE], [FAR])
    assert world.rounds(5).uplink.verdict is UP


def test_a_witness_means_that_every_part_was_heard_since() -> None:
    """R3: who takes on the word of one part alone takes for clients that need the other."""
    world = World().rounds(5)
    before = world.now
    world.cut(FAR).prober.probe_now(UPLINK)
    world.rounds(1)
    newest = max(path.heard_at or 0.0 for path in world.prober.uplink.paths)
    assert newest > before
    assert not heard_since(world.uplink, before)
    world.silent = set()
    assert heard_since(world.rounds(31).uplink, before)


def test_of_two_silent_parts_the_one_that_convicts_is_told() -> None:
    world = World().rounds(5).cut(FAR).rounds(5)
    since = world.uplink.silent_since
    world.silent = {ONE, NINE, FAR}
    assert world.rounds(31).uplink.addresses == (FAR,)
    assert world.uplink.silent_since == since
    world.silent = {ONE, NINE}
    assert world.rounds(31).uplink.addresses == (ONE, NINE)


def test_r15_a_part_that_loses_its_packets_is_a_reason_for_distrust() -> None:
    world = World().rounds(5)
    assert world.cut(ONE).rounds(5).needed == 3
    assert world.cut(FAR).rounds(5).needed > 3


def test_of_all_that_is_sent_only_what_lies_in_a_tunnel_is_not_bound_to_the_interface() -> None:
    prober = Prober(Timers(), {"nat-c": ("10.9.0.1",)}, 0.0, interface="ens5")
    prober.set_uplink([ONE], [FAR, "169.254.10.2"])
    prober.set_pulse("nat-c", "10.0.1.10")
    prober.set_pins([("nat-c", "10.9.0.1")])
    due = prober.due(0.0)
    bound = {asked.address for asked in due if asked.interface == "ens5"}
    assert bound == {ONE, "10.9.0.1", "10.0.1.10"}
    free = {asked.address for asked in due if isinstance(asked, Path) and not asked.interface}
    assert free == {FAR, "169.254.10.2"}


# --- a check of this machine ----------------------------------------------------------------------


@dataclass
class Machine:
    """A Prober with a check of its machine, in rounds of a tenth of a second.

    A run takes `takes` seconds and comes to `outcome`.
    """

    outcome: Outcome = Outcome.HEARD
    takes: float = 0.2
    now: float = 0.0
    runs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prober = Prober(TIMERS, {}, 0.0, command=("vtysh", "-c", "show bgp"))
        self.prober.set_uplink([ONE])
        self.tickets = itertools.count(1)

    def run(self, seconds: float) -> Machine:
        for _ in range(round(seconds * 10)):
            self.now = round(self.now + 0.1, 3)
            self.prober.expire(self.now)
            for asked in self.prober.due(self.now):
                ticket = next(self.tickets)
                self.prober.sent(asked, ticket, self.now)
                self.prober.replied(ticket, self.now)
            if self.runs and self.now >= self.runs[-1] + self.takes and self.local.running_since:
                self.prober.local_ended(self.outcome, "no such program", self.now)
            if self.prober.local_due(self.now) is not None:
                self.local.started(self.now)
                self.runs.append(self.now)
        return self

    @property
    def local(self) -> LocalCheck:
        assert self.prober.local is not None
        return self.prober.local

    @property
    def uplink(self) -> Evidence:
        return self.prober.evidence(UPLINK, self.now)


def test_a_local_check_is_one_more_part_of_the_uplink_with_the_same_rise_fall_and_pace() -> None:
    machine = Machine().run(100.0)
    assert machine.uplink.verdict is UP
    assert machine.uplink.addresses == (ONE, "check_command vtysh")
    assert machine.runs[:4] == pytest.approx([0.1, 1.1, 2.1, 32.1], abs=0.25)
    machine.outcome = Outcome.MISSED
    machine.run(36.0)
    assert machine.uplink.verdict is DOWN
    assert machine.uplink.addresses == ("check_command vtysh",)
    assert machine.uplink.missed == machine.uplink.needed == 3
    machine.outcome = Outcome.HEARD
    assert machine.run(36.0).uplink.verdict is UP


def test_a_local_check_that_cannot_be_run_moves_no_counter() -> None:
    machine = Machine(Outcome.BLIND).run(10.0)
    assert machine.uplink.verdict is UNKNOWN
    assert machine.uplink.blind == "no such program"
    machine.outcome = Outcome.HEARD
    assert machine.run(10.0).uplink.verdict is UP
    machine.outcome = Outcome.BLIND
    assert machine.run(100.0).uplink.verdict is UP
    assert machine.uplink.blind == "no such program"


def test_a_run_that_does_not_end_is_missed_at_each_timeout_and_has_no_second_beside_it() -> None:
    machine = Machine().run(10.0)
    machine.takes = 1000.0
    machine.run(60.0)
    assert machine.uplink.verdict is DOWN
    assert [one for one in machine.runs if one > 10.0] == machine.runs[3:4]
    assert machine.prober.wake_at() > machine.now  # and the loop does not spin for it
    machine.takes, machine.outcome = 0.0, Outcome.HEARD
    assert machine.run(10.0).uplink.verdict is UP


def test_r14_what_a_run_says_that_was_begun_before_a_stall_is_not_heard() -> None:
    machine = Machine(takes=5.0).run(0.2)
    machine.prober.restart(machine.now)
    machine.run(6.0)
    assert machine.local.heard_at is None
    assert len(machine.runs) == 2


def test_r15_a_local_check_that_fails_is_no_reason_to_distrust_ones_packets() -> None:
    machine = Machine(Outcome.MISSED).run(60.0)
    assert machine.uplink.verdict is DOWN
    assert machine.prober.awareness.level(machine.now) == 0
