"""Agents in which one rule is broken on purpose: what the world must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from nathb.core import memory, rules
from nathb.core.awareness import Awareness
from nathb.core.context import Facts, RouteContext
from nathb.core.errors import CloudError
from nathb.core.found_routes import Resolved, with_found
from nathb.core.health import together
from nathb.core.memory import RouteMemory
from nathb.core.model import Evidence, Failure, Move, Ruling, Timers, Verdict
from nathb.core.parts import evidence_of_all
from nathb.core.path import Path, Pulse
from nathb.core.prober import Prober
from nathb.core.rules import RULES, decide
from nathb.core.subject import Subject
from nathb.daemon.agent import Agent
from nathb.daemon.ec2_watcher import EC2Watcher
from nathb.daemon.mover import Mover
from tests.sim.draw import Schedule
from tests.sim.rewire import (
    deciding,
    instead,
    moving,
    rewired,
    ruled_by,
    seeing,
    watching,
    without,
)

# --- how rules are broken -------------------------------------------------------------------------


def _always(*_evidence: object) -> bool:
    return True


def _never(*_anything: object) -> bool:
    return False


def _silent(_case: RouteContext) -> None:
    """A rule that has nothing to say."""


def _sure_of_uplink(known: Facts) -> object:
    sure = Evidence(Verdict.UP, 0.0, known.now, addresses=("1.1.1.1",))
    return decide(replace(known, uplink=sure))


def _unless_up(known: Facts) -> object:
    """Take UNKNOWN for DOWN."""
    peers = {
        name: one
        if one.verdict is Verdict.UP
        else replace(one, verdict=Verdict.DOWN, silent_since=one.silent_since or known.now)
        for name, one in known.peers.items()
    }
    return decide(replace(known, peers=peers))


def _blind_to_drains(known: Facts) -> object:
    if known.view is None:
        return decide(known)
    intent = replace(known.view.intent, drained=frozenset())
    return decide(replace(known, view=replace(known.view, intent=intent)))


def _deaf_to_shutdown(known: Facts) -> object:
    return decide(replace(known, leaving=False))


def _drained_whatever_the_uplink(case: RouteContext) -> object:
    sure = Evidence(Verdict.UP, 0.0, case.known.now, addresses=("1.1.1.1",))
    return rules.r6_drain(replace(case, known=replace(case.known, uplink=sure)))


def _blind_to_pause(known: Facts) -> object:
    if known.view is None:
        return decide(known)
    intent = replace(known.view.intent, paused=False)
    return decide(replace(known, view=replace(known.view, intent=intent)))


def _take_foreign(case: RouteContext) -> object:
    """Take what points outside the group for a blackhole."""
    if case.holding is None or case.holding.node:
        return rules.r8_foreign(case)
    blackhole = rules.RouteState.BLACKHOLE
    return rules.r3_take_a_blackhole(replace(case, holding=replace(case.holding, state=blackhole)))


def _in_flight_forgotten(recalled: RouteMemory, _move: Move, _now: float) -> RouteMemory:
    return recalled


def _blind_is_missed(self: Prober, asked: Path | Pulse, why: str, now: float) -> None:
    Prober.not_sent(self, asked, why, now)
    if isinstance(asked, Path):
        asked.sent(-1, now)
        subject = self._subject(asked.subject)
        asked.missed(now, [-1], self._needed(subject, now))
        subject.conclude(now, self.pulses.get(asked.subject))


def _sourceless(
    self: Prober, timers: Timers, heartbeats: object, now: float, **more: object
) -> None:
    Prober.__init__(self, timers, heartbeats, now, **{**more, "source": ""})


def _newest(parts: list[Evidence], verdict: Verdict, since: float) -> Evidence:
    """Let the newest answer of any part be a witness of all."""
    heard = [part.heard_at for part in parts if part.heard_at is not None]
    return replace(evidence_of_all(parts, verdict, since), heard_at=max(heard, default=None))


def _any_part() -> type[Agent]:
    """An agent that takes its uplink for UP while any part of it is."""
    conclude = rewired(Subject.conclude, all_of=together)
    return watching(
        __init__=rewired(Prober.__init__, Subject=type("Bent", (Subject,), {"conclude": conclude}))
    )


def _astray(self: Mover, ruling: Ruling, move: Move, known: Facts, *rest: object) -> None:
    """Write the route next to the one that was meant."""
    route = replace(move.route, destination="::/0")
    first, *others = known.group.nodes
    nodes = (replace(first, routes=(*first.routes, route)), *others)
    known = replace(known, group=replace(known.group, nodes=nodes))
    Mover.start(self, ruling, replace(move, route=route), known, *rest)


def _every_pin(self: EC2Watcher) -> tuple[tuple[str, str], ...]:
    nodes = self.group.nodes if self.view is not None else ()
    return tuple((node.name, address) for node in nodes for address in node.heartbeat)


def _forgetful(self: EC2Watcher, key: str) -> Callable[[], object]:
    """Remember no route that was found before."""
    cloud, roster = self.ports.cloud, self.roster
    if key == "roster" or roster is None or not self.group.finds_routes:
        return EC2Watcher._call(self, key)
    return lambda: cloud.resolved(roster, ())


def _of_another(self: EC2Watcher, answer: Resolved) -> None:
    """Take the last node for the home of whatever is found."""
    last = self.group.nodes[-1].name
    claims = dict.fromkeys(answer.claims, (last,))
    EC2Watcher._guard(self, replace(answer, group=with_found(self.group, claims), claims=claims))


def _told_twice(self: Mover, *end: object) -> object:
    for event in Mover.ended(self, *end):
        yield event
        yield event


def _not_told(self: Mover, *end: object) -> tuple[()]:
    list(Mover.ended(self, *end))
    return ()


def _without_backoff() -> type[Agent]:
    ended = rewired(memory.ended, backoff=lambda *_failure: 0.0)
    return moving(ended=rewired(Mover.ended, ended=ended))


def _without_settle() -> type[Agent]:
    """Believe any Describe, however soon after a write of its own."""
    return _believing(lambda _memory, holding, view_at, _settle: (holding, view_at))


def _ageless() -> type[Agent]:
    """Believe its own writes, whatever any later Describe shows."""
    return _believing(
        lambda recalled, holding, view_at, _settle: memory.believed(
            recalled, holding, view_at, float("inf")
        )
    )


def _believing(shown: Callable[..., object]) -> type[Agent]:
    rule = rewired(rules._rule, case_of=rewired(rules.case_of, believed=shown))
    observed = rewired(memory.observed, believed=shown)
    agent = deciding(rewired(decide, _rule=rule))
    return moving(agent, observe=rewired(Mover.observe, observed=observed))


def _two_in_flight() -> type[Agent]:
    return moving(start=rewired(Mover.start, begun=_in_flight_forgotten))


def _without_damping() -> type[Agent]:
    untaken = lambda penalty, _now: penalty  # noqa: E731
    still = type(
        "Undamped", (), {"taken": staticmethod(untaken), "Penalty": memory.damping.Penalty}
    )
    carried = rewired(memory._carried_out, damping=still)
    return moving(
        ended=rewired(Mover.ended, ended=rewired(memory.ended, _carried_out=carried)),
        observe=rewired(
            Mover.observe,
            observed=rewired(
                memory.observed,
                _carried_out=carried,
                _arrived=rewired(memory._arrived, damping=still),
            ),
        ),
    )


def _any_age(case: RouteContext) -> object:
    return rules.r10_views(replace(case, as_of=case.known.now))


def _in_its_turn(case: RouteContext, since: float) -> Ruling | None:
    """Wait for its turn, and then go by any view."""
    seen = replace(case, view=replace(case.view, at=float("inf")))
    return rules._not_my_turn(seen, since)


def _without_fresh_view() -> type[Agent]:
    bent = [
        rewired(rule, _not_my_turn=_in_its_turn)
        if rule in {rules.r3_take_from_the_dead, rules.r3_take_a_blackhole}
        else rule
        for rule in RULES
    ]
    return ruled_by(*bent)


class _SelfAssured(Awareness):
    """Never distrusts itself."""

    def raised(self, _round_sent_at: float, _now: float) -> None:
        pass


class _Hasty(RouteContext, frozen=True):
    """A case in which every return is due at once."""

    def return_due(self, _node: str) -> float:
        return float("-inf")


def _returns_at_once(case: RouteContext) -> object:
    return rules.r4_return(_Hasty(*[getattr(case, name) for name in case.__struct_fields__]))


def _any_contest_blocks(case: RouteContext) -> Ruling | None:
    blocked = case.stay(rules.Rule.R7, "contested once", float("inf"))
    return blocked if case.memory.contests else None


def _held_for_ever(*_contest: object) -> float:
    return float("inf")


def _hurried(case: RouteContext) -> object:
    """Hand over when drained, whatever doubts there are about the next node."""
    known = case.known
    peers = {name: replace(one, doubted_since=None) for name, one in known.peers.items()}
    return rules.r6_drain(replace(case, known=replace(known, peers=peers)))


def _to_the_last(case: RouteContext) -> Ruling | None:
    """Release to whoever comes last in the order, of all that are alive."""
    ruling = rules.r5_release(case)
    if ruling is None or ruling.move is None:
        return ruling
    others = [name for name in reversed(case.order) if name != case.known.me and case.alive(name)]
    return replace(ruling, move=replace(ruling.move, to=others[0]))


class _SlowMover(Mover):
    """Begins no move before it has been called for during LATE seconds."""

    def may_start(self, move: Move, now: float) -> bool:
        since = self.__dict__.setdefault("since", {})
        key = move.route, move.to, move.cause
        return Mover.may_start(self, move, now) and now >= since.setdefault(key, now) + LATE


LATE = 8.0


def _late() -> type[Agent]:
    slow = rewired(Agent.__init__, Mover=_SlowMover)
    return type("Mutant", (Agent,), {"__init__": slow})


def _whenever(self: Mover, ruling: Ruling, move: Move, known: Facts, eni: str, _at: float) -> None:
    """Let a write reach EC2 however late it is."""
    Mover.start(self, ruling, move, known, eni, float("inf"))


def _lost_and_forgotten(self: Mover, ticket: object, answer: object, now: float) -> object:
    """Take a write without a reply for one that was not carried out."""
    if isinstance(answer, CloudError) and answer.failure is Failure.NO_REPLY:
        answer = CloudError(Failure.UNAVAILABLE, str(answer))
    return Mover.ended(self, ticket, answer, now)


@dataclass(frozen=True)
class Mutant:
    """A broken agent, the offence that must be found, and the fault that brings it to light."""

    agent: type[Agent]
    offence: str
    kind: str = ""
    lasts: float = 0.0
    """Seconds that a fault of this kind must last at least to bring it to light."""
    found: str = ""
    """How the files of such a seed find their routes, if that matters."""

    def may_show_in(self, schedule: Schedule) -> bool:
        """Whether the schedule has such a fault."""
        if self.found not in {"", schedule.found}:
            return False
        telling = [one for one in schedule.faults if one.lasts >= self.lasts]
        return self.kind in {"", *(one.kind for one in telling)}


MUTANTS: dict[str, Mutant] = {
    # what is broken: the agent, what the world must object to, and in which seeds to look
    "R1: UNKNOWN counts as DOWN": Mutant(deciding(_unless_up), "R1|R3|taken"),
    "R1: Blind counts as Missed": Mutant(watching(not_sent=_blind_is_missed), "R1", "blind"),
    "R2 is dropped": Mutant(ruled_by(*without(rules.r2_never_from_up)), "R2", "stand-in-stopped"),
    "R3 needs no uplink": Mutant(deciding(_sure_of_uplink), "R1|R3", "all-gateways-cut"),
    "R3 needs no witness": Mutant(
        ruled_by(
            *instead(
                rules.r3_take_from_the_dead,
                rewired(rules.r3_take_from_the_dead, heard_since=_always),
            )
        ),
        "R3",
        "all-gateways-cut",
    ),
    "R3b: takes in its turn without a fresh view": Mutant(
        _without_fresh_view(), "liveness|taken", "operator-insists"
    ),
    "R4 without preempt_delay": Mutant(
        ruled_by(*instead(rules.r4_return, _returns_at_once)),
        "R4",
        "host-crash",
    ),
    "R5 is dropped": Mutant(ruled_by(*without(rules.r5_release)), "unserved", "gateway-cut-unseen"),
    "R5 needs no witness": Mutant(
        ruled_by(*instead(rules.r5_release, rewired(rules.r5_release, heard_since=_always))),
        "R1|R5",
        "targets-lost",
    ),
    "R6 is dropped": Mutant(deciding(_blind_to_drains), "R6", "drain"),
    "R6: a shutdown is not noticed": Mutant(deciding(_deaf_to_shutdown), "R6", "shutdown"),
    "R6 needs no uplink": Mutant(
        ruled_by(*instead(rules.r6_drain, _drained_whatever_the_uplink)),
        "R6",
        "drained-unsure",
    ),
    "R5: releases to the last in order": Mutant(
        ruled_by(*instead(rules.r5_release, _to_the_last)), "R5", "targets-lost"
    ),
    "R6 ignores doubt": Mutant(
        ruled_by(*instead(rules.r6_drain, _hurried)), "R6", "drained-in-doubt"
    ),
    "R7 is dropped": Mutant(
        ruled_by(r7_contested=_silent, r7b_robbed=_silent, r7c_split=_silent),
        "written|taken",
        "flapping-cut",
    ),
    "R7: any contest blocks every later move": Mutant(
        ruled_by(r7_contested=_any_contest_blocks), "unserved", "contested-then-dead"
    ),
    "R7: a contest never ends": Mutant(
        ruled_by(r7_contested=rewired(rules.r7_contested, contest_hold=_held_for_ever)),
        "unserved",
        "contested-then-dead",
    ),
    "R3: takes 8 s late": Mutant(_late(), "unserved", "host-crash"),
    "R3 is dropped": Mutant(
        ruled_by(*without(rules.r3_take_from_the_dead)), "unserved", "host-crash"
    ),
    "uplink: any part that answers makes it UP": Mutant(_any_part(), "R1|R3|R5", "tunnel-cut"),
    "uplink: a witness is one of any part": Mutant(
        watching(evidence=rewired(Prober.evidence, evidence_of_all=_newest)),
        "R3",
        "tunnel-cut",
        lasts=100.0,
    ),
    "R16: not_after is ignored": Mutant(moving(start=_whenever), "R16", "connects-hang"),
    "R10: a lost answer is forgotten": Mutant(
        moving(ended=_lost_and_forgotten), "history", "no-reply-applied"
    ),
    "R8 is dropped": Mutant(ruled_by(*instead(rules.r8_foreign, _take_foreign)), "R8", "foreign"),
    "R8: another route is written": Mutant(moving(start=_astray), "R8"),
    "R9 is dropped": Mutant(deciding(_blind_to_pause), "R9", "pause"),
    "R10: nothing settles": Mutant(_without_settle(), "R2|R3", "stale-describe"),
    "R10: believed writes never age": Mutant(_ageless(), "R2|R3|R4"),
    "R10: two writes in flight": Mutant(_two_in_flight(), "R10"),
    "R10: no backoff": Mutant(_without_backoff(), "R10", "ec2-unavailable"),
    "R10: a view of any age will do": Mutant(
        ruled_by(*instead(rules.r10_views, _any_age)),
        "R10",
        "ec2-hangs",
    ),
    "R11 is dropped": Mutant(_without_damping(), "R11", "flapping"),
    "R12: a void pin counts as health": Mutant(seeing(pinned=_every_pin), "R1|R3", "pin-missing"),
    "R12: asks from the usual address": Mutant(watching(__init__=_sourceless), "R12"),
    "R1: a changed file leaves evidence as it was": Mutant(
        type("Mutant", (Agent,), {"reload": rewired(Agent.reload, _targets=_always)}),
        "R1|R3",
        "reload-changed",
    ),
    "found routes: forgotten when their node is terminated": Mutant(
        seeing(_call=_forgetful), "unserved|liveness", "stop", found="any"
    ),
    "found routes: their home is another node": Mutant(
        seeing(_guard=_of_another), "R4|liveness", found="named"
    ),
    "R14 is dropped": Mutant(
        type("Mutant", (Agent,), {"_notice_stall": lambda _self, _now: None}),
        "R1",
        "frozen-in-doubt",
    ),
    "R15: awareness never rises": Mutant(
        watching(__init__=rewired(Prober.__init__, Awareness=_SelfAssured)),
        "taken",
        "mild-loss-between",
        lasts=900.0,
    ),
    "history: a move is not told": Mutant(moving(ended=_not_told), "history"),
    "history: a move is told twice": Mutant(moving(ended=_told_twice), "history"),
}
