"""The words of nathb, as types.

A *group* of *nodes* covers for one another. Each *route* has a *home*; its *holder* is the
node it points at now, as the *view* shows. *Checks* have *outcomes*, outcomes make *verdicts*,
and verdicts call for *moves*. Seconds are floats on a monotonic clock whose zero means nothing.
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct


class Recorded(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a recorded round is made of (`core.replay`), as JSON with defaults left out.

    A field that this version does not know is refused when a round is read back: without it the
    rules would be asked about other facts. So a field that is added later has a default, for
    lines of older versions lack it, and one that is renamed keeps its name in JSON.
    """


class Outcome(Enum):
    """What came of one check."""

    HEARD = "heard"
    MISSED = "missed"
    BLIND = "blind"
    """It could not be pinged: the send failed, or this process was stalled."""


class Verdict(Enum):
    """What the checks of one path add up to."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Preempt(Enum):
    """Whether a route goes home by itself once its home is back (keepalived's `preempt`)."""

    AUTO = "auto"
    MANUAL = "manual"


Uplink = tuple[str | tuple[str, ...], ...]
"""Addresses and host names as the file has them: flat, or in parts, each of them a tuple."""


def parts_of(uplink: Uplink) -> tuple[tuple[str, ...], ...]:
    """Return the parts of an uplink: a flat one is one part, and an empty one is none."""
    flat = tuple(one for one in uplink if isinstance(one, str))
    return (flat,) if flat else tuple(one for one in uplink if not isinstance(one, str))


class Route(Recorded, frozen=True, order=True, cache_hash=True):
    """One guarded entry of a VPC route table, named as EC2 names it.

    `destination` is a CIDR block, IPv4 or IPv6, or the id of a prefix list (pl-…).
    """

    table: str
    destination: str

    def __str__(self) -> str:
        return f"{self.table} {self.destination}"

    @property
    def is_default(self) -> bool:
        """True for the routes that carry most traffic, which therefore move first."""
        return self.destination in {"0.0.0.0/0", "::/0"}


ANY_DESTINATION = "any"
"""The destination of a match that finds every static route to a node of the group, pins aside."""


class RouteMatch(Recorded, frozen=True):
    """Routes to be found after each view, instead of listed (`core.found_routes`).

    `filters` are pairs as DescribeRouteTables takes them, `tag:KEY` or `vpc-id`: a table that has
    all of them is searched for routes to `destination`. `excluded` are destinations and tables.
    """

    filters: tuple[tuple[str, str], ...]
    destination: str
    excluded: tuple[str, ...] = ()


class Node(Recorded, frozen=True):
    """A router instance as the file describes it.

    Exactly one of `instance` (an id) and `match` (tag filters, as DescribeInstances takes them)
    is given. `eni` names the interface that routes point at; without it, it is the primary one.
    `source` is a private address of this node that has no public one: its heartbeats leave from
    there, so that a peer which forwards but no longer masquerades is not heard. Empty for the
    usual one.
    `uplink` and `check_command` replace those of the group for this node, unless they are empty.
    `interface` is the one that leads to the VPC: checks that have to leave by it are bound to it.
    Empty where the routes of the machine may choose.
    """

    name: str
    heartbeat: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    instance: str = ""
    match: tuple[tuple[str, str], ...] = ()
    eni: str = ""
    source: str = ""
    found: tuple[RouteMatch, ...] = ()
    """Routes whose home it is too, once they are found."""
    uplink: Uplink = ()
    interface: str = ""
    check_command: tuple[str, ...] = ()


class Timers(Recorded, frozen=True):
    """The `check` block of the file. Durations in seconds; a `pulse` of 0 sends none.

    `command_timeout` is that of `check_command`, `timeout` that of a ping.
    """

    interval: float = 30.0
    fast_interval: float = 1.0
    timeout: float = 1.0
    fall: int = 3
    rise: int = 3
    pulse: float = 0.5
    command_timeout: float = 3.0

    @property
    def pulse_timeout(self) -> float:
        """Seconds within which a pulse is due: a round trip between zones takes one or two ms."""
        return min(0.25, self.pulse / 2)

    @property
    def detection(self) -> float:
        """Seconds in which a path that dies unannounced is DOWN at the latest."""
        return self.interval + (self.fall - 1) * self.fast_interval + self.timeout

    @property
    def fast_detection(self) -> float:
        """Seconds in which a path that dies while it is checked fast is DOWN at the latest."""
        return self.fall * self.fast_interval + self.timeout


class Notify(Recorded, frozen=True):
    """The `notify` block: who gets the transitions.

    `sns` is a topic's ARN, empty for none; `kms` is that of the key that encrypts the topic.
    """

    sns: str = ""
    kms: str = ""


class Metrics(Recorded, frozen=True):
    """The `metrics` block: where Prometheus finds figures; empty for nowhere.

    `textfile` is a path for node_exporter, `listen` a loopback address with a port.
    """

    textfile: str = ""
    listen: str = ""


class Learn(Recorded, frozen=True, dict=True):
    """The `learn` block: prefixes that the router knows become routes. Seconds.

    They are read from the output of `command`, or from `file`: one of the two is given. `into` are
    route tables of the VPC (rtb-…) and of a transit gateway (tgw-rtb-…); in the latter, routes
    point at `attachment`. Nothing outside of `allow` is created or withdrawn.
    """

    into: tuple[str, ...]
    allow: tuple[str, ...]
    command: tuple[str, ...] = ()
    file: str = ""
    attachment: str = ""
    at_most: int = 50
    interval: float = 10.0
    withdraw_after: float = 300.0

    @cached_property
    def allowed(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The blocks of `allow`, parsed once: they are compared with every prefix that is read."""
        return tuple(ip_network(block) for block in self.allow)

    @property
    def vpc_tables(self) -> tuple[str, ...]:
        """Those of `into` that are route tables of the VPC."""
        return tuple(table for table in self.into if not is_gateway_table(table))

    @property
    def gateway_tables(self) -> tuple[str, ...]:
        """Those of `into` that are route tables of a transit gateway."""
        return tuple(table for table in self.into if is_gateway_table(table))


def is_gateway_table(table: str) -> bool:
    """Whether an id is that of a transit gateway's route table."""
    return table.startswith("tgw-")


class Group(Recorded, frozen=True, dict=True):
    """The file: nodes that cover for one another, and how patient they are. Seconds.

    `check_command` is a program and its arguments, which says whether a node serves.
    """

    name: str
    nodes: tuple[Node, ...]
    uplink: Uplink
    region: str = ""
    check: Timers = Timers()
    preempt: Preempt = Preempt.AUTO
    preempt_delay: float = 60.0
    refresh: float = 30.0
    view_max_age: float = 300.0
    settle: float = 10.0
    contest_hold: float = 600.0
    notify: Notify = Notify()
    metrics: Metrics = Metrics()
    check_command: tuple[str, ...] = ()
    learn: Learn | None = None

    def node(self, name: str) -> Node:
        """Return the node of that name; KeyError when the group has none."""
        return self._named[name]

    def uplink_of(self, name: str) -> tuple[tuple[str, ...], ...]:
        """Return the parts of a node's uplink: of each, one address must answer.

        A flat list is one part. KeyError when the group has no such node.
        """
        return parts_of(self.node(name).uplink or self.uplink)

    def check_command_of(self, name: str) -> tuple[str, ...]:
        """Return the program and arguments of a node's check of itself; empty for none."""
        return self.node(name).check_command or self.check_command

    def routes(self) -> tuple[Route, ...]:
        """Every guarded route, default routes first, for they carry most."""
        return self._routes

    def guards(self, route: Route) -> bool:
        """Whether the route is one of `routes`."""
        return route in self._orders

    def order(self, route: Route) -> tuple[str, ...]:
        """Names by preference: the route's home, then the others as listed, wrapping round.

        KeyError when no node is the route's home.
        """
        return self._orders[route]

    def home(self, route: Route) -> str:
        """Name the node that the route belongs to when all is well."""
        return self.order(route)[0]

    @property
    def finds_routes(self) -> bool:
        """Whether some of its routes are found in what EC2 shows, and not listed."""
        return self.learn is not None or any(node.found for node in self.nodes)

    @property
    def matches(self) -> frozenset[str]:
        """What its matches ask of a table, each in words: `vpc-id=vpc-… tag:Name=private`."""
        return frozenset(
            " ".join(f"{name}={value}" for name, value in sorted(match.filters))
            for node in self.nodes
            for match in node.found
        )

    # Each is asked many times in every round, and the answer is always the same.

    @cached_property
    def _named(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _routes(self) -> tuple[Route, ...]:
        routes = [route for node in self.nodes for route in node.routes]
        return tuple(sorted(routes, key=lambda route: not route.is_default))

    @cached_property
    def _orders(self) -> dict[Route, tuple[str, ...]]:
        names = tuple(node.name for node in self.nodes)
        homes = [(at, route) for at, node in enumerate(self.nodes) for route in node.routes]
        # The first node that names a route is its home.
        return {route: names[at:] + names[:at] for at, route in reversed(homes)}


# --- what is concluded ------------------------------------------------------------------------


class Evidence(Recorded, frozen=True):
    """How one subject (the uplink, or a peer) stands, and on what grounds. Times in seconds.

    `heard_at` and `silent_since` are times of *sending*: of the newest check that was answered,
    and of the first check in the present run of misses. `doubted_since` is when the first
    unanswered check or pulse of the present doubt was sent.
    """

    verdict: Verdict = Verdict.UNKNOWN
    since: float = 0.0
    heard_at: float | None = None
    silent_since: float | None = None
    doubted_since: float | None = None
    addresses: tuple[str, ...] = ()
    missed: int = 0
    needed: int = 0
    hastened: bool = False
    """EC2 itself says that this node is gone, or that what points at it leads nowhere (R13)."""
    gone: bool = False
    """EC2 says that the instance is stopping, stopped, shutting down or terminated."""
    blind: str = ""
    """Why one of its addresses cannot be pinged at present; empty when all can."""
    never_answered: bool = False
    """None of its addresses has ever answered this process."""
    pulsing_since: float | None = None
    """Since when its pulses have been answered without a break; None when the last one was not."""


class Rule(Enum):
    """The rules a ruling can rest on, by the numbers the design gives them."""

    R1 = "R1"
    R2 = "R2"
    R3 = "R3"
    R4 = "R4"
    R5 = "R5"
    R6 = "R6"
    R7 = "R7"
    R8 = "R8"
    R9 = "R9"
    R10 = "R10"
    R11 = "R11"


class Cause(Recorded, frozen=True):
    """The verdict (or drain) that calls for a move: R7 asks whether it still stands."""

    subject: str
    verdict: str
    since: float


class Move(Recorded, frozen=True):
    """The only write: point this route, now at that holder, to that node, because …"""

    route: Route
    holder: str
    to: str
    rule: Rule
    cause: Cause
    reason: str
    detected_in: float = 0.0
    """Seconds from the first sign of the cause to this decision."""


class Ruling(Recorded, frozen=True):
    """What one round concludes about one route. A move that is only `would` is not carried out."""

    route: Route
    rule: Rule
    reason: str
    move: Move | None = None
    would: bool = False
    due: float | None = None
    """When time alone will change this ruling; None when it takes new evidence."""
    fresh: str = ""
    """The node that must answer, and be seen in a view, once more before this can go on."""

    @property
    def is_pending(self) -> bool:
        """Whether a move is due, or waits for no more than an answer or another try."""
        is_due = self.move is not None and not self.would
        tried_again = self.due is not None and self.rule is not Rule.R7
        return is_due or tried_again or bool(self.fresh) or self.rule is Rule.R10


class Failure(Enum):
    """The ways in which an EC2 call fails, each handled on purpose."""

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """5xx, connection refused, no route: probably not applied."""
    NO_REPLY = "no reply"
    """Sent, but the answer was lost: it may have been applied."""
    DENIED = "denied"
    CREDENTIALS = "credentials"
    """None to be had, or expired."""
    MISSING = "missing"
    """The table or the route does not exist."""
    EXPIRED = "expired"
    """Not sent: the decision was too old by the time the call could be made."""
    REFUSED = "refused"
    """EC2 understood and said no."""


class Done(Struct, frozen=True, omit_defaults=True):
    """A move that EC2 accepted. `took` is the call's duration in seconds."""

    took: float
    request_id: str = ""


class Undone(Struct, frozen=True, omit_defaults=True):
    """A move that EC2 did not confirm."""

    failure: Failure
    message: str
    request_id: str = ""
