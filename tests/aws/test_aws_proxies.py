"""A hostile proxy: it answers requests for the role's credentials with its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.request import proxy_bypass_environment

import pytest
from botocore.utils import InstanceMetadataFetcher

from nathb.aws.imds import ENDPOINTS
from nathb.aws.proxies import HOSTS, bypass_proxies
from tests.aws.scripted import Asked, Handler, Server, serving, text_reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = """
region: ap-northeast-1
uplink: 1.1.1.1
nodes:
  nat-a: {instance: i-0a9b954b0c0ffee01, heartbeat: 199.7.83.42, routes: [rtb-0b8e8f2da00000001]}
  nat-c: {instance: i-0c24460a0c0ffee02, heartbeat: 193.0.14.129, routes: [rtb-0bee8f2dc00000003]}
"""
COMMANDS = ("run FILE --dry-run", "init nat-a nat-c", "plan FILE", "pause FILE")
"""The daemon, and one verb of each way to a client. Every verb has the same beginning, `main`."""
STOLEN = {
    "Code": "Success",
    "AccessKeyId": "ASIAHOSTILE",
    "SecretAccessKey": "the proxy's",
    "Token": "the proxy's",
    "Expiration": "2999-01-01T00:00:00Z",
}
ANSWERS = {
    "api/token": "a-token",
    "meta-data/instance-id": "i-0a9b954b0c0ffee01",
    "meta-data/placement/region": "ap-northeast-1",
    "meta-data/iam/security-credentials/": "role",
    "meta-data/iam/security-credentials/role": json.dumps(STOLEN),
}


class Proxy(Server):
    """Answers what IMDS is asked as IMDS would, and all else with 403."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = AsImds

    @property
    def metadata(self) -> list[str]:
        """What it was asked in place of the metadata service."""
        return [one.path for one in self.asked if "/latest/" in one.path]


class AsImds(Handler):
    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(Asked(self, {}))
        document = self.path.partition("/latest/")[2]
        text_reply(200 if document in ANSWERS else 403, ANSWERS.get(document, ""))(self)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with serving(Proxy()) as server:
        assert isinstance(server, Proxy)
        yield server


def start(command: str, folder: Path, proxy: Proxy) -> subprocess.Popen[bytes]:
    """Start one command with the proxy for everything, and no credentials but the role's."""
    path = folder / "tokyo.yaml"
    path.write_text(FILE)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    for name in ("no_proxy", "NO_PROXY"):
        clean.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "nathb", *command.replace("FILE", str(path)).split()],
        env=clean
        | {
            "HTTP_PROXY": proxy.url,
            "http_proxy": proxy.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL_EC2": "http://ec2.invalid",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_no_verb_asks_a_proxy_for_the_credentials_of_the_role(proxy: Proxy, tmp_path: Path) -> None:
    running = [start(command, tmp_path, proxy) for command in COMMANDS]
    assert 0 not in [one.wait(100) for one in running]
    assert proxy.metadata == []
    assert not any("ASIAHOSTILE" in one.headers.get("Authorization", "") for one in proxy.asked)


def fetched(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, **config: str) -> Any:
    """What botocore takes for the role's credentials under this environment."""
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    fetcher = InstanceMetadataFetcher(timeout=0.3, num_attempts=1, config=config)
    return fetcher.retrieve_iam_role_credentials()


WAYS = {
    "ipv4": {},
    "ipv6": {"ec2_metadata_service_endpoint_mode": "ipv6"},
    "endpoint": {"ec2_metadata_service_endpoint": "http://127.0.0.1:9/"},
}


@pytest.mark.parametrize("way", WAYS)
def test_botocore_takes_a_proxys_credentials_unless_no_proxy_names_the_service(
    way: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"HTTP_PROXY": proxy.url}
    if endpoint := WAYS[way].get("ec2_metadata_service_endpoint"):
        environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = endpoint
    assert fetched(environ, monkeypatch, **WAYS[way])["access_key"] == "ASIAHOSTILE"
    asked = len(proxy.metadata)
    bypass_proxies(environ)
    assert fetched(environ, monkeypatch, **WAYS[way]) == {}
    assert len(proxy.metadata) == asked


@pytest.mark.parametrize(
    ("before", "small", "large"),
    [
        ({}, [], []),
        ({"NO_PROXY": "a, b"}, ["a", "b"], ["a", "b"]),
        ({"no_proxy": "a", "NO_PROXY": "b"}, ["a"], ["b"]),
        ({"no_proxy": "", "NO_PROXY": "b"}, [], ["b"]),
        ({"no_proxy": "169.254.169.254"}, [], []),
    ],
    ids=["none", "one", "two", "empty", "there"],
)
def test_what_no_proxy_names_already_is_kept(
    before: dict[str, str], small: list[str], large: list[str]
) -> None:
    environ = dict(before)
    bypass_proxies(environ)
    ours = {*HOSTS, "[fd00:ec2::254]"}
    assert sorted(environ["no_proxy"].split(",")) == sorted({*small, *ours})
    assert sorted(environ["NO_PROXY"].split(",")) == sorted({*large, *ours})
    again = dict(environ)
    bypass_proxies(again)
    assert again == environ


def test_no_proxy_for_every_host_stays_so() -> None:
    environ = {"no_proxy": "*"}
    bypass_proxies(environ)
    assert environ == {"no_proxy": "*", "NO_PROXY": "*"}


@pytest.mark.parametrize("endpoint", [*ENDPOINTS.values(), "http://[::1]:81/x", "http://imds:81"])
def test_every_form_of_the_address_is_one_that_python_compares(endpoint: str) -> None:
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint}
    bypass_proxies(environ)
    named = {"no": environ["no_proxy"]}
    assert proxy_bypass_environment(endpoint.removeprefix("http://").partition("/")[0], named)
    assert not proxy_bypass_environment("ec2.ap-northeast-1.amazonaws.com", named)
