"""A zone in disruption, and two instances under one `match`: daemons that start in the middle."""

from __future__ import annotations

from typing import Any

import yaml

from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.pair import Pair
from tests.lab.plan import EVERYWHERE
from tests.lab.processes import nathb


def by_tag(lab: Lab, node: str) -> dict[str, Any]:
    """Return the nodes of the lab's file, one of them found by its Name tag."""
    nodes = dict(yaml.safe_load(lab.pair_config())["nodes"])
    del nodes[node]["instance"]
    nodes[node]["match"] = {"tag:Name": node}
    return nodes


def launch_twin(lab: Lab, node: str) -> str:
    """Run a second instance with a node's Name tag, on which nothing runs; return its id."""
    about = lab.ec2.describe_instances(InstanceIds=[lab.instances[node].instance])
    launched = lab.ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=about["Reservations"][0]["Instances"][0]["SubnetId"],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": node}]}],
    )
    return str(launched["Instances"][0]["InstanceId"])


def test_a_daemon_that_starts_while_a_zone_is_disrupted_takes_from_the_dead_and_verbs_work(
    lab: Lab,
) -> None:
    """EC2 answers for nothing in zone c first, then for nothing in the daemon's own."""
    lab.api.fail(ApiFault.DISRUPTED, zone="c")
    pair = Pair(lab, refresh="1s").settle("nat-a")
    lost = pair.daemons["nat-a"].wait_line("cannot read the instance of nat-c")
    assert "InternalError" in lost
    assert "the instance of nat-c cannot be read since " in pair.status("nat-a")[1]

    config = str(lab.install("nat-a", pair.config))
    for verb in (["pause"], ["drain", "--no-wait"], ["undrain"], ["resume"]):
        node = ["nat-c"] if verb[0].endswith("drain") else []
        done = lab.run("nat-a", nathb(verb[0], config, *node, *verb[1:]))
        assert done.returncode == 0, (verb, done.stdout, done.stderr)

    pair.settle("nat-a")
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=20.0)
    assert ("nat-a", "nat-a") in pair.written()
    lab.api.lift()
    pair.daemons["nat-a"].wait_line("the instances can be read again")

    pair.daemons["nat-a"].stop()
    lab.api.fail(ApiFault.DISRUPTED, zone="a")
    lab.move("private-c", EVERYWHERE, "nat-c")
    pair.restart("nat-a")
    lab.clients["app-c"].wait_served(via="nat-a", within=20.0)


def test_two_instances_under_one_match_end_no_daemon_and_plan_shows_both(lab: Lab) -> None:
    pair = Pair(lab, nodes=by_tag(lab, "nat-c")).settle()
    twin = launch_twin(lab, "nat-c")
    old = lab.instances["nat-c"].instance
    for node in pair.nodes:
        pair.daemons[node].stop()
        pair.restart(node)
    pair.settle()
    done = lab.run("nat-a", nathb("plan", str(lab.install("nat-a", pair.config))))
    assert (
        f"nat-c: its `match` finds {old}, running, owned by 123456789012, launched " in done.stdout
    )
    assert f"it is preferred to {twin}, running, " in done.stdout
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=20.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_a_node_found_by_its_tags_waits_for_an_ec2_that_does_not_answer_at_its_start(
    lab: Lab,
) -> None:
    lab.api.fail(ApiFault.DISRUPTED, zone="c")
    daemon = lab.start_nathb("nat-c", lab.pair_config(nodes=by_tag(lab, "nat-c")))
    line = daemon.wait_line("is not known yet", within=30.0)
    assert "InternalError" in line
    lab.api.lift()
    daemon.wait_line("guards lab as nat-c", within=30.0)
    assert len([one for one in daemon.lines() if "is not known yet" in one]) == 1
