"""Network faults. Each method is one nft transaction; `on=False` takes back what it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address

from tests.lab.machine import nft
from tests.lab.network import Network
from tests.lab.vpc_rules import (
    EVERY_SECOND_PING,
    FAULTS,
    TABLE,
    Set,
    lose_no_ping,
    lose_pings,
    losses,
    next_pings,
    refill,
)


class NetworkFaults:
    """The faults of one lab's network. Instances and zones are called by their names."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._plan = network.plan
        self._loss: dict[str, int] = {}
        self._switched_off: set[tuple[Callable[[str, bool], None], str]] = set()

    def dead(self, *instances: str, on: bool = True) -> None:
        """No packet in or out, of any kind; the API and IMDS included."""
        self._change(Set.DEAD, self._links(instances), on)

    def gateway_cut(self, *instances: str, on: bool = True) -> None:
        """No packet between these instances and the internet gateway; all in one instant."""
        self._change(Set.CUT, self._links(instances), on)

    def api_unreachable(self, *instances: str, on: bool = True) -> None:
        """No packet from these instances reaches the EC2 API."""
        self._change(Set.NO_API, self._links(instances), on)

    def imds_unreachable(self, *instances: str, on: bool = True) -> None:
        """No packet from these instances reaches the metadata service."""
        self._change(Set.NO_IMDS, self._links(instances), on)

    def partition(
        self, from_zone: str, to_zone: str, *, one_way: bool = False, on: bool = True
    ) -> None:
        """No packet from any instance of one zone to any of the other; and back, if not one-way.

        The internet and the API stay as they are.
        """
        ways = [(from_zone, to_zone)] if one_way else [(from_zone, to_zone), (to_zone, from_zone)]
        pairs = [
            f'"{source.name}" . "{target.name}"'
            for here, there in ways
            for source in self._plan.zone(here).instances
            for target in self._plan.zone(there).instances
        ]
        self._change(Set.SEVERED, pairs, on)

    def loss(self, instance: str, percent: int) -> None:
        """Lose so many percent of the packets that this instance sends; 0 takes it back.

        A NAT sends a client's packet on, and sends the answer on: both can be lost.
        """
        self._loss[self._plan.instance(instance).name] = percent
        self._apply(losses(self._loss))

    def lose_next_pings(self, instance: str, address: IPv4Address, count: int = 1) -> None:
        """Lose the next so many pings from an instance to an address, and none after them."""
        self._apply(lose_pings(instance, address, next_pings(count)))

    def lose_every_second_ping(self, instance: str, address: IPv4Address) -> None:
        """Lose the next ping from an instance to an address, not the one after it, and so on."""
        self._apply(lose_pings(instance, address, EVERY_SECOND_PING))

    def forwarding_off(self, *instances: str, on: bool = True) -> None:
        """These NATs forward nothing (`ip_forward` is 0), but their hosts answer as ever."""
        self._switch(self._network.forwarding, instances, on)

    def firewall_shut(self, *instances: str, on: bool = True) -> None:
        """These NATs' own firewalls drop all that they would forward; their hosts answer."""
        self._switch(self._network.firewall_open, instances, on)

    def forwards_pings_only(self, *instances: str, on: bool = True) -> None:
        """These NATs' own firewalls forward pings and drop the rest, as ufw does out of the box."""
        self._switch(self._network.forwards_all, instances, on)

    def masquerade_off(self, *instances: str, on: bool = True) -> None:
        """These NATs forward without translating: their firewall is gone, known flows included.

        A ping by another *NAT* still comes back then, straight to its sender: the internet gateway
        translates by source address, whichever instance a packet left from. Clients, which have no
        public address of their own, are cut off.
        """
        self._switch(self._network.masquerade, instances, on)

    def heal(self) -> None:
        """Take back every fault that is one of the network's."""
        self._loss.clear()
        self._apply("".join(refill(one, ()) for one in FAULTS) + losses({}) + lose_no_ping())
        for switch, name in self._switched_off:
            switch(name, True)
        self._switched_off.clear()

    def packets(self, instance: str) -> tuple[int, int]:
        """How many packets this instance has sent and received until now, ARP and IPv6 included."""
        shown = self._network.read("vpc", "ip", "-json", "-stats", "link", "show", instance)
        counters = json.loads(shown)[0]["stats64"]
        return counters["rx"]["packets"], counters["tx"]["packets"]

    def _change(self, which: Set, elements: Sequence[str], on: bool) -> None:
        content = ", ".join(elements)
        add = f"add element {TABLE} {which.value} {{ {content} }}\n"
        # To delete what is not there is an error, and to add it first is harmless.
        self._apply(add if on else add + add.replace("add", "delete", 1))

    def _switch(
        self, switch: Callable[[str, bool], None], instances: Sequence[str], off: bool
    ) -> None:
        """Switch something off on these hosts, or on again, and remember it for healing."""
        for name in self._plan_names(instances):
            switch(name, not off)
            (self._switched_off.add if off else self._switched_off.discard)((switch, name))

    def _apply(self, ruleset: str) -> None:
        nft(self._network.namespace("vpc"), ruleset)

    def _links(self, instances: Iterable[str]) -> list[str]:
        return [f'"{name}"' for name in self._plan_names(instances)]

    def _plan_names(self, instances: Iterable[str]) -> list[str]:
        return [self._plan.instance(name).name for name in instances]
