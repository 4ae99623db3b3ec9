"""The instance metadata service, version 2 only: it tells each caller who it is."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.lab.plan import Instance, Plan

ROLE = "nathb"
METADATA = "/latest/meta-data/"
ROLE_PATH = f"{METADATA}iam/security-credentials/"
LONGEST_TTL = 21600


class Imds:
    """A WSGI application.

    `instance_id_at` knows who has a private address at the moment, `network_of` the ids of an
    instance's interface, subnet and VPC.
    """

    def __init__(
        self,
        plan: Plan,
        instance_id_at: Callable[[str], str | None],
        network_of: Callable[[str], dict[str, str]],
    ) -> None:
        self._plan = plan
        self._instance_id_at = instance_id_at
        self._network_of = network_of
        self._tokens: dict[str, float] = {}  # to the monotonic second at which each runs out

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, text, headers = self._answer(environ)
        body = text.encode()
        start_response(
            status,
            [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers],
        )
        return [body]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "PUT" and path == "/latest/api/token":
            return self._token(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", ""))
        token = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN", "")
        if self._tokens.get(token, 0.0) < time.monotonic():
            return "401 Unauthorized", "", []
        instance = self._plan.at(environ["REMOTE_ADDR"])
        instance_id = self._instance_id_at(environ["REMOTE_ADDR"])
        if instance is None or instance_id is None:
            return "404 Not Found", "", []
        text = self._facts(instance, instance_id).get(path)
        return ("200 OK", text, []) if text is not None else ("404 Not Found", "", [])

    def _token(self, ttl: str) -> tuple[str, str, list[tuple[str, str]]]:
        if not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TTL:
            return "400 Bad Request", "", []
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + int(ttl)
        return "200 OK", token, [("X-aws-ec2-metadata-token-ttl-seconds", ttl)]

    def _facts(self, instance: Instance, instance_id: str) -> dict[str, str]:
        zone = f"{self._plan.region}{instance.zone}"
        document = {
            "accountId": "123456789012",
            "architecture": "x86_64",
            "availabilityZone": zone,
            "imageId": "ami-12345678",
            "instanceId": instance_id,
            "instanceType": "t4g.nano",
            "privateIp": str(instance.address),
            "region": self._plan.region,
            "version": "2017-09-30",
        }
        macs = f"{METADATA}network/interfaces/macs/{_mac(instance)}/"
        return {
            **{macs + what: an_id for what, an_id in self._network_of(instance_id).items()},
            f"{METADATA}instance-id": instance_id,
            f"{METADATA}instance-type": "t4g.nano",
            f"{METADATA}local-ipv4": str(instance.address),
            f"{METADATA}mac": _mac(instance),
            f"{METADATA}placement/availability-zone": zone,
            f"{METADATA}placement/region": self._plan.region,
            ROLE_PATH: ROLE,
            ROLE_PATH + ROLE: _credentials(instance.name, self._plan.role_lasts),
            "/latest/dynamic/instance-identity/document": json.dumps(document, indent=2),
        }


def _mac(instance: Instance) -> str:
    return "02:00:" + ":".join(f"{byte:02x}" for byte in instance.address.packed)


def _credentials(name: str, lasts: timedelta) -> str:
    now = datetime.now(UTC)
    return json.dumps(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "Expiration": f"{now + lasts:%Y-%m-%dT%H:%M:%SZ}",
            "AccessKeyId": f"ASIALAB{name.upper().replace('-', '')}",
            "SecretAccessKey": "a-secret-of-the-lab",
            "Token": f"a-token-of-{name}",
        }
    )
