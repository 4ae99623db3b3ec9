"""The policies, held against every call that the code makes, AWS's reference, and a linter.

What each use of a role does with its policy is shown in tests/lab/test_nathb_and_its_role.py.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import botocore.session
import cfnlint.data
import pytest
from cfnlint.api import ManualArgs, lint
from msgspec.structs import replace

from nathb.aws.region import partition_of
from nathb.core.errors import RefusalError
from nathb.core.model import Group, Learn, Node, Notify, Route, RouteMatch
from nathb.provision.iam import (
    CHECK_GATEWAY,
    MORE,
    RUN,
    Feature,
    Place,
    first_policy,
    policy,
    service_control_policy,
)
from tests.lab.role import Request, allowed_by

HOUSE = Path(__file__).parents[2] / "nathb"
CALLED_BY: dict[str, set[Feature | None]] = {
    # file: what the role is used for when the calls in it are made; None is the daemon itself
    "aws/ec2.py": {None},
    "aws/reader.py": {None},
    "aws/access.py": {Feature.CHECK},
    "aws/learned_routes.py": {Feature.LEARN},
    "provision/learning.py": {Feature.CHECK},
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
KEY = "arn:aws:kms:ap-northeast-1:123456789012:key/0a9b954b-0c0f-fee0"
LEARN = Learn(
    into=("rtb-a", "rtb-d", "tgw-rtb-a"),
    allow=("10.8.0.0/13",),
    file="/run/router/prefixes",
    attachment="tgw-attach-a",
)
TELLING = replace(GROUP, notify=Notify(sns=TOPIC), learn=LEARN)
ENCRYPTED = replace(GROUP, notify=Notify(sns=TOPIC, kms=KEY), learn=LEARN)
MATCHING = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), found=(RouteMatch((("tag:nathb", "nat-a"),), "0.0.0.0/0"),)),
        Node(
            "nat-c",
            ("8.8.4.4",),
            found=(
                RouteMatch((("tag:nathb", "nat-c"),), "0.0.0.0/0"),
                RouteMatch((("tag:env", "live"), ("vpc-id", "vpc-1")), "any"),
            ),
        ),
    ),
    uplink=("1.1.1.1",),
    region="ap-northeast-1",
)
TOKYO = Place("aws", "ap-northeast-1", "123456789012", ("vpc-1",))
BY_SNS = {"kms:Decrypt", "kms:GenerateDataKey"}
"""Called by SNS, in the name of whoever publishes to an encrypted topic."""
OPERATOR = "arn:aws:iam::123456789012:role/operator"
DOCUMENTS = {
    "first": first_policy(),
    "everywhere": policy(replace(ENCRYPTED, region=""), Feature, Place()),
    "china": policy(
        replace(GROUP, region="cn-north-1"), Feature, Place("aws-cn", "cn-north-1", vpcs=("vpc-1",))
    ),
    "matches": policy(MATCHING, Feature, TOKYO),
    **{
        "daemon" + "".join(f"-{one.value}" for one in some): policy(ENCRYPTED, some, TOKYO)
        for some in ((), (Feature.APPLY,), (Feature.DRAIN,), tuple(Feature))
    },
}
SCP = service_control_policy([OPERATOR, "arn:aws:iam::*:role/nathb-*"])
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


def statement(document: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [one for one in document["Statement"] if one["Sid"] == name]
    return dict(one)


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
    wanted = {
        action for one in chain(RUN, [CHECK_GATEWAY], *MORE.values()) for action in one.actions
    }
    assert wanted == set().union(BY_SNS, *CALLS.values())


# --- a linter -------------------------------------------------------------------------------------


def linted(documents: dict[str, dict[str, Any]]) -> list[str]:
    """What cfn-lint says of policy documents: grammar, actions, and resources of each action."""
    resources = {
        "".join(filter(str.isalnum, name)): {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"PolicyDocument": document},
        }
        for name, document in documents.items()
    }
    options = ManualArgs(include_checks=["I"], regions=["ap-northeast-1"])
    found = lint(json.dumps({"Resources": resources}), config=options)
    return [f"{one.rule.id} {one.path[1:2]} {one.message[:200]}" for one in found]


def test_the_linter_finds_nothing_in_any_policy() -> None:
    assert linted({**DOCUMENTS, "scp": SCP}) == []


def test_the_linter_finds_a_wrong_action_a_wrong_resource_and_a_wrong_operator() -> None:
    first, table = statement(DOCUMENTS["first"], "NathbRead"), TOKYO.arn("route-table/rtb-1")
    broken = {
        "W3037": first | {"Action": ["ec2:ReplaceRoutes"]},
        "I3510": first | {"Action": ["ec2:ReplaceRoute"], "Resource": TOKYO.arn("subnet/s-1")},
        "E3510": first | {"Resource": table, "Condition": {"ArnLikes": {"ec2:Vpc": "x"}}},
    }
    documents = {
        rule: {"Version": "2012-10-17", "Statement": [one]} for rule, one in broken.items()
    }
    assert {line.split()[0] for line in linted(documents)} == broken.keys()


REFERENCE = json.loads(
    Path(*cfnlint.data.__path__, "AdditionalSpecs", "Policies.json").read_text(encoding="utf-8")
)
"""AWS's own list of the actions, resources and condition keys of each service."""


def keys_of(arn: str) -> set[str]:
    """The condition keys that AWS names for the resource of an ARN."""
    _, _, service, _, _, rest = arn.split(":", 5)
    return set(REFERENCE[service]["Resources"][rest.partition("/")[0]]["ConditionKeys"])


@pytest.mark.parametrize("name", [*DOCUMENTS, "scp"])
def test_every_condition_is_on_a_key_that_the_resource_has(name: str) -> None:
    for one in {**DOCUMENTS, "scp": SCP}[name]["Statement"]:
        for key in chain.from_iterable(one.get("Condition", {}).values()):
            for arn in [one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"]:
                name, slash, _ = key.partition("/")
                variable = "TagKey" if name.endswith("Tag") else "AttributeName"
                generic = name + (slash and f"/${{{variable}}}")
                assert generic in keys_of(arn) | {"aws:PrincipalArn"}


def test_the_attribute_of_the_condition_is_one_of_the_request() -> None:
    (key,) = statement(DOCUMENTS["daemon-apply"], "NathbApplyChecks")["Condition"]["StringEquals"]
    model = botocore.session.get_session().get_service_model("ec2")
    members = model.operation_model("ModifyNetworkInterfaceAttribute").input_shape.members
    assert key.removeprefix("ec2:Attribute/") in members
    assert "Attribute" not in members  # whose value the key without a name would be


# --- what each statement lets through -------------------------------------------------------------

TABLE = TOKYO.arn("route-table/rtb-a")
OTHER_TABLE = TOKYO.arn("route-table/rtb-z")
ENI = TOKYO.arn("network-interface/eni-1")
OURS = {"ec2:Vpc": [TOKYO.arn("vpc/vpc-1")]}
THEIRS = {"ec2:Vpc": [TOKYO.arn("vpc/vpc-2")]}
OFF = {"ec2:Attribute/SourceDestCheck": ["false"]}


def granted(features: tuple[Feature, ...], request: Request) -> bool:
    return bool(allowed_by([policy(GROUP, features, TOKYO)], request))


TAGGED = {
    "nathb:file": {Feature.APPLY},
    "nathb:drain": {Feature.DRAIN},
    "nathb:pause": {Feature.DRAIN},
    "nathb:revert": {Feature.DRAIN},
    "nathb:else": set(),
    "Name": set(),
}


@pytest.mark.parametrize("key", TAGGED)
def test_a_tag_is_written_by_whoever_writes_it_and_by_no_one_else(key: str) -> None:
    for features in EVERY_SET:
        request = Request("ec2:CreateTags", TABLE, {"aws:TagKeys": [key], **OURS})
        assert granted(features, request) is bool(TAGGED[key] & set(features))
        elsewhere = Request(request.action, OTHER_TABLE, request.context)
        assert not granted(features, elsewhere)


def test_a_request_that_names_no_tag_is_denied_for_it_would_delete_all() -> None:
    assert granted(
        (Feature.DRAIN,), Request("ec2:DeleteTags", TABLE, {"aws:TagKeys": ["nathb:drain"]})
    )
    both = {"aws:TagKeys": ["nathb:drain", "Name"]}
    for context in ({}, both):
        assert not granted(tuple(Feature), Request("ec2:DeleteTags", TABLE, context))


def test_with_matches_routes_are_moved_by_the_tag_or_the_vpc_and_nowhere_else() -> None:
    def moves(context: dict[str, list[str]], table: str = OTHER_TABLE) -> bool:
        request = Request("ec2:ReplaceRoute", table, context)
        return bool(allowed_by([policy(MATCHING, (), TOKYO)], request))

    for name in ("nat-a", "nat-c"):
        assert moves(THEIRS | {"aws:ResourceTag/nathb": [name]})
    assert moves(OURS | {"aws:ResourceTag/env": ["live"]})
    assert not moves(OURS, TABLE)
    assert not moves(OURS | {"aws:ResourceTag/nathb": ["nat-d"]})
    assert not moves(THEIRS | {"aws:ResourceTag/env": ["live"]})


def test_with_matches_operators_write_their_tags_and_no_other() -> None:
    def tags(action: str, key: str, context: dict[str, list[str]]) -> bool:
        request = Request(action, OTHER_TABLE, {"aws:TagKeys": [key], **context})
        return bool(allowed_by([policy(MATCHING, [Feature.DRAIN], TOKYO)], request))

    live = {"aws:ResourceTag/env": ["live"]}
    assert tags("ec2:CreateTags", "nathb:drain", OURS | live)
    assert tags("ec2:DeleteTags", "nathb:drain", live), "DeleteTags has no key for the VPC"
    assert not tags("ec2:CreateTags", "nathb:drain", THEIRS | live)
    assert not tags("ec2:DeleteTags", "nathb:drain", OURS)
    assert not tags("ec2:CreateTags", "Name", OURS | live)


def test_apply_writes_routes_of_its_vpc_alone() -> None:
    for action in ("ec2:CreateRoute", "ec2:ReplaceRoute"):
        assert granted((Feature.APPLY,), Request(action, OTHER_TABLE, OURS))
        assert not granted((Feature.APPLY,), Request(action, OTHER_TABLE, THEIRS))
        assert not granted((Feature.APPLY,), Request(action, OTHER_TABLE))
        assert not granted((Feature.DRAIN,), Request(action, OTHER_TABLE, OURS))


def test_apply_switches_the_check_off_in_its_vpc_and_changes_no_other_attribute() -> None:
    action = "ec2:ModifyNetworkInterfaceAttribute"
    assert granted((Feature.APPLY,), Request(action, ENI, OURS | OFF))
    refused = (
        THEIRS | OFF,
        OURS,
        OFF,
        OURS | {"ec2:Attribute/SourceDestCheck": ["true"]},
        OURS | {"ec2:Attribute/Description": ["false"]},
    )
    for context in refused:
        assert not granted((Feature.APPLY,), Request(action, ENI, context))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_writes_are_never_allowed_on_everything(name: str) -> None:
    for one in DOCUMENTS[name]["Statement"]:
        if one["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in one["Action"])


def test_the_daemon_may_replace_routes_in_exactly_the_guarded_tables() -> None:
    (writes,) = [one for one in policy(GROUP)["Statement"] if one["Resource"] != "*"]
    assert writes == {
        "Sid": "NathbMove",
        "Effect": "Allow",
        "Action": ["ec2:ReplaceRoute"],
        "Resource": [f"arn:*:ec2:ap-northeast-1:*:route-table/rtb-{letter}" for letter in "abc"],
    }


def test_a_topic_may_be_published_to_where_the_file_names_it_and_nowhere_else() -> None:
    assert statement(policy(TELLING), "NathbNotify")["Resource"] == TOPIC
    assert "sns:Publish" not in allowed(policy(GROUP, Feature))


def test_the_key_of_an_encrypted_topic_may_be_used_where_the_file_names_it() -> None:
    one = statement(policy(ENCRYPTED), "NathbNotifyKey")
    assert (one["Resource"], set(one["Action"])) == (KEY, BY_SNS)
    assert allowed(policy(TELLING, Feature)).isdisjoint(BY_SNS)


def test_learned_routes_may_be_written_where_the_file_has_them_and_nowhere_else() -> None:
    document = policy(replace(GROUP, learn=LEARN), place=TOKYO)
    tables = [TOKYO.arn("route-table/rtb-a"), TOKYO.arn("route-table/rtb-d")]
    assert statement(document, "NathbLearn")["Resource"] == tables
    gateway = TOKYO.arn("transit-gateway-route-table/tgw-rtb-a")
    attachment = TOKYO.arn("transit-gateway-attachment/tgw-attach-a")
    assert statement(document, "NathbLearnGateway")["Resource"] == [gateway, attachment]
    assert statement(document, "NathbLearnRead")["Resource"] == [gateway]
    assert "ec2:CreateRoute" not in allowed(policy(GROUP, {Feature.LEARN}))
    in_the_vpc = replace(LEARN, into=("rtb-a",), attachment="")
    alone = policy(replace(GROUP, learn=in_the_vpc), Feature, TOKYO)
    assert not [one for one in allowed(alone) if "TransitGateway" in one]


# --- before there is a file, and for everybody else -----------------------------------------------


def test_the_first_policy_reads_what_init_and_check_read_and_writes_nothing() -> None:
    assert allowed(first_policy()) == CALLS["aws/reader.py"] | CALLS["aws/access.py"]


@pytest.mark.parametrize(
    ("action", "keys", "is_denied"),
    [
        ("ec2:CreateTags", ["nathb:drain"], True),
        ("ec2:CreateTags", ["Name", "nathb:new"], True),
        ("ec2:CreateTags", ["Name"], False),
        ("ec2:DeleteTags", ["nathb:pause"], True),
        ("ec2:DeleteTags", ["Name"], False),
        ("ec2:DeleteTags", [], True),
    ],
)
def test_the_scp_keeps_everyone_else_from_nathbs_tags(
    action: str, keys: list[str], is_denied: bool
) -> None:
    anything = {
        "Statement": [{"Sid": "All", "Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]
    }
    for who, is_one_of_ours in ((OPERATOR, True), ("arn:aws:iam::123456789012:role/dev", False)):
        context = {"aws:PrincipalArn": [who]} | ({"aws:TagKeys": keys} if keys else {})
        decided = allowed_by([anything, SCP], Request(action, TABLE, context))
        assert bool(decided) is (is_one_of_ours or not is_denied)


# --- partitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("ap-northeast-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_a_region_is_in_the_partition_that_the_sdk_knows(region: str, partition: str) -> None:
    assert partition_of(region) == partition


def test_a_region_of_no_partition_is_refused() -> None:
    with pytest.raises(RefusalError, match="region nowhere-1: boto3 knows no partition"):
        partition_of("nowhere-1")


def test_every_arn_has_the_partition_of_the_place() -> None:
    resources = [one["Resource"] for one in DOCUMENTS["china"]["Statement"]]
    vpc = statement(DOCUMENTS["china"], "NathbApplyRoutes")["Condition"]["ArnLike"]["ec2:Vpc"]
    arns = [arn for one in (*resources, vpc) for arn in ([one] if isinstance(one, str) else one)]
    assert {arn.partition(":ec2:")[0] for arn in arns} == {"*", "arn:aws-cn"}
