"""What this machine's own firewall does with clients: pings that pass while connections do not.

The rules are shaped as ufw, Docker and firewalld leave them; `nft` is also asked itself.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from nathb.core.errors import Finding, Level
from nathb.provision.firewall import default_interface, inspect_firewall

UFW = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [3:180]
:OUTPUT ACCEPT [0:0]
:ufw-before-forward - [0:0]
:ufw-user-forward - [0:0]
:ufw-after-forward - [0:0]
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
COMMIT
"""
DOCKER = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
"""


def finding(nft: str = "", iptables: str = "") -> Finding:
    [found] = inspect_firewall(nft, iptables, "ens5")
    return found


def is_bad_for_tcp_alone(found: Finding) -> bool:
    return found.level is Level.BAD and "forwards pings and drops TCP" in found.text


def test_ufw_that_forwards_pings_and_drops_the_rest_is_bad() -> None:
    assert is_bad_for_tcp_alone(finding(iptables=UFW))


def test_ufw_with_a_route_rule_for_clients_is_good() -> None:
    allowed = UFW.replace("COMMIT", "-A ufw-user-forward -s 192.0.2.0/24 -j ACCEPT\nCOMMIT")
    assert finding(iptables=allowed).level is Level.GOOD


def test_docker_that_drops_what_is_not_its_own_is_bad_until_docker_user_accepts() -> None:
    found = finding(iptables=DOCKER)
    assert (found.level, found.text) == (
        Level.BAD,
        "its firewall drops what it is to forward: it serves nobody",
    )
    accepted = DOCKER.replace("-A DOCKER-USER -j RETURN", "-A DOCKER-USER -i ens5 -j ACCEPT")
    assert finding(iptables=accepted).level is Level.GOOD


def test_a_rule_that_cannot_be_read_is_a_warning_and_not_a_guess() -> None:
    unknown = UFW.replace("COMMIT", "-A ufw-user-forward -m geoip --src-cc JP -j ACCEPT\nCOMMIT")
    found = finding(iptables=unknown)
    assert (found.level, found.text) == (
        Level.WARNING,
        "whether its firewall forwards TCP cannot be told from its rules",
    )


def test_a_machine_without_any_firewall_is_good() -> None:
    assert finding().level is Level.GOOD


def ruleset(*rules: list[dict[str, object]], policy: str = "accept") -> str:
    """What `nft -j list ruleset` prints of one table with a forward chain and one to jump to."""
    of = {"family": "inet", "table": "firewalld"}
    base = {**of, "name": "filter_FORWARD", "type": "filter", "hook": "forward", "prio": 10}
    own = {"metainfo": {"version": "1.0.6"}}
    chains = [{"chain": {**base, "policy": policy}}, {"chain": {**of, "name": "zones"}}]
    return json.dumps(
        {
            "nftables": [
                own,
                *chains,
                *({"rule": {**of, "chain": "filter_FORWARD", "expr": one}} for one in rules),
            ]
        }
    )


STATES = [
    [{"set": ["established", "related"]}, {"accept": None}],
    ["invalid", {"drop": None}],
]
KNOWN: dict[str, object] = {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": STATES}}}
PINGS: list[dict[str, object]] = [
    {
        "match": {
            "op": "==",
            "left": {"payload": {"protocol": "icmp", "field": "type"}},
            "right": "echo-request",
        }
    },
    {"accept": None},
]
REJECTED: dict[str, object] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}


def from_interface(name: str, verdict: dict[str, object]) -> list[dict[str, object]]:
    left = {"meta": {"key": "iifname"}}
    return [{"match": {"op": "==", "left": left, "right": name}}, {"counter": None}, verdict]


def test_firewalld_that_rejects_what_no_zone_forwards_is_bad() -> None:
    accepts = from_interface("ens5", {"accept": None})
    jump: dict[str, object] = {"jump": {"target": "zones"}}
    assert is_bad_for_tcp_alone(finding(ruleset([KNOWN], PINGS, [jump], [REJECTED])))
    assert finding(ruleset([KNOWN], PINGS, [jump], [REJECTED])).fix.startswith("allow new conn")
    other = ruleset([KNOWN], from_interface("docker0", {"accept": None}), [REJECTED])
    assert finding(other).level is Level.BAD
    assert finding(ruleset([KNOWN], accepts, [REJECTED])).level is Level.GOOD


def test_every_table_has_its_say() -> None:
    assert is_bad_for_tcp_alone(finding(ruleset([KNOWN], policy="accept"), UFW))


@pytest.mark.parametrize("printed", ["", "no json", "[]", '{"nftables": {}}'])
def test_what_is_no_ruleset_is_read_as_none(printed: str) -> None:
    assert finding(nft=printed).level is Level.GOOD


def test_what_nft_itself_prints_is_understood() -> None:
    rules = """
    table ip f {
        chain users { tcp dport { 80, 443 } ip saddr 192.0.2.0/24 accept; }
        chain forward {
            type filter hook forward priority 0; policy drop;
            ct state vmap { established : accept, related : accept, invalid : drop }
            icmp type echo-request accept
            LAST
        }
    }"""
    drops = printed_by_nft(rules.replace("LAST", ""))
    jumps = printed_by_nft(rules.replace("LAST", "jump users"))
    limited = printed_by_nft(rules.replace("LAST", 'iifname "ens*" limit rate 1/second accept'))
    assert is_bad_for_tcp_alone(finding(drops))
    assert finding(jumps).level is Level.GOOD
    assert finding(limited).level is Level.WARNING


def printed_by_nft(rules: str) -> str:
    """What nft lists after it has read these rules, in a network namespace of its own."""
    both = ("unshare", "--net", "sh", "-c", "nft -f - && nft -j list ruleset")
    return subprocess.run(both, input=rules, capture_output=True, text=True, check=True).stdout


def test_the_interface_of_the_default_route_is_found() -> None:
    table = (
        "Iface\tDestination\tGateway\tFlags\n"
        "eth1\t0000000A\t00000000\t0001\n"
        "ens5\t00000000\t0100000A\t0003\n"
    )
    assert default_interface(table) == "ens5"
    assert default_interface("Iface\tDestination\n") == ""
