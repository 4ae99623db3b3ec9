"""What is legal in a file and yet unwise, and in which words it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nathb.config import find_warnings, load
from nathb.core.model import Group, Learn, Node, Notify, Preempt, Route, Timers

EXAMPLE = Path(__file__).parents[2] / "etc" / "nathb" / "example.yaml"

A = Node("nat-a", ("4.4.4.1",), (Route("rtb-0000000a", "0.0.0.0/0"),), "i-0000000a")
C = Node("nat-c", ("4.4.4.2", "2a00::1"), (Route("rtb-0000000c", "0.0.0.0/0"),), "i-0000000c")
WISE = Group("tokyo", (A, C), ("1.1.1.1", "one.one.one.one"))

UNWISE: dict[str, tuple[dict[str, Any], str]] = {
    "one uplink": (
        {"uplink": ("1.1.1.1",)},
        "uplink: 1.1.1.1 alone decides whether a node is cut off; add an address of "
        "another operator",
    ),
    "an uplink that is an example": (
        {"uplink": ("1.1.1.1", "192.0.2.1")},
        "uplink: 192.0.2.1 is a documentation address, which nothing answers; write a real one",
    ),
    "one internet address beside a tunnel": (
        {"uplink": (("1.1.1.1",), ("10.8.0.5",)), "preempt": Preempt.MANUAL},
        "uplink: 1.1.1.1 alone decides whether a node is cut off; add an address of another "
        "operator",
    ),
    "an uplink of a node's own that is an example": (
        {"nodes": (A, replace(C, uplink=("1.1.1.1", "192.0.2.1")))},
        "nodes.nat-c.uplink: 192.0.2.1 is a documentation address, which nothing answers; write a "
        "real one",
    ),
    "a heartbeat that does not need the tunnel": (
        {"nodes": (A, replace(C, uplink=(("1.1.1.1", "9.9.9.9"), ("10.8.0.5",))))},
        "nodes.nat-c.heartbeat: answers also while 10.8.0.5 does not, so the others return routes "
        "to nat-c that it cannot serve; choose an address beyond its tunnel, or write preempt: "
        "manual",
    ),
    "a heartbeat that is an example": (
        {"nodes": (A, replace(C, heartbeat=("2001:db8::1",)))},
        "nodes.nat-c.heartbeat: 2001:db8::1 is a documentation address, which nothing answers; "
        "write a real one",
    ),
    "a heartbeat that clients use": (
        {"nodes": (replace(A, heartbeat=("4.4.4.1", "8.8.4.4")), C)},
        "nodes.nat-a.heartbeat: 8.8.4.4 is Google's public resolver: clients that use it lose it "
        "whenever nat-a is down; choose an address that no client needs",
    ),
    "a key without a topic": (
        {"notify": Notify(kms="arn:aws:kms:eu-west-1:123456789012:key/0a")},
        "notify.kms: is the key of a topic, and the file names no topic; add `sns:`",
    ),
    "tags with a wildcard": (
        {"nodes": (replace(A, instance="", match=(("tag:Name", "nat-?"),)), C)},
        "nodes.nat-a.match: tag:Name=nat-? may match several instances; write the whole tag",
    ),
    "tags with a wildcard for many": (
        {"nodes": (replace(A, instance="", match=(("tag:Name", "nat-*"),)), C)},
        "nodes.nat-a.match: tag:Name=nat-* may match several instances; write the whole tag",
    ),
    "a single miss": (
        {"check": Timers(fall=1)},
        "check.fall: a single lost packet moves the routes; write 2 or more",
    ),
    "a pulse no faster than the checks": (
        {"check": Timers(interval=1, pulse=1)},
        "check.pulse: 1s is not shorter than interval, so it speeds up nothing; write less, or off",
    ),
    "a return before the next check": (
        {"preempt_delay": 29.5},
        "preempt_delay: 29.5s is under interval 30s: routes return before the next "
        "check confirms the path; write more",
    ),
}


def told(group: Group) -> list[str]:
    return [str(warning) for warning in find_warnings(group)]


def test_a_wise_group_draws_no_warning() -> None:
    assert told(WISE) == []


@pytest.mark.parametrize("name", UNWISE)
def test_what_is_unwise_is_told_in_these_words(name: str) -> None:
    change, words = UNWISE[name]
    assert told(replace(WISE, **change)) == [f"tokyo.yaml: {words}"]


RESOLVERS = {
    "8.8.8.8": "Google",
    "2001:4860:4860::8844": "Google",
    "1.1.1.1": "Cloudflare",
    "1.0.0.1": "Cloudflare",
    "2606:4700:4700::1111": "Cloudflare",
    "9.9.9.9": "Quad9",
    "149.112.112.112": "Quad9",
    "2620:fe::fe": "Quad9",
    "208.67.222.222": "OpenDNS",
    "208.67.220.220": "OpenDNS",
    "2620:119:35::35": "OpenDNS",
    "4.2.2.2": "Level 3",
    "94.140.14.14": "AdGuard",
    "223.5.5.5": "Alibaba",
    "114.114.114.114": "114DNS",
    "77.88.8.8": "Yandex",
}


@pytest.mark.parametrize("address", RESOLVERS)
def test_the_public_resolvers_are_known(address: str) -> None:
    (warning,) = told(replace(WISE, nodes=(replace(A, heartbeat=(address,)), C)))
    assert f": {address} is {RESOLVERS[address]}'s public resolver: " in warning


def test_resolvers_are_good_uplinks() -> None:
    assert told(replace(WISE, uplink=("8.8.8.8", "9.9.9.9"))) == []


def test_a_return_at_the_next_check_is_soon_enough() -> None:
    assert told(replace(WISE, preempt_delay=30.0)) == []


def test_no_pulse_is_not_slower_than_the_checks() -> None:
    assert told(replace(WISE, check=Timers(pulse=0))) == []


def test_the_example_draws_no_warning() -> None:
    assert find_warnings(load(EXAMPLE), "etc/example.yaml") == ()


def test_a_heartbeat_beyond_the_tunnel_draws_no_warning() -> None:
    node = replace(C, uplink=(("1.1.1.1", "9.9.9.9"), ("10.8.0.5",)), heartbeat=("10.8.0.12",))
    assert find_warnings(replace(WISE, nodes=(A, node))) == ()


def test_a_warning_names_the_file_as_it_was_called_and_no_line() -> None:
    (warned,) = find_warnings(replace(WISE, uplink=("1.1.1.1",)), "etc/tokyo.yaml")
    assert (warned.file, warned.line, warned.path) == ("etc/tokyo.yaml", 0, "uplink")


def test_a_brief_hold_of_learned_routes_and_a_block_within_another_are_unwise() -> None:
    learn = Learn(into=("rtb-0000000a",), allow=("10.8.0.0/13", "2001:db8::/32"), file="/run/p")
    assert told(replace(WISE, learn=learn)) == []
    (brief,) = told(replace(WISE, learn=replace(learn, withdraw_after=10.0)))
    assert brief.endswith(
        "learn.withdraw_after: 10s is short: a BGP session that restarts takes its routes with it;"
        " write 1m or more"
    )
    (part,) = told(replace(WISE, learn=replace(learn, allow=("10.8.0.0/13", "10.9.0.0/16"))))
    assert part.endswith("learn.allow: 10.9.0.0/16 is part of 10.8.0.0/13; remove it")
