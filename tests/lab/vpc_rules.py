"""What `vpc` does to a packet besides routing it: the internet gateway, and every network fault.

A fault is an element of a set, so it comes and goes in one nft transaction, and healing is to
empty the sets. Nothing here asks for conntrack; the kernel then keeps none in `vpc`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address

from tests.lab.plan import API, IMDS, VPC, VPC6, Plan

GATEWAY = "igw"  # the link to the internet, in `vpc`
TABLE = "inet vpc"
LINK_LOCAL = "{ fe80::/10, ff02::/16, :: }"  # how neighbours find each other, not routed


class Set(Enum):
    """The sets that faults and EC2's own states fill: of links, or of pairs of links."""

    DEAD = "dead"  # no packet in or out
    STOPPED = "stopped"  # the same, because EC2 says so
    CHECKED = "checked"  # source/dest check is on
    CUT = "cut"  # no way to the internet gateway or from it
    SEVERED = "severed"  # no packet from the first link to the second
    NO_API = "no_api"
    NO_IMDS = "no_imds"


STATES_OF_EC2 = (Set.STOPPED, Set.CHECKED)
FAULTS = tuple(one for one in Set if one not in STATES_OF_EC2)


def vpc_rules(plan: Plan) -> str:
    """The nft ruleset of `vpc` for a healthy plan in which every source/dest check is still on."""
    public = [one for one in plan.instances if one.public_address]
    public_of = ", ".join(f"{one.address} : {one.public_address}" for one in public)
    private_of = ", ".join(f"{one.public_address} : {one.address}" for one in public)
    own = ", ".join(f'"{one.name}" . {one.address}' for one in plan.instances)
    own6 = ", ".join(f'"{one.name}" . {one.subnet.first_host6}' for one in plan.instances)
    every = ", ".join(f'"{one.name}"' for one in plan.instances)
    return f"""
table {TABLE} {{
    map public_of {{ type ipv4_addr : ipv4_addr; elements = {{ {public_of} }} }}
    map private_of {{ type ipv4_addr : ipv4_addr; elements = {{ {private_of} }} }}
    set own {{ type ifname . ipv4_addr; elements = {{ {own} }} }}
    set own6 {{ type ifname . ipv6_addr; elements = {{ {own6} }} }}

    set dead {{ type ifname; }}
    set stopped {{ type ifname; }}
    set checked {{ type ifname; elements = {{ {every} }} }}
    set cut {{ type ifname; }}
    set severed {{ type ifname . ifname; }}
    set no_api {{ type ifname; }}
    set no_imds {{ type ifname; }}

    chain loss {{ }}
    chain pings {{ }}

    chain arrive {{
        type filter hook prerouting priority raw;
        iifname @dead drop
        iifname @stopped drop
        iifname @checked iifname . ip saddr != @own drop
        iifname @checked ip6 saddr != {LINK_LOCAL} iifname . ip6 saddr != @own6 drop
        iifname @no_api ip daddr {API} drop
        iifname @no_imds ip daddr {IMDS} drop
        jump loss
        jump pings
        iifname "{GATEWAY}" ip daddr set ip daddr map @private_of
        iifname "{GATEWAY}" ip daddr != {VPC} drop
        iifname "{GATEWAY}" ip6 daddr != {LINK_LOCAL} ip6 daddr != {VPC6} drop
    }}

    chain cross {{
        type filter hook forward priority filter;
        iifname . oifname @severed drop
        iifname @cut oifname "{GATEWAY}" drop
        iifname "{GATEWAY}" oifname @cut drop
    }}

    chain leave {{
        type filter hook postrouting priority srcnat;
        oifname @dead drop
        oifname @stopped drop
        oifname @checked oifname . ip daddr != @own drop
        oifname @checked ip6 daddr != {LINK_LOCAL} oifname . ip6 daddr != @own6 drop
        oifname "{GATEWAY}" ip saddr set ip saddr map @public_of
        oifname "{GATEWAY}" ip saddr {VPC} drop
    }}
}}
"""


def refill(which: Set, elements: Iterable[str]) -> str:
    """nft lines that make `elements`, and only those, the content of a set."""
    lines = [f"flush set {TABLE} {which.value}"]
    if content := ", ".join(elements):
        lines.append(f"add element {TABLE} {which.value} {{ {content} }}")
    return "\n".join(lines) + "\n"


def losses(percents: dict[str, int]) -> str:
    """nft lines that lose so many percent of what each named instance sends, and nothing else."""
    lines = [f"flush chain {TABLE} loss"]
    for name, percent in percents.items():
        if percent > 0:
            # nft refuses a comparison that would always be true.
            some = f"numgen random mod 100 < {percent}" if percent < 100 else ""
            lines.append(f'add rule {TABLE} loss iifname "{name}" {some} drop')
    return "\n".join(lines) + "\n"


def next_pings(count: int) -> str:
    """The nft match of the first so many packets that come to it, and none after them.

    A bucket that begins full and gains one token a day.
    """
    return f"limit rate 1/day burst {count} packets"


EVERY_SECOND_PING = "numgen inc mod 2 == 0"
"""The nft match of the first packet that comes to it, the third, the fifth, and so on."""


def lose_pings(instance: str, address: IPv4Address, which: str) -> str:
    """nft lines that lose those pings, of all that this instance sends to this address."""
    request = f'iifname "{instance}" ip daddr {address} icmp type echo-request'
    return f"add rule {TABLE} pings {request} {which} drop\n"


def lose_no_ping() -> str:
    """nft lines that end the loss of particular pings."""
    return f"flush chain {TABLE} pings\n"
