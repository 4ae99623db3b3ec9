"""The instance metadata service, and the region that it or the environment names."""

from __future__ import annotations

import socket
from typing import Any

import boto3
import pytest

from nathb.aws.imds import (
    ADDRESS_PATH,
    ENDPOINTS,
    INSTANCE_ID_PATH,
    MAC_PATH,
    REGION_PATH,
    TOKEN_PATH,
    Metadata,
)
from nathb.aws.instances import Found, describe
from nathb.aws.region import IN_FILE, Region, find_region, region_of
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import IdentityError
from nathb.core.model import Node
from tests.aws.conftest import Time
from tests.aws.scripted import Handler, Server, hang, reset, text_reply

# --- version 2: a fake that wants its token, and its ways to fail ---------------------------------

MACS = "/latest/meta-data/network/interfaces/macs/02:00:0a:00:00:0a/"
DOCUMENTS = {
    INSTANCE_ID_PATH: "i-0a9b954b0c0ffee01",
    REGION_PATH: "ap-northeast-1",
    MAC_PATH: "02:00:0a:00:00:0a",
    ADDRESS_PATH: "10.0.0.10",
    MACS + "interface-id": "eni-0a9b954b0c0ffee01",
    MACS + "subnet-id": "subnet-0a9b954b0c0ffee01",
    MACS + "vpc-id": "vpc-0a9b954b0c0ffee01",
}
TOKEN = "AQAEAL0m5wBl=="


def serve(handler: Handler) -> None:
    """Answer as EC2 does: a token for a PUT with a lifetime, and nothing without one."""
    if (handler.command, handler.path) == ("PUT", TOKEN_PATH):
        granted = handler.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
        reply = text_reply(200, TOKEN) if granted else text_reply(400, "")
    elif handler.headers.get("X-aws-ec2-metadata-token") != TOKEN:
        reply = text_reply(401, "")
    elif handler.path in DOCUMENTS:
        reply = text_reply(200, DOCUMENTS[handler.path])
    else:
        reply = text_reply(404, "")
    reply(handler)


def metadata(script: Server, time: Time, **options: object) -> Metadata:
    return Metadata(script.url, timeout=0.6, sleep=time.sleep, **options)  # type: ignore[arg-type]


def refusal(service: Metadata) -> str:
    with pytest.raises(IdentityError) as caught:
        service.instance_id()
    return str(caught.value)


def test_instance_and_region_are_fetched_with_a_token(script: Server, time: Time):
    script.will(*[serve] * 4)
    service = metadata(script, time)
    assert service.instance_id() == "i-0a9b954b0c0ffee01"
    assert service.region("set it") == "ap-northeast-1"
    assert [asked.method for asked in script.asked] == ["PUT", "GET", "PUT", "GET"]


def test_a_machine_shows_itself_with_its_primary_interface(script: Server, time: Time):
    script.will(*[serve] * 12)
    machine = metadata(script, time).machine()
    shown = describe(Node("nat-a", ()), Found(machine))
    assert shown == Instance(
        "nat-a",
        "i-0a9b954b0c0ffee01",
        "eni-0a9b954b0c0ffee01",
        ("eni-0a9b954b0c0ffee01",),
        "10.0.0.10",
        InstanceState.RUNNING,
    )
    assert (machine.subnet_id, machine.vpc_id) == (
        "subnet-0a9b954b0c0ffee01",
        "vpc-0a9b954b0c0ffee01",
    )


@pytest.mark.parametrize("fault", [hang, reset, text_reply(503, "")], ids=["hang", "reset", "503"])
def test_a_service_that_stumbles_is_asked_again(fault, script: Server, time: Time):
    script.will(fault, serve, fault, serve, serve)
    assert metadata(script, time).instance_id() == "i-0a9b954b0c0ffee01"
    assert time.slept == [0.2, 0.2]


def test_a_token_that_never_arrives_points_at_the_hop_limit(script: Server, time: Time):
    script.will(hang, hang, hang, serve, serve)
    text = refusal(metadata(script, time))
    assert "does not answer (timed out)" in text
    assert "hop limit" in text
    assert text.endswith("; elsewhere, pass --node NAME")
    assert len(script.asked) == 3


def test_a_region_that_cannot_be_learned_is_to_be_given_as_the_caller_says(time: Time):
    with pytest.raises(IdentityError, match=r"; elsewhere, pass --region REGION$"):
        Metadata("http://127.0.0.1:9", sleep=time.sleep).region("pass --region REGION")


def test_where_nothing_listens_the_address_is_named(time: Time):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        text = refusal(Metadata(endpoint, sleep=time.sleep))
    assert text.startswith(f"the instance metadata service at {endpoint} does not answer (")
    assert "refused" in text


def test_a_service_that_is_turned_off_says_how_to_turn_it_on(script: Server, time: Time):
    script.will(text_reply(403, ""))
    text = refusal(metadata(script, time))
    assert "answers 403" in text
    assert "--http-endpoint enabled" in text
    assert len(script.asked) == 1


ODD = {
    "a token of two lines": (
        text_reply(200, "a\nb"),
        serve,
        "answers 'a\\nb' where a token belongs",
    ),
    "a token in no ASCII": (text_reply(200, "é"), serve, "where a token belongs"),
    "no token at all": (text_reply(200, ""), serve, "answers '' where a token belongs"),
    "no such document": (serve, text_reply(404, ""), "answers 404"),
    "an empty document": (serve, text_reply(200, ""), f"answers '' to {INSTANCE_ID_PATH}"),
    "a sign-in page": (serve, text_reply(200, "<html>sign in"), "answers '<html>sign in' to"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_token_or_no_instance_id_is_shown_and_not_believed(
    name: str, script: Server, time: Time
):
    token, document, shown = ODD[name]
    script.will(token, document)
    assert shown in refusal(metadata(script, time))


def test_a_disabled_service_is_not_asked(script: Server, time: Time):
    text = refusal(metadata(script, time, disabled=True))
    assert "AWS_EC2_METADATA_DISABLED" in text
    assert script.asked == []


def test_the_environment_places_the_service(script: Server):
    script.will(serve, serve)
    service = Metadata.from_environment({"AWS_EC2_METADATA_SERVICE_ENDPOINT": script.url})
    assert service.region("set it") == "ap-northeast-1"


def test_the_environment_turns_the_service_off():
    assert "unset AWS_EC2_METADATA_DISABLED" in refusal(
        Metadata.from_environment({"AWS_EC2_METADATA_DISABLED": "True"})
    )


@pytest.mark.parametrize(
    ("mode", "endpoint"),
    [("", ENDPOINTS["ipv4"]), ("IPv6", ENDPOINTS["ipv6"]), ("odd", ENDPOINTS["ipv4"])],
)
def test_the_environment_chooses_the_family(mode: str, endpoint: str):
    environ = {
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": mode,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    assert f" at {endpoint} " in refusal(Metadata.from_environment(environ))


@pytest.mark.parametrize(
    "endpoint", ["169.254.169.254", "https://127.0.0.1", "http://", "http://[x"]
)
def test_an_endpoint_that_is_no_http_url_is_refused(endpoint: str):
    assert "make AWS_EC2_METADATA_SERVICE_ENDPOINT an http:// URL" in refusal(Metadata(endpoint))


# --- the region -----------------------------------------------------------------------------------


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
