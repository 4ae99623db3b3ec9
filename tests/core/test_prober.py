"""Detection: rise and fall held against a plain twin, and probes on virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from nathb.core.health import Health, Limit, count, judge, limits, together
from nathb.core.model import Evidence, Outcome, Timers, Verdict
from nathb.core.path import Path, Pulse
from nathb.core.prober import Prober
from nathb.core.subject import UPLINK

# --- rise and fall --------------------------------------------------------------------------------

HEARD, MISSED, BLIND = Outcome.HEARD, Outcome.MISSED, Outcome.BLIND
SEQUENCES = [
    sequence for length in range(9) for sequence in itertools.product(Outcome, repeat=length)
]


def twin(sequence: tuple[Outcome, ...], rise: int, fall: int) -> Verdict:
    """The verdict by looking back over all outcomes each time, without any state."""
    seen = [outcome for outcome in sequence if outcome is not BLIND]
    verdict = Verdict.UNKNOWN
    for end in range(1, len(seen) + 1):
        if seen[:end][-rise:] == [HEARD] * rise:
            verdict = Verdict.UP
        if seen[:end][-fall:] == [MISSED] * fall:
            verdict = Verdict.DOWN
    return verdict


def after(sequence: tuple[Outcome, ...], needed: dict[Limit, int]) -> Health:
    health = Health()
    for outcome in sequence:
        health = judge(count(health, outcome), needed)
    return health


@pytest.mark.parametrize(("rise", "fall"), [(1, 1), (3, 3), (2, 4), (4, 1)])
def test_health_agrees_with_its_plain_twin_on_every_sequence_up_to_eight(
    rise: int, fall: int
) -> None:
    needed = limits(Timers(rise=rise, fall=fall), hastened=False)
    assert len(SEQUENCES) == sum(3**length for length in range(9))
    for sequence in SEQUENCES:
        assert after(sequence, needed).verdict is twin(sequence, rise, fall), sequence


def test_r1_blind_moves_no_counter() -> None:
    needed = limits(Timers(), hastened=False)
    for sequence in SEQUENCES:
        without = tuple(outcome for outcome in sequence if outcome is not BLIND)
        assert after(sequence, needed) == after(without, needed)


def test_r13_one_missed_check_is_enough_once_ec2_adds_its_word() -> None:
    missed_once = after((HEARD, HEARD, HEARD, MISSED), limits(Timers(), hastened=False))
    assert missed_once.verdict is Verdict.UP
    assert judge(missed_once, limits(Timers(), hastened=True)).verdict is Verdict.DOWN


def test_r13_without_a_missed_check_ec2s_word_alone_convicts_nobody() -> None:
    heard = after((HEARD, HEARD, HEARD), limits(Timers(), hastened=False))
    assert judge(heard, limits(Timers(), hastened=True)).verdict is Verdict.UP


def test_rise_is_never_hastened() -> None:
    hastened = limits(Timers(rise=3), hastened=True)
    assert after((MISSED, HEARD, HEARD), hastened).verdict is Verdict.DOWN
    assert after((MISSED, HEARD, HEARD, HEARD), hastened).verdict is Verdict.UP


def test_only_a_decided_path_whose_last_check_agrees_is_settled() -> None:
    needed = limits(Timers(rise=2, fall=2), hastened=False)
    assert not after((), needed).settled
    assert not after((HEARD,), needed).settled
    assert after((HEARD, HEARD), needed).settled
    assert not after((HEARD, HEARD, MISSED), needed).settled
    assert after((MISSED, MISSED), needed).settled
    assert not after((MISSED, MISSED, HEARD), needed).settled


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), Verdict.UNKNOWN),
        ((Verdict.UP, Verdict.DOWN, Verdict.UNKNOWN), Verdict.UP),
        ((Verdict.DOWN, Verdict.DOWN), Verdict.DOWN),
        ((Verdict.DOWN, Verdict.UNKNOWN), Verdict.UNKNOWN),
    ],
)
def test_a_subject_is_up_if_any_address_answers_and_down_only_if_none_does(
    verdicts: tuple[Verdict, ...], expected: Verdict
) -> None:
    assert together(verdicts) is expected


# --- probes on a little wire that loses what it is told to lose -----------------------------------

HEARTBEAT, GATEWAY, PRIVATE = "8.8.4.4", "1.1.1.1", "10.0.1.10"
RTT = 0.002
TICK = 0.001


class World:
    """A Prober on virtual time, whose checks are answered while `answers(address, now)`."""

    def __init__(self, timers: Timers, *, pulse: bool = True, pinned: bool = True) -> None:
        self.now = 0.0
        self.prober = Prober(timers, {"nat-c": (HEARTBEAT,)}, self.now)
        self.prober.set_uplink([GATEWAY])
        if pulse:
            self.prober.set_pulse("nat-c", PRIVATE)
        if pinned:
            self.prober.set_pins([("nat-c", HEARTBEAT)])
        self.answers: Callable[[str, float], bool] = lambda _address, _now: True
        self.sent: list[tuple[float, str]] = []
        self.coming: list[tuple[float, int]] = []
        self.turned: list[tuple[float, str, Verdict]] = []
        self.tickets = 0

    def step(self) -> None:
        for at, ticket in [one for one in self.coming if one[0] <= self.now]:
            self.coming.remove((at, ticket))
            self.prober.replied(ticket, self.now)
        self.prober.expire(self.now)
        for asked in self.prober.due(self.now):
            self.send(asked)
        for name in ("nat-c", UPLINK):
            verdict = self.evidence(name).verdict
            last = [turn for turn in self.turned if turn[1] == name]
            if verdict is not (last[-1][2] if last else Verdict.UNKNOWN):
                self.turned.append((self.now, name, verdict))

    def send(self, asked: Path | Pulse) -> None:
        self.tickets += 1
        self.sent.append((self.now, asked.address))
        self.prober.sent(asked, self.tickets, self.now)
        if self.answers(asked.address, self.now):
            self.coming.append((self.now + RTT, self.tickets))

    def run_until(self, end: float) -> World:
        while self.now < end:
            self.step()
            arrivals = [at for at, _ in self.coming]
            following = min([self.prober.wake_at(), *arrivals], default=end)
            self.now = min(end, max(self.now + TICK, following))
        self.step()
        return self

    def sent_to(self, address: str, since: float = 0.0) -> list[float]:
        return [at for at, to in self.sent if to == address and at >= since]

    def evidence(self, name: str) -> Evidence:
        return self.prober.evidence(name, self.now)

    def down_at(self, name: str = "nat-c") -> float:
        return next(at for at, who, verdict in self.turned if (who, verdict) == (name, DOWN))


DOWN, UP, UNKNOWN = Verdict.DOWN, Verdict.UP, Verdict.UNKNOWN


def gone_since(start: float, *addresses: str) -> Callable[[str, float], bool]:
    return lambda address, now: address not in addresses or now < start


def test_from_the_start_everything_is_asked_fast_until_it_is_decided_and_then_slowly() -> None:
    world = World(Timers()).run_until(100.0)
    assert world.sent_to(HEARTBEAT)[:3] == pytest.approx([0.0, 1.0, 2.0], abs=0.01)
    assert world.sent_to(HEARTBEAT)[3] == pytest.approx(32.0, abs=0.01)
    assert world.evidence("nat-c").verdict is UP


@pytest.mark.parametrize("phase", [0.01, 0.13, 0.26, 0.4, 0.49])
def test_a_crash_is_a_verdict_within_3_75_seconds(phase: float) -> None:
    world = World(Timers()).run_until(40.0)
    crash = 40.0 + phase
    world.answers = gone_since(crash, HEARTBEAT, PRIVATE)
    world.run_until(50.0)
    assert 2.9 < world.down_at() - crash <= 3.76


@pytest.mark.parametrize("phase", [0.1, 7.0, 29.9])
def test_a_dead_path_behind_a_living_host_is_a_verdict_within_interval_plus_3_seconds(
    phase: float,
) -> None:
    world = World(Timers()).run_until(40.0)
    cut = 40.0 + phase
    world.answers = gone_since(cut, HEARTBEAT)
    world.run_until(120.0)
    assert world.down_at() - cut <= 33.01


def test_while_in_doubt_checks_overlap_and_the_uplink_is_asked_as_fast_as_the_peer() -> None:
    timers = Timers(interval=0.1, fast_interval=0.05, timeout=0.2, fall=4)
    world = World(timers, pulse=False).run_until(2.0)
    world.answers = gone_since(2.0, HEARTBEAT)
    world.run_until(3.0)
    assert world.down_at() - 2.0 <= 0.56
    in_doubt = [at for at in world.sent_to(GATEWAY, 2.21) if at < world.down_at()]
    assert len(in_doubt) >= 4


def test_an_uplink_heard_since_the_peer_fell_silent_is_on_record() -> None:
    world = World(Timers()).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT, PRIVATE)
    world.run_until(45.0)
    peer, uplink = world.evidence("nat-c"), world.evidence(UPLINK)
    assert peer.silent_since is not None
    assert uplink.heard_at is not None
    assert uplink.heard_at >= peer.silent_since


def test_a_check_is_no_repetition_though_what_was_sent_just_before_it_slows_the_pace() -> None:
    world = World(Timers(fast_interval=2.0, timeout=1.0), pulse=False).run_until(40.0)
    uplink, heartbeat = world.prober.uplink.paths[0], world.prober.peers["nat-c"].paths[0]
    world.prober.not_sent(uplink, "no buffer space", world.now)
    world.now += 2.5  # both are due at the fast pace, and the heartbeat not yet at the slow one
    assert world.prober.due(world.now) == [uplink, heartbeat]
    world.prober.sent(uplink, 901, world.now)
    assert not world.prober.suspecting
    world.prober.sent(heartbeat, 902, world.now)
    assert heartbeat.sent_at == world.now


def test_a_check_without_an_answer_is_repeated_once_at_half_of_its_timeout() -> None:
    world = World(Timers(pulse=0.0)).run_until(40.0)
    lost = world.sent_to(HEARTBEAT)[-1] + 30.0
    world.answers = lambda address, now: address != HEARTBEAT or abs(now - lost) > 0.1
    world.run_until(80.0)
    assert world.sent_to(HEARTBEAT, since=40.0) == pytest.approx([lost, lost + 0.5], abs=0.01)
    assert not world.prober.suspecting
    assert world.evidence("nat-c").silent_since is None


def test_an_answer_to_the_repetition_is_an_answer_to_the_check_and_the_check_is_missed_once() -> (
    None
):
    world = World(Timers(pulse=0.0)).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT)
    world.run_until(63.1)
    assert world.evidence("nat-c").missed == 1
    assert len(world.prober.tickets) <= 3


def test_r15_rounds_that_no_uplink_answers_make_peers_fall_later_and_a_minute_halves_it() -> None:
    world = World(Timers(pulse=0.0)).run_until(40.0)
    assert world.evidence("nat-c").needed == 3
    world.answers = gone_since(40.0, GATEWAY)
    world.run_until(66.5)
    assert world.evidence("nat-c").needed == 12
    assert world.evidence(UPLINK).needed == 3
    world.answers = lambda _address, _now: True
    world.run_until(130.0)
    assert world.evidence("nat-c").needed == 6
    assert world.run_until(190.0).evidence("nat-c").needed == 3


def test_r15_one_of_two_uplinks_that_answers_is_no_reason_for_distrust() -> None:
    world = World(Timers(pulse=0.0))
    world.prober.set_uplink([GATEWAY, "9.9.9.9"])
    world.answers = gone_since(20.0, GATEWAY)
    assert world.run_until(100.0).evidence("nat-c").needed == 3


def test_a_heartbeat_that_never_answered_convicts_nobody_whose_pulse_answers() -> None:
    world = World(Timers())
    world.answers = gone_since(0.0, HEARTBEAT)
    world.run_until(60.0)
    assert world.evidence("nat-c").verdict is UNKNOWN
    assert world.evidence("nat-c").never_answered
    world.answers = gone_since(0.0, HEARTBEAT, PRIVATE)
    world.run_until(100.0)
    assert world.evidence("nat-c").verdict is DOWN


def test_a_heartbeat_that_never_answered_convicts_whom_ec2_has_bad_news_of() -> None:
    world = World(Timers())
    world.answers = gone_since(0.0, HEARTBEAT)
    world.prober.set_hastened([], ["nat-c"], world.now)
    assert world.run_until(10.0).evidence("nat-c").verdict is DOWN


def test_a_heartbeat_that_answered_before_a_stall_convicts_after_it() -> None:
    world = World(Timers()).run_until(40.0)
    world.prober.restart(world.now)
    world.answers = gone_since(40.0, HEARTBEAT)
    assert world.run_until(50.0).evidence("nat-c").verdict is DOWN


def test_pulses_answered_without_a_break_are_on_record_since_their_first() -> None:
    world = World(Timers()).run_until(40.0)
    assert world.evidence("nat-c").pulsing_since == pytest.approx(0.0, abs=0.01)
    world.answers = gone_since(40.0, PRIVATE)
    assert world.run_until(42.0).evidence("nat-c").pulsing_since is None
    world.answers = lambda _address, _now: True
    assert world.run_until(50.0).evidence("nat-c").pulsing_since == pytest.approx(42.0, abs=0.6)


def test_a_single_lost_check_convicts_nobody() -> None:
    world = World(Timers()).run_until(40.0)
    lost = world.sent_to(HEARTBEAT)[-1] + 30.0
    world.answers = lambda address, now: address != HEARTBEAT or abs(now - lost) > 0.5
    world.run_until(200.0)
    assert [turn for turn in world.turned if turn[2] is DOWN] == []


def test_the_pulse_alone_never_convicts() -> None:
    world = World(Timers()).run_until(40.0)
    world.answers = gone_since(40.0, PRIVATE)
    world.run_until(400.0)
    assert world.evidence("nat-c").verdict is UP


def test_a_pulse_never_heard_is_ignored_once_good_heartbeats_contradict_it() -> None:
    world = World(Timers())
    world.answers = gone_since(0.0, PRIVATE)
    world.run_until(20.0)
    assert world.prober.pulses["nat-c"].ignored
    assert not world.prober.suspecting
    world.run_until(100.0)
    assert len(world.sent_to(HEARTBEAT, since=20.0)) <= 3


def test_a_pulse_heard_again_makes_the_next_check_of_a_dead_peer_due_at_once() -> None:
    world = World(Timers()).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT, PRIVATE)
    world.run_until(50.0)
    asked_last = world.sent_to(HEARTBEAT)[-1]
    world.answers = lambda _address, _now: True
    world.run_until(51.0)
    assert world.sent_to(HEARTBEAT)[-1] < asked_last + 30.0
    assert world.run_until(54.0).evidence("nat-c").verdict is UP


def test_an_answer_to_a_later_check_drops_the_earlier_ones_that_are_still_open() -> None:
    timers = Timers(interval=0.1, fast_interval=0.05, timeout=0.2, fall=4)
    world = World(timers, pulse=False).run_until(2.0)
    # a hole of 0.19 s loses three or four checks; what came after them is answered before they
    # are overdue, so they must not convict a peer that is known to be there
    world.answers = lambda address, now: address != HEARTBEAT or not 2.0 < now < 2.19
    world.run_until(5.0)
    assert [turn for turn in world.turned if turn[2] is DOWN] == []


def test_r12_a_heartbeat_that_is_not_pinned_is_neither_asked_nor_read_as_health() -> None:
    world = World(Timers(), pinned=False).run_until(40.0)
    assert world.sent_to(HEARTBEAT) == []
    assert world.evidence("nat-c").verdict is UNKNOWN


def test_r12_a_pin_that_goes_astray_makes_its_peer_unknown_until_it_is_back() -> None:
    world = World(Timers()).run_until(40.0)
    world.prober.set_pins([])
    assert world.run_until(50.0).evidence("nat-c").verdict is UNKNOWN
    asked = len(world.sent_to(HEARTBEAT))
    assert len(world.run_until(90.0).sent_to(HEARTBEAT)) == asked
    world.prober.set_pins([("nat-c", HEARTBEAT)])
    assert world.run_until(95.0).evidence("nat-c").verdict is UP


def test_r13_with_ec2s_word_one_missed_check_is_enough() -> None:
    world = World(Timers()).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT, PRIVATE)
    world.prober.set_hastened(["nat-c"], [], world.now)
    world.run_until(50.0)
    assert world.down_at() - 40.0 <= 1.76
    assert world.evidence("nat-c").needed == 1


def test_r13_the_word_may_come_after_the_miss() -> None:
    world = World(Timers()).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT, PRIVATE)
    world.run_until(41.9)
    assert world.evidence("nat-c").verdict is UP
    world.prober.set_hastened([], ["nat-c"], world.now)
    world.step()
    assert world.evidence("nat-c").verdict is DOWN


def test_r14_after_a_stall_all_is_unknown_and_what_was_in_flight_counts_for_nothing() -> None:
    world = World(Timers()).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT, PRIVATE)
    world.run_until(42.5)
    assert world.prober.tickets
    world.prober.restart(world.now)
    assert not world.prober.tickets
    assert world.evidence("nat-c").verdict is UNKNOWN
    assert world.evidence(UPLINK).verdict is UNKNOWN
    world.answers = lambda _address, _now: True
    world.run_until(50.0)
    assert [turn for turn in world.turned if turn[2] is DOWN] == []


def test_r1_a_check_that_could_not_be_sent_moves_no_counter_and_is_tried_again_fast() -> None:
    world = World(Timers()).run_until(40.0)
    path = world.prober.peers["nat-c"].paths[0]
    before = path.health
    path.probe_now()
    world.prober.not_sent(path, "no buffer space", world.now)
    assert path.health == before
    assert world.prober.suspecting
    assert path.due_at(world.prober.timers.fast_interval) == pytest.approx(world.now + 1.0)


def test_r1_a_repetition_that_could_not_be_sent_changes_nothing() -> None:
    world = World(Timers(pulse=0.0)).run_until(40.0)
    world.answers = gone_since(40.0, HEARTBEAT)
    world.run_until(62.2)
    path = world.prober.peers["nat-c"].paths[0]
    world.now = path.repeat_at(world.prober.timers.timeout)
    world.prober.not_sent(path, "no buffer space", world.now)
    assert path.blind == ""
    assert world.run_until(63.1).evidence("nat-c").missed == 1


def test_names_that_resolve_anew_keep_the_evidence_of_addresses_that_stay() -> None:
    world = World(Timers()).run_until(10.0)
    world.prober.set_uplink([GATEWAY, "9.9.9.9"])
    assert world.evidence(UPLINK).verdict is UP
    world.prober.set_uplink(["9.9.9.9"])
    world.step()
    assert world.evidence(UPLINK).verdict is UNKNOWN


def test_without_pulses_none_is_sent() -> None:
    world = World(Timers(pulse=0.0)).run_until(10.0)
    assert world.sent_to(PRIVATE) == []
