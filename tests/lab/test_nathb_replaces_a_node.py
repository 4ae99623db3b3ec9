"""From a terminated instance to home again: one step, and the daemons do the rest."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import yaml

from tests.lab.lab import Lab
from tests.lab.pair import Pair
from tests.lab.processes import nathb


def lost(lab: Lab, pair: Pair) -> str:
    """Lose nat-c for good, wait for the takeover, and start another; return its instance id."""
    pair.settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    new = lab.replace_instance("nat-c")
    lab.faults.dead("nat-c", on=False)
    return new.instance


def by_tag(lab: Lab) -> Any:
    """The nodes of the lab's file, nat-c found by its name."""
    nodes = yaml.safe_load(lab.pair_config())["nodes"]
    del nodes["nat-c"]["instance"]
    nodes["nat-c"]["match"] = {"tag:Name": "nat-c"}
    return nodes


def file_on(lab: Lab, node: str) -> Path:
    return lab.directory / node / "lab.yaml"


def come_home(lab: Lab, pair: Pair, text: str) -> None:
    """The same file on both nodes, the old daemon told of it and the new one started."""
    for node in pair.nodes:
        lab.install(node, text)
    pair.daemons["nat-a"].signal(signal.SIGHUP)
    pair.daemons["nat-a"].wait_line("reloaded lab")
    lab.start_nathb("nat-c", text)
    pair.wait_holder("c", "nat-c", within=30.0)
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_node_named_by_its_id_is_replaced_by_one_command_and_comments_stay(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="3s")
    new = lost(lab, pair)
    path = file_on(lab, "nat-a")
    path.write_text(f"# the pair of the lab\n{pair.config}")
    done = lab.run("nat-a", nathb("replace", str(path), "nat-c", new, "--yes"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EC2 matches the file" in done.stdout
    assert path.read_text().startswith("# the pair of the lab\n")
    come_home(lab, pair, path.read_text())


def test_a_node_found_by_tag_takes_no_edit_at_all_only_apply(lab: Lab) -> None:
    pair = Pair(lab, preempt_delay="3s", nodes=by_tag(lab))
    lost(lab, pair)
    path = str(file_on(lab, "nat-a"))
    planned = lab.run("nat-a", nathb("plan", path))
    assert planned.returncode == 1
    assert "pin 193.0.14.129/32" in planned.stdout
    done = lab.run("nat-a", nathb("apply", path, "--yes"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.run("nat-a", nathb("plan", path)).returncode == 0
    lab.start_nathb("nat-c", pair.config)
    pair.wait_holder("c", "nat-c", within=30.0)
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_new_instance_that_ec2_does_not_show_changes_nothing(lab: Lab) -> None:
    pair = Pair(lab)
    path = file_on(lab, "nat-a")
    done = lab.run("nat-a", nathb("replace", str(path), "nat-c", "i-0123456789abcdef0", "--yes"))
    assert done.returncode == 2
    assert "EC2 shows no instance i-0123456789abcdef0" in done.stderr
    assert path.read_text() == pair.config
