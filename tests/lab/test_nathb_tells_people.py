"""Hooks and notifications that hang, in the middle of a takeover; and those that work."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.processes import ENDPOINT

TAKEOVER = 4.5
"""Seconds for which a crash silences clients at most, with the default timing."""
TOPIC = "arn:aws:sns:ap-northeast-1:123456789012:nathb"


def install_hook(lab: Lab, node: str, name: str, script: str) -> Path:
    """Put a hook where the node's daemon looks, with a file to leave word in; that file."""
    directory = lab.directory / node / "hooks.d"
    directory.mkdir(parents=True, exist_ok=True)
    path, word = directory / name, lab.directory / node / f"{name}.word"
    path.write_text(f"#!/bin/sh\nexec >> {word}\n{script}\n")
    path.chmod(0o755)
    return word


def words(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_hook_that_hangs_with_its_child_delays_no_takeover_and_both_are_killed_after_10_s(
    lab: Lab,
) -> None:
    hangs = install_hook(lab, "nat-a", "10-hangs", "sleep 1000 & echo $! $$\nexec sleep 1000")
    after = install_hook(lab, "nat-a", "20-after", 'echo "$NATHB_EVENT $NATHB_FROM"')
    pair = Pair(lab, **DEFAULT).settle()
    crashed = time.monotonic()
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert lab.clients["app-c"].takeover(since=crashed) <= TAKEOVER
    assert pair.written() == [("nat-a", "nat-a")]
    wait_until("the hook runs", lambda: words(hangs), 10.0)
    child, hook = words(hangs)[0].split()
    assert alive(child)
    assert alive(hook)
    assert words(after) == []
    killed = pair.daemons["nat-a"].wait_line("10-hangs: killed after 10 s", within=30.0)
    assert "event: peer-down" in killed
    assert time.monotonic() - crashed >= 10.0
    wait_until("both are gone", lambda: not alive(child) and not alive(hook), 10.0)
    wait_until("the next hook runs", lambda: words(after) == ["peer-down nat-c"], 10.0)
    assert not any("stalled" in line for line in pair.daemons["nat-a"].lines())
    begun = time.monotonic()
    assert pair.daemons["nat-a"].stop(within=10.0) == 0  # while the hook hangs in the second event
    assert lab.pace.elapsed(begun) <= 2.0


def test_a_topic_that_hangs_delays_no_takeover_and_no_hook(lab: Lab) -> None:
    lab.api.fail(ApiFault.HANG, actions=["Publish"])
    config = lab.pair_config(**DEFAULT, notify={"sns": TOPIC})
    word = install_hook(lab, "nat-a", "10-works", 'echo "$NATHB_EVENT $NATHB_FROM $NATHB_TO"')
    pair = Pair(lab, **DEFAULT)
    pair.daemons["nat-a"].stop()
    to_sns = {"AWS_ENDPOINT_URL_SNS": ENDPOINT}
    pair.daemons["nat-a"] = lab.start_nathb("nat-a", config, env=to_sns)
    pair.settle()
    crashed = time.monotonic()
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert lab.clients["app-c"].takeover(since=crashed) <= TAKEOVER
    wait_until("a notice hangs", lambda: lab.calls(action="Publish"), 10.0)
    [publish] = lab.calls(action="Publish")
    assert publish.caller == "nat-a"
    assert publish.parameters["TopicArn"] == TOPIC
    assert publish.parameters["Subject"].startswith("[nathb lab] nat-a: nat-c is down: heartbeat")
    wait_until(
        "hooks run all the same",
        lambda: words(word) == ["peer-down nat-c ", "took nat-c nat-a"],
        10.0,
    )
    begun = time.monotonic()
    assert pair.daemons["nat-a"].stop(within=10.0) == 0
    assert lab.pace.elapsed(begun) <= 2.0
    line = pair.daemons["nat-a"].wait_line("sns: ")
    assert "2 events were not delivered: nathb stopped before they were" in line


def test_a_dry_run_tells_the_journal_alone(lab: Lab) -> None:
    word = install_hook(lab, "nat-a", "10-works", 'echo "$NATHB_EVENT"')
    pair = Pair(lab, "--dry-run").settle()
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("would take", within=10.0)
    assert pair.daemons["nat-a"].wait_line("nat-c is down")
    pair.daemons["nat-a"].stop()
    assert words(word) == []


FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def fetched(lab: Lab, node: str, url: str) -> list[str]:
    """Fetch a page on the node itself; its lines, none while nobody listens."""
    return lab.run(node, [sys.executable, "-c", FETCH, url]).stdout.splitlines()


def test_a_reload_brings_metrics_and_they_follow_a_takeover(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="60s").settle()
    path = lab.directory / "nat-a" / "metrics.prom"
    metrics = {"textfile": str(path), "listen": "127.0.0.1:9477"}
    lab.install("nat-a", lab.pair_config(preempt_delay="60s", metrics=metrics))
    pair.daemons["nat-a"].signal(signal.SIGHUP)
    pair.daemons["nat-a"].wait_line("reloaded lab")
    labels = 'group="lab",node="nat-a"'
    url = "http://127.0.0.1:9477/metrics"
    peer_is_up = f'nathb_peer_verdict{{{labels},peer="nat-c",verdict="up"}} 1.0'
    wait_until("somebody listens", lambda: peer_is_up in fetched(lab, "nat-a", url), 10.0)
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    taken = f'nathb_moves_total{{{labels},rule="R3"}} 1.0'
    wait_until("the endpoint shows it", lambda: taken in fetched(lab, "nat-a", url), 10.0)
    wait_until("the file shows it", lambda: taken in words(path), 20.0)
    pair.daemons["nat-a"].stop()
    assert not path.exists()
