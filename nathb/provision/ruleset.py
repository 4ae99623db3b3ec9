"""The chains of this machine's firewall, out of what nft and iptables-save print.

Only what decides about a packet of a client is read: addresses, interfaces, protocol, port and
connection state. What is not known here may match or may not, and the walk says so.
https://wiki.nftables.org/wiki-nftables/index.php/Main_Page, libnftables-json(5), iptables(8)
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import Any

from msgspec import Struct

FORWARD = "forward"


class Verdict(Enum):
    """What becomes of a packet in a chain."""

    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"
    CONTINUE = "continue"
    """On to the next rule."""


class Packet(Struct, frozen=True):
    """The first packet of a client's connection, as it comes to be forwarded."""

    protocol: str
    """`tcp`, or `icmp` for an echo request."""
    source: str
    destination: str
    interface: str
    """Where it comes in and goes out again."""
    port: int = 0

    def field(self, name: str) -> str | None:
        """Return what the packet has under a name of ours; None for what is not known of it."""
        fields = {
            "protocol": self.protocol,
            "saddr": self.source,
            "daddr": self.destination,
            "iifname": self.interface,
            "oifname": self.interface,
            "ct state": "new",
            "icmp type": "echo-request" if self.protocol == "icmp" else "",
            "tcp dport": str(self.port) if self.protocol == "tcp" else "",
            "udp dport": "",
            "family": "ipv4",
        }
        return fields.get(name)


class Match(Struct, frozen=True):
    """One condition: a field of the packet, and the values that fit; no field: not known here."""

    field: str = ""
    values: tuple[str, ...] = ()
    negated: bool = False

    def fits(self, packet: Packet) -> bool | None:
        """Whether the packet fits; None when that is not known."""
        has = packet.field(self.field)
        if has is None:
            return None
        return any(_fits(has, value) for value in self.values) is not self.negated


class ChainRule(Struct, frozen=True):
    """Conditions, all of which have to fit, and what is done then."""

    matches: tuple[Match, ...]
    verdict: Verdict = Verdict.CONTINUE
    target: str = ""


class Chain(Struct):
    """The rules of one chain in order; a base chain has a hook and a policy."""

    name: str
    rules: list[ChainRule] = []
    hook: str = ""
    policy: Verdict = Verdict.ACCEPT


Chains = dict[str, Chain]


def _fits(has: str, value: str) -> bool:
    if "/" in value or value.count(".") == 3:
        with suppress(ValueError):
            return ip_address(has) in ip_network(value, strict=False)
    if value.endswith(("+", "*")):
        return has.startswith(value[:-1])
    first, dash, last = value.replace(":", "-").partition("-")
    if dash and first.isdigit() and last.isdigit() and has.isdigit():
        return int(first) <= int(has) <= int(last)
    return has == value


# --- nft -j list ruleset ------------------------------------------------------------------------

NFT_VERDICTS = {one.value: one for one in Verdict} | {"reject": Verdict.DROP}
NFT_FIELDS = {
    ("meta", "iifname"): "iifname",
    ("meta", "oifname"): "oifname",
    ("meta", "iif"): "iifname",
    ("meta", "oif"): "oifname",
    ("meta", "l4proto"): "protocol",
    ("meta", "nfproto"): "family",
    ("ct", "state"): "ct state",
    ("ip", "protocol"): "protocol",
    ("ip", "saddr"): "saddr",
    ("ip", "daddr"): "daddr",
    ("tcp", "dport"): "tcp dport",
    ("udp", "dport"): "udp dport",
    ("icmp", "type"): "icmp type",
}
WITHOUT_EFFECT = {"counter", "log", "mangle", "notrack", "ct helper", "flow", "masquerade"}


def read_nft(text: str) -> list[Chains]:
    """Return the chains of each table for IPv4; none when the text is not what nft prints."""
    try:
        entries = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError):
        return []
    tables: dict[tuple[str, str], Chains] = {}
    for entry in entries:
        chain, rule = entry.get("chain"), entry.get("rule")
        found = chain or rule
        if found is None or found.get("family") not in {"ip", "inet"}:
            continue
        chains = tables.setdefault((found["family"], found["table"]), {})
        if chain is not None:
            policy = NFT_VERDICTS.get(chain.get("policy", "accept"), Verdict.ACCEPT)
            chains[chain["name"]] = Chain(chain["name"], [], chain.get("hook", ""), policy)
        else:
            chains[rule["chain"]].rules.extend(_nft_rules(rule.get("expr", [])))
    return list(tables.values())


def _nft_rules(expressions: list[dict[str, Any]]) -> Iterator[ChainRule]:
    """Yield the rules that a rule stands for: a verdict map is one for each of its elements."""
    matches: list[Match] = []
    for expression in expressions:
        [(kind, body)] = expression.items()
        if kind == "match":
            matches.append(_nft_match(body["left"], body["right"], body.get("op", "==")))
        elif kind in NFT_VERDICTS:
            yield _nft_verdict(matches, kind, body)
        elif kind == "vmap":
            data = body["data"]
            for value, verdict in data.get("set", []) if isinstance(data, dict) else []:
                [(what, of)] = verdict.items()
                yield _nft_verdict([*matches, _nft_match(body["key"], value, "==")], what, of)
        elif kind not in WITHOUT_EFFECT:
            matches.append(Match())


def _nft_verdict(matches: list[Match], kind: str, body: Any) -> ChainRule:
    target = body.get("target", "") if isinstance(body, dict) else ""
    return ChainRule(tuple(matches), NFT_VERDICTS[kind], target)


def _nft_match(left: Any, right: Any, operator: str) -> Match:
    name = None
    if isinstance(left, dict):
        if "payload" in left:
            key = (left["payload"].get("protocol", ""), left["payload"].get("field", ""))
            name = NFT_FIELDS.get(key)
        for kind in ("meta", "ct"):
            if kind in left:
                name = NFT_FIELDS.get((kind, left[kind]["key"]))
    values = tuple(_nft_values(right))
    if name is None or not values:
        return Match()
    return Match(name, values, negated=operator == "!=")


def _nft_values(right: Any) -> Iterator[str]:
    """Yield the values of an expression; none for a named set, whose elements are elsewhere."""
    if isinstance(right, list):
        for one in right:
            yield from _nft_values(one)
    elif isinstance(right, dict):
        if "set" in right:
            yield from _nft_values(right["set"])
        elif "prefix" in right:
            yield f"{right['prefix']['addr']}/{right['prefix']['len']}"
        elif "range" in right:
            yield "-".join(map(str, right["range"]))
    elif not str(right).startswith("@"):
        yield str(right)


# --- iptables-save ------------------------------------------------------------------------------

TARGETS = {
    "ACCEPT": Verdict.ACCEPT,
    "DROP": Verdict.DROP,
    "REJECT": Verdict.DROP,
    "RETURN": Verdict.RETURN,
}
OPTIONS: dict[str, Callable[[str], Match]] = {
    "-p": lambda value: Match("protocol", (value.lower(),)),
    "-s": lambda value: Match("saddr", tuple(value.split(","))),
    "-d": lambda value: Match("daddr", tuple(value.split(","))),
    "-i": lambda value: Match("iifname", (value,)),
    "-o": lambda value: Match("oifname", (value,)),
    "--ctstate": lambda value: Match("ct state", tuple(value.lower().split(","))),
    "--state": lambda value: Match("ct state", tuple(value.lower().split(","))),
    "--dport": lambda value: Match("tcp dport", (value,)),
    "--dports": lambda value: Match("tcp dport", tuple(value.split(","))),
    "--icmp-type": lambda value: Match(
        "icmp type", ("echo-request" if value in {"8", "8/0", "any"} else value,)
    ),
}
SAYS_NOTHING = {"-m", "--comment", "--reject-with", "--log-prefix", "--log-level"}
CONTINUES = {"LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "AUDIT"}


def read_iptables(text: str) -> Chains:
    """Return the chains of iptables' filter table; none when it was not listed."""
    chains: Chains = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif table == "filter" and line.startswith(":"):
            name, policy, *_ = line[1:].split()
            hook = FORWARD if name == "FORWARD" else ""
            chains[name] = Chain(name, [], hook, TARGETS.get(policy, Verdict.ACCEPT))
        elif table == "filter" and line.startswith("-A "):
            _, name, *words = shlex.split(line)
            chains[name].rules.append(_iptables_rule(words))
    return chains


def _iptables_rule(words: list[str]) -> ChainRule:
    matches, verdict, target, negated = [], Verdict.CONTINUE, "", False
    while words:
        option = words.pop(0)
        if option == "!":
            negated = True
            continue
        values = []
        while words and words[0] != "!" and not words[0].startswith("-"):
            values.append(words.pop(0))
        if option in {"-j", "-g"}:
            name = values[0]
            jump = Verdict.GOTO if option == "-g" else Verdict.JUMP
            if name not in CONTINUES:
                verdict, target = TARGETS.get(name, jump), name
        elif option in OPTIONS:
            match = OPTIONS[option](" ".join(values))
            matches.append(Match(match.field, match.values, negated))
        elif option not in SAYS_NOTHING:
            matches.append(Match())
        negated = False
    return ChainRule(tuple(matches), verdict, target)
