"""Who this machine is: its instance id and region, from the instance metadata service.

Version 2 only (a token first), straight over http.client: this runs once at start, and a proxy
or a credential chain would only be in the way.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

import re
import time
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nathb.aws.responses import Attachment, EC2Instance, Interface, State
from nathb.core.ec2_state import InstanceState
from nathb.core.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENDPOINTS = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
TIMEOUT = 1.0
"""Seconds per answer. It comes from the host below us, in a millisecond or not at all."""
TRIES = 3
PAUSE = 0.2
"""Seconds between tries, so that a service still starting at boot is given a moment."""

TOKEN_PATH = "/latest/api/token"
INSTANCE_ID_PATH = "/latest/meta-data/instance-id"
REGION_PATH = "/latest/meta-data/placement/region"
ADDRESS_PATH = "/latest/meta-data/local-ipv4"
MAC_PATH = "/latest/meta-data/mac"
INTERFACE_PATH = "/latest/meta-data/network/interfaces/macs/{mac}/{what}"
"""Of several interfaces, `mac` and `local-ipv4` are those of the primary one.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
"""

INSTANCE_ID = re.compile(r"i-[0-9a-z]{1,32}")
REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16})+-[0-9]{1,2}")
RESOURCE_ID = re.compile(r"(eni|subnet|vpc)-[0-9a-z]{1,32}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
TOKEN = re.compile(r"[!-~]{1,512}")

UNWELL = {429, 500, 502, 503, 504}
"""Statuses that may be gone at the next try."""

SILENT = (
    "check the route to it, and in a container raise the hop limit"
    " (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2)"
)
BE_NAMED = "pass --node NAME"
ODD = "see what else listens at that address"
OFF = "unset AWS_EC2_METADATA_DISABLED"
BAD_URL = "make AWS_EC2_METADATA_SERVICE_ENDPOINT an http:// URL"
CURES = {
    403: "turn it on (aws ec2 modify-instance-metadata-options --http-endpoint enabled)",
}


class _FaultError(Exception):
    """What is wrong with the service, and what to do about it on EC2."""

    def __init__(self, cause: str, fix: str) -> None:
        self.cause = cause
        self.fix = fix
        super().__init__(cause)


class Metadata:
    """The metadata service of the machine that this process runs on. Safe to share by threads."""

    def __init__(
        self,
        endpoint: str = ENDPOINTS["ipv4"],
        *,
        disabled: bool = False,
        timeout: float = TIMEOUT,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint = endpoint
        self._disabled = disabled
        self._timeout = timeout
        self._tries = tries
        self._sleep = sleep

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Metadata:
        """Return the service as the SDKs' own environment variables place it.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
        """
        mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
        return cls(
            environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            or ENDPOINTS.get(mode, ENDPOINTS["ipv4"]),
            disabled=environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true",
        )

    def instance_id(self) -> str:
        """Return this machine's instance id (i-…); IdentityError when it cannot be learned."""
        return self._fetch(INSTANCE_ID_PATH, INSTANCE_ID, BE_NAMED)

    def machine(self) -> EC2Instance:
        """Return this machine with its primary interface, as far as DescribeInstances would.

        It runs, or it could not ask. IdentityError when that cannot be learned.
        """
        mac = self._fetch(MAC_PATH, MAC, BE_NAMED)
        interface, subnet, vpc = (
            self._fetch(INTERFACE_PATH.format(mac=mac, what=what), RESOURCE_ID, BE_NAMED)
            for what in ("interface-id", "subnet-id", "vpc-id")
        )
        address = self._fetch(ADDRESS_PATH, ADDRESS, BE_NAMED)
        primary = Interface(interface, address, Attachment(device_index=0), subnet)
        running = State(InstanceState.RUNNING.value)
        return EC2Instance(self.instance_id(), running, subnet, vpc, (primary,))

    def region(self, elsewhere: str) -> str:
        """Return this machine's region (ap-northeast-1); IdentityError when it cannot be learned.

        `elsewhere` is what to do instead on a machine that is not on EC2, for the message.
        """
        return self._fetch(REGION_PATH, REGION, elsewhere)

    def _fetch(self, path: str, form: re.Pattern[str], elsewhere: str) -> str:
        try:
            return self._text(path, form)
        except _FaultError as fault:
            raise IdentityError(
                f"the instance metadata service at {self._endpoint} {fault.cause}: on EC2,"
                f" {fault.fix}; elsewhere, {elsewhere}"
            ) from fault

    def _text(self, path: str, form: re.Pattern[str]) -> str:
        if self._disabled:
            raise _FaultError("is turned off by AWS_EC2_METADATA_DISABLED", OFF)
        status, text = self._patiently(path)
        if status != 200:
            raise _FaultError(f"answers {status}", CURES.get(status, ODD))
        if not form.fullmatch(text):
            raise _FaultError(f"answers {text[:40]!r} to {path}", ODD)
        return text

    def _patiently(self, path: str) -> tuple[int, str]:
        """Ask up to `tries` times while the service is silent or unwell."""
        left = self._tries
        while True:
            left -= 1
            try:
                status, text = self._once(path)
            except (OSError, HTTPException) as error:
                if left <= 0:
                    why = str(error) or type(error).__name__
                    raise _FaultError(f"does not answer ({why})", SILENT) from error
            else:
                if left <= 0 or status not in UNWELL:
                    return status, text
            self._sleep(PAUSE)

    def _once(self, path: str) -> tuple[int, str]:
        """Fetch a token and, with it, the path, over one connection."""
        connection = self._connect()
        try:
            lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
            status, token = _exchange(connection, "PUT", TOKEN_PATH, lifetime)
            if status != 200:
                return status, token
            if not TOKEN.fullmatch(token):
                raise _FaultError(f"answers {token[:40]!r} where a token belongs", ODD)
            return _exchange(connection, "GET", path, {"X-aws-ec2-metadata-token": token})
        finally:
            connection.close()

    def _connect(self) -> HTTPConnection:
        try:
            url = urlsplit(self._endpoint)
            host, port = url.hostname, url.port
        except ValueError:
            raise _FaultError("has no address", BAD_URL) from None
        if url.scheme != "http" or not host:
            raise _FaultError("has no address", BAD_URL)
        return HTTPConnection(host, port, timeout=self._timeout)


def _exchange(
    connection: HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> tuple[int, str]:
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    # A token is 56 characters. Whatever sends a great deal more is not this service.
    return response.status, response.read(4096).decode("ascii", "replace").strip()
