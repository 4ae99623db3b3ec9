"""The least that a role must be allowed: for one file, before there is a file, and for everybody
else. Pure.

Which resource types an action takes, and which condition keys:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from nathb.aws.matched_tables import filters_of
from nathb.aws.tags import DRAIN_TAG, FILE_TAG, PAUSE_TAG, REVERT_TAG
from nathb.core.model import Group

VERSION = "2012-10-17"
TAG_KEYS = "nathb:*"
VPC, TAG = "vpc-id", "aws:ResourceTag/"
NOT_BY_VPC = {"ec2:DeleteTags"}
ANY = "*"

Document = dict[str, Any]
Condition = dict[str, dict[str, Any]]


class Feature(Enum):
    """What a role may be used for beyond running the daemon."""

    APPLY = "apply"
    CHECK = "check"
    DRAIN = "drain"
    SNS = "sns"
    PROVE = "prove"
    LEARN = "learn"


class Place(Struct, frozen=True):
    """Where a policy holds: what its ARNs are made of. `*` stands for every one.

    `partition` is aws, aws-cn, …; `account` is the twelve-digit id; `vpcs` are ids (vpc-…), and
    none of them means every one.
    """

    partition: str = ANY
    region: str = ANY
    account: str = ANY
    vpcs: tuple[str, ...] = ()

    def arn(self, resource: str) -> str:
        """Return the ARN of a resource of EC2, as in `route-table/rtb-…`."""
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:{resource}"


class Scope(Enum):
    """On what an action can be allowed."""

    ANYTHING = "*"
    """EC2 knows no narrower resource for this action."""
    GUARDED = "the guarded route tables"
    TABLES = "the route tables of the VPC"
    """Pins are kept in the tables of the public subnets, which the file does not name."""
    INTERFACES = "the network interfaces of the VPC"
    TOPIC = "the topic that the file names"
    KEY = "the key that the file names"
    LEARNED = "the route tables of the VPC that learned routes go to"
    GATEWAY = "the transit gateway's route tables that learned routes go to, and the attachment"
    GATEWAY_TABLES = "the transit gateway's route tables that learned routes go to"


class Permission(Struct, frozen=True):
    """One statement: its name (Sid), the actions, where, and on which further conditions."""

    name: str
    actions: tuple[str, ...]
    scope: Scope
    condition: Condition = {}
    tag_keys: tuple[str, ...] = ()
    """The only keys under which it may write tags."""


RUN = (
    Permission("NathbRead", ("ec2:DescribeInstances", "ec2:DescribeRouteTables"), Scope.ANYTHING),
    Permission("NathbMove", ("ec2:ReplaceRoute",), Scope.GUARDED),
)
"""What the daemon does. It writes no tag."""
MORE: dict[Feature, tuple[Permission, ...]] = {
    Feature.APPLY: (
        Permission("NathbApplyRoutes", ("ec2:CreateRoute", "ec2:ReplaceRoute"), Scope.TABLES),
        # `ec2:Attribute` alone is the value of a parameter `Attribute`, which this call has not:
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-policies-for-amazon-ec2.html
        Permission(
            "NathbApplyChecks",
            ("ec2:ModifyNetworkInterfaceAttribute",),
            Scope.INTERFACES,
            {"StringEquals": {"ec2:Attribute/SourceDestCheck": "false"}},
        ),
        Permission("NathbApplyTag", ("ec2:CreateTags",), Scope.GUARDED, tag_keys=(FILE_TAG,)),
    ),
    # What `check --aws` reads besides: who may send to the nodes. EC2 takes no narrower resource.
    Feature.CHECK: (
        Permission(
            "NathbCheck",
            ("ec2:DescribeNetworkAcls", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets"),
            Scope.ANYTHING,
        ),
    ),
    Feature.DRAIN: (
        Permission(
            "NathbDrain",
            ("ec2:CreateTags", "ec2:DeleteTags"),
            Scope.GUARDED,
            tag_keys=(DRAIN_TAG, PAUSE_TAG, REVERT_TAG),
        ),
    ),
    Feature.SNS: (
        Permission("NathbNotify", ("sns:Publish",), Scope.TOPIC),
        # What whoever publishes to an encrypted topic must be allowed:
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        Permission("NathbNotifyKey", ("kms:Decrypt", "kms:GenerateDataKey"), Scope.KEY),
    ),
    # A route of the proof's own; IAM has no key for the destination of a route.
    Feature.PROVE: (
        Permission("NathbProve", ("ec2:CreateRoute", "ec2:DeleteRoute"), Scope.GUARDED),
    ),
    # Learned routes are guarded, so their tables are among the guarded ones too.
    Feature.LEARN: (
        Permission("NathbLearn", ("ec2:CreateRoute", "ec2:DeleteRoute"), Scope.LEARNED),
        Permission(
            "NathbLearnGateway",
            ("ec2:CreateTransitGatewayRoute", "ec2:DeleteTransitGatewayRoute"),
            Scope.GATEWAY,
        ),
        Permission("NathbLearnRead", ("ec2:SearchTransitGatewayRoutes",), Scope.GATEWAY_TABLES),
    ),
}
"""What people do, by what the role is used for; and the notices and learned routes."""
CHECK_GATEWAY = Permission(
    "NathbCheckGateway",
    ("ec2:DescribeTransitGatewayAttachments", "ec2:DescribeTransitGatewayRouteTables"),
    Scope.ANYTHING,
)
"""What `check --aws` reads of a transit gateway, where the file names one."""


def policy(group: Group, features: Iterable[Feature] = (), place: Place | None = None) -> Document:
    """Return the policy document for a file's daemons, and for what else the role is used for.

    A topic that the file names, and `learn`, are the daemon's own needs.
    """
    own = {Feature.SNS: bool(group.notify.sns), Feature.LEARN: group.learn is not None}
    wanted = {*features, *own} - {feature for feature, needed in own.items() if not needed}
    more = [one for feature in Feature if feature in wanted for one in MORE[feature]]
    if Feature.CHECK in wanted and group.learn is not None and group.learn.gateway_tables:
        more.append(CHECK_GATEWAY)
    return _document(_statements((*RUN, *more), group, place or Place(region=group.region or ANY)))


def first_policy() -> Document:
    """Return the policy for the first hour: what `init` and `check --aws` read, and no writes."""
    reads = (*RUN, *MORE[Feature.CHECK])
    return _document([_allow(one, ANY, {}) for one in reads if one.scope is Scope.ANYTHING])


def service_control_policy(roles: Sequence[str]) -> Document:
    """Return a service control policy that keeps all but these roles from writing nathb's tags.

    `roles` are ARNs, which may have `*`. A DeleteTags without keys, which deletes all tags, has no
    keys to compare: it is denied on its own.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
    """
    others = {"ArnNotLike": {"aws:PrincipalArn": list(roles)}}
    table = Place().arn("route-table/*")
    named = {"ForAnyValue:StringLike": {"aws:TagKeys": [TAG_KEYS]}}
    return _document(
        [
            _deny("NathbTags", ["ec2:CreateTags", "ec2:DeleteTags"], table, named | others),
            _deny("NathbAllTags", ["ec2:DeleteTags"], table, NO_KEYS | others),
        ]
    )


NO_KEYS: Condition = {"Null": {"aws:TagKeys": "true"}}


def _document(statements: Iterable[Document]) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def _statements(
    permissions: Iterable[Permission], group: Group, place: Place
) -> Iterable[Document]:
    for one in permissions:
        if resources := _resources(one.scope, group, place):
            yield _allow(one, resources, _condition(one, place))
        if one.scope is Scope.GUARDED:
            yield from _of_matches(one, group, place)


def _of_matches(one: Permission, group: Group, place: Place) -> Iterable[Document]:
    """Yield what is allowed on the tables that the file's matches name."""
    for number, (actions, condition) in enumerate(_matched(one, group, place), 1):
        named = replace(one, name=f"{one.name}Found{number}", actions=actions)
        yield _allow(named, place.arn("route-table/*"), _condition(one, place) | condition)


def _matched(
    one: Permission, group: Group, place: Place
) -> Iterable[tuple[tuple[str, ...], Condition]]:
    """Yield actions, and on which tables: by their tags, their VPC, or both.

    DeleteTags has no key for the VPC: the names of the tags alone narrow it there.
    """
    for filters in filters_of(group):
        vpcs = [place.arn(f"vpc/{vpc}") for name, of in filters if name == VPC for vpc in of]
        tags = {TAG + name.removeprefix("tag:"): list(of) for name, of in filters if name != VPC}
        by_tag: Condition = {"StringEquals": tags} if tags else {}
        by_vpc: Condition = {"ArnLike": {"ec2:Vpc": vpcs}} if vpcs else {}
        apart = tuple(action for action in one.actions if vpcs and action in NOT_BY_VPC)
        if others := tuple(action for action in one.actions if action not in apart):
            yield others, by_tag | by_vpc
        if apart:
            yield apart, by_tag


def _allow(one: Permission, resources: list[str] | str, condition: Condition) -> Document:
    statement = {
        "Sid": one.name,
        "Effect": "Allow",
        "Action": list(one.actions),
        "Resource": resources,
    }
    return statement | ({"Condition": condition} if condition else {})


def _deny(name: str, actions: list[str], resource: str, condition: Condition) -> Document:
    return {
        "Sid": name,
        "Effect": "Deny",
        "Action": actions,
        "Resource": resource,
        "Condition": condition,
    }


def _condition(one: Permission, place: Place) -> Condition:
    condition = dict(one.condition)
    if one.tag_keys:
        # ForAllValues alone is true of a request without keys, as DeleteTags may be.
        condition["ForAllValues:StringEquals"] = {"aws:TagKeys": list(one.tag_keys)}
        condition["Null"] = {"aws:TagKeys": "false"}
    if one.scope in {Scope.TABLES, Scope.INTERFACES} and place.vpcs:
        condition["ArnLike"] = {"ec2:Vpc": [place.arn(f"vpc/{vpc}") for vpc in place.vpcs]}
    return condition


def _resources(scope: Scope, group: Group, place: Place) -> list[str] | str:
    """Return the ARNs of a scope; empty where the file names none."""
    learn = group.learn
    learned = {place.arn(f"route-table/{one}") for one in learn.vpc_tables} if learn else set()
    guarded = {place.arn(f"route-table/{route.table}") for route in group.routes()} | learned
    gateway = (
        sorted(place.arn(f"transit-gateway-route-table/{one}") for one in learn.gateway_tables)
        if learn
        else []
    )
    attachment = (
        [place.arn(f"transit-gateway-attachment/{learn.attachment}")] if learn and gateway else []
    )
    resources: dict[Scope, list[str] | str] = {
        Scope.ANYTHING: ANY,
        Scope.GUARDED: sorted(guarded),
        Scope.TABLES: place.arn("route-table/*"),
        Scope.INTERFACES: place.arn("network-interface/*"),
        Scope.TOPIC: group.notify.sns,
        Scope.KEY: group.notify.kms,
        Scope.LEARNED: sorted(learned),
        Scope.GATEWAY: gateway + attachment,
        Scope.GATEWAY_TABLES: gateway,
    }
    return resources[scope]
