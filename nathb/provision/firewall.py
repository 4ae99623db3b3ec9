"""What this machine's own firewall does with clients' connections that it is to forward.

Heartbeats are pings. A firewall that forwards echo requests and drops the rest (ufw does so out of
the box) keeps a node UP that serves nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nathb.core.errors import Finding, bad, good, warning
from nathb.provision.ruleset import (
    FORWARD,
    Chain,
    ChainRule,
    Chains,
    Packet,
    Verdict,
    read_iptables,
    read_nft,
)

CLIENT = "192.0.2.1"
"""An address of nobody (RFC 5737), where the file names no range of clients."""
SERVER = "198.51.100.1"
DARK = "clients are not served, though heartbeats are answered"
FIX = (
    "allow new connections from the clients' subnets in the forward chain (ufw route allow,"
    " firewall-cmd --add-forward, Docker: the chain DOCKER-USER)"
)
DEEPEST = 64
"""Jumps within jumps; the kernel allows 16."""


def inspect_firewall(nft: str, iptables: str, interface: str) -> Iterator[Finding]:
    """Yield what becomes of a client's ping and of its connection.

    `nft` is what `nft -j list ruleset` prints, `iptables` what `iptables-save` does; `interface`
    is where clients' packets come in and leave.
    """
    iptables_chains = read_iptables(iptables)
    tables = [*read_nft(nft), iptables_chains] if iptables_chains else read_nft(nft)
    ping = outcomes(tables, Packet("icmp", CLIENT, SERVER, interface))
    connection = outcomes(tables, Packet("tcp", CLIENT, SERVER, interface, 443))
    if connection == {Verdict.DROP} and Verdict.ACCEPT in ping:
        yield bad("this node", f"its firewall forwards pings and drops TCP: {DARK}", FIX)
    elif connection == {Verdict.DROP}:
        yield bad("this node", "its firewall drops what it is to forward: it serves nobody", FIX)
    elif Verdict.DROP in connection:
        text = "whether its firewall forwards TCP cannot be told from its rules"
        yield warning("this node", text, "open a connection through it from a client")
    else:
        yield good("this node", "its firewall forwards TCP")


def default_interface(table: str) -> str:
    """Return the interface of the default route in /proc/net/route (proc(5)); empty for none."""
    for line in table.splitlines()[1:]:
        name, destination, *_ = line.split()
        if destination == "00000000":
            return name
    return ""


def outcomes(tables: Sequence[Chains], packet: Packet) -> set[Verdict]:
    """Return what can become of a packet: accept, drop, or either where a rule is not known."""
    found = {Verdict.ACCEPT}
    for chains in tables:
        for chain in chains.values():
            if chain.hook != FORWARD:
                continue
            passed = _walk(chains, chain, packet)
            through = {chain.policy if one is Verdict.RETURN else one for one in passed}
            if through == {Verdict.DROP}:
                return through
            found |= through
    return found


def _walk(chains: Chains, chain: Chain, packet: Packet, depth: int = 0) -> set[Verdict]:
    """Return how a chain can be left: accept, drop, or return to whoever called it."""
    left: set[Verdict] = set()
    for rule in chain.rules if depth < DEEPEST else ():
        fits = _fits(rule, packet)
        if fits is False:
            continue
        done = _done(chains, rule, packet, depth)
        left |= done - {Verdict.CONTINUE}
        if fits and Verdict.CONTINUE not in done:
            return left
    return left | {Verdict.RETURN}


def _fits(rule: ChainRule, packet: Packet) -> bool | None:
    fits = {match.fits(packet) for match in rule.matches}
    if False in fits:
        return False
    return None if None in fits else True


def _done(chains: Chains, rule: ChainRule, packet: Packet, depth: int) -> set[Verdict]:
    """Return what a rule that fits can do; CONTINUE among it when the next rule may follow."""
    if rule.verdict not in {Verdict.JUMP, Verdict.GOTO}:
        return {rule.verdict}
    if rule.target not in chains:  # a target of iptables that is no chain: it only marks or counts
        return {Verdict.CONTINUE}
    passed = _walk(chains, chains[rule.target], packet, depth + 1)
    if rule.verdict is Verdict.GOTO or Verdict.RETURN not in passed:
        return passed
    return passed - {Verdict.RETURN} | {Verdict.CONTINUE}
