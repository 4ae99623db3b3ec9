"""`check --aws` of learned routes: their tables, the attachment, and what this role may do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from nathb.aws.reader import Reader
from nathb.core.errors import Level
from nathb.core.model import Learn
from nathb.provision.inventory import survey
from nathb.provision.learning import inspect_learning
from tests.aws.test_aws_learned import Gateway, gateway  # noqa: F401  a fixture
from tests.aws.world import World, table

GONE = "tgw-attach-0000000000000000a"


class Role:
    """EC2 that answers each DryRun as it does: by an error, which says whether it is allowed."""

    def __init__(self, ec2: Any, denied: str = "") -> None:
        self._ec2 = ec2
        self._denied = denied

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._ec2, name)

        def answer(**request: Any) -> Any:
            if not request.pop("DryRun", False):
                return call(**request)
            code = "UnauthorizedOperation" if name == self._denied else "DryRunOperation"
            action = "".join(word.capitalize() for word in name.split("_"))
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, action)

        return answer if name.startswith(("create", "delete")) else call


def found(world: World, learn: Learn, denied: str = "") -> list[tuple[Level, str, str]]:
    reader = Reader(Role(world.ec2, denied))
    seen = survey(reader, replace(world.group, learn=learn))
    return [(one.level, one.subject, one.text) for one in inspect_learning(reader, seen)]


@pytest.fixture
def learn(world: World, gateway: Gateway) -> Learn:  # noqa: F811
    return Learn(
        into=(world.private["nat-a"], gateway.table),
        allow=("10.8.0.0/13",),
        file="/run/prefixes",
        attachment=gateway.attachment,
    )


def test_all_that_learned_routes_need_is_there(world: World, learn: Learn) -> None:
    told = found(world, learn)
    assert {level for level, *_ in told} == {Level.GOOD}
    assert [text.split("tgw-")[0] for _, _, text in told] == [
        "this role may call DeleteRoute",
        "this role may call CreateRoute",
        f"attaches {world.vpc} to ",
        "is of ",
        "this role may call DeleteTransitGatewayRoute",
    ]
    assert found(world, replace(learn, into=learn.vpc_tables, attachment=""))[0][1] == learn.into[0]


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("create_route", "CreateRoute"),
        ("delete_route", "DeleteRoute"),
        ("delete_transit_gateway_route", "DeleteTransitGatewayRoute"),
    ],
)
def test_a_permission_that_is_missing_is_bad(
    world: World, learn: Learn, call: str, action: str
) -> None:
    wrong = [text for level, _, text in found(world, learn, call) if level is Level.BAD]
    assert wrong == [f"this role may not call {action}"]


def test_a_wrong_table_attachment_or_block_is_named(
    world: World,
    learn: Learn,
    gateway: Gateway,  # noqa: F811
) -> None:
    def wrong(**changes: Any) -> list[tuple[Level, str, str]]:
        told = found(world, replace(learn, **changes))
        return [one for one in told if one[0] is not Level.GOOD]

    ec2 = world.ec2
    private, absent = world.private["nat-a"], "rtb-0000000000000000a"
    assert wrong(into=(private, absent)) == [(Level.BAD, absent, "EC2 shows no such route table")]
    elsewhere = ec2.create_vpc(CidrBlock="10.65.0.0/16")["Vpc"]["VpcId"]
    theirs = table(ec2, elsewhere)
    assert wrong(into=(theirs,)) == [
        (Level.BAD, theirs, f"is in {elsewhere}, and no node is: its routes cannot point at one")
    ]
    assert wrong(allow=("10.0.0.0/8",)) == [
        (
            Level.WARNING,
            private,
            "`allow` has 10.0.0.0/8, which overlaps the VPC's own range 10.0.0.0/16",
        )
    ]
    ((level, subject, text),) = wrong(attachment=gateway.other)
    assert (level, subject) == (Level.WARNING, gateway.other)
    assert text.endswith("and no node is there")
    assert [(level, subject) for level, subject, _ in wrong(attachment=GONE)] == [(Level.BAD, GONE)]
    other = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    strange = ec2.create_transit_gateway_route_table(TransitGatewayId=other)
    strange_id = strange["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
    ((level, subject, text),) = wrong(into=(strange_id,))
    assert (level, subject) == (Level.BAD, strange_id)
    assert text.startswith(f"is of {other}, and the attachment is of tgw-")
