"""Carrying out a plan's steps, one call each; every call may be repeated without harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nathb.aws.api_errors import cloud_error
from nathb.aws.routes import family
from nathb.aws.tags import FILE_TAG
from nathb.provision.steps import Action, Step


def carry_out(client: Any, step: Step) -> None:
    """Make the call that the step stands for; CloudError when EC2 refuses or does not answer.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html
    """
    try:
        CALLS[step.action](client, step)
    except Exception as error:
        thing = " ".join(word for word in (step.resource, step.destination) if word)
        raise cloud_error(error, step.action.value, thing, step.resource) from error


def _switch_check_off(client: Any, step: Step) -> None:
    client.modify_network_interface_attribute(
        NetworkInterfaceId=step.resource, SourceDestCheck={"Value": False}
    )


def _create(client: Any, step: Step) -> None:
    client.create_route(**_route(step))


def _replace(client: Any, step: Step) -> None:
    client.replace_route(**_route(step))


def _tag(client: Any, step: Step) -> None:
    client.create_tags(Resources=[step.resource], Tags=[{"Key": FILE_TAG, "Value": step.value}])


def _route(step: Step) -> dict[str, str]:
    return {
        "RouteTableId": step.resource,
        "NetworkInterfaceId": step.eni,
        family(step.destination): step.destination,
    }


CALLS: dict[Action, Callable[[Any, Step], None]] = {
    Action.CHECK_OFF: _switch_check_off,
    Action.CREATE: _create,
    Action.REPLACE: _replace,
    Action.TAG: _tag,
}
