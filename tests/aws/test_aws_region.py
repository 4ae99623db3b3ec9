"""Which region is asked, and in which words that is said."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from nathb.aws.region import IN_FILE, Region, find_region, region_of


class Session:
    """What is asked of a boto3 session here."""

    def __init__(self, region: str | None) -> None:
        self.region_name = region


@pytest.mark.parametrize(
    ("configured", "environ", "profile", "found"),
    [
        ("eu-west-1", {"AWS_REGION": "us-east-1"}, "us-west-2", Region("eu-west-1", IN_FILE)),
        (
            "",
            {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-2"},
            "us-west-2",
            Region("us-east-1", "AWS_REGION in the environment"),
        ),
        (
            "",
            {"AWS_DEFAULT_REGION": "us-east-2"},
            "us-east-2",
            Region("us-east-2", "AWS_DEFAULT_REGION in the environment"),
        ),
        ("", {}, "us-west-2", Region("us-west-2", "the profile in AWS's configuration file")),
    ],
)
def test_a_region_is_found_with_what_names_it(
    configured: str, environ: dict[str, str], profile: str, found: Region
) -> None:
    assert find_region(configured, Session(profile), environ) == found


def test_a_region_is_said_with_where_it_comes_from() -> None:
    assert str(Region("eu-west-1", IN_FILE)) == "eu-west-1 (from `region:` in the file)"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    return boto3.client("ec2", region_name="eu-west-1")


def test_a_clients_region_that_nobody_wrote_down_is_the_instances(client: Any) -> None:
    assert str(region_of(client, "", {})) == "eu-west-1 (from this instance's metadata)"


def test_a_profile_that_is_gone_does_not_hide_the_region(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert str(region_of(client, "", {})) == "eu-west-1 (from the profile)"
