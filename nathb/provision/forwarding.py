"""Whether this machine forwards, masquerades and lets clients pass: what EC2 cannot show."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from nathb.core.errors import Finding, bad, good, warning
from nathb.core.model import Group
from nathb.provision.firewall import default_interface, inspect_firewall

SYSCTL = Path("/proc/sys")
IPV4, IPV6 = "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"
FIXES = {
    IPV4: f"sysctl -w {IPV4}=1",
    IPV6: "with nathb-nat: NATHB_NAT_IPV6=yes in /etc/nathb/nat/settings.env, then "
    f"systemctl reload nathb-nat; else sysctl -w net.ipv6.conf.INTERFACE.accept_ra=2 {IPV6}=1",
}
RULESETS: tuple[Sequence[str], ...] = (("nft", "list", "ruleset"), ("iptables-save", "-t", "nat"))
"""Where rules may be: iptables of today writes to nft's tables, that of yesterday does not."""
NFT_JSON = ("nft", "-j", "list", "ruleset")
IPTABLES_FILTER = ("iptables-save", "-t", "filter")
ROUTES = Path("/proc/net/route")
TRANSLATING = ("masquerade", "snat", "MASQUERADE", "SNAT")
PATIENCE = 10.0
"""Seconds for a ruleset of any size to be listed."""


def inspect_forwarding(group: Group, sysctl: Path = SYSCTL) -> Iterator[Finding]:
    """Yield what the kernel of this machine does with other people's packets, as far as the routes
    of this group lead any here. `sysctl` is where the kernel shows its settings.
    """
    guards_ipv6 = any(":" in route.destination for route in group.routes())
    for name in (IPV4, IPV6) if guards_ipv6 else (IPV4,):
        value = _setting(sysctl, name)
        if value == "0":
            packets = "no IPv6, and the group guards a route for it" if name == IPV6 else "nothing"
            yield bad("this node", f"{name} is 0: it forwards {packets}", FIXES[name])
        else:
            yield good("this node", f"{name} is {value}")
    if os.geteuid() != 0:
        yield warning("this node", "its firewall was not read", "run it as root")
        return
    yield _masquerade()
    interface = default_interface(ROUTES.read_text())
    yield from inspect_firewall(_output(NFT_JSON), _output(IPTABLES_FILTER), interface)


def _setting(sysctl: Path, name: str) -> str:
    """Return a setting of the kernel; 0 where it has none, as for IPv6 in a kernel without it."""
    try:
        return sysctl.joinpath(*name.split(".")).read_text().strip()
    except FileNotFoundError:
        return "0"


def _masquerade() -> Finding:
    listed = "\n".join(_output(command) for command in RULESETS)
    if any(word in listed.split() for word in TRANSLATING):
        return good("this node", "it has a rule that masquerades")
    return bad(
        "this node",
        "no rule masquerades what it forwards, so no answer comes back to clients",
        "systemctl enable --now nathb-nat",
    )


def _output(command: Sequence[str]) -> str:
    """Return what a command prints; nothing where there is no such command, or it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
