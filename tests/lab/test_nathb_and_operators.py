"""What operators do, on real packets: by verbs, by verbs ended early, and by other means."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.plan import EVERYWHERE, PAIR, Plan
from tests.lab.processes import nathb

# --- by the verbs ---------------------------------------------------------------------------------

# `refresh` is the default of 30 s unless a test says otherwise, so what happens sooner than that
# happens because the daemon was told to look.


def ask(lab: Lab, node: str, verb: str, *arguments: str) -> CompletedProcess[str]:
    """Type a verb on a node, as root."""
    file = lab.directory / node / "lab.yaml"
    done = lab.run(node, nathb(verb, str(file), *arguments), within=90.0)
    assert "Traceback" not in done.stderr
    return done


def wait_idle(lab: Lab, *nodes: str) -> None:
    """Wait until these nodes read the route tables at their leisure, and so not by chance soon."""

    def idle(node: str) -> bool:
        looks = lab.calls(caller=node, action="DescribeRouteTables")
        return time.monotonic() - looks[-1].at > 4.0

    for node in nodes:
        wait_until(f"{node} looks no more than it must", lambda node=node: idle(node), 30.0)


def tags(lab: Lab) -> dict[str, str]:
    """The tags of all private tables, which must agree."""
    ids = [table for name, table in lab.tables.items() if name.startswith("private")]
    listed = lab.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"]
    seen = [{tag["Key"]: tag["Value"] for tag in table["Tags"]} for table in listed]
    assert all(one == seen[0] for one in seen)
    return seen[0]


def test_a_drain_costs_clients_100_ms_at_most_and_stays_until_undrain_undoes_it_at_once(
    lab: Lab,
) -> None:
    pair = Pair(lab, preempt_delay="60s", refresh="12s", settle="2s").settle()
    client = lab.clients["app-a"]
    wait_idle(lab, "nat-a", "nat-c")
    begun = time.monotonic()
    done = ask(lab, "nat-a", "drain", "nat-a", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["away"]) == (0, True), done
    assert told["in_force_seconds"] == {"nat-a": 0.0, "nat-c": 12.0}
    assert lab.pace.elapsed(begun) <= 5.0
    assert lab.holder("a") == "nat-c"
    client.wait_served(via="nat-c")
    pair.daemons["nat-c"].wait_line("nat-a is drained", within=30.0)
    assert client.outage(since=begun) <= 0.1
    assert lab.clients["app-c"].outage(since=begun) <= 0.1
    assert pair.written() == [("nat-a", "nat-c")]

    wait_idle(lab, "nat-c")
    back = time.monotonic()
    assert ask(lab, "nat-c", "undrain", "nat-a").returncode == 0
    asked = time.monotonic()
    pair.wait_holder("a", "nat-a", within=15.0)
    assert lab.pace.elapsed(asked) <= 5.0
    client.wait_served(via="nat-a")
    time.sleep(1.0)
    assert client.outage(since=back) <= 0.1
    assert tags(lab) == {}
    assert pair.written() == [("nat-a", "nat-c"), ("nat-c", "nat-a")]


def test_a_drain_typed_on_the_other_node_returns_when_the_routes_have_moved(lab: Lab) -> None:
    Pair(lab, refresh="3s").settle()
    done = ask(lab, "nat-c", "drain", "nat-a")
    assert done.returncode == 0, done
    assert lab.holder("a") == "nat-c"
    assert "in force at once on nat-c, within 3 s on nat-a" in done.stdout
    assert "nat-a holds no route: work on it may begin" in done.stdout


def test_a_drill_costs_clients_100_ms_at_most_each_way_and_ctrl_c_brings_everything_home(
    lab: Lab,
) -> None:
    pair = Pair(lab, preempt_delay="60s", refresh="3s", settle="2s").settle()
    client, file = lab.clients["app-a"], str(lab.directory / "nat-c" / "lab.yaml")
    away_and_home = [("nat-a", "nat-c"), ("nat-c", "nat-a")]

    begun = time.monotonic()
    done = ask(lab, "nat-c", "drill", "nat-a", "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["good"], told["is_home"]) == (0, True, True), done
    client.wait_served(via="nat-a")
    time.sleep(0.5)
    assert client.outage(since=begun) <= 0.1
    assert lab.clients["app-c"].outage(since=begun) <= 0.1
    assert pair.written() == away_and_home
    assert told["away"]["routes"][0]["answered_seconds"] is None, "nat-a asked EC2, and not nat-c"
    (home,) = told["home"]["routes"]
    assert 0.0 < home["answered_seconds"] <= home["read_back_seconds"] + 0.2
    for node in pair.nodes:
        assert pair.snapshot(node)["counters"]["penalties"] == {}, "damping has counted it"

    drilling = lab.start("nat-c", [*INTERRUPTIBLE, *nathb("drill", file, "nat-a", "--yes")])
    pair.wait_holder("a", "nat-c", within=30.0)
    drilling.signal(signal.SIGINT)
    assert drilling.wait(60.0) == 130
    assert drilling.lines()[-1] == (
        "nathb: ended early: the drill is undone: every route of nat-a is at home"
    )
    assert lab.holder("a") == "nat-a"
    assert client.outage(since=begun) <= 0.1
    assert tags(lab) == {}
    assert pair.written() == away_and_home * 2

    lab.crash("nat-a")
    pair.wait_holder("a", "nat-c", within=20.0)
    refused = ask(lab, "nat-c", "drill", "nat-a", "--yes")
    assert refused.returncode == 1
    assert "not begun, and nothing was changed, for not all is well" in refused.stderr
    assert "    nat-a: heartbeat " in refused.stderr
    assert tags(lab) == {}


def test_a_pause_holds_while_a_nat_is_dead_and_resume_takes_at_once(lab: Lab) -> None:
    pair = Pair(lab, settle="2s").settle()
    assert ask(lab, "nat-a", "pause").returncode == 0
    pair.daemons["nat-a"].wait_line("the group is paused: no moves until `nathb resume`")
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("would take")
    wait_idle(lab, "nat-a")
    assert pair.written() == []
    resumed = time.monotonic()
    assert ask(lab, "nat-a", "resume").returncode == 0
    pair.wait_holder("c", "nat-a", within=10.0)
    assert lab.pace.elapsed(resumed) <= 5.0
    lab.clients["app-c"].wait_served(via="nat-a")
    assert tags(lab) == {}


def test_a_pause_for_a_while_ends_by_itself(lab: Lab) -> None:
    pair = Pair(lab, refresh="1s").settle()
    begun = time.monotonic()
    done = ask(lab, "nat-a", "pause", "--for", "8s")
    assert done.returncode == 0, done
    end = tags(lab)["nathb:pause"]
    assert end.startswith("until 20")
    pair.daemons["nat-a"].wait_line(f"no moves {end}, or `nathb resume`")
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=30.0)
    assert time.monotonic() - begun >= 7.0
    assert tags(lab) == {"nathb:pause": end}
    assert any("the group is resumed" in line for line in pair.daemons["nat-a"].lines())


def test_with_preempt_manual_routes_wait_for_revert_and_those_of_the_next_failover_too(
    lab: Lab,
) -> None:
    pair = Pair(lab, preempt="manual").settle()
    for round_ in (1, 2):
        lab.crash("nat-c")
        pair.wait_holder("c", "nat-a", within=10.0)
        lab.revive("nat-c")
        pair.settle(within=30.0)
        time.sleep(3.0)
        assert lab.holder("c") == "nat-a"
        asked = time.monotonic()
        done = ask(lab, "nat-a", "revert")
        assert done.returncode == 0, done
        assert "all of them are at home" in done.stdout
        assert lab.holder("c") == "nat-c"
        assert tags(lab) == {}
        assert pair.written()[2 * round_ - 2 :] == [("nat-a", "nat-a"), ("nat-a", "nat-c")]
        assert lab.clients["app-c"].outage(since=asked) <= 0.1


def test_where_no_daemon_runs_a_tag_is_written_all_the_same_and_says_so(lab: Lab) -> None:
    pair = Pair(lab, refresh="2s").settle()
    pair.daemons["nat-a"].stop()
    (lab.directory / "run" / "nat-a" / "nathb" / "lab" / "status.json").unlink()  # as systemd does
    done = ask(lab, "nat-a", "drain", "nat-c")
    assert done.returncode == 0, done
    assert "within 2 s on nat-a, nat-c (no daemon of this group runs here)" in done.stdout
    assert pair.written() == [("nat-c", "nat-a")]


def test_a_daemon_of_long_ago_whose_number_another_process_has_is_left_in_peace(lab: Lab) -> None:
    pair = Pair(lab).settle()
    bystander = lab.start("nat-a", ["sleep", "60"])
    pair.daemons["nat-a"].kill()
    path = lab.directory / "run" / "nat-a" / "nathb" / "lab" / "status.json"
    path.write_text(json.dumps(pair.snapshot("nat-a") | {"pid": bystander.pid}))
    done = ask(lab, "nat-a", "pause")
    assert done.returncode == 0, done
    assert f"(process {bystander.pid} is not a nathb of this version)" in done.stdout
    assert bystander.running


def test_a_role_without_create_tags_is_told_which_permission_it_lacks(lab: Lab) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(ApiFault.DENIED, actions=["CreateTags"])
    done = ask(lab, "nat-a", "drain", "nat-a")
    assert done.returncode == 1
    assert "allow ec2:CreateTags on rtb-" in done.stderr
    assert pair.written() == []
    assert tags(lab) == {}


# --- verbs that are ended before they are done ----------------------------------------------------

# Whoever runs the suite in the background may have SIGINT ignored, which is inherited.
INTERRUPTIBLE = ("env", "--default-signal=INT")
FULL = ("sh", "-c", 'exec "$@" >/dev/full', "sh")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_a_drain_that_is_ended_while_it_waits_says_that_it_stays_and_how_to_undo_it(
    lab: Lab, number: int, status: int
) -> None:
    file = lab.install("nat-a", lab.pair_config())  # and no daemon that obeys
    waiting = lab.start("nat-a", [*INTERRUPTIBLE, *nathb("drain", str(file), "nat-a")])
    waiting.wait_line("in force within 30 s", within=30.0)

    waiting.signal(number)

    assert waiting.wait() == status
    assert waiting.lines()[-1] == (
        "nathb: ended early: what was asked for stays: nat-a is drained; `nathb status lab` shows "
        "the state, `nathb undrain lab nat-a` ends the drain"
    )
    assert tags(lab)["nathb:drain"] == "nat-a"


def test_an_apply_that_is_ended_says_how_many_steps_are_done(lab: Lab) -> None:
    file = str(lab.install("nat-a", lab.pair_config()))
    lab.api.fail(ApiFault.HANG, actions=["CreateTags"])
    applying = lab.start("nat-a", [*INTERRUPTIBLE, *nathb("apply", file, "--yes")])
    wait_until("it writes", lambda: lab.calls(action="CreateTags"), 30.0)

    applying.signal(signal.SIGINT)

    assert applying.wait() == 130
    told = applying.lines()[-1]
    assert told.startswith("nathb: ended early: 0 of ")
    assert "done and stay, and EC2 may have carried out the next one; `nathb plan" in told


def test_every_verb_that_asks_ec2_says_that_the_disk_is_full_and_what_it_has_done_all_the_same(
    lab: Lab,
) -> None:
    manual = str(lab.install("nat-a", lab.pair_config(preempt="manual")))
    lab.move("private-c", "0.0.0.0/0", "nat-a")
    instances = [ids.instance for ids in lab.instances.values()]
    stay = {
        "drain": ["drain", manual, "nat-a"],
        "undrain": ["undrain", manual, "nat-a"],
        "pause": ["pause", manual],
        "resume": ["resume", manual],
        "revert": ["revert", manual],
    }
    only_show = [
        ["status", manual], ["plan", manual], ["apply", manual], ["check", manual, "--aws"],
        ["init", *instances], ["iam-policy", manual],
    ]  # fmt: skip
    for arguments in (*stay.values(), *only_show):
        done = lab.run("nat-a", [*FULL, *nathb(*arguments)])
        assert done.returncode == 1, arguments
        last = done.stderr.splitlines()[-1]
        assert last.startswith("nathb: standard output: cannot be written: No space left"), done
        assert "Traceback" not in done.stderr
        assert ("what was asked for stays: " in done.stderr) == (arguments[0] in stay), done


# --- changes by other means -----------------------------------------------------------------------

WATCHFUL = {"refresh": "1s", "settle": "2s", "preempt_delay": "2s"}
"""Quick timers, and a view that is read often enough not to wait for it in a test."""

OTHER = "10.8.0.0/16"
TAKEN = ("nat-a", "nat-a")


def test_r8_a_deleted_route_is_told_and_not_made_anew_while_the_others_fail_over(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(PAIR.with_routes(2))
    pair = Pair(lab, **WATCHFUL).settle()
    route = {"RouteTableId": lab.tables["private-c"], "DestinationCidrBlock": EVERYWHERE}
    lab.ec2.delete_route(**route)
    for daemon in pair.daemons.values():
        daemon.wait_line("0.0.0.0/0: the table has no such route; create it to have it guarded")
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line(f"took {route['RouteTableId']} {OTHER} from nat-c")
    time.sleep(3.0)
    assert _written(lab) == [("nat-a", "ReplaceRoute", OTHER)]
    lab.ec2.create_route(**route, NetworkInterfaceId=lab.instances["nat-c"].eni)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert _written(lab)[1:] == [("nat-a", "ReplaceRoute", EVERYWHERE)]


def test_r8_a_taken_route_that_an_operator_points_elsewhere_stays_there(lab: Lab) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.move("private-c", EVERYWHERE, "app-a")
    pair.daemons["nat-a"].wait_line("outside the group; left alone", within=20.0)
    time.sleep(3.0)
    lab.revive("nat-c")
    pair.settle()
    time.sleep(3.0)  # longer than preempt_delay: no return of what nobody of the group holds
    assert pair.written() == [TAKEN]
    assert lab.holder("c") == "app-a"


@pytest.mark.long
def test_r7_a_take_that_an_operator_undoes_is_made_again_after_15_s_and_then_after_30_s(
    lab: Lab,
) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    client = lab.clients["app-c"]
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    for times, hold in enumerate((15.0, 30.0), 1):
        undone = time.monotonic()
        lab.move("private-c", EVERYWHERE, "nat-c")
        wait_until("nat-a says so", lambda times=times: len(_contests(pair)) == times, 10.0)
        assert _contests(pair)[-1].endswith((f" {hold:.0f} s", f" {hold - 1:.0f} s"))
        taken = client.wait_served(via="nat-a", within=hold + 20.0)
        assert taken - undone >= hold
        assert lab.pace.elapsed(undone, taken) <= hold + 5.0
    assert pair.written() == [TAKEN] * 3


def test_r7_another_death_does_not_shorten_the_time_for_which_a_contested_take_waits(
    lab: Lab,
) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    client = lab.clients["app-c"]
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.move("private-c", EVERYWHERE, "nat-c")
    wait_until("nat-a says so", lambda: _contests(pair), 10.0)
    lab.revive("nat-c")
    client.wait_served(via="nat-c", within=10.0)
    pair.daemons["nat-a"].wait_line("nat-c is up")
    died = time.monotonic()
    lab.crash("nat-c")
    taken = client.wait_served(via="nat-a", within=35.0)
    assert taken - died >= 15.0
    assert lab.pace.elapsed(died, taken) <= 20.0
    assert pair.written() == [TAKEN, TAKEN]


def test_r7_a_taken_route_that_an_operator_sends_home_early_is_left_at_home(lab: Lab) -> None:
    pair = Pair(lab, **WATCHFUL | {"preempt_delay": "60s"}).settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.revive("nat-c")
    pair.daemons["nat-a"].wait_line("nat-c is up", within=20.0)
    lab.move("private-c", EVERYWHERE, "nat-c")
    lab.clients["app-c"].wait_served(via="nat-c")
    time.sleep(5.0)
    assert pair.written() == [TAKEN]
    assert lab.holder("c") == "nat-c"


def _contests(pair: Pair) -> list[str]:
    return pair.told("nat-a", "someone else undid this move: left alone for another")


def _written(lab: Lab) -> list[tuple[str, str, str]]:
    return [
        (one.caller, one.action, one.parameters["DestinationCidrBlock"]) for one in lab.writes()
    ]
