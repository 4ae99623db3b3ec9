"""A seed becomes a group and a history of faults: data only, drawn once and then acted out."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replace_field
from random import Random

from msgspec.structs import replace

from nathb.core.model import Group, Node, Preempt, Route, Timers
from tests.sim.matches import ANY, NAMED
from tests.sim.net import BEYOND_TUNNEL, TARGET_NAME, source

NAMES = ("nat-a", "nat-c", "nat-d", "nat-e")
LETTERS = "acde"
CALM = 8.0
"""Seconds before the first fault: enough for first verdicts, not for the first refresh."""
SAFETY = 40.0
"""Seconds in which faults begin."""
LONGEST = 14.0

KINDS: dict[str, float] = {
    # kind of fault: how likely a seed's mix is to have it
    "loss": 0.3,
    "slow-answers": 0.15,
    "duplicates": 0.15,
    "one-way": 0.25,
    "partition": 0.3,
    "gateway-cut": 0.35,
    "all-gateways-cut": 0.25,
    "targets-lost": 0.25,
    "forwards-nothing": 0.3,
    "echo-closed": 0.15,
    "process-crash": 0.3,
    "host-crash": 0.4,
    "stop": 0.35,
    "stand-in-stopped": 0.2,
    "freeze": 0.2,
    "frozen-in-doubt": 0.2,
    "blind": 0.3,
    "ec2-slow": 0.2,
    "ec2-throttled": 0.15,
    "ec2-unavailable": 0.2,
    "ec2-denied": 0.08,
    "describe-denied": 0.15,
    "no-reply-applied": 0.2,
    "no-reply-lost": 0.15,
    "stale-describe": 0.25,
    "operator-moves": 0.3,
    "operator-insists": 0.15,
    "foreign": 0.2,
    "pin-missing": 0.25,
    "pin-elsewhere": 0.25,
    "pause": 0.2,
    "drain": 0.25,
    "reload": 0.15,
    "flapping": 0.12,
}
LATER_KINDS: dict[str, float] = {
    # what came with the second edition
    "ec2-hangs": 0.25,
    "unmasqueraded": 0.2,
    "names-lost": 0.2,
    "names-moved": 0.1,
    "shutdown": 0.3,
    "drained-unsure": 0.12,
    "revert": 0.1,
    "reload-changed": 0.25,
}
LATEST_KINDS: dict[str, float] = {
    # what came with the third: mild, long and flapping faults
    "mild-loss": 0.45,
    "mild-loss-between": 0.3,
    "flapping-cut": 0.3,
    "flapping-gateway": 0.12,
    "conntrack-full": 0.25,
    "dead-nat-and-silence": 0.2,
    "slow-shutdown": 0.25,
    "suspend": 0.15,
    "reboot": 0.2,
    "late-writes": 0.2,
    "connects-hang": 0.25,
    "endless-calls": 0.15,
    "applied-5xx": 0.2,
    "disrupted-zone": 0.2,
    "ambiguous-match": 0.12,
    "new-ids": 0.15,
    "wavering-reads": 0.2,
    "denied-to-one": 0.15,
    "other-order": 0.15,
    "drained-in-doubt": 0.15,
    "gateway-cut-unseen": 0.35,
    "contested-then-dead": 0.12,
    "daemon-dead": 0.2,
    "daemon-frozen": 0.15,
    "daemon-dry": 0.12,
}
TUNNEL_KINDS = ("tunnel-cut", "tunnel-cut", "tunnel-cut", "all-tunnels-cut")
"""Of seeds whose groups have tunnels."""
EDITION = 3
"""What seeds stand for. Older editions are drawn as they were, for the seeds that failed."""


@dataclass(frozen=True)
class Fault:
    """One fault: what, to whom, from when, for how long (seconds), and how bad."""

    kind: str
    at: float
    lasts: float
    who: str
    other: str
    size: int

    def __str__(self) -> str:
        return f"{self.kind} {self.who}/{self.other} x{self.size} for {self.lasts:.1f} s"


@dataclass(frozen=True)
class Schedule:
    """All that a seed decides beforehand."""

    seed: int
    group: Group
    faults: tuple[Fault, ...]
    dry: frozenset[str] = frozenset()
    """Nodes that run dry until the world is healed."""
    lost: frozenset[str] = frozenset()
    """Nodes that are dead when all else is healed, and stay so."""
    edition: int = EDITION
    calm: float = CALM
    """Seconds before the first fault."""
    production: bool = False
    """Whether timers and damping are those that nathb ships with."""
    unanswered: frozenset[str] = frozenset()
    """Heartbeat addresses behind which there is nobody, from the first to the last."""
    absent: tuple[tuple[str, str], ...] = ()
    """Nodes whose daemon is dead, frozen or dry from the first to the last, while its NAT lives."""
    fresh: frozenset[str] = frozenset()
    """Machines that have just booted when their daemon starts for the first time."""
    files: tuple[tuple[str, Group], ...] = ()
    """Nodes that have another file than the rest, from the first to the last."""
    tunnels: str = ""
    """How a node knows of its tunnel: `part` of its uplink, `check` of itself, or `both`."""
    found: str = ""
    """How the files have matches for their routes (`matches`); empty where they list them."""

    def __str__(self) -> str:
        kinds = ", ".join(sorted({fault.kind for fault in self.faults})) or "no faults"
        check = self.group.check
        edition = "" if self.edition == EDITION else f" of edition {self.edition}"
        nodes, routes = len(self.group.nodes), len(self.group.routes())
        always = "".join(f"; {node} {how}" for node, how in self.absent)
        always += "".join(f"; nobody at {address}" for address in sorted(self.unanswered))
        always += "".join(f"; {node} has another file" for node, _ in self.files)
        always += f"; tunnels, known by {self.tunnels}" if self.tunnels else ""
        always += f"; routes found, destinations {self.found}" if self.found else ""
        return (
            f"seed {self.seed}{edition}: {nodes} nodes, {routes} routes, "
            f"{'production timers, ' if self.production else ''}"
            f"pulse {check.pulse:g}, fall {check.fall}, {self.group.preempt.value}; {kinds}{always}"
        )


def draw(seed: int, edition: int = EDITION) -> Schedule:
    """Return what this seed stands for. A seed of an edition is the same schedule for ever."""
    if edition > 2:
        found = Random(f"found {seed}").choices(("", NAMED, ANY), (84, 8, 8))[0]
        plain = replace_field(_third(seed), found=found)
        return _with_tunnels(Random(f"uplinks {seed}"), plain)
    rng = Random(f"plot {seed}")
    group = _group(rng)
    if edition > 1:
        group = _with_names_and_sources(Random(f"names {seed}"), group)
    names = [node.name for node in group.nodes]
    dry = frozenset({rng.choice(names)} if rng.random() < 0.04 else ())
    lost = frozenset({rng.choice(names)} if rng.random() < 0.25 else ())
    kinds = KINDS if edition == 1 else KINDS | LATER_KINDS
    return Schedule(seed, group, _faults(rng, names, kinds), dry, lost, edition)


def _group(rng: Random) -> Group:
    size = rng.choices((2, 3, 4), (70, 22, 8))[0]
    nodes = tuple(_node(rng, number) for number in range(size))
    return Group(
        name="sim",
        nodes=nodes,
        uplink=("1.1.1.1", "9.9.9.9")[: rng.choice((1, 1, 2))],
        check=Timers(
            interval=rng.choice((2.0, 3.0)),
            fast_interval=0.5,
            timeout=rng.choice((0.5, 0.7)),
            fall=rng.choice((2, 3, 3)),
            rise=rng.choice((2, 3)),
            pulse=rng.choice((0.0, 0.0, 1.0)),
        ),
        preempt=Preempt.MANUAL if rng.random() < 0.12 else Preempt.AUTO,
        preempt_delay=rng.choice((2.0, 5.0)),
        refresh=rng.choice((3.0, 6.0)),
        view_max_age=rng.choice((8.0, 15.0)),
        settle=1.5,
        contest_hold=15.0,
    )


def _node(rng: Random, number: int) -> Node:
    letter = LETTERS[number]
    table = f"rtb-0000000{letter}"
    routes = [Route(table, "0.0.0.0/0")]
    if rng.random() < 0.25:
        routes.append(Route(table, "10.8.0.0/16"))
    beats = [f"8.8.{number}.8", f"8.8.{number}.4"][: rng.choice((1, 1, 1, 2))]
    return Node(NAMES[number], tuple(beats), tuple(routes), instance=f"i-0000000{letter}")


def _with_names_and_sources(rng: Random, group: Group) -> Group:
    if rng.random() < 0.3:
        group = replace(group, uplink=(TARGET_NAME, *group.uplink[1:]))
    if rng.random() < 0.3:
        sourced = (replace(node, source=source(n)) for n, node in enumerate(group.nodes))
        group = replace(group, nodes=tuple(sourced))
    return group


def _faults(rng: Random, names: list[str], kinds: dict[str, float]) -> tuple[Fault, ...]:
    mix = [kind for kind, likely in kinds.items() if rng.random() < likely * 0.6]
    if not mix:
        return ()
    faults: list[Fault] = []
    at = CALM
    for _ in range(rng.randint(2, 9)):
        if not faults or rng.random() < 0.7:  # the others come together with the one before
            at = CALM + rng.random() * SAFETY
        who, other = rng.sample(names, 2)
        lasts = rng.choice((rng.uniform(0.3, 3.0), rng.uniform(2.0, LONGEST)))
        kind = rng.choice(mix)
        faults.append(Fault(kind, round(at, 3), round(lasts, 3), who, other, rng.randint(1, 6)))
    return tuple(sorted(faults, key=lambda fault: fault.at))


# --- the third edition --------------------------------------------------------------------------


PRODUCTION_CALM, PRODUCTION_SAFETY = 70.0, 180.0
PRODUCTION_SPANS = (1.0, 9.0), (5.0, 45.0), (40.0, 140.0)
HASTY_SPANS = (0.3, 3.0), (2.0, LONGEST), (10.0, 45.0)
HOURS_SPAN = 900.0, 3600.0


def _third(seed: int) -> Schedule:
    """Draw a schedule: one in three at shipped timers, one in 120 for up to an hour."""
    rng = Random(f"third {seed}")
    production = seed % 3 == 0
    long = seed % 120 == 0
    group = _with_names_and_sources(rng, _group(rng))
    while long and len(group.nodes) > 2:  # three or more outvote whoever is mistaken
        group = _with_names_and_sources(rng, _group(rng))
    if production:
        group = _shipped(rng, group)
    names = [node.name for node in group.nodes]
    dry = frozenset({rng.choice(names)} if rng.random() < 0.03 else ())
    lost = frozenset({rng.choice(names)} if rng.random() < 0.2 else ())
    absent: tuple[tuple[str, str], ...] = ()
    if rng.random() < 0.12:
        absent = ((rng.choice(names), rng.choice(("dead", "frozen", "dry"))),)
    files: tuple[tuple[str, Group], ...] = ()
    if rng.random() < 0.1:
        files = ((rng.choice(names), another_order(group, rng)),)
    beats = [address for node in group.nodes for address in node.heartbeat]
    unanswered = frozenset({rng.choice(beats)} if rng.random() < 0.06 else ())
    calm = PRODUCTION_CALM if production else CALM
    return Schedule(
        seed,
        group,
        _unkind(rng, names, production=production, long=long),
        dry,
        lost,
        EDITION,
        calm,
        production,
        unanswered,
        absent,
        frozenset(names if rng.random() < 0.15 else ()),
        files,
    )


def _with_tunnels(rng: Random, schedule: Schedule) -> Schedule:
    """Give one group in eight tunnels, and faults of them beside those that it has."""
    how = rng.choices(("", "part", "check", "both"), (88, 4, 4, 4))[0]
    if not how:
        return schedule
    calm, safety = (PRODUCTION_CALM, PRODUCTION_SAFETY)
    spans = PRODUCTION_SPANS
    if not schedule.production:
        calm, safety, spans = CALM, SAFETY, HASTY_SPANS
    faults = list(schedule.faults)
    for _ in range(rng.randint(1, 4)):
        who, other = rng.sample([node.name for node in schedule.group.nodes], 2)
        at, lasts = calm + rng.random() * safety, rng.uniform(*rng.choice(spans))
        faults.append(Fault(rng.choice(TUNNEL_KINDS), round(at, 3), round(lasts, 3), who, other, 1))
    return replace_field(
        schedule,
        group=_tunnelled(schedule.group, how),
        files=tuple((name, _tunnelled(file, how)) for name, file in schedule.files),
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        tunnels=how,
    )


def _tunnelled(group: Group, how: str) -> Group:
    if how != "check":
        flat = tuple(one for one in group.uplink if isinstance(one, str))
        group = replace(group, uplink=(flat, (BEYOND_TUNNEL,)))
    return replace(group, check_command=("tunnel-is-up",) if how != "part" else ())


def _shipped(rng: Random, group: Group) -> Group:
    """The same group with every timer as nathb ships it; the pulse is what some files turn off."""
    standard = Group(name=group.name, nodes=group.nodes, uplink=group.uplink)
    pulse = standard.check.pulse if rng.random() < 0.6 else 0.0
    return replace(standard, check=replace(standard.check, pulse=pulse), preempt=group.preempt)


def another_order(group: Group, rng: Random) -> Group:
    """The same nodes listed in another order, or one route less."""
    if len(group.nodes) > 2 and rng.random() < 0.7:
        first, *others = group.nodes
        return replace(group, nodes=(first, *reversed(others)))
    last = group.nodes[-1]
    return replace(group, nodes=(*group.nodes[:-1], replace(last, routes=last.routes[:-1])))


def _unkind(rng: Random, names: list[str], *, production: bool, long: bool) -> tuple[Fault, ...]:
    kinds = KINDS | LATER_KINDS | {"all-gateways-cut": 0.6}
    mix = [kind for kind, likely in kinds.items() if rng.random() < likely * 0.35]
    mix += [kind for kind, likely in LATEST_KINDS.items() if rng.random() < likely * 0.8]
    if not mix:
        return ()
    calm, safety = (PRODUCTION_CALM, PRODUCTION_SAFETY) if production else (CALM, SAFETY)
    spans = PRODUCTION_SPANS if production else HASTY_SPANS
    faults: list[Fault] = []
    at = calm
    for _ in range(rng.choice((1, 2, 3, 4, 5, 6, 7, 9))):
        if not faults or rng.random() < 0.7:  # the others come together with the one before
            at = calm + rng.random() * safety
        who, other = rng.sample(names, 2)
        lasts = rng.uniform(*rng.choice(spans))
        kind = rng.choice(mix)
        faults.append(Fault(kind, round(at, 3), round(lasts, 3), who, other, rng.randint(1, 6)))
    if long:
        kind = rng.choice(("mild-loss", "mild-loss-between", "flapping-cut", "conntrack-full"))
        who, other = rng.sample(names, 2)
        lasts = round(rng.uniform(*HOURS_SPAN), 3)
        faults.append(Fault(kind, calm, lasts, who, other, rng.randint(3, 6)))
        faults.append(Fault("host-crash", calm + 30.0, 45.0, who, other, 1))
    return tuple(sorted(faults, key=lambda fault: fault.at))
