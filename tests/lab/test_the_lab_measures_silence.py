"""A silence of this machine's own is told from one that nathb answers for, and never the reverse.

First on records as clients write them, made up: an answer every 10 ms, but for some gaps.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.client import Client
from tests.lab.datagrams import BEAT, BEAT_INTERVAL, INTERVAL, RECORD
from tests.lab.lab import Lab
from tests.lab.pace import Pace
from tests.lab.silence import ControlError, Silence, excused, freezes, longest

SINCE, UNTIL = 100.0, 103.0
OUTAGE = (101.0, 101.15)
BOUND = 0.1


def beats(*gaps: tuple[float, float], every: float = INTERVAL) -> list[float]:
    """An answer `every` so many seconds from before SINCE to well after UNTIL, but in the gaps."""
    moments = (SINCE - 0.1 + every * n for n in range(round((UNTIL - SINCE + 5.0) / every)))
    return [one for one in moments if not any(start < one < end for start, end in gaps)]


def judged(moved: list[float], control: list[float]) -> float:
    return longest(moved, freezes(control, INTERVAL, SINCE, UNTIL), SINCE, UNTIL)


def test_an_outage_of_150_ms_beside_a_quiet_control_is_more_than_100_ms() -> None:
    assert judged(beats(OUTAGE), beats()) == pytest.approx(0.15, abs=INTERVAL)


@pytest.mark.parametrize(
    "freeze", [(100.97, 101.17), (101.0, 101.2)], ids=["around it", "from its start"]
)
def test_beside_a_control_that_froze_for_200_ms_at_the_same_time_it_is_the_machines(
    freeze: tuple[float, float],
) -> None:
    assert judged(beats(OUTAGE, freeze), beats(freeze)) <= BOUND


def test_beside_a_control_that_froze_at_another_time_it_is_nathbs() -> None:
    freeze = (101.5, 101.7)
    assert judged(beats(OUTAGE, freeze), beats(freeze)) > BOUND


def test_a_freeze_that_an_outage_outlasts_excuses_its_own_time_alone() -> None:
    freeze = (101.1, 101.3)
    moved = beats((101.0, 101.42), freeze)
    assert judged(moved, beats(freeze)) == pytest.approx(0.22, abs=2 * INTERVAL)


def test_two_freezes_do_not_excuse_what_was_between_them() -> None:
    around = [(100.9, 101.0), (101.15, 101.25)]
    assert judged(beats((100.9, 101.25)), beats(*around)) > BOUND


def test_jitter_excuses_nothing_however_much_there_is_of_it() -> None:
    assert judged(beats(OUTAGE), beats(every=0.04)) > BOUND


def test_freezes_that_overlap_count_once() -> None:
    frozen = [Silence(1.0, 2.0), Silence(1.2, 1.5), Silence(1.8, 2.5), Silence(4.0, 9.0)]
    assert excused(Silence(0.5, 5.0), frozen) == pytest.approx(1.5 + 1.0)
    assert excused(Silence(1.1, 1.3), frozen) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "control",
    [
        [],
        [one for one in beats() if one < 101.05],
        [one for one in beats() if one > 100.9],
    ],
    ids=["never heard", "died in the outage", "came too late"],
)
def test_a_control_that_was_not_there_all_the_time_is_an_error(control: list[float]) -> None:
    with pytest.raises(ControlError, match="is its process alive"):
        judged(beats(OUTAGE), control)


def test_a_machine_that_was_frozen_for_most_of_the_time_is_an_error() -> None:
    with pytest.raises(ControlError, match=r"frozen for \d\d% of 3.0 s"):
        judged(beats(OUTAGE), beats(every=0.06))


# --- what clients of a lab write, as files ----------------------------------------------------


def client(
    directory: Path, moved: list[float], control: list[float], pace: list[float] | None = None
) -> Client:
    """A client that has written these, and the pace beside it; what they say ends now."""
    late = time.monotonic() - UNTIL
    notes, paces = directory / "client.notes", directory / "pace.notes"
    heard = sorted([(one, False) for one in moved] + [(one, True) for one in control])
    records = (RECORD.pack(at + late, at + late, bytes(4), control) for at, control in heard)
    notes.write_bytes(b"".join(records))
    pace = pace if pace is not None else beats(every=BEAT_INTERVAL)
    paces.write_bytes(b"".join(BEAT.pack(one + late) for one in pace))
    return Client("app-a", notes, {}, Pace(paces))


def started() -> float:
    """SINCE, where UNTIL is now."""
    return time.monotonic() - (UNTIL - SINCE)


def test_a_client_judges_by_its_own_control(tmp_path: Path) -> None:
    assert client(tmp_path, beats(OUTAGE), beats()).outage(started()) > BOUND
    assert client(tmp_path, beats(OUTAGE), beats(OUTAGE)).outage(started()) <= BOUND


def test_a_daemon_that_had_to_wait_excuses_a_late_takeover_and_no_gap_of_a_move(
    tmp_path: Path,
) -> None:
    waited = beats((101.0, 101.4), every=BEAT_INTERVAL)
    one = client(tmp_path, beats((100.8, 101.6)), beats(), waited)
    since = started()
    assert one.outage(since) == pytest.approx(0.8, abs=2 * INTERVAL)
    assert one.takeover(since) == pytest.approx(0.4, abs=0.03)


def test_a_control_that_is_silent_while_its_client_is_served_is_an_error(tmp_path: Path) -> None:
    broken = client(tmp_path, beats(OUTAGE), beats((100.8, 101.5)))
    with pytest.raises(ControlError, match="something in the test silences the control"):
        broken.outage(started())


# --- a lab ------------------------------------------------------------------------------------


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes get no CPU."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def test_in_a_lab_what_stops_its_own_processes_is_no_silence_and_what_stops_packets_is(
    lab: Lab,
) -> None:
    one, begun = lab.clients["app-a"], time.monotonic()
    with stopped(lab.pids["echo"]):
        time.sleep(0.4)
    with stopped(lab.pids["app-a"]):
        time.sleep(0.4)
    one.wait_served()
    time.sleep(1.5)
    assert one.silences(begun, longer_than=0.35)
    assert one.outage(begun) <= BOUND
    lab.faults.gateway_cut("nat-a")
    time.sleep(0.4)
    lab.faults.gateway_cut("nat-a", on=False)
    one.wait_served()
    assert one.outage(begun) >= 2 * BOUND
    assert lab.clients["app-c"].outage(begun) <= BOUND


def test_in_a_lab_time_in_which_a_daemon_gets_no_cpu_does_not_count(lab: Lab) -> None:
    begun = time.monotonic()
    with stopped(lab.pids["pace"]):
        time.sleep(0.5)
    time.sleep(1.0)
    until = time.monotonic()
    assert lab.pace.frozen(begun, until) >= 0.4
    assert lab.pace.elapsed(begun, until) == until - begun - lab.pace.frozen(begun, until)


def test_in_a_lab_a_control_that_died_is_an_error(lab: Lab) -> None:
    begun = time.monotonic()
    os.kill(lab.pids["echo"], signal.SIGKILL)
    os.kill(lab.pids["pace"], signal.SIGKILL)
    with pytest.raises(ControlError, match="is its process alive"):
        lab.clients["app-a"].outage(begun)
    with pytest.raises(ControlError, match="is its process alive"):
        lab.pace.elapsed(begun)
