"""An uplink of several parts: of each, one address must answer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from nathb.core.context import heard_since
from nathb.core.health import all_of
from nathb.core.model import Evidence, Timers, Verdict
from nathb.core.path import Path
from nathb.core.prober import UPLINK, Prober

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
    prober = Prober(Timers(), {"nat-c": ("10.9.0.1",)}, 0.0, "10.0.0.11", "ens5")
    prober.set_uplink([ONE], [FAR, "169.254.10.2"])
    prober.set_pulse("nat-c", "10.0.1.10")
    prober.set_pins([("nat-c", "10.9.0.1")])
    due = prober.due(0.0)
    bound = {asked.address for asked in due if asked.interface == "ens5"}
    assert bound == {ONE, "10.9.0.1", "10.0.1.10"}
    free = {asked.address for asked in due if isinstance(asked, Path) and not asked.interface}
    assert free == {FAR, "169.254.10.2"}
