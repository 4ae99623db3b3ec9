"""How the lab's own tests ask things from inside an instance, without nathb and without boto3."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

from tests.lab.lab import Lab
from tests.lab.plan import IMDS, Instance
from tests.lab.processes import ENDPOINT

PYTHON = (sys.executable, "-I", "-S", "-c")

# Signatures are not checked, here as in moto; the region and service in them are looked at.
POST = """
import http.client, json, sys, urllib.parse
host, form, timeout = json.loads(sys.argv[1])
line = http.client.HTTPConnection(host, timeout=timeout)
try:
    line.request("POST", "/", urllib.parse.urlencode(form), {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": "AWS4-HMAC-SHA256 Credential=r/20260101/ap-northeast-1/ec2/aws4_request",
    })
    answer = line.getresponse()
    print(json.dumps([answer.status, answer.read().decode()]))
except Exception as error:
    print(json.dumps([0, type(error).__name__]))
"""

FETCH = """
import json, sys, urllib.error, urllib.request
url, method, headers = json.loads(sys.argv[1])
try:
    request = urllib.request.Request(url, method=method, headers=headers)
    answer = urllib.request.urlopen(request, timeout=0.3)
    print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, ""]))
except OSError as error:
    print(json.dumps([0, str(error)]))
"""


@dataclass(frozen=True)
class Reply:
    """An HTTP status (0: none came; `text` then names the error) and what came with it."""

    status: int
    text: str

    @property
    def code(self) -> str | None:
        """EC2's word for the error."""
        return Xml.fromstring(self.text).findtext(".//{*}Code") if self.status else self.text


def call_ec2(lab: Lab, node: str, action: str, *, timeout: float = 5.0, **parameters: str) -> Reply:
    """An EC2 call from a node. `RouteTableId_1=…` is sent as `RouteTableId.1`."""
    form = {"Action": action, "Version": "2016-11-15"}
    form |= {key.replace("_", "."): value for key, value in parameters.items()}
    host = ENDPOINT.removeprefix("http://")
    done = lab.run(node, [*PYTHON, POST, json.dumps([host, form, timeout])])
    return Reply(*json.loads(done.stdout))


def replace_route(
    lab: Lab,
    node: str,
    table: str,
    destination: str,
    target: str,
    *,
    timeout: float = 5.0,
    **more: str,
) -> Reply:
    """ReplaceRoute from a node, to the ENI of another; a table by its subnet's name or its id."""
    return call_ec2(
        lab,
        node,
        "ReplaceRoute",
        timeout=timeout,
        RouteTableId=lab.tables.get(table, table),
        DestinationCidrBlock=destination,
        NetworkInterfaceId=lab.instances[target].eni,
        **more,
    )


def fetch_imds(
    lab: Lab, node: str, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> Reply:
    """One IMDS request from a node."""
    request = json.dumps([f"http://{IMDS}{path}", method, headers or {}])
    return Reply(*json.loads(lab.run(node, [*PYTHON, FETCH, request]).stdout))


def metadata(lab: Lab, node: str, path: str) -> str:
    """What IMDSv2 tells a node under `path`."""
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = fetch_imds(lab, node, "/latest/api/token", "PUT", ttl).text
    return fetch_imds(lab, node, path, headers={"X-aws-ec2-metadata-token": token}).text


def pings_answered(lab: Lab, node: str, address: object, count: int = 1, wait: float = 0.3) -> int:
    """How many of `count` pings from a node were answered."""
    ping = ["ping", "-q", "-n", "-c", str(count), "-i", "0.002", "-W", str(wait), str(address)]
    found = re.search(r"(\d+) received", lab.run(node, ping).stdout)
    return int(found[1]) if found else 0


def can_ping(lab: Lab, node: str, address: object) -> bool:
    """Whether a ping from a node comes back."""
    return pings_answered(lab, node, address) == 1


def icmp_count(lab: Lab, node: str, which: str = "InEchos") -> int:
    """How many pings have reached a node's kernel until now, answered or not.

    `which` names another of the kernel's ICMP counters, such as InEchoReps.
    """
    counters = lab.run(node, ["cat", "/proc/net/snmp"]).stdout
    names, values = (line.split() for line in counters.splitlines() if line.startswith("Icmp:"))
    return int(dict(zip(names, values, strict=True))[which])


def carrier(lab: Lab, sender: str, address: object) -> str | None:
    """The NAT through which a packet goes from an instance, or from the `internet`, to an address.

    It leaves with a hop limit of two: the VPC's router is the first hop, and the second one says
    that time is exceeded (RFC 792, RFC 4443). None if nothing says so, or an address of no NAT.
    """
    ping = ["ping", "-n", "-c", "1", "-t", "2", "-W", "0.3", str(address)]
    found = re.search(r"From ([0-9a-f.:]+):? icmp_seq=1 Time", lab.run(sender, ping).stdout)
    return next((one.name for one in lab.plan.nats if found and found[1] in _addresses(one)), None)


def _addresses(nat: Instance) -> set[str]:
    return {str(nat.address), str(nat.public_address), str(nat.subnet.first_host6)}
