"""What `check --aws` says of this machine's forwarding, on kernel settings that the test wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.core.errors import Level
from nathb.core.model import Group, Node, Route
from nathb.provision.forwarding import inspect_forwarding

IPV4 = Group(
    name="tokyo",
    nodes=(Node("nat-a", ("192.0.2.1",), routes=(Route("rtb-1", "0.0.0.0/0"),), instance="i-1"),),
    uplink=("1.1.1.1",),
)
BOTH = replace(
    IPV4,
    nodes=(replace(IPV4.nodes[0], routes=(*IPV4.routes(), Route("rtb-1", "::/0"))),),
)


@pytest.mark.parametrize(
    ("group", "ipv6", "wrong"),
    [
        (IPV4, "0", []),
        (BOTH, "1", []),
        (BOTH, "0", ["net.ipv6.conf.all.forwarding is 0: it forwards no IPv6"]),
        (BOTH, None, ["net.ipv6.conf.all.forwarding is 0: it forwards no IPv6"]),
    ],
    ids=["IPv4 alone", "both, and both forwarded", "IPv6 not forwarded", "a kernel without IPv6"],
)
def test_ipv6_has_to_be_forwarded_where_a_route_for_it_is_guarded(
    tmp_path: Path, group: Group, ipv6: str | None, wrong: list[str]
) -> None:
    settings = {"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": ipv6}
    for name, value in settings.items():
        if value is not None:
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text(f"{value}\n")
    found = [one for one in inspect_forwarding(group, tmp_path) if "net.ip" in one.text]
    bad = [one for one in found if one.level is Level.BAD]
    assert [one.text.partition(", and")[0] for one in bad] == wrong
    assert all("NATHB_NAT_IPV6=yes in /etc/nathb/nat/settings.env" in one.fix for one in bad)
