"""What docs/install.md says of the limits for idle connections is what EC2 and nathb-nat have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from nathb.aws.client import make_client

CHECKOUT = Path(__file__).parents[2]
SYSCTL = CHECKOUT / "etc" / "nathb" / "nat" / "sysctl.conf"
DOCUMENT = (CHECKOUT / "docs" / "install.md").read_text()
ROWS = {
    "TcpEstablishedTimeout": r"^\| TCP, established \|(.*)\|$",
    "UdpStreamTimeout": r"^\| UDP, more .*? \|(.*)\|$",
    "UdpTimeout": r"^\| UDP, else \|(.*)\|$",
}


@pytest.fixture(scope="module")
def operation() -> Any:
    """ModifyNetworkInterfaceAttribute, as botocore describes it."""
    model = make_client("eu-west-1").meta.service_model
    return model.operation_model("ModifyNetworkInterfaceAttribute")


def numbers(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"(\d+) (?:s\b|to\b|seconds\b)", text)]


@pytest.mark.parametrize("name", ROWS)
def test_the_limits_of_an_interface_are_those_of_the_api(operation: Any, name: str) -> None:
    specification = operation.input_shape.members["ConnectionTrackingSpecification"]
    described = re.sub(r"\(.*?\)", "", specification.members[name].documentation)
    least, most, *defaults = numbers(described.partition("Recommended")[0])
    (row,) = re.findall(ROWS[name], DOCUMENT, re.M)
    _, default, settable = row.split("|")
    assert numbers(default) == defaults
    assert numbers(settable) == [least, most]


def test_the_limits_of_the_kernel_are_those_that_nathb_nat_sets() -> None:
    settings = dict(
        re.findall(r"nf_conntrack_(\S+)_timeout_(?:\w+) = (\d+)$", SYSCTL.read_text(), re.M)
    )
    for protocol, name in {"tcp": "TcpEstablishedTimeout", "udp": "UdpStreamTimeout"}.items():
        (row,) = re.findall(ROWS[name], DOCUMENT, re.M)
        assert numbers(row.split("|")[0]) == [int(settings[protocol])]


def test_the_command_is_one_that_ec2_takes_and_within_its_limits(operation: Any) -> None:
    (typed,) = re.findall(r"^aws ec2 modify-network-interface-attribute .*?\n.*$", DOCUMENT, re.M)
    *_, option, given = shlex.split(typed.replace("\\\n", ""))
    assert option == "--connection-tracking-specification"
    specification = operation.input_shape.members["ConnectionTrackingSpecification"]
    wanted = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", given)}
    assert wanted.keys() == specification.members.keys()
    for name, value in wanted.items():
        least, most, *_ = numbers(specification.members[name].documentation)
        assert least <= value <= most
