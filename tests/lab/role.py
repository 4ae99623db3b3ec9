"""IAM as far as nathb meets it: whether the policies of a role allow a call.

How a policy is evaluated, which keys a request has, and what an absent key means:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

ACCOUNT = "123456789012"
KINDS = {
    "rtb": "route-table",
    "eni": "network-interface",
    "i": "instance",
    "vpc": "vpc",
    "tgw-rtb": "transit-gateway-route-table",
    "tgw-attach": "transit-gateway-attachment",
}
BY_ID = {
    "ReplaceRoute": "RouteTableId",
    "CreateRoute": "RouteTableId",
    "DeleteRoute": "RouteTableId",
    "ModifyNetworkInterfaceAttribute": "NetworkInterfaceId",
}
"""The parameter that names the resource of an action; all others of EC2 here are reads."""
OF_A_GATEWAY = {
    "CreateTransitGatewayRoute": ("TransitGatewayRouteTableId", "TransitGatewayAttachmentId"),
    "DeleteTransitGatewayRoute": ("TransitGatewayRouteTableId",),
    "SearchTransitGatewayRoutes": ("TransitGatewayRouteTableId",),
}
"""The parameters that name resources, of actions on a transit gateway's routes."""
TAGGING = ("CreateTags", "DeleteTags")


@dataclass(frozen=True)
class Request:
    """What one call asks of IAM about one resource; the context has lists, also of one value."""

    action: str
    resource: str = "*"
    context: Mapping[str, list[str]] = field(default_factory=dict)


def requests_of(
    action: str,
    parameters: Mapping[str, str],
    region: str,
    vpc_of: Callable[[str], str],
    tags_of: Callable[[str], Mapping[str, str]],
) -> Iterator[Request]:
    """Yield what a call in EC2's query protocol asks of IAM; all of it must be allowed."""

    def arn(an_id: str) -> str:
        return f"arn:aws:ec2:{region}:{ACCOUNT}:{KINDS[an_id.rpartition('-')[0]]}/{an_id}"

    def vpc(an_id: str) -> list[str]:
        return [arn(one)] if (one := vpc_of(an_id)) else []

    def tags(an_id: str) -> dict[str, list[str]]:
        return {f"aws:ResourceTag/{key}": [value] for key, value in tags_of(an_id).items()}

    if action == "Publish":
        yield Request("sns:Publish", parameters["TopicArn"])
    elif action in TAGGING:
        keys = [value for name, value in parameters.items() if name.endswith(".Key")]
        for an_id in (value for name, value in parameters.items() if "ResourceId." in name):
            context = {"aws:TagKeys": keys} if keys else {}
            context |= tags(an_id)
            if action == "CreateTags":
                context |= {"ec2:Vpc": vpc(an_id)}
            yield Request(f"ec2:{action}", arn(an_id), context)
    elif action in BY_ID:
        an_id = parameters[BY_ID[action]]
        context = {"ec2:Vpc": vpc(an_id)} | tags(an_id)
        for name, value in parameters.items():
            attribute, dot, rest = name.partition(".")
            if action.startswith("Modify") and dot and rest == "Value":
                context[f"ec2:Attribute/{attribute}"] = [value.lower()]
        yield Request(f"ec2:{action}", arn(an_id), context)
    elif action in OF_A_GATEWAY:
        for name in OF_A_GATEWAY[action]:
            yield Request(f"ec2:{action}", arn(parameters[name]))
    else:
        yield Request(f"ec2:{action}")


def allowed_by(documents: Iterable[Mapping[str, Any]], request: Request) -> str:
    """Return the Sid of a statement that allows it; empty where none does, or one denies it."""
    statements = [
        one for document in documents for one in document["Statement"] if _applies(one, request)
    ]
    if any(one["Effect"] == "Deny" for one in statements):
        return ""
    return next((str(one["Sid"]) for one in statements), "")


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _matches(request.action, _listed(statement["Action"]))
        and _matches(request.resource, _listed(statement["Resource"]))
        and all(
            _holds(operator, _listed(values), request.context.get(key, []))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, wanted: list[str], there: list[str]) -> bool:
    """Whether a condition holds. `there` is empty where the request has no such key."""
    quantity, _, plain = operator.rpartition(":")
    if plain == "Null":
        return (not there) is (wanted == ["true"])
    compare = COMPARE[plain]
    if quantity == "ForAllValues":
        return all(compare(value, wanted) for value in there)
    if quantity == "ForAnyValue":
        return any(compare(value, wanted) for value in there)
    if not there:
        return "Not" in plain
    assert len(there) == 1, f"{operator} takes one value, not {there}"
    return compare(there[0], wanted)


def _matches(value: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in patterns)


def _arn_matches(value: str, patterns: list[str]) -> bool:
    """Compare part by part: an asterisk in one does not reach into the next."""
    return any(
        all(
            _matches(mine, [theirs])
            for mine, theirs in zip(value.split(":", 5), pattern.split(":", 5), strict=True)
        )
        for pattern in patterns
    )


COMPARE: dict[str, Callable[[str, list[str]], bool]] = {
    "StringEquals": lambda value, wanted: value in wanted,
    "StringLike": _matches,
    "ArnLike": _arn_matches,
    "ArnNotLike": lambda value, wanted: not _arn_matches(value, wanted),
}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
