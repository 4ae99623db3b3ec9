"""What a lab looks like: its zones, instances, addresses and routes, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

VPC = IPv4Network("10.0.0.0/16")
VPC6 = IPv6Network("2001:db8:10::/48")
API = IPv4Address("10.0.0.2")
API_PORT = 5000
IMDS = IPv4Address("169.254.169.254")
EVERYWHERE = "0.0.0.0/0"
EVERYWHERE6 = "::/0"
NAT64 = "64:ff9b::/96"

ECHO = IPv4Address("198.51.100.7")
ECHO6 = IPv6Address("2001:db8:ffff::7")
ECHO64 = IPv6Address("64:ff9b::c633:6407")
"""ECHO as a client with IPv6 alone reaches it. The internet of the lab answers there itself."""
ECHO_PORT = 7777
NAME_SERVER = IPv4Address("198.51.100.53")


class Role(Enum):
    """What an instance is for."""

    NAT = "nat"
    APP = "app"


@dataclass(frozen=True)
class Subnet:
    """One subnet and the number of its kernel routing table in `vpc`."""

    name: str
    cidr: IPv4Network
    number: int

    @property
    def router(self) -> IPv4Address:
        """The VPC router's address here: EC2 keeps the first one for it."""
        return self.cidr[1]

    @property
    def first_host(self) -> IPv4Address:
        """The address the lab gives to an instance here."""
        return self.cidr[10]

    @property
    def cidr6(self) -> IPv6Network:
        """Its IPv6 block, in a plan with IPv6."""
        return IPv6Network((int(VPC6[0]) + (self.number << 64), 64))

    @property
    def first_host6(self) -> IPv6Address:
        """The IPv6 address the lab gives to an instance here, in a plan with IPv6."""
        return self.cidr6[10]

    @property
    def second_host(self) -> IPv4Address:
        """A second address of the same instance, to which no public one belongs."""
        return self.cidr[11]


@dataclass(frozen=True)
class Instance:
    """One instance as the network knows it; its ids are EC2's to give."""

    name: str
    role: Role
    zone: str
    subnet: Subnet
    public_address: IPv4Address | None

    @property
    def address(self) -> IPv4Address:
        """Its private address."""
        return self.subnet.first_host

    @property
    def secondary(self) -> IPv4Address:
        """Its secondary private address, which the internet gateway does not translate."""
        return self.subnet.second_host


@dataclass(frozen=True)
class Zone:
    """An Availability Zone: a public subnet with a NAT, a private one with a client.

    Every other zone's public subnet pins `heartbeat` to this zone's NAT. The internet may reach
    the client of a zone with `ingress`: it then has a public address, and what comes for it enters
    through the zone's NAT, by a route table of the internet gateway.
    """

    name: str
    number: int
    heartbeat: IPv4Address | IPv6Address
    ingress: bool = False

    @property
    def nat(self) -> Instance:
        subnet = Subnet(
            f"public-{self.name}", IPv4Network(f"10.0.{self.number}.0/24"), 100 + self.number
        )
        public = IPv4Address("203.0.113.10") + self.number
        return Instance(f"nat-{self.name}", Role.NAT, self.name, subnet, public)

    @property
    def app(self) -> Instance:
        number = 10 + self.number
        subnet = Subnet(f"private-{self.name}", IPv4Network(f"10.0.{number}.0/24"), 100 + number)
        public = IPv4Address("203.0.113.10") + number if self.ingress else None
        return Instance(f"app-{self.name}", Role.APP, self.name, subnet, public)

    @property
    def instances(self) -> tuple[Instance, Instance]:
        return self.nat, self.app


ZONE_A = Zone("a", 0, IPv4Address("199.7.83.42"))
ZONE_C = Zone("c", 1, IPv4Address("193.0.14.129"))
ZONE_D = Zone("d", 2, IPv4Address("192.5.5.241"))


@dataclass(frozen=True)
class Plan:
    """A whole lab.

    `destinations` are what each private route table sends to its own zone's NAT: the clients'
    default route first of all, and as many more as a test wants to see moved. `role_lasts` is how
    long the credentials are good for that IMDS gives out.

    With `prefixes`, each private table also has a route to a prefix list of these blocks. A subnet
    named by `on_main_table` has no table of its own. With `ipv6`, the instances have IPv6 addresses
    too, and the NATs masquerade them; what a NAT's own firewall drops is IPv4 alone.
    """

    zones: tuple[Zone, ...] = (ZONE_A, ZONE_C)
    destinations: tuple[str, ...] = (EVERYWHERE,)
    uplinks: tuple[IPv4Address | IPv6Address, ...] = (
        IPv4Address("1.1.1.1"),
        IPv4Address("9.9.9.9"),
    )
    region: str = "ap-northeast-1"
    role_lasts: timedelta = timedelta(hours=6)
    prefixes: tuple[str, ...] = ()
    on_main_table: str = ""
    ipv6: bool = False

    def with_routes(self, count: int) -> Plan:
        """The same with `count` routes in each private table: the default route, 10.8.0.0/16, …"""
        more = tuple(f"10.{8 + extra}.0.0/16" for extra in range(count - 1))
        return replace(self, destinations=(EVERYWHERE, *more))

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(instance for zone in self.zones for instance in zone.instances)

    @property
    def nats(self) -> tuple[Instance, ...]:
        return tuple(zone.nat for zone in self.zones)

    @property
    def apps(self) -> tuple[Instance, ...]:
        return tuple(zone.app for zone in self.zones)

    def instance(self, name: str) -> Instance:
        """The instance called `name`; KeyError with the names there are if there is none."""
        for instance in self.instances:
            if instance.name == name:
                return instance
        known = ", ".join(instance.name for instance in self.instances)
        raise KeyError(f"no instance is called {name!r} in this plan; it has {known}")

    def at(self, address: str) -> Instance | None:
        """The instance with this private address, if any."""
        return next((one for one in self.instances if str(one.address) == address), None)

    def zone(self, name: str) -> Zone:
        """The zone called `name`."""
        for zone in self.zones:
            if zone.name == name:
                return zone
        known = ", ".join(zone.name for zone in self.zones)
        raise KeyError(f"no zone is called {name!r} in this plan; it has {known}")

    def peers(self, zone: Zone) -> Iterator[Zone]:
        """Every other zone, those whose heartbeats `zone` pins."""
        return (other for other in self.zones if other != zone)


PAIR = Plan()
TRIO = Plan(zones=(ZONE_A, ZONE_C, ZONE_D))
EVERY_DESTINATION = Plan(
    zones=(
        replace(ZONE_A, ingress=True),
        replace(ZONE_C, ingress=True, heartbeat=IPv6Address("2001:7fd::1")),
    ),
    destinations=(EVERYWHERE, EVERYWHERE6, NAT64),
    uplinks=(IPv6Address("2606:4700:4700::1111"), IPv6Address("2620:fe::9")),
    prefixes=("192.88.99.0/24", "198.18.0.0/15"),
    on_main_table="private-c",
    ipv6=True,
)
"""A pair with each kind of destination and of route table that EC2 lets point at a router."""
