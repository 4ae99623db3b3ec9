"""The namespaces of one VPC: links, addresses, the internet beyond, and the NATs' own firewalls.

Three things make a ReplaceRoute move packets here as it does in EC2:

- each instance is a namespace that knows one thing, a default route to the VPC's router;
- the router is the namespace `vpc`, with one kernel routing table per subnet, chosen by the link
  a packet came in on (`ip rule iif`), as EC2 chooses by the sender's subnet;
- the internet gateway is a stateless 1:1 translation in `vpc` (see `vpc_rules`), so nothing there
  remembers a flow, and the only conntrack is that of the NAT instances themselves.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from tests.lab.machine import inside, ip, nft, run
from tests.lab.plan import (
    API,
    ECHO,
    ECHO6,
    ECHO64,
    IMDS,
    NAME_SERVER,
    VPC,
    VPC6,
    Instance,
    Plan,
    Role,
)
from tests.lab.vpc_rules import GATEWAY, vpc_rules

# The link between the internet gateway and the internet.
GATEWAY_HERE = "192.0.2.0"
GATEWAY_THERE = "192.0.2.1"
PUBLIC = "203.0.113.0/24"
GATEWAY_NUMBER = 99  # of the kernel's table that has the routes of the gateway's route table

# The VPC's router has the same link-local address on every link, as EC2's has.
ROUTER6 = "fe80::1"
INTERNET6 = "fe80::2"

# rp_filter: replies come in on one link for addresses that are routed out of another.
# send_redirects: a one-armed NAT sends back out of the link that a packet came in on.
# ping_group_range: the kernel's default lets nobody open a ping socket, not even root.
ROUTER = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ping_group_range": "0 0",
}
HOST = ROUTER | {"net.ipv4.ip_forward": "0"}
# Without duplicate address detection, which takes a second for each address.
IPV6 = {"net.ipv6.conf.all.accept_dad": "0", "net.ipv6.conf.default.accept_dad": "0"}
FORWARDING6 = "net.ipv6.conf.all.forwarding"


def masquerade_rules(instance: Instance) -> str:
    """A NAT instance's firewall: clients' packets leave under its own address.

    `off` and `cross` are empty until a fault fills them. Taking the masquerade rule away would
    break nothing for flows that are known already, since NAT is decided once per flow and then
    remembered; and a flow first seen without it would stay untranslated after healing for as long
    as it is used. Packets that are not tracked at all are not translated, known flow or not.
    """
    own = f"{{ {instance.address}, {instance.secondary} }}"
    return f"""
table ip nat {{
    chain off {{ type filter hook prerouting priority raw; }}
    chain cross {{ type filter hook forward priority filter; }}
    chain leave {{
        type nat hook postrouting priority srcnat;
        oifname "eth0" ip saddr {VPC} ip saddr != {own} masquerade
    }}
}}
"""


def masquerade_rules6(instance: Instance) -> str:
    """The same for IPv6 (RFC 6296 calls it network prefix translation): answers come back to it."""
    return f"""
table ip6 nat {{
    chain leave {{
        type nat hook postrouting priority srcnat;
        oifname "eth0" ip6 saddr {VPC6} ip6 saddr != {instance.subnet.first_host6} masquerade
    }}
}}
"""


class Network:
    """One lab's namespaces, each named `PREFIX-NAME`, the prefix a new one every time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.prefix = f"lab{secrets.token_hex(3)}"
        self._names = ("internet", "vpc", *(instance.name for instance in plan.instances))

    def namespace(self, name: str) -> str:
        """The namespace of an instance, of `vpc` or of `internet`."""
        if name not in self._names:
            raise KeyError(
                f"no namespace is called {name!r} here; there are {', '.join(self._names)}"
            )
        return f"{self.prefix}-{name}"

    def inside(self, name: str, *argv: str) -> list[str]:
        """The command line that runs `argv` in the namespace of `name`."""
        return inside(self.namespace(name), *argv)

    def read(self, name: str, *argv: str) -> str:
        """What a command prints that is run to its end in the namespace of `name`."""
        return run(self.inside(name, *argv))

    def build(self) -> None:
        """Make everything; takes about 0.2 s."""
        ip(None, [f"netns add {self.namespace(name)}" for name in self._names])
        self._settle("vpc", ROUTER)
        self._settle("internet", HOST)
        for instance in self.plan.instances:
            self._settle(instance.name, ROUTER if instance.role is Role.NAT else HOST)
        ip(self.namespace("vpc"), self._router())
        nft(self.namespace("vpc"), vpc_rules(self.plan))
        ip(self.namespace("internet"), self._internet())
        for instance in self.plan.instances:
            ip(self.namespace(instance.name), self._host(instance))
        for instance in self.plan.nats:
            nft(self.namespace(instance.name), masquerade_rules(instance))
        if self.plan.ipv6:
            self._build_ipv6()

    def tear_down(self) -> None:
        """Delete the namespaces; the links in them go with them."""
        for name in self._names:
            if os.path.exists(f"/run/netns/{self.namespace(name)}"):
                run(["ip", "netns", "delete", self.namespace(name)])

    def reboot(self, name: str) -> None:
        """Forget what a kernel forgets: without its address, a NAT drops its masqueraded flows.

        Its link stays up: the kernel may take a second to notice that one is back.
        """
        instance = self.plan.instance(name)
        forget = [f"address delete {one}" for one in self._addresses(instance)]
        if self.plan.ipv6:
            forget.append(f"address delete {instance.subnet.first_host6}/128 dev eth0")
        again = [f"address add {one}" for one in self._addresses(instance)]
        routes = [self._default_route(instance), *self._ipv6_of(instance)]
        ip(self.namespace(name), [*forget, *again, *routes])

    def masquerade(self, name: str, on: bool) -> None:
        """Switch an instance's masquerade off, for known flows too, or on again."""
        rule = "" if on else "add rule ip nat off notrack"
        nft(self.namespace(name), f"flush chain ip nat off\n{rule}\n")

    def forwarding(self, name: str, on: bool) -> None:
        """Switch an instance's forwarding off in its kernel, or on again."""
        forward = {"net.ipv4.ip_forward": str(int(on))}
        self._settle(name, forward | ({FORWARDING6: str(int(on))} if self.plan.ipv6 else {}))

    def forwards_all(self, name: str, on: bool) -> None:
        """Let an instance's firewall forward pings and drop the rest, or let all through again."""
        rule = "" if on else "add rule ip nat cross meta l4proto != icmp drop"
        nft(self.namespace(name), f"flush chain ip nat cross\n{rule}\n")

    def firewall_open(self, name: str, on: bool) -> None:
        """Let an instance's firewall drop all that it would forward, or let it through again."""
        rule = "" if on else "add rule ip nat cross drop"
        nft(self.namespace(name), f"flush chain ip nat cross\n{rule}\n")

    def _build_ipv6(self) -> None:
        for name in self._names:
            self._settle(name, IPV6)
        for name in ("vpc", *(instance.name for instance in self.plan.nats)):
            self._settle(name, {FORWARDING6: "1"})
        ip(self.namespace("vpc"), self._router_ipv6(), "-6")
        ip(self.namespace("internet"), self._internet_ipv6())
        for instance in self.plan.instances:
            ip(self.namespace(instance.name), self._ipv6_of(instance))
        for instance in self.plan.nats:
            nft(self.namespace(instance.name), masquerade_rules6(instance))

    def _settle(self, name: str, settings: dict[str, str]) -> None:
        pairs = [f"{key}={value}" for key, value in settings.items()]
        run(self.inside(name, "sysctl", "-qw", *pairs))

    def _router(self) -> Iterator[str]:
        yield "link set lo up"
        yield f"address add {API}/32 dev lo"
        yield f"address add {IMDS}/32 dev lo"
        internet = self.namespace("internet")
        yield f"link add {GATEWAY} type veth peer name eth0 netns {internet}"
        yield f"address add {GATEWAY_HERE}/31 dev {GATEWAY}"
        yield f"link set {GATEWAY} up"
        for instance in self.plan.instances:
            name, subnet = instance.name, instance.subnet
            yield f"link add {name} type veth peer name eth0 netns {self.namespace(name)}"
            yield f"address add {subnet.router}/32 dev {name}"
            yield f"link set {name} up"
            yield f"route add {instance.address}/32 dev {name}"
            yield f"route add {instance.secondary}/32 dev {name}"
            yield f"rule add pref 100 iif {name} lookup {subnet.number}"
            # What a subnet's table does not know goes nowhere, and nobody is told.
            yield f"rule add pref 200 iif {name} blackhole"
        for subnet in (instance.subnet for instance in self.plan.instances):
            for other in self.plan.instances:
                yield f"route add {other.address}/32 dev {other.name} table {subnet.number}"
                yield f"route add {other.secondary}/32 dev {other.name} table {subnet.number}"

        yield f"rule add pref 100 iif {GATEWAY} lookup {GATEWAY_NUMBER}"

    def _router_ipv6(self) -> Iterator[str]:
        yield f"address add {ROUTER6}/64 dev {GATEWAY} nodad"
        for instance in self.plan.instances:
            name, subnet = instance.name, instance.subnet
            yield f"address add {ROUTER6}/64 dev {name} nodad"
            yield f"route add {subnet.first_host6}/128 dev {name}"
            yield f"rule add pref 100 iif {name} lookup {subnet.number}"
            yield f"rule add pref 200 iif {name} blackhole"
            for other in self.plan.instances:
                one = other.subnet.first_host6
                yield f"route add {one}/128 dev {other.name} table {subnet.number}"

    def _internet_ipv6(self) -> Iterator[str]:
        for address in (*self._answers_there(6), ECHO6, ECHO64):
            yield f"address add {address}/128 dev lo nodad"
        yield f"address add {INTERNET6}/64 dev eth0 nodad"
        yield f"route add {VPC6} via {ROUTER6} dev eth0"

    def _ipv6_of(self, instance: Instance) -> Iterator[str]:
        if self.plan.ipv6:
            yield f"address replace {instance.subnet.first_host6}/128 dev eth0 nodad"
            yield f"route replace ::/0 via {ROUTER6} dev eth0"

    def _answers_there(self, version: int) -> Iterator[IPv4Address | IPv6Address]:
        """What the heartbeats and uplinks of the plan are, of one family."""
        every = (*(zone.heartbeat for zone in self.plan.zones), *self.plan.uplinks)
        return (address for address in every if address.version == version)

    def _internet(self) -> Iterator[str]:
        yield "link set lo up"
        blocks = (IPv4Network(block)[1] for block in self.plan.prefixes)
        for address in (*self._answers_there(4), ECHO, NAME_SERVER, *blocks):
            yield f"address add {address}/32 dev lo"
        yield f"address add {GATEWAY_THERE}/31 dev eth0"
        yield "link set eth0 up"
        yield f"route add {PUBLIC} via {GATEWAY_HERE}"

    def _host(self, instance: Instance) -> Iterator[str]:
        yield "link set lo up"
        yield from (f"address add {one}" for one in self._addresses(instance))
        yield "link set eth0 up"
        yield self._default_route(instance)

    def _addresses(self, instance: Instance) -> tuple[str, str]:
        """In this order: the first one added is the one that masquerade translates to."""
        return f"{instance.address}/32 dev eth0", f"{instance.secondary}/32 dev eth0"

    def _default_route(self, instance: Instance) -> str:
        return f"route replace default via {instance.subnet.router} dev eth0 onlink"
