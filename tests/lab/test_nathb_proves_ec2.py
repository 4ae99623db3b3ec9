"""`nathb check --aws --prove` against the lab's EC2, over its API and from a node."""

from __future__ import annotations

import json
import signal
from typing import Any

from nathb.provision.proof import DESTINATION, MOVES, STEPS
from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.processes import nathb

INTERRUPTIBLE = ("env", "--default-signal=INT")
"""Whoever runs the suite in the background may have SIGINT ignored, which is inherited."""


def proven(lab: Lab) -> tuple[int, list[dict[str, Any]]]:
    """Run the proof on nat-a; its exit code, and the findings of the proof."""
    file = str(lab.directory / "nat-a" / "lab.yaml")
    done = lab.run(
        "nat-a", nathb("check", file, "--aws", "--prove", "--yes", "--json"), within=90.0
    )
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)["findings"]
    return done.returncode, [one for one in found if one["subject"].startswith("proof")]


def routes(lab: Lab) -> dict[str, Any]:
    """The routes of all private tables."""
    ids = [table for name, table in lab.tables.items() if name.startswith("private")]
    listed = lab.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"]
    return {one["RouteTableId"]: one["Routes"] for one in listed}


def test_the_labs_ec2_passes_its_proof_and_has_afterwards_what_it_had_before(lab: Lab) -> None:
    pair = Pair(lab).settle()
    before = routes(lab)

    _, found = proven(lab)

    assert list(dict.fromkeys(one["subject"] for one in found)) == [f"proof {one}" for one in STEPS]
    assert [one for one in found if one["level"] != "good"] == []
    mine = [one for one in lab.writes() if one.parameters["DestinationCidrBlock"] == DESTINATION]
    assert [one.action for one in mine if one.applied] == [
        "CreateRoute", *["ReplaceRoute"] * (MOVES + 1), "DeleteRoute",
    ]  # fmt: skip
    assert len(mine) == len(lab.writes()), "the daemons have written nothing"
    assert routes(lab) == before
    assert pair.settled("nat-a")

    lab.api.fail(ApiFault.DENIED, actions=["DeleteRoute"])
    code, found = proven(lab)
    assert (code, found[-1]["level"]) == (1, "bad")
    assert found[-1]["fix"].startswith("aws ec2 delete-route --route-table-id rtb-")
    assert routes(lab) != before
    lab.api.lift()
    _, found = proven(lab)
    assert found[0]["text"].endswith("of an earlier run, was removed")
    assert routes(lab) == before

    lab.api.fail(ApiFault.LATENCY, seconds=1.0, actions=["ReplaceRoute"])
    file = str(lab.directory / "nat-a" / "lab.yaml")
    words = nathb("check", file, "--aws", "--prove", "--yes")
    proving = lab.start("nat-a", [*INTERRUPTIBLE, *words])
    moved = _moves(lab)
    wait_until("it moves its route", lambda: _moves(lab) >= moved + 2, 60.0)
    proving.signal(signal.SIGINT)
    assert proving.wait(60.0) == 130
    told = proving.lines()[-1]
    assert told.startswith("nathb: ended early: the route rtb-")
    assert told.endswith("of the proof is removed")
    assert routes(lab) == before


def _moves(lab: Lab) -> int:
    return sum(one.parameters["DestinationCidrBlock"] == DESTINATION
               for one in lab.calls(action="ReplaceRoute"))  # fmt: skip
