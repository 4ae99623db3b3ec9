"""What was seen go wrong, one scenario each, at production timers; each states its bounds.

Run one and read along, in truth and in belief: `python -m tests.sim --row NAME --trace`.
A row raises AssertionError with the figures when they are not what they should be.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from msgspec.structs import replace

from nathb.core.ec2_state import InstanceState
from nathb.core.model import Group, Verdict
from nathb.daemon.agent import Agent
from tests.sim.stage import HOUR, A, C, D, Stage, production

Row = Callable[[type[Agent]], Stage]
ROWS: dict[str, Row] = {}
STAGES: list[Stage] = []
"""The stages that were set in this process, newest last: what a failed row has to show."""


def row(scenario: Row) -> Row:
    """Put the scenario into the table under its own name."""
    ROWS[scenario.__name__.replace("_", "-")] = scenario
    return scenario


def stage(*what: object, **how: object) -> Stage:
    one = Stage(*what, **how)  # type: ignore[arg-type]
    STAGES[:] = [one]
    return one


def at_most(figure: float, bound: float, what: str, scene: Stage) -> None:
    """Hold a figure against its bound, and note both."""
    written = scene.written()
    first = "; ".join(f"{at:g} s {who}: {route}'s to {to}" for at, who, route, to in written[:12])
    more = f" and {len(written) - 12} more" if len(written) > 12 else ""
    scene.bounds[what.partition(" ")[0]] = bound
    assert figure <= bound, f"{what}: {figure:g}, at most {bound:g}; writes: {first}{more}"


def budget(name: str, scene: Stage) -> str:
    """Return a line of a table: writes and seconds unserved (the worst zone's), of the most."""
    unserved = max(scene.dark(node) for node in scene.names)
    seen = {"writes": f"{len(scene.writes)}", "seconds": f"{unserved:.1f}"}
    cells = [
        f"{figure} of {scene.bounds[what]:g}" if what in scene.bounds else figure
        for what, figure in seen.items()
    ]
    return f"| {name.replace('-', ' ')} | {' | '.join(cells)} |"


# --- faults that are plain ------------------------------------------------------------------


@row
def crash(agent: type[Agent]) -> Stage:
    """A machine crashes: its clients are served again within 4.5 s."""
    scene = stage(agent=agent).run(7.3)
    scene.mark()
    with scene.crashed(C):
        scene.run(60.0)
        assert scene.holder(C) == A
        at_most(scene.dark(C), 4.5, "seconds unserved", scene)
        at_most(len(scene.writes), 1, "writes", scene)
    return scene


@row
def dead_path(agent: type[Agent]) -> Stage:
    """The NAT dies while its host lives: served again within an interval and 3.5 s."""
    scene = stage(agent=agent).run(7.3)
    scene.mark()
    with scene.forwards_nothing(C):
        scene.run(60.0)
        assert scene.holder(C) == A
        bound = scene.group.check.interval + 3.5
        at_most(scene.dark(C), bound, "seconds unserved", scene)
        at_most(len(scene.writes), 1, "writes", scene)
    return scene


@row
def crash_and_a_dead_path_of_three(agent: type[Agent]) -> Stage:
    """nat-a crashes, and nat-c's NAT dies just before it takes: nat-d serves all, with no pulse."""
    group = production(3)
    scene = stage(replace(group, check=replace(group.check, pulse=0.0)), agent=agent).run(7.3)
    scene.mark()
    with scene.crashed(A):
        scene.run(25.0)  # the first heartbeat of nat-a is lost, and the next one not yet sent
        with scene.forwards_nothing(C):
            scene.until(lambda: scene.holder(A) == C)
            scene.run(0.3)
            scene.look_now()  # as a refresh that is due just then
            scene.run(300.0)
            assert [scene.holder(node) for node in scene.names] == [D, D, D], scene.written()
            bound = scene.group.check.interval + 3.5
            at_most(scene.dark(C), bound, "seconds unserved in nat-c's zone", scene)
            at_most(scene.dark(A), 2 * bound, "seconds unserved in nat-a's zone", scene)
            at_most(len(scene.writes), 3, "writes", scene)
    return scene


@row
def crash_and_return(agent: type[Agent]) -> Stage:
    """After a crash of a minute the route is back home in time, with two writes and no more."""
    scene = stage(agent=agent)
    scene.mark()
    with scene.crashed(C):
        scene.run(60.0)
    scene.run(180.0)
    assert scene.holder(C) == C, scene.written()
    at_most(len(scene.writes), 2, "writes", scene)
    at_most(scene.dark(C), 4.5, "seconds unserved", scene)
    return scene


@row
def lasting_cut_between_zones(agent: type[Agent]) -> Stage:
    """The zones lose each other for an hour, both healthy: at most 6 writes, clients at home."""
    scene = stage(agent=agent)
    scene.mark()
    with scene.cut(A, C):
        scene.run(HOUR)
        at_most(len(scene.writes), 6, "writes", scene)
        for node in (A, C):
            assert scene.holder(node) == node, scene.written()
            at_most(scene.dark(node), 60.0, f"seconds unserved in {node}'s zone", scene)
    return scene


# --- faults that are mild, long or flapping ---------------------------------------------------


@row
def dead_nat_is_not_trusted(agent: type[Agent]) -> Stage:
    """nat-a's NAT is dead, nat-c serves both and stands still for 6 s: 30 s on a dead one."""
    scene = stage(agent=agent)
    with scene.forwards_nothing(A):
        scene.run(90.0)
        assert scene.ec2.routes[scene.route(A)] == C, "nat-c did not take in the first place"
        scene.mark()
        with scene.silent(C):
            scene.run(6.0)
        silent_for = 6.0
        scene.run(900.0)
        for node in (A, C):
            at_most(
                scene.dark(node), 30.0 + silent_for, f"seconds unserved in {node}'s zone", scene
            )
        assert scene.holder(A) == C, scene.written()
        assert scene.holder(C) == C, scene.written()
    return scene


@row
def dead_nat_is_not_trusted_after_a_network_fault(agent: type[Agent]) -> Stage:
    """The same, but nat-c's daemon goes on while its packets are lost for 6 s."""
    scene = stage(agent=agent)
    with scene.forwards_nothing(A):
        scene.run(90.0)
        scene.mark()
        with scene.unreachable(C):
            scene.run(6.0)
        scene.run(900.0)
        for node in (A, C):
            at_most(scene.dark(node), 30.0 + 6.0, f"seconds unserved in {node}'s zone", scene)
        assert scene.holder(A) == C, scene.written()
        assert scene.holder(C) == C, scene.written()
    return scene


@row
def dead_nat_is_not_trusted_after_what_looked_like_a_cut(agent: type[Agent]) -> Stage:
    """nat-c is unreachable just as it takes from a dead NAT, and again later: that is no cut."""
    scene = stage(agent=agent)
    with scene.forwards_nothing(A):
        while scene.holder(A) != C:
            scene.run(0.1)
        with scene.unreachable(C):
            scene.run(6.0)
        scene.run(300.0)
        scene.mark()
        with scene.unreachable(C):
            scene.run(45.0)
        scene.run(HOUR)
        at_most(scene.dark(A), 30.0 + 45.0, "seconds unserved in nat-a's zone", scene)
    return scene


@row
def flapping_cut(agent: type[Agent]) -> Stage:
    """Zones cut 8 s in every 24 s, both healthy: 8 writes in 4 minutes, 12 in the first hour."""
    scene = stage(agent=agent)
    scene.mark()
    for period in range(150):
        with scene.cut(A, C):
            scene.run(8.0)
        scene.run(16.0)
        if period == 9:
            at_most(len(scene.writes), 8, "writes in 4 minutes", scene)
    at_most(len(scene.writes), 12, "writes in the first hour", scene)
    return scene


def _lossy(agent: type[Agent], share: float, seconds: float, ways: str, **bounds: float) -> Stage:
    scene = stage(agent=agent)
    scene.mark()
    with scene.loss(A, share, ways=ways):
        scene.run(seconds)
        at_most(len(scene.writes), bounds["writes"], "writes", scene)
        on_lossy = scene.on(C, A)
        at_most(on_lossy, bounds["on_lossy"], "time of nat-c's route on the lossy one", scene)
        takes = [one for one in scene.takes_from_serving() if one.change.who == A]
        at_most(len(takes), bounds["takes"], "takes from the healthy node", scene)
    return scene


@row
def loss_of_5_percent(agent: type[Agent]) -> Stage:
    """nat-a loses 5 % for an hour: nobody takes anything from a node that serves."""
    scene = _lossy(agent, 0.05, HOUR, "both", writes=0, on_lossy=0.0, takes=0)
    at_most(len(scene.takes_from_serving()), 0, "takes from a node that served", scene)
    return scene


@row
def loss_of_20_percent(agent: type[Agent]) -> Stage:
    """nat-a loses 20 % of what it sends, for an hour: 4 writes, and 5 minutes on the lossy one."""
    return _lossy(agent, 0.2, HOUR, "out", writes=4, on_lossy=300.0, takes=1)


@row
def loss_of_20_percent_of_what_comes_in(agent: type[Agent]) -> Stage:
    """The same in the other direction."""
    return _lossy(agent, 0.2, HOUR, "in", writes=4, on_lossy=300.0, takes=1)


@row
def loss_of_35_percent(agent: type[Agent]) -> Stage:
    """nat-a loses 35 % of what it sends, for two minutes."""
    return _lossy(agent, 0.35, 120.0, "out", writes=4, on_lossy=60.0, takes=1)


@row
def loss_of_50_percent(agent: type[Agent]) -> Stage:
    """nat-a loses half of what it sends, for an hour."""
    return _lossy(agent, 0.5, HOUR, "out", writes=4, on_lossy=300.0, takes=2)


@row
def loss_of_50_percent_in_both_directions(agent: type[Agent]) -> Stage:
    """nat-a loses half of what it sends, and half of what comes in, for an hour."""
    return _lossy(agent, 0.5, HOUR, "both", writes=4, on_lossy=300.0, takes=2)


@row
def conntrack_full(agent: type[Agent]) -> Stage:
    """A node that carries two zones forwards nothing new; one 45 s crash: at most 4 writes."""
    scene = stage(agent=agent)
    for node in (A, C):
        scene.net.strained[node] += 1
    scene.mark()
    with scene.crashed(C):
        scene.run(45.0)
    scene.run(HOUR)
    at_most(len(scene.writes), 4, "writes", scene)
    for node in (A, C):
        at_most(scene.dark(node), 180.0, f"seconds unserved in {node}'s zone", scene)
    return scene


@row
def peer_down_answers_twice_misses_one(agent: type[Agent]) -> Stage:
    """A peer that is DOWN has answered twice and misses one heartbeat: it is not taken on that.

    The group is paused while it goes DOWN, so that its route is still there to be taken. Its host
    lives all the time, and so it has no reason to give the route away itself.
    """
    scene = stage(agent=agent)
    scene.pause(paused=True)
    with scene.forwards_nothing(C):
        scene.run(60.0)
    heard = scene.agent(A).prober.peers[C]
    answers: list[float | None] = [heard.paths[0].heard_at]

    def answered_twice() -> bool:
        if heard.paths[0].heard_at != answers[-1]:
            answers.append(heard.paths[0].heard_at)
        return len(answers) == 3

    scene.until(answered_twice)
    assert heard.verdict is Verdict.DOWN, "two answers are not enough for UP"
    scene.pause(paused=False)
    scene.mark()
    scene.run(0.3)
    with scene.forwards_nothing(C):
        scene.run(1.2)
    scene.run(60.0)
    at_most(len(scene.writes), 0, "writes on one miss", scene)
    return scene


@row
def heartbeat_that_never_answered(agent: type[Agent]) -> Stage:
    """A typo in a heartbeat address, the pulse being heard: no conviction, no write."""
    scene = stage(agent=agent, before=lambda one: one.net.unanswered.add("8.8.1.8"), settle=0.0)
    scene.run(600.0)
    at_most(len(scene.writes), 0, "writes", scene)
    assert scene.agent(A).prober.peers[C].verdict is not Verdict.DOWN
    return scene


@row
def heartbeat_that_never_answered_and_a_silent_pulse(agent: type[Agent]) -> Stage:
    """The same typo; then nat-c crashes: the silent pulse lets it be convicted."""
    scene = stage(agent=agent, before=lambda one: one.net.unanswered.add("8.8.1.8"))
    assert scene.holder(C) == C, scene.written()
    scene.mark()
    with scene.crashed(C):
        scene.run(120.0)
        assert scene.holder(C) == A
        at_most(scene.dark(C), scene.group.check.interval + 8.0, "seconds unserved", scene)
    return scene


# --- EC2's API ----------------------------------------------------------------------------------


@row
def move_that_never_returns(agent: type[Agent]) -> Stage:
    """A ReplaceRoute that never returns is ended after 20 s, told, and made anew."""
    scene = stage(agent=agent)
    scene.mark()
    with scene.crashed(C):
        with scene.api_fault(endless_writes=1):
            scene.run(10.0)
            assert not scene.writes
        scene.run(25.0)
        assert scene.holder(C) == A, "the move was not ended within 20 s and repeated"
        at_most(scene.dark(C), 4.5 + 20.0 + 5.0, "seconds unserved", scene)
    return scene


@row
def describe_denied_after_a_write(agent: type[Agent]) -> Stage:
    """Describe is denied after an accepted write; then the peer dies: both routes are served.

    nat-a lost the uplink's targets and gave its route to nat-c: its own write, which no view ever
    shows. It is well again when nat-c dies.
    """
    scene = stage(agent=agent)
    with scene.fault("nat-a loses the uplink's targets", (scene.net.targets_lost, A)):
        scene.until(lambda: scene.holder(A) == C)
        unreadable = ExitStack()
        unreadable.enter_context(scene.api_fault(unreadable=1))
        scene.run(10.0)
    with unreadable:
        scene.run(45.0)
        scene.mark()
        with scene.crashed(C):
            scene.run(60.0)
            for node in (A, C):
                assert scene.holder(node) == A, (node, scene.written())
                at_most(scene.dark(node), 15.0, f"seconds unserved in {node}'s zone", scene)
    return scene


@row
def late_resolver(agent: type[Agent]) -> Stage:
    """A resolver takes 8 s when the move is to be made: no write reaches EC2 late."""
    scene = stage(agent=agent)
    scene.mark()
    with scene.crashed(C):
        with scene.api_fault(connecting=1):
            scene.run(20.0)
        scene.run(20.0)
        assert scene.holder(C) == A
        at_most(len(scene.writes), 1, "writes", scene)
    return scene


# --- nodes whose NAT serves without a daemon ------------------------------------------------------


def _third_takes(scene: Stage, bound: float, writes: int = 2) -> Stage:
    scene.mark()
    with scene.crashed(D):
        scene.run(300.0)
        assert scene.holder(D) in {A, C}, "nobody took"
        at_most(scene.dark(D), bound, "seconds unserved", scene)
        at_most(len(scene.writes), writes, "writes", scene)
    return scene


@row
def three_nodes_without_the_firsts_daemon(agent: type[Agent]) -> Stage:
    """nat-d dies; nat-a, the first in line, has no daemon: taken by nat-c within 60 s."""
    return _third_takes(stage(production(3), absent=[A], agent=agent), 60.0)


@row
def three_nodes_the_first_in_dry_run(agent: type[Agent]) -> Stage:
    """nat-d dies; nat-a, the first in line, is in dry run."""
    return _third_takes(stage(production(3), dry=[A], agent=agent), 60.0)


@row
def three_nodes_the_first_denied(agent: type[Agent]) -> Stage:
    """nat-d dies; nat-a, the first in line, may not write."""
    scene = stage(production(3), agent=agent)
    scene.ec2.denied_to[A] += 1
    return _third_takes(scene, 60.0)


@row
def three_nodes_in_another_order(agent: type[Agent]) -> Stage:
    """nat-d dies; each of the others has a file in which the other comes first."""
    a, c, d = production(3).nodes
    return _third_takes(
        stage(
            production(3),
            files={A: _listing(d, c, a), C: _listing(d, a, c), D: production(3)},
            agent=agent,
        ),
        60.0,
        writes=3,  # two files, two takers; then the second file's first gets it back
    )


def _listing(*nodes: object) -> Group:
    return replace(production(3), nodes=nodes)


@row
def three_nodes_the_first_frozen(agent: type[Agent]) -> Stage:
    """nat-d dies; nat-a's daemon is frozen while its NAT goes on."""
    scene = stage(production(3), agent=agent)
    scene.host(A).frozen += 1
    return _third_takes(scene, 60.0)


# --- what operators do ----------------------------------------------------------------------------


@row
def last_live_node_drained(agent: type[Agent]) -> Stage:
    """nat-c is down and nat-a, which holds both routes, is drained: both zones stay served."""
    scene = stage(agent=agent)
    with scene.crashed(C):
        scene.run(30.0)
        assert scene.holder(C) == A
        scene.drain(A)
        scene.mark()
        scene.run(600.0)
        for node in (A, C):
            at_most(scene.dark(node), 0.0, f"seconds unserved in {node}'s zone", scene)
    return scene


@row
def drained_node_takes_rather_than_a_dark_zone(agent: type[Agent]) -> Stage:
    """nat-a is drained and nat-c dies: better a drained node than a dark zone."""
    scene = stage(agent=agent)
    scene.drain(A)
    scene.run(60.0)
    assert scene.holder(A) == C
    scene.mark()
    with scene.crashed(C):
        scene.run(120.0)
        for node in (A, C):
            assert scene.holder(node) == A, scene.written()
            at_most(scene.dark(node), 60.0, f"seconds unserved in {node}'s zone", scene)
    return scene


def _after_three_takes(agent: type[Agent]) -> Stage:
    """nat-c has crashed three times lately, and its route stays away for a while."""
    scene = stage(agent=agent)
    for _ in range(3):
        with scene.crashed(C):
            scene.run(30.0)
        scene.run(105.0)
    assert scene.holder(C) == A, "damping did not hold the third return back"
    return scene


@row
def revert_after_three_takes(agent: type[Agent]) -> Stage:
    """Damping holds the return back; `revert` is not delayed by it."""
    scene = _after_three_takes(agent)
    scene.mark()
    scene.revert()
    scene.run(15.0)
    assert scene.holder(C) == C, "revert was delayed"
    at_most(len(scene.writes), 1, "writes", scene)
    return scene


@row
def undrain_after_three_takes(agent: type[Agent]) -> Stage:
    """nat-c is drained and undrained after three takes: it has its route back at once."""
    scene = _after_three_takes(agent)
    scene.drain(C)
    scene.run(60.0)
    scene.mark()
    scene.drain()
    scene.run(15.0)
    assert scene.holder(C) == C, "undrain was delayed"
    at_most(len(scene.writes), 1, "writes", scene)
    return scene


@row
def slow_shutdown(agent: type[Agent]) -> Stage:
    """A machine shuts down slowly: its NAT forwards 90 s more after its daemon has left."""
    scene = stage(agent=agent)
    scene.mark()
    host = scene.host(C)
    host.leaving += 1
    host.leave()
    scene.run(3.0)
    assert scene.holder(C) == A, "the daemon left without handing over"
    scene.world.kill(C)
    scene.run(90.0)
    assert [one for one in scene.written() if one[3] == C] == [], "returned to a node that leaves"
    with scene.fault("nat-c has gone down", (scene.net.down, C)):
        scene.run(60.0)
        at_most(scene.dark(C), 0.0, "seconds unserved", scene)
    host.leaving -= 1
    scene.world.revive(C)
    scene.run(180.0)
    assert scene.holder(C) == C, "it is back, and has its route back"
    at_most(len(scene.writes), 2, "writes", scene)
    return scene


@row
def restart_of_the_daemon_alone(agent: type[Agent]) -> Stage:
    """A daemon that is stopped and started keeps its routes, and costs no write."""
    scene = stage(agent=agent)
    scene.mark()
    scene.world.kill(C)
    scene.run(20.0)
    scene.world.revive(C)
    scene.run(120.0)
    at_most(len(scene.writes), 0, "writes", scene)
    return scene


# --- machines -------------------------------------------------------------------------------------


@row
def start_in_the_first_second_after_boot(agent: type[Agent]) -> Stage:
    """Both daemons start while monotonic time is near 0, and nat-c crashes a minute later."""

    def boot(scene: Stage) -> None:
        for host in scene.world.hosts.values():
            host.boot()

    scene = stage(agent=agent, before=boot, settle=40.0)
    at_most(len(scene.writes), 0, "early writes", scene)
    scene.mark()
    with scene.crashed(C):
        scene.run(60.0)
        assert scene.holder(C) == A
        at_most(scene.dark(C), 4.5, "seconds unserved", scene)
    return scene


@row
def suspended_for_ten_minutes(agent: type[Agent]) -> Stage:
    """nat-a sleeps for ten minutes: its zone is served meanwhile, and it convicts nobody after."""
    scene = stage(agent=agent)
    scene.mark()
    with scene.fault("nat-a sleeps", (scene.net.down, A)):
        scene.host(A).suspend()
        scene.run(600.0)
        at_most(scene.dark(A), 4.5, "seconds unserved", scene)
    scene.host(A).resume()
    scene.run(240.0)
    at_most(len(scene.takes_from_serving()), 0, "takes from a node that served", scene)
    assert scene.holder(A) == A, scene.written()
    at_most(len(scene.writes), 2, "writes", scene)
    return scene


@row
def stopped_by_ec2(agent: type[Agent]) -> Stage:
    """An operator stops an instance: its route is taken while the NAT still forwards."""
    scene = stage(agent=agent)
    scene.mark()
    scene.ec2.states[C] = InstanceState.STOPPING
    scene.run(10.0)
    scene.ec2.states[C] = InstanceState.STOPPED
    with scene.crashed(C):
        scene.run(60.0)
        assert scene.holder(C) == A
        at_most(len(scene.writes), 1, "writes", scene)
    return scene
