"""The least-privilege policy, held against every call that the code makes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from msgspec.structs import replace

from nathb.core.model import Group, Node, Notify, Route
from nathb.provision.iam import MORE, RUN, Feature, policy

HOUSE = Path(__file__).parents[2] / "nathb"
CALLED_BY: dict[str, set[Feature | None]] = {
    # file: what the role is used for when the calls in it are made; None is the daemon itself
    "aws/ec2.py": {None},
    "aws/reader.py": {None},
    "provision/steps.py": {Feature.APPLY},
    "provision/proof.py": {Feature.PROVE},
    "provision/permissions.py": {Feature.APPLY},
    "aws/sns.py": {Feature.SNS},
    "aws/tag_writer.py": {Feature.DRAIN},
}
GROUP = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), (Route("rtb-a", "0.0.0.0/0"), Route("rtb-b", "10.0.0.0/8"))),
        Node("nat-c", ("8.8.4.4",), (Route("rtb-c", "0.0.0.0/0"),)),
    ),
    uplink=("1.1.1.1",),
    region="ap-northeast-1",
)
TOPIC = "arn:aws:sns:ap-northeast-1:123456789012:nathb"
TELLING = replace(GROUP, notify=Notify(sns=TOPIC))
OPERATIONS = {
    service: set(botocore.session.get_session().get_service_model(service).operation_names)
    for service in ("ec2", "sns")
}
EVERY_SET = list(
    chain.from_iterable(combinations(Feature, count) for count in range(len(Feature) + 1))
)


def called(file: Path) -> Iterator[str]:
    """Yield the IAM actions of the boto3 methods that a file mentions on a client."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        action = "".join(word.capitalize() for word in node.attr.split("_"))
        if name.lstrip("_") == "client":
            yield from (f"{one}:{action}" for one, known in OPERATIONS.items() if action in known)


def allowed(document: dict[str, Any]) -> set[str]:
    return {action for one in document["Statement"] for action in one["Action"]}


CALLS = {
    str(file.relative_to(HOUSE)): set(called(file))
    for file in sorted(HOUSE.rglob("*.py"))
    if set(called(file))
}


def test_the_calls_are_made_where_this_test_looks_for_them() -> None:
    assert CALLS.keys() == CALLED_BY.keys()


@pytest.mark.parametrize("file", CALLS)
def test_every_call_of_the_code_is_allowed_to_whoever_makes_it(file: str) -> None:
    for feature in CALLED_BY[file]:
        features = [feature] if feature is not None else []
        assert CALLS[file] <= allowed(policy(TELLING, features))


def test_nothing_is_allowed_that_no_code_calls() -> None:
    wanted = {need.action for need in chain(RUN, *MORE.values())}
    assert wanted == set().union(*CALLS.values())


@pytest.mark.parametrize("features", EVERY_SET, ids=lambda some: "+".join(f.value for f in some))
def test_writes_are_never_allowed_on_everything(features: tuple[Feature, ...]) -> None:
    for one in policy(TELLING, features)["Statement"]:
        if one["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in one["Action"])


def test_the_daemon_may_replace_routes_in_exactly_the_guarded_tables() -> None:
    (writes,) = [one for one in policy(GROUP)["Statement"] if one["Resource"] != "*"]
    assert writes == {
        "Effect": "Allow",
        "Action": ["ec2:ReplaceRoute"],
        "Resource": [f"arn:aws:ec2:ap-northeast-1:*:route-table/rtb-{letter}" for letter in "abc"],
    }


def test_a_topic_may_be_published_to_where_the_file_names_it_and_nowhere_else() -> None:
    (one,) = [one for one in policy(TELLING)["Statement"] if "sns:Publish" in one["Action"]]
    assert one["Resource"] == TOPIC
    assert "sns:Publish" not in allowed(policy(GROUP, Feature))


def test_tags_may_be_written_under_our_own_keys_only() -> None:
    tagging = [
        one for one in policy(GROUP, Feature)["Statement"] if "ec2:CreateTags" in one["Action"]
    ]
    assert [one["Condition"] for one in tagging] == [
        {"ForAllValues:StringLike": {"aws:TagKeys": ["nathb:*"]}}
    ]


@pytest.mark.parametrize(
    ("region", "start"),
    [
        ("cn-north-1", "arn:aws-cn:ec2:cn-north-1:123456789012:"),
        ("us-gov-west-1", "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:"),
        ("", "arn:aws:ec2:*:123456789012:"),
    ],
)
def test_an_arn_has_the_partition_of_its_region(region: str, start: str) -> None:
    group = replace(GROUP, region=region)
    _, writes = policy(group, (), "123456789012")["Statement"]
    assert all(arn.startswith(start) for arn in writes["Resource"])
