"""What `nathb status` says in each situation, and its exit code: never a wrong "all is well"."""

from __future__ import annotations

import itertools

import pytest
from msgspec import Struct
from msgspec.structs import replace

from nathb.commands.status import all_is_well
from nathb.core.context import Facts
from nathb.core.ec2_state import InstanceState, Intent, Pin, PinState
from nathb.core.memory import Contest, RouteMemory
from nathb.core.model import Evidence, Preempt, Verdict
from nathb.core.rules import decide
from nathb.core.snapshot import Counters, FailedMove, FailedRead, Home, Snapshot, Write, WriteState
from nathb.ui.status_screen import screen
from tests.core.build import NOW, PAIR, ROUTE_A, ROUTE_C, down, known, up, view

A, C = "nat-a", "nat-c"
RUNNING = {A: InstanceState.RUNNING, C: InstanceState.RUNNING}
NEVER_HEARD = Evidence(
    Verdict.DOWN, NOW - 60, None, NOW - 63, NOW - 63, ("8.8.4.4",), missed=3, needed=3
)
SILENT = Evidence(addresses=("8.8.4.4",), needed=3)
DENIED = FailedRead(
    "route tables", NOW - 180, "DescribeRouteTables: EC2 says UnauthorizedOperation: no"
)
CONTESTED = {str(ROUTE_C): RouteMemory(contests=(Contest(C, NOW - 1),))}


def seen(facts: Facts | None = None, **more: object) -> Snapshot:
    """What the daemon of nat-a would show of these facts, with what its rules say to them."""
    facts = facts or known()
    told = Snapshot(
        version="0",
        group="pair",
        node=A,
        pid=1,
        at=NOW,
        dry_run=facts.dry_run,
        counters=Counters(),
        suspecting=False,
        uplink=facts.uplink,
        peers=facts.peers,
        pulses={},
        view=facts.view,
        homes=(Home(ROUTE_A, A), Home(ROUTE_C, C)),
        rulings=decide(facts),
        preempt=facts.group.preempt,
        instances=RUNNING,
        instances_at=NOW - 60,
    )
    return replace(told, **more)


def instance_of_c(state: InstanceState, **more: object) -> Snapshot:
    return seen(instances={**RUNNING, C: state}, **more)


class Situation(Struct, frozen=True):
    """`summary` is how the first line ends; all of `lines` are on the screen."""

    name: str
    snapshot: Snapshot
    summary: str
    lines: tuple[str, ...] = ()


NEVER_READ = replace(seen(), view=None, rulings=decide(replace(known(), view=None)))
MANUAL = replace(PAIR, preempt=Preempt.MANUAL)
PROBLEM_C = f"1 problem ({ROUTE_C})"
PROBLEMS_C = f"2 problems (nat-c, {ROUTE_C})"

SITUATIONS = (
    Situation(
        "another file was applied",
        seen(file_digest="aaaa", view=replace(view(), digests=("bbbb",))),
        "1 warning (file)",
        ("file   DIFFERS from the one that was applied: aaaa here, bbbb applied",),
    ),
    Situation(
        "all is well",
        seen(),
        "all is well",
        (f"{ROUTE_C}  held by nat-c (at home)", "EC2    read 0 s ago"),
    ),
    Situation(
        "the home of a route is down, and this node takes it",
        seen(known(peer=down(since=NOW))),
        PROBLEMS_C,
        (
            f"{ROUTE_C}  points at its home nat-c, but nat-c is DOWN",
            "    next: moves to nat-a: heartbeat 8.8.4.4 missed 3 of 3, uplink up",
        ),
    ),
    Situation(
        "the home of a route is down, and this node must not take it",
        seen(known(peer=down(), seen=view(intent=Intent(paused=True)))),
        f"{PROBLEMS_C}, PAUSED",
        (
            f"{ROUTE_C}  points at its home nat-c, but nat-c is DOWN",
            "    stays (paused): would move to nat-a: heartbeat 8.8.4.4 missed 3 of 3, uplink up",
            "PAUSED: no route is moved",
            "    to do: nathb resume pair, to have routes moved again",
        ),
    ),
    Situation(
        "both paths are down, so nobody takes anything",
        seen(known(uplink=down(), peer=down())),
        f"4 problems (nat-a, nat-c, {ROUTE_A}, {ROUTE_C})",
        (
            f"{ROUTE_A}  points at its home nat-a, but the uplink of nat-a is DOWN",
            f"{ROUTE_C}  points at its home nat-c, but nat-c is DOWN",
        ),
    ),
    Situation(
        "nothing is known of the home yet",
        seen(known(peer=SILENT)),
        f"2 warnings (nat-c, {ROUTE_C})",
        (
            f"{ROUTE_C}  points at its home nat-c, but nat-c is not known to be up",
            "nat-c  UNKNOWN  for 17 min   heartbeat 8.8.4.4 has not answered yet",
        ),
    ),
    Situation(
        "the heartbeat has never answered",
        seen(known(peer=NEVER_HEARD)),
        PROBLEMS_C,
        (
            "nat-c  DOWN     for 60 s     heartbeat 8.8.4.4 has never answered since its checks "
            "began (missed 3 of 3)",
            "    to do: on nat-c: nathb check pair --aws",
        ),
    ),
    Situation(
        "EC2 shows the route as a blackhole although its home answers",
        seen(known(seen=view(blackholes=(ROUTE_C,)))),
        PROBLEM_C,
        (f"{ROUTE_C}  points at its home nat-c, but EC2 shows a blackhole",),
    ),
    Situation(
        "the instance of the home is stopped, and the heartbeat has not noticed yet",
        instance_of_c(InstanceState.STOPPED, instances_at=NOW, peers={C: up(heard_at=NOW - 1)}),
        PROBLEMS_C,
        (
            f"{ROUTE_C}  points at its home nat-c, but the instance of nat-c is stopped",
            "    the instance of nat-c is stopped",
            "    to do: start it, or replace it: nathb replace pair nat-c i-NEW",
        ),
    ),
    Situation(
        "the instance of the home was stopped, and has answered since",
        instance_of_c(InstanceState.STOPPED),
        "all is well",
        (f"{ROUTE_C}  held by nat-c (at home)",),
    ),
    Situation(
        "the instance of the home is terminated, and its route is a blackhole",
        instance_of_c(
            InstanceState.TERMINATED, view=view(blackholes=(ROUTE_C,)), peers={C: down()}
        ),
        PROBLEMS_C,
        (
            f"{ROUTE_C}  points at its home nat-c, but the instance of nat-c is terminated "
            "and EC2 shows a blackhole",
        ),
    ),
    Situation(
        "EC2 lists no instance of the home",
        instance_of_c(InstanceState.UNSEEN),
        PROBLEMS_C,
        (f"{ROUTE_C}  points at its home nat-c, but EC2 shows no instance of nat-c",),
    ),
    Situation(
        "the table has no such route",
        seen(known(seen=view(c=""))),
        PROBLEM_C,
        (
            f"{ROUTE_C}  the table has no such route",
            "    to do: nathb apply pair creates it",
        ),
    ),
    Situation(
        "the route points outside the group",
        seen(known(seen=view(c="nat-gateway"))),
        f"1 warning ({ROUTE_C})",
        (
            f"{ROUTE_C}  points at eni-nat-gateway, outside the group: nathb leaves it alone",
            "    to do: if nathb is to guard it: nathb apply pair --adopt",
        ),
    ),
    Situation(
        "the route points outside the group, and nowhere",
        seen(known(seen=view(c="nat-gateway", blackholes=(ROUTE_C,)))),
        PROBLEM_C,
        (f"{ROUTE_C}  points at eni-nat-gateway, outside the group, and EC2 shows a blackhole",),
    ),
    Situation(
        "the peer is down, and this node serves its route",
        seen(known(peer=down(), seen=view(c=A))),
        "1 problem (nat-c), 1 route is away from home",
        (
            f"{ROUTE_C}  held by nat-a (home is nat-c)",
            "    stays: nat-c is not back yet",
        ),
    ),
    Situation(
        "the peer is back, and gets its route when preempt_delay has passed",
        seen(known(peer=up(since=NOW - 18), seen=view(c=A))),
        "1 route is away from home",
        (
            f"{ROUTE_C}  held by nat-a (home is nat-c)",
            "    next: nat-c is back; returns after a while in 42 s",
        ),
    ),
    Situation(
        "the peer holds this node's route, and is down",
        seen(known(peer=down(since=NOW), seen=view(a=C))),
        f"3 problems (nat-c, {ROUTE_A}, {ROUTE_C})",
        (f"{ROUTE_A}  held by nat-c (home is nat-a), but nat-c is DOWN",),
    ),
    Situation(
        "preempt is manual, and the route waits for a person",
        seen(known(group=MANUAL, seen=view(c=A))),
        "1 route is away from home",
        (
            f"{ROUTE_C}  held by nat-a (home is nat-c)",
            "    to do: preempt is manual: nathb revert pair brings it home",
        ),
    ),
    Situation(
        "preempt is manual, and this node's route is at the peer",
        seen(known(group=MANUAL, seen=view(a=C))),
        "1 route is away from home",
        ("    to do: preempt is manual: nathb revert pair brings it home",),
    ),
    Situation(
        "the peer holds this node's route, and is to return it",
        seen(known(seen=view(a=C))),
        "1 route is away from home",
        ("    next: nat-c returns it to nat-a; nathb status on nat-c says when",),
    ),
    Situation(
        "the peer holds this node's route, and the group is paused",
        seen(known(seen=view(a=C, intent=Intent(paused=True)))),
        "1 route is away from home, PAUSED",
        ("    stays: nat-c is up",),
    ),
    Situation(
        "a node is drained",
        seen(known(seen=view(c=A, intent=Intent(frozenset({C}))))),
        "1 route is away from home, DRAINED: nat-c",
        (
            "DRAINED: nat-c",
            "    to do: nathb undrain pair nat-c, when the work on it is done",
        ),
    ),
    Situation(
        "a drain was written, and no view has shown it yet",
        seen(
            known(seen=view(at=NOW - 1, intent=Intent(frozenset({A})))),
            writes=(Write(ROUTE_A, A, C, WriteState.ACCEPTED, NOW - 0.5),),
        ),
        f"DRAINED: nat-a, 1 warning ({ROUTE_A})",
        (f"{ROUTE_A}  nat-a → nat-c, not read back yet",),
    ),
    Situation(
        "a write was accepted, and the node that it went to has died since",
        seen(known(peer=down()), writes=(Write(ROUTE_A, A, C, WriteState.ACCEPTED, NOW - 5),)),
        f"3 problems (nat-c, {ROUTE_A}, {ROUTE_C})",
        (f"{ROUTE_A}  nat-a → nat-c, not read back yet, but nat-c is DOWN",),
    ),
    Situation(
        "a take is on its way to EC2",
        seen(known(peer=down()), writes=(Write(ROUTE_C, C, A, WriteState.SENT),)),
        PROBLEMS_C,
        (f"{ROUTE_C}  nat-c → nat-a, sent to EC2, not answered yet, but nat-c is DOWN",),
    ),
    Situation(
        "the answer to a take was lost",
        seen(known(peer=down()), writes=(Write(ROUTE_C, C, A, WriteState.UNANSWERED, NOW),)),
        PROBLEMS_C,
        (
            f"{ROUTE_C}  nat-c → nat-a, EC2's answer was lost: the next read shows where it "
            "points, but nat-c is DOWN",
        ),
    ),
    Situation(
        "EC2 refuses the take",
        seen(
            known(peer=down(since=NOW)),
            failed_moves=(FailedMove(ROUTE_C, A, NOW - 3, "ReplaceRoute: EC2 says\nno"),),
        ),
        PROBLEMS_C,
        (
            f"{ROUTE_C}  points at its home nat-c, but nat-c is DOWN",
            "    the move to nat-a failed 3 s ago: ReplaceRoute: EC2 says no",
        ),
    ),
    Situation(
        "EC2 refused a take that nobody wants any more",
        seen(failed_moves=(FailedMove(ROUTE_C, A, NOW - 61, "no"),)),
        "all is well",
    ),
    Situation(
        "someone else undid the take",
        seen(known(peer=down(since=NOW), memory=CONTESTED)),
        PROBLEMS_C,
        (
            f"{ROUTE_C}  points at its home nat-c, but nat-c is DOWN",
            "    to do: find out who else moves it: CloudTrail shows each ReplaceRoute, "
            "nathb history pair those of nathb",
        ),
    ),
    Situation(
        "EC2 was not read yet",
        NEVER_READ,
        f"3 warnings (EC2, {ROUTE_A}, {ROUTE_C})",
        (
            "EC2    not read yet: no route can be moved",
            f"{ROUTE_C}  not read yet: where it points is not known",
        ),
    ),
    Situation(
        "EC2 could never be read",
        replace(NEVER_READ, failed_reads=(DENIED,)),
        f"1 problem (EC2), 2 warnings ({ROUTE_A}, {ROUTE_C})",
        (
            "EC2    the route tables cannot be read since 820 s (3 min): DescribeRouteTables: "
            "EC2 says UnauthorizedOperation: no; they were never read: no route can be moved",
        ),
    ),
    Situation(
        "EC2 cannot be read any more",
        seen(known(seen=view(at=NOW - 200)), failed_reads=(DENIED,)),
        "1 warning (EC2)",
        (
            "EC2    the route tables cannot be read since 820 s (3 min): DescribeRouteTables: "
            "EC2 says UnauthorizedOperation: no; the last view, 3 min old, stays usable for "
            "100 s more",
        ),
    ),
    Situation(
        "EC2 cannot be read for so long that nothing is moved",
        seen(known(seen=view(at=NOW - 420)), failed_reads=(replace(DENIED, since=NOW - 400),)),
        f"1 problem (EC2), 2 warnings ({ROUTE_A}, {ROUTE_C})",
        (
            "EC2    the route tables cannot be read since 600 s (7 min): DescribeRouteTables: "
            "EC2 says UnauthorizedOperation: no; the last view, 7 min old, is too old: "
            "no route is moved",
            f"{ROUTE_C}  points at its home nat-c when last read, 7 min ago",
        ),
    ),
    Situation(
        "the last view is too old, and nobody knows why",
        seen(known(peer=down(), seen=view(at=NOW - 420))),
        f"3 problems (nat-c, EC2, {ROUTE_C}), 1 warning ({ROUTE_A})",
        (
            "EC2    read 7 min ago: too old to move a route",
            f"{ROUTE_C}  points at its home nat-c when last read, 7 min ago, but nat-c is DOWN",
        ),
    ),
    Situation(
        "the instances cannot be listed",
        seen(failed_reads=(FailedRead("instances", NOW - 5, "EC2 says\nThrottled"),)),
        "1 warning (EC2)",
        (
            "EC2    the instances cannot be read since 995 s (5 s): EC2 says Throttled; "
            "the last view, 0 s old, stays usable for 5 min more",
        ),
    ),
    Situation(
        "a heartbeat is not pinned to its peer",
        seen(
            known(peer=Evidence()),
            view=replace(view(), pins=(Pin(C, "8.8.4.4", PinState.MISSING, table="rtb-own"),)),
        ),
        f"2 warnings (nat-c, {ROUTE_C})",
        (
            "nat-c  UNKNOWN  for 17 min   no heartbeat can be pinged",
            "    heartbeat 8.8.4.4 of nat-c is not pinned in rtb-own: nat-c counts as unknown; "
            "create the route 8.8.4.4 to nat-c in that table",
        ),
    ),
    Situation(
        "pings cannot leave",
        seen(known(peer=replace(SILENT, blind="EPERM"))),
        f"1 problem (nat-c), 1 warning ({ROUTE_C})",
        ("    CANNOT PING the heartbeat: EPERM",),
    ),
    Situation(
        "something is in doubt",
        seen(known(peer=replace(up(), missed=1)), suspecting=True),
        "no problem so far, but something is in doubt",
        ("nat-c  UP       for 17 min   heartbeat 8.8.4.4 missed 1 of 3",),
    ),
)


@pytest.mark.parametrize("one", SITUATIONS, ids=lambda one: one.name)
def test_each_situation_is_told_in_plain_words(one: Situation) -> None:
    first, *lines = screen(one.snapshot)
    assert first.partition(": ")[2] == one.summary
    assert set(one.lines) <= set(lines), "\n".join(lines)


@pytest.mark.parametrize("one", SITUATIONS, ids=lambda one: one.name)
def test_the_exit_code_is_0_only_when_no_problem_is_told(one: Situation) -> None:
    assert all_is_well(one.snapshot) is one.summary.startswith(("all is well", "no problem"))


EVIDENCE = {
    "up": up(),
    "down": down(),
    "unknown": Evidence(),
    "never heard": NEVER_HEARD,
}


@pytest.mark.parametrize(("verdict", "age"), [*itertools.product(EVIDENCE, (0.0, 300.0, 301.0))])
def test_a_route_is_at_home_only_where_its_home_is_seen_to_serve(verdict: str, age: float) -> None:
    write = Write(ROUTE_C, A, C, WriteState.ACCEPTED, NOW - age)
    for holder, state, is_blackhole, writes in itertools.product(
        (C, A, "", "nat-gateway"), InstanceState, (False, True), ((), (write,))
    ):
        blackholes = (ROUTE_C,) if is_blackhole else ()
        snapshot = instance_of_c(
            state,
            view=view(c=holder, at=NOW - age, blackholes=blackholes),
            peers={C: EVIDENCE[verdict]},
            instances_at=NOW + 1,
            writes=writes,
        )
        serves = verdict == "up" and state in {InstanceState.RUNNING, InstanceState.PENDING}
        good = holder == C and serves and not is_blackhole and not writes and age <= 300.0
        lines = screen(snapshot)
        (line,) = (line for line in lines if line.startswith(str(ROUTE_C)))
        assert line.endswith("(at home)") is good, line
        assert ("at home" in line) is good, line
        assert lines[0].endswith("all is well") is good, lines[0]
        assert all_is_well(snapshot) is good
