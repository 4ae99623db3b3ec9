"""Which addresses this node reaches: one round of pings, as the daemon would send them."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping

from msgspec import Struct

from nathb.core.errors import BlindError, Finding, ResolveError, bad, good, warning
from nathb.core.text import crosses_gateway
from nathb.net.names import resolve
from nathb.net.wire import Wire
from nathb.provision.inventory import Inventory

TRIES = 3
PATIENCE = 1.0
"""Seconds for an answer."""


class Question(Struct, frozen=True):
    """One address to be pinged, and what its silence would mean."""

    subject: str
    address: str
    what: str
    silence: Finding
    source: str = ""
    interface: str = ""


def inspect_reach(seen: Inventory, me: str, never: frozenset[str]) -> Iterator[Finding]:
    """Yield who answers this node: its uplink, and the peers, through them and straight.

    `never` names the peers whose heartbeats have never answered the daemon of this node.
    """
    group = seen.group
    interface = group.node(me).interface
    for name in (one for part in group.uplink_of(me) for one in part):
        try:
            addresses = resolve(name)
        except ResolveError as error:
            yield bad("uplink", str(error), "see above")
            continue
        yield from _ask([_uplink(address, interface) for address in addresses])
    peers = [node for node in group.nodes if node.name != me]
    for peer in peers:
        source = group.node(me).source
        yield from _ask(
            [
                _heartbeat(peer.name, address, source, interface, never=peer.name in never)
                for address in peer.heartbeat
            ]
            + _pulse(peer.name, seen.instance(peer.name).address, interface)
        )


def _uplink(address: str, interface: str) -> Question:
    if crosses_gateway(address):
        where = "this node's own gateway"
        fix = "check this subnet's default route, this node's public address and its security group"
    else:
        where, interface = "this node's own tunnel", ""
        fix = "check the tunnel on both sides, and this machine's route: ip route get " + address
    silence = bad("uplink", f"{address} does not answer through {where}", fix)
    return Question("uplink", address, f"{address} answers", silence, interface=interface)


def _heartbeat(peer: str, address: str, source: str, interface: str, *, never: bool) -> Question:
    fix = f"nathb check --aws on {peer}: forwarding, masquerade, source/dest check"
    text = f"heartbeat {address} does not answer through {peer}"
    if never:
        text += ", and has never answered the daemon of this node"
        fix = f"see whether the address is right and answers pings at all; if so, {fix}"
    what, silence = f"heartbeat {address} answers", bad(peer, text, fix)
    return Question(peer, address, what, silence, source, interface)


def _pulse(peer: str, address: str, interface: str) -> list[Question]:
    if not address:
        return []
    fix = f"allow ICMP echo from this node in the security group of {peer}"
    text = f"its pulse {address} does not answer: its crash will be noticed late"
    what, silence = f"its pulse {address} answers", warning(peer, text, fix)
    return [Question(peer, address, what, silence, interface=interface)]


def _ask(questions: list[Question]) -> Iterator[Finding]:
    """Yield what came of each question. One answer in three tries is an answer."""
    try:
        heard = _heard({one.address: one for one in questions})
    except BlindError as error:
        for question in questions:
            yield warning(question.subject, f"cannot be pinged: {error}", "run it as root")
        return
    for question in questions:
        if question.address in heard:
            yield good(question.subject, question.what)
        else:
            yield question.silence


def _heard(questions: Mapping[str, Question]) -> set[str]:
    """Return which of these addresses answer. BlindError when they cannot be pinged."""
    heard: set[str] = set()
    with Wire() as wire:
        for _ in range(TRIES):
            silent = [one for address, one in questions.items() if address not in heard]
            tickets = {
                wire.send(one.address, one.source, one.interface): one.address for one in silent
            }
            deadline = time.monotonic() + PATIENCE
            while tickets and (left := deadline - time.monotonic()) > 0:
                select.select(wire.filenos(), [], [], left)
                for ticket in wire.receive():
                    heard.add(tickets.pop(ticket))
            for ticket in tickets:
                wire.forget(ticket)
    return heard
