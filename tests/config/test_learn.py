"""The block `learn`, as a good file has it; broken ones are in broken/learn.txt."""

from __future__ import annotations

from nathb.config import digest, parse
from nathb.core.model import Learn
from tests.config.cases import FILE, PAIR

LEARN = """\
learn:
  from: [vtysh, -c, "show ip route bgp json"]
  into: [rtb-0b8e8f2da00000001, tgw-rtb-0b8e8f2da00000009]
  allow: [10.8.0.0/13, 2001:DB8::/32]
  attachment: tgw-attach-0b8e8f2da00000009
"""


def test_a_command_and_its_defaults() -> None:
    learn = parse(PAIR + LEARN, FILE).learn
    assert learn == Learn(
        command=("vtysh", "-c", "show ip route bgp json"),
        into=("rtb-0b8e8f2da00000001", "tgw-rtb-0b8e8f2da00000009"),
        allow=("10.8.0.0/13", "2001:db8::/32"),
        attachment="tgw-attach-0b8e8f2da00000009",
        at_most=50,
        interval=10.0,
        withdraw_after=300.0,
    )
    assert learn.vpc_tables == ("rtb-0b8e8f2da00000001",)
    assert learn.gateway_tables == ("tgw-rtb-0b8e8f2da00000009",)


def test_a_file_and_single_values() -> None:
    text = (
        "learn: {from: /run/router/prefixes, into: rtb-0b8e8f2da00000001, allow: 10.8.0.0/13,"
        " at_most: 5, interval: 1s, withdraw_after: 1h}\n"
    )
    assert parse(PAIR + text, FILE).learn == Learn(
        file="/run/router/prefixes",
        into=("rtb-0b8e8f2da00000001",),
        allow=("10.8.0.0/13",),
        at_most=5,
        interval=1.0,
        withdraw_after=3600.0,
    )


def test_a_file_without_it_means_what_it_meant() -> None:
    assert parse(PAIR, FILE).learn is None
    assert digest(parse(PAIR, FILE)) == "92d1c6e6217fc526"
