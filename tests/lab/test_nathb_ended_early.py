"""Verbs that are ended before they are done, by ^C, by SIGTERM or by a full disk, at a real API."""

from __future__ import annotations

import signal

import pytest

from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.processes import nathb
from tests.lab.test_nathb_obeys_operators import tags

# Whoever runs the suite in the background may have SIGINT ignored, which is inherited.
INTERRUPTIBLE = ("env", "--default-signal=INT")
FULL = ("sh", "-c", 'exec "$@" >/dev/full', "sh")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_a_drain_that_is_ended_while_it_waits_says_that_it_stays_and_how_to_undo_it(
    lab: Lab, number: int, status: int
) -> None:
    file = lab.install("nat-a", lab.pair_config())  # and no daemon that obeys
    waiting = lab.start("nat-a", [*INTERRUPTIBLE, *nathb("drain", str(file), "nat-a")])
    waiting.wait_line("in force within 30 s", within=30.0)

    waiting.signal(number)

    assert waiting.wait() == status
    assert waiting.lines()[-1] == (
        "nathb: ended early: what was asked for stays: nat-a is drained; `nathb status lab` shows "
        "how things stand, `nathb undrain lab nat-a` ends the drain"
    )
    assert tags(lab)["nathb:drain"] == "nat-a"


def test_an_apply_that_is_ended_says_how_many_steps_are_done(lab: Lab) -> None:
    file = str(lab.install("nat-a", lab.pair_config()))
    lab.api.fail(ApiFault.HANG, actions=["CreateTags"])
    applying = lab.start("nat-a", [*INTERRUPTIBLE, *nathb("apply", file, "--yes")])
    wait_until("it writes", lambda: lab.calls(action="CreateTags"), 30.0)

    applying.signal(signal.SIGINT)

    assert applying.wait() == 130
    told = applying.lines()[-1]
    assert told.startswith("nathb: ended early: 0 of ")
    assert "done and stay, and EC2 may have carried out the next one; `nathb plan" in told


def test_every_verb_that_asks_ec2_says_that_the_disk_is_full_and_what_it_has_done_all_the_same(
    lab: Lab,
) -> None:
    manual = str(lab.install("nat-a", lab.pair_config(preempt="manual")))
    lab.move("private-c", "0.0.0.0/0", "nat-a")
    instances = [ids.instance for ids in lab.instances.values()]
    stay = {
        "drain": ["drain", manual, "nat-a"],
        "undrain": ["undrain", manual, "nat-a"],
        "pause": ["pause", manual],
        "resume": ["resume", manual],
        "revert": ["revert", manual],
    }
    only_show = [
        ["status", manual], ["plan", manual], ["apply", manual], ["check", manual, "--aws"],
        ["init", *instances], ["iam-policy", manual],
    ]  # fmt: skip
    for arguments in (*stay.values(), *only_show):
        done = lab.run("nat-a", [*FULL, *nathb(*arguments)])
        assert done.returncode == 1, arguments
        last = done.stderr.splitlines()[-1]
        assert last.startswith("nathb: standard output: cannot be written: No space left"), done
        assert "Traceback" not in done.stderr
        assert ("what was asked for stays: " in done.stderr) == (arguments[0] in stay), done
