"""The role of the nodes has what `nathb iam-policy` prints: that is enough, and all of it is used.

EC2 denies here what the policy does not allow (`Lab.install`), to every lab's nathb.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nathb.config import parse
from nathb.provision.iam import Feature
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.processes import ENDPOINT, nathb

TOPIC = "arn:aws:sns:ap-northeast-1:123456789012:nathb"
KEY = "arn:aws:kms:ap-northeast-1:123456789012:key/0a9b954b-0c0f-fee0"
NO_CALL_OF_OURS = {"NathbNotifyKey"}
"""SNS asks KMS for the key, in the name of whoever publishes."""
TO_SNS = {"AWS_ENDPOINT_URL_SNS": ENDPOINT}


def test_each_use_of_the_role_is_allowed_what_it_needs_and_nothing_that_it_does_not(
    lab: Lab,
) -> None:
    pair = Pair(lab, env=TO_SNS, notify={"sns": TOPIC, "kms": KEY}).settle()
    path = str(lab.install("nat-a", pair.config))
    group = parse(pair.config, path)
    asked: set[tuple[str, str]] = set()

    def allow(*features: Feature) -> None:
        for node in pair.nodes:
            document = lab.allow(node, group, features)
            asked.update(pairs(document))

    def types(*arguments: str) -> tuple[int, str]:
        done = lab.run("nat-a", nathb(arguments[0], path, *arguments[1:]))
        return done.returncode, done.stdout + done.stderr

    def denied(*arguments: str) -> bool:
        code, text = types(*arguments)
        return code == 1 and "not authorized" in text

    # the daemon alone: it moves routes and notifies, and writes no tag
    allow()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=20.0)
    wait_until("a notice leaves", lambda: lab.calls(action="Publish"), 10.0)
    assert denied("pause")
    lab.revive("nat-c")
    pair.wait_holder("c", "nat-c", within=60.0)

    # apply: a pin that is missing, one that leads elsewhere, a check that is on, the file's digest
    lab.ec2.delete_route(
        RouteTableId=lab.tables["public-a"], DestinationCidrBlock="193.0.14.129/32"
    )
    lab.move("public-c", "199.7.83.42/32", "nat-c")
    lab.source_dest_check("nat-c", on=True)
    assert denied("apply", "--yes")
    allow(Feature.APPLY)
    code, text = types("apply", "--yes")
    assert code == 0, text
    assert denied("drain", "nat-c", "--no-wait")

    # operators: their tags, and no other
    allow(Feature.DRAIN)
    for verb in (("drain", "nat-c"), ("undrain", "nat-c"), ("pause",), ("resume",), ("revert",)):
        code, text = types(*verb)
        assert code == 0, text
    lab.ec2.delete_tags(Resources=[lab.tables["private-a"]], Tags=[{"Key": "nathb:file"}])
    assert denied("apply", "--yes")

    # the check: who may send to the nodes
    code, text = types("check", "--aws")
    assert "who may send to its nodes was not read" in text
    allow(Feature.CHECK)
    code, text = types("check", "--aws")
    assert "security groups and network ACLs admit the clients of all zones" in text

    # the proof, on a route of its own
    assert denied("check", "--aws", "--prove", "--yes")
    allow(Feature.PROVE)
    types("check", "--aws", "--prove", "--yes")

    used = set(of_calls(lab))
    assert used == {one for one in asked if one[0] not in NO_CALL_OF_OURS}


def pairs(document: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Each statement's name with each of its actions."""
    for one in document["Statement"]:
        yield from ((one["Sid"], action.partition(":")[2]) for action in one["Action"])


def of_calls(lab: Lab) -> Iterable[tuple[str, str]]:
    """The same of every call that was allowed."""
    for call in lab.calls():
        yield from ((sid, call.action) for sid in call.allowed_by if sid)
