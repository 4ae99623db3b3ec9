"""Rise and fall, held against a plain twin."""

from __future__ import annotations

import itertools

import pytest

from nathb.core.health import Health, Limit, count, judge, limits, together
from nathb.core.model import Outcome, Timers, Verdict

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
