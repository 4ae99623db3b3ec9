"""Good files, and the Group that each of them means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nathb.config import load, parse
from nathb.config.values import Duration, InvalidValueError, duration_text
from nathb.core.errors import FileError
from nathb.core.model import Group, Metrics, Node, Notify, Preempt, Route, Timers

EXAMPLE = Path(__file__).parents[2] / "etc" / "nathb" / "example.yaml"

MINIMAL = """\
uplink: 1.1.1.1
nodes:
  nat-a:
    instance: i-0000000a
    heartbeat: 198.51.100.1
    routes: [rtb-0000000a]
  nat-c:
    instance: i-0000000c
    heartbeat: 203.0.113.1
"""
A = Node("nat-a", ("198.51.100.1",), (Route("rtb-0000000a", "0.0.0.0/0"),), "i-0000000a")
C = Node("nat-c", ("203.0.113.1",), (), "i-0000000c")

FULL = """\
%YAML 1.2
---
region: us-gov-west-1
uplink:
  - 1.1.1.1
  - One.One.One.One
  - 169.254.10.1        # the far end of a tunnel
  - 2606:4700:4700:0::1111
preempt: manual
preempt_delay: 2h
refresh: 1m
view_max_age: 10m
settle: 5s
contest_hold: 20m
notify:
  sns: arn:aws-us-gov:sns:us-gov-west-1:123456789012:nathb
  kms: arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0a9b954b0c0ffee0
metrics:
  textfile: /run/nathb/vyos/metrics.prom
  listen: "[::1]:9477"
check:
  interval: 100ms
  fast_interval: 50ms
  timeout: 0.2
  fall: 4
  rise: 2
  pulse: off
nodes:
  vyos.1:
    match:
      tag:Name: vyos
      tag:Zone: "a"
    eni: eni-0a9b954b0c0ffee01
    source: 10.0.0.11
    heartbeat: [198.51.100.1, 2001:DB8:0::1]
    routes:
      - rtb-0b8e8f2da00000001
      - table: rtb-0b8e8f2da00000001
        destination: ::/0
      - {table: rtb-0b8e8f2da00000002, destination: 10.8.0.0/16}
      - {table: rtb-0b8e8f2da00000002, destination: 0064:FF9B::/96}
      - {table: rtb-0b8e8f2da00000002, destination: pl-0a9b954b0c0ffee01}
      - {table: rtb-0b8e8f2da00000002}
  2nd:
    instance: i-0c24460a0c0ffee02
    heartbeat: 203.0.113.1
    routes: rtb-0bee8f2dc00000003
  standby:
    instance: i-0c24460a0c0ffee03
    heartbeat: 203.0.113.2
    routes: []
...
"""


def test_two_nodes_an_uplink_and_a_route_are_enough_and_the_model_has_the_defaults() -> None:
    assert parse(MINIMAL, "tokyo.yaml") == Group("tokyo", (A, C), ("1.1.1.1",))


def test_every_key_reaches_the_group() -> None:
    assert parse(FULL, "vyos.yaml") == Group(
        name="vyos",
        region="us-gov-west-1",
        uplink=("1.1.1.1", "one.one.one.one", "169.254.10.1", "2606:4700:4700::1111"),
        preempt=Preempt.MANUAL,
        preempt_delay=7200.0,
        refresh=60.0,
        view_max_age=600.0,
        settle=5.0,
        contest_hold=1200.0,
        notify=Notify(
            sns="arn:aws-us-gov:sns:us-gov-west-1:123456789012:nathb",
            kms="arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-0a9b954b0c0ffee0",
        ),
        metrics=Metrics("/run/nathb/vyos/metrics.prom", "[::1]:9477"),
        check=Timers(interval=0.1, fast_interval=0.05, timeout=0.2, fall=4, rise=2, pulse=0.0),
        nodes=(
            Node(
                "vyos.1",
                match=(("tag:Name", "vyos"), ("tag:Zone", "a")),
                eni="eni-0a9b954b0c0ffee01",
                source="10.0.0.11",
                heartbeat=("198.51.100.1", "2001:db8::1"),
                routes=(
                    Route("rtb-0b8e8f2da00000001", "0.0.0.0/0"),
                    Route("rtb-0b8e8f2da00000001", "::/0"),
                    Route("rtb-0b8e8f2da00000002", "10.8.0.0/16"),
                    Route("rtb-0b8e8f2da00000002", "64:ff9b::/96"),
                    Route("rtb-0b8e8f2da00000002", "pl-0a9b954b0c0ffee01"),
                    Route("rtb-0b8e8f2da00000002", "0.0.0.0/0"),
                ),
            ),
            Node(
                "2nd",
                instance="i-0c24460a0c0ffee02",
                heartbeat=("203.0.113.1",),
                routes=(Route("rtb-0bee8f2dc00000003", "0.0.0.0/0"),),
            ),
            Node("standby", instance="i-0c24460a0c0ffee03", heartbeat=("203.0.113.2",)),
        ),
    )


def test_the_example_is_a_good_pair_with_all_the_defaults() -> None:
    assert load(EXAMPLE) == Group(
        name="example",
        region="ap-northeast-1",
        uplink=("1.1.1.1", "9.9.9.9"),
        nodes=(
            Node(
                "nat-a",
                instance="i-0a9b954b0c0ffee01",
                heartbeat=("199.7.83.42",),
                routes=(
                    Route("rtb-0b8e8f2da00000001", "0.0.0.0/0"),
                    Route("rtb-0b8e8f2da00000002", "10.8.0.0/16"),
                ),
            ),
            Node(
                "nat-c",
                instance="i-0c24460a0c0ffee02",
                heartbeat=("193.0.14.129",),
                routes=(Route("rtb-0bee8f2dc00000003", "0.0.0.0/0"),),
            ),
        ),
    )


def test_what_the_example_has_commented_out_are_the_defaults() -> None:
    shown = EXAMPLE.read_text("utf-8")
    for key in ("check", "preempt", "preempt_delay", "refresh", "view_max_age", "settle",
                "contest_hold"):  # fmt: skip
        assert f"\n# {key}: " in shown
        shown = shown.replace(f"\n# {key}: ", f"\n{key}: ")
    assert parse(shown, "example.yaml") == load(EXAMPLE)


def test_an_uplink_may_have_parts_and_a_node_one_of_its_own() -> None:
    """A flat list is one part. The group needs none where each node has its own."""
    own = "    uplink: [[10.8.0.5, One.one.one.one], [169.254.10.1]]\n    interface: ens5\n"
    text = MINIMAL.replace("1.1.1.1", "[1.1.1.1, 9.9.9.9]") + own
    group = parse(text, "tokyo.yaml")
    assert group.uplink == ("1.1.1.1", "9.9.9.9")
    assert group.uplink_of("nat-a") == (("1.1.1.1", "9.9.9.9"),)
    assert group.uplink_of("nat-c") == (("10.8.0.5", "one.one.one.one"), ("169.254.10.1",))
    assert group.node("nat-c").interface == "ens5"
    without = text.replace("uplink: [1.1.1.1, 9.9.9.9]\n", "")
    alone = without.replace("    routes:", "    uplink: 198.51.100.1\n    routes:")
    group = parse(alone, "tokyo.yaml")  # a node's own heartbeat is pinned nowhere on its way out
    assert (group.uplink, group.uplink_of("nat-a")) == ((), (("198.51.100.1",),))
    with pytest.raises(FileError, match="uplink: is missing"):
        parse(without, "tokyo.yaml")


def test_a_check_command_is_the_groups_or_a_nodes_own() -> None:
    """Its arguments are taken as they are written: no shell divides or expands them."""
    text = 'check_command: [vtysh, -c, "show bgp  $HOME", 7]\n' + MINIMAL
    group = parse(text + "    check_command: /usr/local/bin/serves\n", "tokyo.yaml")
    assert group.check_command_of("nat-a") == ("vtysh", "-c", "show bgp  $HOME", "7")
    assert group.check_command_of("nat-c") == ("/usr/local/bin/serves",)
    assert parse(MINIMAL, "tokyo.yaml").check_command_of("nat-a") == ()


@pytest.mark.parametrize("written", ["10.8.0.11", "tcp://10.8.0.11:179", "fd00:8::11"])
def test_a_heartbeat_may_lie_beyond_a_tunnel(written: str) -> None:
    group = parse(MINIMAL.replace("203.0.113.1", written), "tokyo.yaml")
    assert group.node("nat-c").heartbeat == (written,)


def test_a_host_name_may_be_as_long_as_dns_allows() -> None:
    name = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert len(name) == 253
    assert parse(MINIMAL.replace("1.1.1.1", name), "tokyo.yaml").uplink == (name,)


def test_crlf_a_byte_order_mark_and_quotes_change_nothing() -> None:
    windows = MINIMAL.replace("1.1.1.1", "'1.1.1.1'").replace("\n", "\r\n")
    assert parse(b"\xef\xbb\xbf" + windows.encode(), "tokyo.yaml") == parse(MINIMAL, "tokyo.yaml")


def test_the_file_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "tokyo.eu.yaml"
    path.write_text(MINIMAL)
    assert load(path) == load(str(path)) == Group("tokyo.eu", (A, C), ("1.1.1.1",))


DURATIONS = {
    "0": 0.0,
    "30": 30.0,
    "0.5": 0.5,
    "010": 10.0,
    "250ms": 0.25,
    "1.5ms": 0.0015,
    "700ms": 0.7,
    "30s": 30.0,
    "5m": 300.0,
    "1.5m": 90.0,
    "2h": 7200.0,
    "24h": 86400.0,
    "1d": 86400.0,
    "1h30m": 5400.0,
    "1m0.5s500ms": 61.0,
}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_means_these_seconds(text: str) -> None:
    group = parse(f"{MINIMAL}preempt_delay: {text}\n", "tokyo.yaml")
    assert group.preempt_delay == DURATIONS[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+1",
        "1e3",
        ".5",
        "5.",
        "1w",
        "1 s",
        "1S",
        "1h30",
        "30m1h",
        "1h1h",
        "0x10",
        "1_000",
        "٣s",
        "inf",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(FileError, match="is not a duration"):
        parse(f"{MINIMAL}preempt_delay: '{text}'\n", "tokyo.yaml")


@pytest.mark.parametrize("text", ["-1", "-5m", "-0.5s"])
def test_a_duration_below_zero_is_refused_as_negative(text: str) -> None:
    with pytest.raises(FileError, match=f"'{text}' is negative; write a duration such as"):
        parse(f"{MINIMAL}preempt_delay: '{text}'\n", "tokyo.yaml")


def test_where_a_bare_number_may_be_anything_a_unit_is_asked_for() -> None:
    pause = Duration(1, "", 86_400, "", needs_unit=True)
    with pytest.raises(InvalidValueError, match=r"^'30' has no unit; write 30s, 30m, 30h or 30d$"):
        pause("30")
    assert pause("30s") == 30


@pytest.mark.parametrize("text", ["off", "0", "0s", "0.0ms", "'off'"])
def test_a_pulse_can_be_off(text: str) -> None:
    assert parse(f"{MINIMAL}check: {{pulse: {text}}}\n", "tokyo.yaml").check.pulse == 0


def test_no_time_at_all_is_spelt_in_seconds() -> None:
    assert duration_text(0.0) == "0s"


@given(st.integers(1, 86_400_000))
def test_a_duration_is_spelt_so_that_it_can_be_read_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert Duration(0, "", 86_400, "")(duration_text(seconds)) == seconds


BOUNDS = {
    "check: {interval: 50ms, fast_interval: 50ms}": True,
    "check: {interval: 49ms, fast_interval: 49ms}": False,
    "check: {interval: 5m}": True,
    "check: {interval: 301}": False,
    "check: {fast_interval: 20ms, timeout: 20ms, pulse: 100ms, fall: 1, rise: 1}": True,
    "check: {fast_interval: 30s, timeout: 10s, pulse: 10s, fall: 20, rise: 20}": True,
    "check: {fast_interval: 31s}": False,
    "preempt_delay: 24h": True,
    "refresh: 1s": True,
    "refresh: 5m": True,
    "view_max_age: 30s": True,
    "view_max_age: 29s": False,
    "view_max_age: 1h": True,
    "settle: 1s": True,
    "settle: 5m": True,
    "contest_hold: 10s": True,
    "contest_hold: 2h": True,
    "metrics: {listen: '127.0.0.1:1024'}": True,
    "metrics: {listen: '127.0.0.1:1023'}": False,
    "metrics: {listen: '127.255.255.254:65535'}": True,
    "metrics: {listen: '127.0.0.1:65536'}": False,
    "metrics: {listen: '::1:9477'}": False,
    "metrics: {listen: '[127.0.0.1]:9477'}": False,
    "metrics: {listen: 'localhost:9477'}": False,
    "metrics: {textfile: /metrics.prom}": True,
    "metrics: {textfile: /.prom}": False,
    "metrics: {textfile: /metrics.txt}": False,
    "notify: {}": True,
    "metrics: {}": True,
}


@pytest.mark.parametrize("line", BOUNDS)
def test_a_bound_itself_is_allowed_and_the_next_step_is_not(line: str) -> None:
    text = f"{MINIMAL}{line}\n"
    if BOUNDS[line]:
        assert parse(text, "tokyo.yaml")
    else:
        with pytest.raises(FileError):
            parse(text, "tokyo.yaml")
