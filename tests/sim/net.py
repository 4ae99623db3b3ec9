"""What becomes of a packet: zones, gateways, pins, and all that can go wrong between them.

A check of a peer's heartbeat goes where the asking node's own subnet table sends that address: by
a good pin into the peer, through it, and out of the peer's internet gateway. Without a pin it
leaves by the asker's own gateway and is answered all the same, which is why a void pin must not
count as health (R12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from nathb.core.ec2_state import PinState
from nathb.core.errors import ResolveError
from nathb.core.model import Group, Outcome

RTT = 0.004
GATEWAY = "internet"
"""The far end of every link that leaves through a gateway."""

TARGET_NAME = "target.example"
"""What a file may call an uplink target."""
TARGETS = ("1.1.1.1",), ("1.0.0.1",)
"""What that name stands for, and what it stands for once it has moved."""

BEYOND_TUNNEL = "10.8.0.5"
"""The uplink target that a node reaches through its tunnel."""

BURST_LOSS = 0.6
"""Share of packets that a link loses while it has the fault `loss`."""

Link = tuple[str, str]


@dataclass
class Network:
    """Faults are counted, not flagged, so that two that overlap end one after the other."""

    rng: Random
    rtt: float = RTT
    """Seconds until an answer arrives, when nothing is wrong."""
    down: Counter[str] = field(default_factory=Counter)
    """Machines that answer nothing."""
    deaf: Counter[str] = field(default_factory=Counter)
    """Machines that answer pings of their own address and forward nothing."""
    cut: Counter[str] = field(default_factory=Counter)
    """Nodes whose own internet gateway is cut."""
    targets_lost: Counter[str] = field(default_factory=Counter)
    """Nodes that get no answer from the uplink's targets, though the internet is there."""
    severed: Counter[Link] = field(default_factory=Counter)
    """Directed links between two nodes that carry nothing."""
    mute: Counter[Link] = field(default_factory=Counter)
    """Askers whose pings of that node's own address are dropped, while it forwards."""
    heartbeats_lost: Counter[Link] = field(default_factory=Counter)
    """Askers whose heartbeats of that node are dropped, while all else passes."""
    loss: Counter[Link] = field(default_factory=Counter)
    """Directed links, and how many bursts of loss they have."""
    slow: Counter[str] = field(default_factory=Counter)
    """Askers whose answers come late, some of them too late."""
    echoing: Counter[str] = field(default_factory=Counter)
    """Askers whose answers come twice."""
    dropping: dict[Link, list[float]] = field(default_factory=dict)
    """Shares of packets that are dropped: on directed links, and on what enters or leaves a node.

    The interface of a node is the link `entering(node)` or `leaving(node)`.
    """
    strained: Counter[str] = field(default_factory=Counter)
    """Nodes whose connection tracking has room for the flows of one zone only."""
    zones_carried: Callable[[str], int] = field(default=lambda _node: 1)
    """How many zones' clients a node carries at present, whoever asks."""
    unanswered: set[str] = field(default_factory=set)
    """Heartbeat addresses behind which there is nobody."""
    tunnel_cut: Counter[str] = field(default_factory=Counter)
    """Nodes whose tunnel carries nothing, though the internet is there: their clients need it, and
    the heartbeats that cross them. Only where the file says that there is a tunnel."""
    ailing: Counter[str] = field(default_factory=Counter)
    """Nodes whose check of themselves fails."""
    unrunnable: Counter[str] = field(default_factory=Counter)
    """Nodes whose check of themselves cannot be run."""
    unable: Counter[Link] = field(default_factory=Counter)
    """Whose sends fail (EPERM), and to where: a node, GATEWAY, or one address."""
    unmasqueraded: Counter[str] = field(default_factory=Counter)
    """Machines that forward without masquerading: a private source gets no answer."""
    nameless: Counter[str] = field(default_factory=Counter)
    """Nodes that cannot resolve any name."""
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    """Each check of a world by script: when it was sent, by whom, to which address."""
    moved: int = 0
    """How many faults have the target's name stand for another address."""

    def delay(self, asker: str) -> float:
        """Seconds until an answer arrives."""
        return self.rng.uniform(RTT, 1.2) if self.slow[asker] > 0 else self.rtt

    def reaches_peer(self, asker: str, peer: str) -> bool:
        """Whether a ping of the peer's own address comes back."""
        return not self.mute[asker, peer] and self._passes_between(asker, peer)

    def crosses_peer(self, asker: str, peer: str, pin: PinState, source: str = "") -> bool:
        """Whether a heartbeat that this pin steers comes back to the address it left from."""
        if self.heartbeats_lost[asker, peer]:
            return False
        if pin is PinState.MISSING:
            return self.reaches_internet(asker)
        if pin is not PinState.GOOD or not self.forwards(peer):
            return False
        if source and self.unmasqueraded[peer]:
            return False
        if self.tunnel_cut[peer]:
            return False
        return self._passes_between(asker, peer) and self.reaches_internet(peer)

    def reaches_internet(self, node: str) -> bool:
        """Whether a packet leaves by the node's gateway and its answer comes back."""
        return not self.cut[node] and self._there_and_back(node, GATEWAY)

    def reaches_target(self, node: str, address: str) -> bool:
        """Whether an uplink target answers: one of the internet, or the one beyond the tunnel."""
        if address == BEYOND_TUNNEL and self.tunnel_cut[node]:
            return False
        return not self.targets_lost[node] and self.reaches_internet(node)

    def check(self, node: str) -> tuple[Outcome, str]:
        """What a node's check of itself comes to."""
        if self.unrunnable[node]:
            return Outcome.BLIND, "no such program"
        if self.ailing[node] or self.tunnel_cut[node]:
            return Outcome.MISSED, "ended with status 1"
        return Outcome.HEARD, ""

    def forwards(self, node: str) -> bool:
        """Whether the node forwards new flows; each ping through it is one."""
        return not self.deaf[node] and not (self.strained[node] and self.zones_carried(node) > 1)

    def dropped(self, *links: Link) -> float:
        """Share of packets that are lost on the way over these links, one after the other."""
        passed = 1.0
        for link in links:
            if self.severed[link]:
                return 1.0
            passed *= (1.0 - BURST_LOSS) ** (self.loss[link] > 0)
            for share in self.dropping.get(link, ()):
                passed *= 1.0 - share
        return 1.0 - passed

    def resolve(self, asker: str, name: str) -> tuple[str, ...]:
        """Return what a name stands for; ResolveError when the asker cannot know."""
        if self.nameless[asker] or name != TARGET_NAME:
            raise ResolveError(f"{name}: as the faults have it")
        return TARGETS[self.moved > 0]

    def _passes_between(self, asker: str, peer: str) -> bool:
        return not self.down[peer] and self._there_and_back(asker, peer)

    def _there_and_back(self, one: str, other: str) -> bool:
        if not (self._passes((one, other)) and self._passes((other, one))):
            return False
        if not self.dropping:
            return True
        there = (leaving(one), (one, other), entering(other))
        back = (leaving(other), (other, one), entering(one))
        return all(self._is_kept(link) for link in (*there, *back))

    def _is_kept(self, link: Link) -> bool:
        return all(self.rng.random() >= share for share in self.dropping.get(link, ()))

    def _passes(self, link: Link) -> bool:
        if self.severed[link]:
            return False
        return not self.loss[link] or self.rng.random() > BURST_LOSS


@dataclass(frozen=True)
class Addresses:
    """Who is behind each address that a group may ping."""

    heartbeats: dict[str, str]
    privates: dict[str, str]

    @classmethod
    def of(cls, group: Group) -> Addresses:
        heartbeats = {address: node.name for node in group.nodes for address in node.heartbeat}
        return cls(heartbeats, {private(n): node.name for n, node in enumerate(group.nodes)})


def entering(node: str) -> Link:
    """The way into a node, through its network interface."""
    return "*", node


def leaving(node: str) -> Link:
    """The way out of a node, through its network interface."""
    return node, "*"


def private(number: int) -> str:
    """Private address of the group's so-many-th node."""
    return f"10.0.{number}.10"


def source(number: int) -> str:
    """A private address of that node which has no public one."""
    return f"10.0.{number}.11"


def links(ones: Iterable[str], others: Iterable[str]) -> list[Link]:
    """Every directed link from one of these to one of those."""
    there = list(others)
    return [(one, other) for one in ones for other in there if one != other]
