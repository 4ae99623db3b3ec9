"""Whether this role may do what the daemon and the operators' verbs need, asked without doing it.

Every question is a DryRun that names the state as it is now, so that even an endpoint that takes
no notice of DryRun changes nothing.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nathb.aws.api_errors import cloud_error
from nathb.aws.routes import family
from nathb.aws.tags import DRAIN_TAG, FILE_TAG
from nathb.core.errors import CloudError, Finding, bad, good, warning
from nathb.core.model import Failure, Route
from nathb.provision.inventory import Inventory

ALLOWED = "DryRunOperation"
TARGETS = {
    "network_interface_id": "NetworkInterfaceId",
    "instance_id": "InstanceId",
    "nat_gateway_id": "NatGatewayId",
    "gateway_id": "GatewayId",
}
"""The fields of a route that name a target, and the parameters that name the same one."""
TAGGING = {
    FILE_TAG: ("apply and replace", "apply"),
    DRAIN_TAG: ("drain, pause and revert", "drain"),
}
"""One tag for each set of tags that a policy allows: the verbs, and the feature of the policy."""


def inspect_permissions(client: Any, seen: Inventory) -> Iterator[Finding]:
    """Yield what this role may do with each guarded route, and with the tags of its table."""
    name = seen.group.name
    for route in seen.group.routes():
        target = _target(seen, route)
        if not target:
            continue
        refused = _refusal(client, "ReplaceRoute", str(route), route.table, target)
        if refused is None:
            yield good(str(route), "this role may call ReplaceRoute")
        else:
            text = f"this role may not call ReplaceRoute ({refused.failure.value})"
            yield bad(str(route), text, f"nathb iam-policy {name}")
    for table in sorted({route.table for route in seen.group.routes()} & seen.tables.keys()):
        for key, (verbs, feature) in TAGGING.items():
            refused = _refusal(client, "CreateTags", table, table, _tags(seen, table, key))
            if refused is None:
                yield good(table, f"this role may write the tag {key}: {verbs} work from here")
            else:
                text = f"this role may not write the tag {key} ({refused.failure.value})"
                fix = f"nathb iam-policy {name} --features {feature}"
                yield warning(table, f"{text}: {verbs} do not work from here", fix)


def _refusal(
    client: Any, action: str, thing: str, resource: str, request: dict[str, Any]
) -> CloudError | None:
    """Return why this would be refused; None when it would be carried out."""
    call = {"ReplaceRoute": client.replace_route, "CreateTags": client.create_tags}[action]
    try:
        call(DryRun=True, **request)
    except Exception as error:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict) and answer.get("Error", {}).get("Code") == ALLOWED:
            return None
        refused = cloud_error(error, action, thing, resource)
        if refused.failure in {Failure.DENIED, Failure.REFUSED}:
            return refused
        raise refused from error
    return None  # an endpoint without DryRun: it has just written what was there already


def _target(seen: Inventory, route: Route) -> dict[str, Any]:
    """Return a ReplaceRoute that changes nothing; empty where the route has no such target."""
    entry = seen.entry(route.table, route.destination)
    for field, parameter in TARGETS.items():
        if entry is not None and not entry.is_propagated and (an_id := getattr(entry, field)):
            destination = {family(route.destination): route.destination}
            return {"RouteTableId": route.table, parameter: an_id, **destination}
    return {}


def _tags(seen: Inventory, table: str, key: str) -> dict[str, Any]:
    """Return a CreateTags that changes nothing; an empty value asks for nothing."""
    now = {tag.key: tag.value for tag in seen.tables[table].tags}
    return {"Resources": [table], "Tags": [{"Key": key, "Value": now.get(key, "")}]}
