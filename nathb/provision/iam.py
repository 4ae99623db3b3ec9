"""The least that a role must be allowed, for one file. Pure.

Which resource types an action takes, and which condition keys:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from msgspec import Struct

from nathb.core.model import Group

VERSION = "2012-10-17"
TAG_KEYS = "nathb:*"


class Feature(Enum):
    """What a role may be used for beyond running the daemon."""

    APPLY = "apply"
    DRAIN = "drain"
    SNS = "sns"
    PROVE = "prove"


class Scope(Enum):
    """On what an action can be allowed."""

    ANYTHING = "*"
    """EC2 knows no narrower resource for this action."""
    GUARDED = "the guarded route tables"
    TAGS = "our own tags on the guarded route tables"
    ANY_TABLE = "any route table"
    """Pins are kept in the tables of the public subnets, which the file does not name."""
    INTERFACES = "any network interface"
    TOPIC = "the topic that the file names"
    PROOF = "the guarded route tables, for a route of the proof's own"


class Need(Struct, frozen=True):
    """One action, where, and what for."""

    action: str
    scope: Scope
    reason: str


RUN = (
    Need("ec2:DescribeInstances", Scope.ANYTHING, "who stands for each node"),
    Need("ec2:DescribeRouteTables", Scope.ANYTHING, "where the routes point"),
    Need("ec2:ReplaceRoute", Scope.GUARDED, "the moves"),
)
MORE: dict[Feature, tuple[Need, ...]] = {
    Feature.APPLY: (
        Need("ec2:CreateRoute", Scope.ANY_TABLE, "pins and missing routes"),
        Need("ec2:ReplaceRoute", Scope.ANY_TABLE, "pins that lead elsewhere"),
        Need("ec2:ModifyNetworkInterfaceAttribute", Scope.INTERFACES, "source/dest checks"),
        Need("ec2:CreateTags", Scope.TAGS, "the digest of the file"),
    ),
    Feature.DRAIN: (
        Need("ec2:CreateTags", Scope.TAGS, "drain, pause, revert"),
        Need("ec2:DeleteTags", Scope.TAGS, "undrain, resume"),
    ),
    Feature.SNS: (Need("sns:Publish", Scope.TOPIC, "notices of transitions"),),
    Feature.PROVE: (
        Need("ec2:CreateRoute", Scope.PROOF, "check --prove"),
        Need("ec2:DeleteRoute", Scope.PROOF, "check --prove"),
    ),
}
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def policy(group: Group, features: Iterable[Feature] = (), account: str = "*") -> dict[str, Any]:
    """Return the policy document for a file's daemons, and for what else the role is used for.

    `account` is the twelve-digit id. A group without a region gets one for every region. A topic
    that the file names is the daemon's own need.
    """
    wanted = {*features, Feature.SNS} if group.notify.sns else set(features) - {Feature.SNS}
    more = (need for feature in Feature if feature in wanted for need in MORE[feature])
    needs = dict.fromkeys([*RUN, *more])
    statements = [_statement(scope, needs, group, account) for scope in Scope]
    return {"Version": VERSION, "Statement": [one for one in statements if one["Action"]]}


def _statement(scope: Scope, needs: Iterable[Need], group: Group, account: str) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": sorted({need.action for need in needs if need.scope is scope}),
        "Resource": _resources(scope, group, account),
    }
    if scope is Scope.TAGS:
        statement["Condition"] = {"ForAllValues:StringLike": {"aws:TagKeys": [TAG_KEYS]}}
    return statement


def _resources(scope: Scope, group: Group, account: str) -> list[str] | str:
    region = group.region or "*"
    partition = next(
        (name for start, name in PARTITIONS.items() if region.startswith(start)), "aws"
    )
    prefix = f"arn:{partition}:ec2:{region}:{account}"
    guarded = sorted({f"{prefix}:route-table/{route.table}" for route in group.routes()})
    resources: dict[Scope, list[str] | str] = {
        Scope.ANYTHING: "*",
        Scope.GUARDED: guarded,
        Scope.TAGS: guarded,
        Scope.ANY_TABLE: f"{prefix}:route-table/*",
        Scope.INTERFACES: f"{prefix}:network-interface/*",
        Scope.TOPIC: group.notify.sns,
        Scope.PROOF: guarded,
    }
    return resources[scope]
