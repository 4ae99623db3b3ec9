"""A seed becomes a group and a history of faults: data only, drawn once and then acted out."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from msgspec.structs import replace

from nathb.core.model import Group, Node, Preempt, Route, Timers
from tests.sim.net import TARGET_NAME, source

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
    "hand-moves": 0.3,
    "hand-insists": 0.15,
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
EDITION = 2
"""What seeds stand for. Older editions are drawn as they were, for the seeds in the book."""

SPARE = Route("rtb-0000000a", "10.9.0.0/16")
"""A route that EC2 has, and that only a changed file guards."""


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
class Plot:
    """All that a seed decides beforehand."""

    seed: int
    group: Group
    faults: tuple[Fault, ...]
    dry: frozenset[str] = frozenset()
    """Nodes that run dry until the world is healed."""
    lost: frozenset[str] = frozenset()
    """Nodes that are dead when all else is healed, and stay so."""
    edition: int = EDITION

    def __str__(self) -> str:
        kinds = ", ".join(sorted({fault.kind for fault in self.faults})) or "no faults"
        check = self.group.check
        edition = "" if self.edition == EDITION else f" of edition {self.edition}"
        nodes, routes = len(self.group.nodes), len(self.group.routes())
        return (
            f"seed {self.seed}{edition}: {nodes} nodes, {routes} routes, "
            f"pulse {check.pulse:g}, fall {check.fall}, {self.group.preempt.value}; {kinds}"
        )


def draw(seed: int, edition: int = EDITION) -> Plot:
    """Return what this seed stands for. The same seed of an edition is the same plot for ever."""
    rng = Random(f"plot {seed}")
    group = _group(rng)
    if edition > 1:
        group = _with_names_and_sources(Random(f"names {seed}"), group)
    names = [node.name for node in group.nodes]
    dry = frozenset({rng.choice(names)} if rng.random() < 0.04 else ())
    lost = frozenset({rng.choice(names)} if rng.random() < 0.25 else ())
    kinds = KINDS if edition == 1 else KINDS | LATER_KINDS
    return Plot(seed, group, _faults(rng, names, kinds), dry, lost, edition)


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
