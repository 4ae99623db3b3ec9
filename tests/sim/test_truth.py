"""The judge that knows the truth: what it calls serving, and that each of its bounds can bite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from nathb.core.model import Group, Move, Route, Timers
from nathb.core.ports import Ports
from nathb.daemon.agent import Agent
from tests.sim.clock import START
from tests.sim.draw import Fault, Schedule
from tests.sim.grants import GRANTS
from tests.sim.judge import OffenceError
from tests.sim.net import GATEWAY, entering, leaving
from tests.sim.stage import A, C, production
from tests.sim.truth import Service
from tests.sim.world import World

HASTY = Timers(interval=2.0, fast_interval=0.5, timeout=0.5, fall=2, rise=2, pulse=0.0)
SERVES, POOR, DARK = Service.SERVES, Service.POOR, Service.DARK


def hasty() -> Group:
    return replace(production(), check=HASTY, refresh=3.0, settle=1.5, preempt_delay=5.0)


def route(world: World, node: str) -> Route:
    return world.schedule.group.node(node).routes[0]


def scheduled(*faults: Fault) -> Schedule:
    return Schedule(1, hasty(), faults)


class Idle(Agent):
    """An agent that never does anything about anything."""

    def _decide(self, now: float, news: list[object]) -> None:  # type: ignore[override]
        del now, news


class Meddler(Agent):
    """An agent that takes the other's route every forty seconds, however well that one serves."""

    def __init__(self, group: Group, me: str, ports: Ports, **how: object) -> None:
        super().__init__(group, me, ports, **how)  # type: ignore[arg-type]
        self.next_at = ports.clock.monotonic() + 20.0

    def _decide(self, now: float, news: list[object]) -> None:  # type: ignore[override]
        super()._decide(now, news)  # type: ignore[arg-type]
        if self.me == A and now >= self.next_at:
            self.next_at = now + 40.0
            held = self.group.node(C).routes[0]
            move = Move(held, C, A, None, None, "meddles")  # type: ignore[arg-type]
            take = lambda: self.ports.cloud.move(move, "eni-nat-a", now + 2.0)  # noqa: E731
            self.ports.calls.start(object(), take)


def judged(schedule: Schedule, agent: type[Agent]) -> str:
    """What the judge that knows the truth says of this world; writes are not judged one by one."""
    with pytest.raises(OffenceError) as caught:
        World(schedule, agent, judged=False).live()
    return str(caught.value)


def test_clients_left_on_a_dead_node_are_noticed_one_detection_and_five_seconds_later() -> None:
    offence = judged(scheduled(Fault("host-crash", 10.0, 60.0, C, A, 1)), Idle)
    detection = 2.0 + 2 * 0.5 + 0.5
    noticed_at = float(offence.split()[0])
    assert noticed_at == pytest.approx(START + 10.0 + detection + 5.0, abs=0.1)
    assert "unserved" in offence


def test_a_take_from_a_node_that_serves_is_noticed() -> None:
    assert "taken" in judged(scheduled(Fault("reload", 10.0, 60.0, C, A, 1)), Meddler)


def test_a_take_from_a_node_that_serves_is_noticed_in_mild_loss_too() -> None:
    assert "taken" in judged(scheduled(Fault("mild-loss", 10.0, 60.0, C, A, 2)), Meddler)


def test_in_loss_of_a_fifth_one_take_is_borne_and_the_second_is_not() -> None:
    offence = judged(scheduled(Fault("mild-loss", 1.0, 120.0, C, A, 4)), Meddler)
    assert "2 times within the hour at 20% loss; at most 1" in offence


BROKEN: dict[str, tuple[Callable[[World], None], Service, Service]] = {
    # what is wrong with nat-c: what it then is to its own clients, and to nat-a's
    "nothing": (lambda _: None, SERVES, SERVES),
    "the machine is down": (lambda w: w.net.down.update([C]), DARK, DARK),
    "it forwards nothing": (lambda w: w.net.deaf.update([C]), DARK, DARK),
    "it does not masquerade": (lambda w: w.net.unmasqueraded.update([C]), DARK, DARK),
    "its gateway is cut": (lambda w: w.net.cut.update([C]), DARK, DARK),
    "its targets are lost, and nothing else": (
        lambda w: w.net.targets_lost.update([C]),
        SERVES,
        SERVES,
    ),
    "pings of its own address are dropped": (lambda w: w.net.mute.update([(A, C)]), SERVES, SERVES),
    "the way between the zones is cut": (lambda w: w.net.severed.update([(A, C)]), SERVES, DARK),
    "it loses a fifth of what it sends": (
        lambda w: w.net.dropping.update({leaving(C): [0.2]}),
        SERVES,
        SERVES,
    ),
    "it loses half of what comes in": (
        lambda w: w.net.dropping.update({entering(C): [0.5]}),
        POOR,
        POOR,
    ),
    "half is lost on the way to the internet": (
        lambda w: w.net.dropping.update({(C, GATEWAY): [0.5]}),
        POOR,
        POOR,
    ),
    "it has room for one zone": (lambda w: w.net.strained.update([C]), SERVES, DARK),
}


@pytest.mark.parametrize("name", BROKEN)
def test_who_serves_is_told_from_what_carries_the_packets(name: str) -> None:
    breaks, own, other = BROKEN[name]
    world = World(scheduled(), judged=False)
    breaks(world)
    truth = world.accounts.truth
    assert truth.service(route(world, C), C) is own
    assert truth.service(route(world, A), C) is other
    assert truth.service(route(world, A), A) is SERVES


def test_every_grant_of_time_says_why() -> None:
    assert all(len(grant.why.split()) > 10 for grant in GRANTS.values())
