"""What EC2 shows of routes, pins, tags and instances, reduced to what the rules go by."""

from __future__ import annotations

from enum import Enum
from functools import cached_property

from msgspec import Struct

from nathb.core.model import Recorded, Route


class RouteState(Enum):
    """EC2's own words for a route's state."""

    ACTIVE = "active"
    BLACKHOLE = "blackhole"


class Holding(Recorded, frozen=True):
    """Where one guarded route points. `node` is empty when the target is outside the group."""

    route: Route
    node: str
    target: str
    """The id EC2 shows: eni-…, nat-…, igw-…; for messages only."""
    state: RouteState = RouteState.ACTIVE

    @property
    def is_blackhole(self) -> bool:
        """Whether EC2 says that the route leads nowhere."""
        return self.state is RouteState.BLACKHOLE


class PinState(Enum):
    """How a heartbeat's /32 stands in this node's own subnet table."""

    GOOD = "good"
    BLACKHOLE = "blackhole"
    MISSING = "missing"
    ELSEWHERE = "elsewhere"


class Pin(Recorded, frozen=True):
    """One heartbeat address of one peer, as this node's own subnet table routes it."""

    node: str
    address: str
    state: PinState
    target: str = ""
    table: str = ""


class Intent(Recorded, frozen=True):
    """What operators asked for, kept as tags on the guarded route tables."""

    drained: frozenset[str] = frozenset()
    paused: bool = False
    revert: bool = False
    until: str = ""
    """Until when the pause lasts, in words for people; empty when it has no end of its own."""


class View(Recorded, frozen=True, dict=True):
    """One DescribeRouteTables, reduced to what matters. As old as its request: `at`, seconds."""

    at: float
    holdings: tuple[Holding, ...] = ()
    pins: tuple[Pin, ...] = ()
    intent: Intent = Intent()
    digests: tuple[str, ...] = ()
    """The digests of the file that was applied, as tags on the guarded tables have them (R17)."""

    def holding(self, route: Route) -> Holding | None:
        """Where the route points; None when its table has no such route."""
        return self._held.get(route)

    @cached_property
    def blackholes(self) -> frozenset[str]:
        """The nodes that a pin or a route shows as a blackhole."""
        pins = [pin.node for pin in self.pins if pin.state is PinState.BLACKHOLE]
        return frozenset([*pins, *[seen.node for seen in self.holdings if seen.is_blackhole]])

    @cached_property
    def _held(self) -> dict[Route, Holding]:
        return {seen.route: seen for seen in reversed(self.holdings)}  # the first is what counts


class InstanceState(Enum):
    """EC2's words for what an instance is doing; UNSEEN when EC2 lists no such instance."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    UNSEEN = "unseen"

    @property
    def is_gone(self) -> bool:
        """Whether EC2 itself says that this instance forwards nothing any more."""
        return self in (  # a tuple: it compares faster than a set, and is asked often
            InstanceState.STOPPING,
            InstanceState.STOPPED,
            InstanceState.SHUTTING_DOWN,
            InstanceState.TERMINATED,
        )


class Instance(Struct, frozen=True, omit_defaults=True):
    """The instance that stands for a node now. `eni` is the one its routes are pointed at."""

    node: str
    instance: str
    eni: str = ""
    enis: tuple[str, ...] = ()
    address: str = ""
    """Private address of `eni`, for the pulse; empty when EC2 shows none."""
    state: InstanceState = InstanceState.RUNNING
    unread: str = ""
    """Why it is not known what stands for the node; empty when it is, or when EC2 shows nothing."""


class Roster(Struct, frozen=True, omit_defaults=True, dict=True):
    """Who stands for each node, and which table steers this node's own heartbeats."""

    at: float
    me: str
    instances: tuple[Instance, ...]
    own_table: str = ""

    def instance(self, node: str) -> Instance | None:
        """Return the instance that stands for the node; None when EC2 showed none."""
        return next((one for one in self.instances if one.node == node), None)

    @cached_property
    def gone(self) -> frozenset[str]:
        """The nodes that EC2 says are stopping, stopped or terminated."""
        return frozenset([one.node for one in self.instances if one.state.is_gone])
