"""Whether this machine forwards and masquerades: what a node needs besides EC2's consent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from nathb.core.errors import Finding, bad, good, warning

SWITCHES = {
    "net.ipv4.ip_forward": Path("/proc/sys/net/ipv4/ip_forward"),
}
RULESETS: tuple[Sequence[str], ...] = (("nft", "list", "ruleset"), ("iptables-save", "-t", "nat"))
"""Where rules may be: iptables of today writes to nft's tables, that of yesterday does not."""
TRANSLATING = ("masquerade", "snat", "MASQUERADE", "SNAT")
PATIENCE = 10.0
"""Seconds for a ruleset of any size to be listed."""


def inspect_forwarding() -> Iterator[Finding]:
    """Yield what the kernel of this machine does with other people's packets."""
    for name, path in SWITCHES.items():
        value = path.read_text().strip()
        if value == "0":
            yield bad("this node", f"{name} is 0: it forwards nothing", f"sysctl -w {name}=1")
        else:
            yield good("this node", f"{name} is {value}")
    yield _masquerade()


def _masquerade() -> Finding:
    if os.geteuid() != 0:
        return warning("this node", "its masquerade rules were not read", "run it as root")
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
