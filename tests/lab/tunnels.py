"""A tunnel from each NAT to a far site, which only these tunnels lead to.

VXLAN over UDP, through the NAT's own internet gateway, to the namespace `internet`. The far site's
addresses answer there, and its answers go back by the tunnel that a NAT masquerades into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from tests.lab.lab import Lab
from tests.lab.machine import ip, nft
from tests.lab.plan import PAIR, ZONE_A, ZONE_C, Instance, Plan

FAR_SITE = "10.8.0.0/16"
FAR_HOST = "10.8.0.5"
FAR_END = "198.51.100.99"
PORT = 4789
BGP = 179
DEVICE = "tun0"

TUNNEL_PAIR: Plan = replace(
    PAIR,
    zones=(
        replace(ZONE_A, heartbeat=IPv4Address("10.8.0.11")),
        replace(ZONE_C, heartbeat=IPv4Address("10.8.0.12")),
    ),
)
"""A pair whose heartbeats lie at the far site, each beyond the tunnel of its node."""


class Tunnels:
    """The tunnels of a lab's NATs, and what cuts them.

    Where `routed` is false, no route leads into them: that is for a routing daemon to learn.
    """

    def __init__(self, lab: Lab, *, routed: bool = True) -> None:
        self._routed = routed
        self._network = lab.network
        self._nats = lab.plan.nats
        internet = self._network.namespace("internet")
        ip(internet, [f"address add {one}/32 dev lo" for one in (FAR_HOST, FAR_END)])
        nft(
            internet,
            f"""
table ip tunnels {{
    set cut {{ type ipv4_addr; }}
    set mute {{ type ifname; }}
    chain arrive {{
        type filter hook prerouting priority raw;
        ip saddr @cut udp dport {PORT} drop
        iifname @mute tcp dport {BGP} drop
        iifname @mute tcp sport {BGP} drop
    }}
}}
""",
        )
        for number, nat in enumerate(self._nats):
            here = self._network.namespace(nat.name)
            ip(here, self._near(number, nat))
            ip(internet, self._far(number, nat))
            nft(
                here,
                f"""
table ip tunnel {{
    chain leave {{
        type nat hook postrouting priority srcnat;
        oifname "{DEVICE}" masquerade
    }}
}}
""",
            )

    def near_end(self, node: str) -> str:
        """The address of a NAT in its tunnel."""
        return f"10.9.{self._number(node)}.1"

    def far_end(self, node: str) -> str:
        """The far site's address in the tunnel of a NAT."""
        return f"10.9.{self._number(node)}.2"

    def cut(self, *nodes: str) -> None:
        """Lose all that leaves these NATs through their tunnels, and nothing else's."""
        public = ", ".join(str(nat.public_address) for nat in self._nats if nat.name in nodes)
        add = f"add element ip tunnels cut {{ {public} }}" if public else ""
        nft(self._network.namespace("internet"), f"flush set ip tunnels cut\n{add}\n")

    def cut_bgp(self, *nodes: str) -> None:
        """Lose what these NATs say in BGP; all else goes through their tunnels."""
        add = f"add element ip tunnels mute {{ {', '.join(nodes)} }}" if nodes else ""
        nft(self._network.namespace("internet"), f"flush set ip tunnels mute\n{add}\n")

    def _number(self, node: str) -> int:
        return [nat.name for nat in self._nats].index(node)

    def _near(self, number: int, nat: Instance) -> Iterator[str]:
        tunnel = f"id {number + 1} local {nat.address} remote {FAR_END} dstport {PORT}"
        yield f"link add {DEVICE} type vxlan {tunnel}"
        yield f"address add {self.near_end(nat.name)}/30 dev {DEVICE}"
        yield f"link set {DEVICE} up"
        if self._routed:
            yield f"route add {FAR_SITE} via {self.far_end(nat.name)} dev {DEVICE}"

    def _far(self, number: int, nat: Instance) -> Iterator[str]:
        tunnel = f"id {number + 1} local {FAR_END} remote {nat.public_address} dstport {PORT}"
        yield f"link add {nat.name} type vxlan {tunnel}"
        yield f"address add {self.far_end(nat.name)}/30 dev {nat.name}"
        yield f"link set {nat.name} up"
