"""What only a node itself can see: `check --aws` finds it, and doing what it says makes it good."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.processes import nathb

NODE = "nat-a"


def found(lab: Lab) -> list[dict[str, Any]]:
    """All that is not good about the lab's pair, seen from nat-a."""
    file = lab.install(NODE, lab.pair_config())
    done = lab.run(NODE, nathb("check", str(file), "--aws", "--json"), within=60.0)
    assert "Traceback" not in done.stderr
    return [one for one in json.loads(done.stdout)["findings"] if one["level"] != "good"]


def told(lab: Lab, words: str) -> dict[str, Any]:
    return next(one for one in found(lab) if words in one["text"])


def forwarding_off(lab: Lab) -> None:
    lab.run(NODE, ["sysctl", "-w", "net.ipv4.ip_forward=0"])


def masquerade_off(lab: Lab) -> None:
    rules = lab.run(NODE, ["nft", "list", "ruleset"]).stdout
    (lab.directory / "rules").write_text(rules)
    lab.run(NODE, ["nft", "flush", "ruleset"])


def peer_does_not_forward(lab: Lab) -> None:
    lab.run("nat-c", ["sysctl", "-w", "net.ipv4.ip_forward=0"])


def gateway_cut(lab: Lab) -> None:
    lab.faults.gateway_cut(NODE)


def icmp_closed(lab: Lab) -> None:
    lab.faults.partition("a", "c")


FAULTS: dict[str, tuple[Callable[[Lab], None], str, str]] = {
    "no forwarding": (forwarding_off, "ip_forward is 0", "sysctl -w net.ipv4.ip_forward=1"),
    "no masquerade": (masquerade_off, "no rule masquerades", "systemctl enable --now nathb-nat"),
    "a peer that does not forward": (
        peer_does_not_forward,
        "heartbeat 193.0.14.129 does not answer through nat-c",
        "nathb check --aws on nat-c",
    ),
    "no way out": (gateway_cut, "through this node's own gateway", "default route"),
    "ICMP closed": (icmp_closed, "its crash will be noticed late", "let ICMP echo"),
}


def repair(lab: Lab) -> None:
    """Take back every fault of this file."""
    lab.heal()
    rules = lab.directory / "rules"
    if rules.exists():
        lab.run(NODE, ["nft", "-f", str(rules)])
    for node in ("nat-a", "nat-c"):
        lab.run(node, ["sysctl", "-w", "net.ipv4.ip_forward=1"])


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_node_is_found_with_its_mend(lab: Lab, fault: str) -> None:
    breaks, words, fix = FAULTS[fault]
    before = found(lab)
    breaks(lab)
    assert fix in told(lab, words)["mend"]
    repair(lab)
    assert found(lab) == before


def test_a_pair_that_is_applied_and_guarded_is_good_on_every_line(lab: Lab) -> None:
    file = lab.install(NODE, lab.pair_config())
    applied = lab.run(NODE, nathb("apply", str(file), "--yes"))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    daemon = lab.start_nathb(NODE, lab.pair_config())
    daemon.wait_line("guards lab")
    checked = lab.run(NODE, nathb("check", str(file), "--aws"), within=60.0)
    assert checked.returncode == 0, checked.stdout
    lines = [line for line in checked.stdout.splitlines() if not line.startswith("good")]
    *warnings, summary = lines
    # of the lab's own making: it pins well-known addresses, and translates without telling EC2
    assert [one for one in warnings if not re.search("public (resolver|address)", one)] == []
    assert summary.startswith("0 bad, ")
