"""Signals, restarts, reloads and what `status` says, with the real daemon."""

from __future__ import annotations

import json
import re
import signal
import time

from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.processes import nathb


def test_kill_9_while_holding_then_restart_and_the_route_goes_home_and_nothing_else_moves(
    lab: Lab,
) -> None:
    pair = Pair(lab, preempt_delay="3s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    pair.daemons["nat-a"].kill()
    lab.revive("nat-c")
    restarted = time.monotonic()
    pair.restart("nat-a")
    pair.wait_holder("c", "nat-c", within=20.0)
    time.sleep(3.0)
    assert pair.written(since=restarted) == [("nat-a", "nat-c")]


def test_sigterm_ends_the_daemon_cleanly_within_2_s_and_moves_nothing(lab: Lab) -> None:
    pair = Pair(lab).settle()
    begun = time.monotonic()
    assert pair.daemons["nat-a"].stop() == 0
    assert lab.pace.elapsed(begun) <= 2.0
    assert "routes stay where they are" in pair.daemons["nat-a"].lines()[-1]
    time.sleep(1.0)
    assert pair.written() == []


def test_sigterm_in_the_middle_of_a_hanging_move_is_still_within_2_s(lab: Lab) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(ApiFault.HANG, actions=["ReplaceRoute"])
    lab.crash("nat-c")
    wait_until("a write hangs", lambda: len(lab.writes()) >= 1, 10.0)
    begun = time.monotonic()
    assert pair.daemons["nat-a"].stop() == 0
    assert lab.pace.elapsed(begun) <= 2.0


def test_sigterm_while_the_machine_goes_down_hands_its_routes_over_without_a_gap(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="3s").settle()
    begun = time.monotonic()
    pair.daemons["nat-a"].signal(signal.SIGUSR2)
    assert pair.daemons["nat-a"].stop(within=10.0) == 0
    lab.crash("nat-a")
    assert pair.written() == [("nat-a", "nat-c")]
    assert lab.holder("a") == "nat-c"
    time.sleep(5.0)
    assert lab.clients["app-a"].outage(since=begun) <= 0.1
    lab.revive("nat-a")
    pair.restart("nat-a")
    pair.wait_holder("a", "nat-a", within=20.0)
    assert pair.written() == [("nat-a", "nat-c"), ("nat-c", "nat-a")]


def test_sighup_reads_the_file_anew_and_a_bad_file_leaves_the_old_one_in_force(lab: Lab) -> None:
    pair = Pair(lab).settle()
    daemon = pair.daemons["nat-a"]
    lab.install("nat-a", pair.config.replace("heartbeat: 193.0.14.129", "heartbeat: 8.8.4"))
    daemon.signal(signal.SIGHUP)
    refused = daemon.wait_line("reload refused, the old file stays in force")
    assert "'8.8.4' is not an IP address" in refused
    pair.settle("nat-a")
    lab.install("nat-a", lab.pair_config(preempt_delay="7s"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("reloaded lab")
    pair.settle("nat-a")
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)


def test_status_shows_who_holds_what_and_its_exit_code_says_whether_all_is_well(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="60s").settle()
    code, text = pair.status("nat-a")
    assert code == 0, text
    assert "held by nat-c (at home)" in text
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    wait_until(
        "status shows it",
        lambda: "held by nat-a (home is nat-c)" in pair.status("nat-a")[1],
        10.0,
    )
    assert pair.status("nat-a")[0] == 1
    shown = json.loads(pair.status("nat-a", "--json")[1])
    assert shown["peers"]["nat-c"]["verdict"] == "down"


def test_status_without_a_daemon_says_so_with_a_fix_and_no_traceback(lab: Lab) -> None:
    done = lab.run("nat-a", nathb("status", "lab"))
    assert done.returncode == 1
    assert "is the daemon running?" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_without_a_daemon_shows_what_ec2_shows(lab: Lab) -> None:
    file = lab.install("nat-a", lab.pair_config())
    lab.move("private-c", "0.0.0.0/0", "nat-a")
    done = lab.run("nat-a", nathb("status", str(file)))
    assert done.returncode == 1
    assert "is the daemon running?" in done.stdout
    assert "held by nat-a (home is nat-c)" in done.stdout
    assert "running" in done.stdout


def test_a_daemon_on_an_instance_that_is_not_in_the_file_says_which_are(lab: Lab) -> None:
    file = lab.install("app-a", lab.pair_config())
    done = lab.run("app-a", nathb("run", str(file)))
    assert done.returncode == 1
    assert "is none of the nodes of lab (nat-a i-" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_daemon_on_one_node_is_refused_and_the_first_goes_on(lab: Lab) -> None:
    pair = Pair(lab).settle()
    first = pair.daemons["nat-a"]
    file = lab.directory / "nat-a" / "lab.yaml"

    done = lab.run("nat-a", nathb("run", str(file)))

    assert done.returncode == 1
    assert f"(process {first.pid}, started by hand, since " in done.stderr
    assert f"with {file}); end it first: kill {first.pid};" in done.stderr
    pair.reload("nat-a", pair.config)  # which takes what it holds anew
    first.wait_line("reloaded lab")
    pair.settle()
    first.kill()
    pair.restart("nat-a")
    pair.settle()


def test_a_table_that_another_file_has_too_is_refused_at_the_start_and_by_check(lab: Lab) -> None:
    pair = Pair(lab).settle()
    file = lab.install("nat-a", pair.config, name="other")

    done = lab.run("nat-a", nathb("run", str(file)))

    assert done.returncode == 1
    assert "is guarded on this machine by the daemon of group lab too" in done.stderr
    assert f"with {file.with_name('lab.yaml')})" in done.stderr
    checked = lab.run("nat-a", nathb("check", str(file)))
    assert checked.returncode == 1
    assert f"{file.with_name('lab.yaml')} guards it too" in checked.stderr
    checked = lab.run("nat-a", nathb("check", str(file), "--aws"))
    assert checked.returncode == 1
    assert re.search(rf"^bad +{file}: rtb-\w+: .* guards it too", checked.stdout, re.MULTILINE)


def test_a_dry_run_beside_the_daemon_keeps_a_state_of_its_own(lab: Lab) -> None:
    pair = Pair(lab).settle()
    file = str(lab.directory / "nat-a" / "lab.yaml")
    daemon = pair.snapshot("nat-a")["pid"]

    dry = lab.start("nat-a", nathb("run", file, "--dry-run"))

    dry.wait_line("dry run: nothing will be written")
    wait_until(
        "the dry run is settled",
        lambda: pair.status("nat-a", "--dry-run")[0] == 0,
        20.0,
        every=0.5,
    )
    shown = json.loads(pair.status("nat-a", "--dry-run", "--json")[1])
    assert (shown["pid"], shown["dry_run"]) == (dry.pid, True)
    for _ in range(5):
        now = json.loads(pair.status("nat-a", "--json")[1])
        assert (now["pid"], now["dry_run"]) == (daemon, False)
        time.sleep(0.5)
    assert pair.daemons["nat-a"].stop() == 0
    wait_until(
        "status tells of the dry run",
        lambda: "nathb status lab --dry-run" in pair.status("nat-a", "--json")[1],
        20.0,
        every=0.5,
    )
    assert dry.stop() == 0
    assert pair.written() == []
