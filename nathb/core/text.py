"""Text that several modules need: durations, evidence, others' text, addresses, targets."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nathb.core.model import Evidence

UNITS = ((86400.0, "d", 3600.0, "h"), (3600.0, "h", 60.0, "min"), (60.0, "min", 0.0, ""))
"""A unit in seconds and its name, then the next smaller unit that is shown with it."""


def format_duration(seconds: float) -> str:
    """Return a duration as in `6 ms`, `3.4 s`, `12 min` or `5 h 10 min`; below 0 it counts as 0."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for size, unit, less, rest in UNITS:
        if seconds >= 2 * size:
            left = int(seconds % size // less) if less else 0
            whole = int(seconds // size) if less else round(seconds / size)
            return f"{whole} {unit}" + (f" {left} {rest}" if left else "")
    return f"{seconds:.0f} s"


def format_age(seconds: float) -> str:
    """Return a duration in one unit and whole numbers, as in `42 s`, `7 min`, `2 h` or `3 d`: for
    `… ago`, and for waits that are still counted down.
    """
    for size, unit, _, _ in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def format_evidence(what: str, evidence: Evidence) -> str:
    """Return what checks have shown: `heartbeat 8.8.4.4 missed 2 of 3`.

    `what` is the kind of check: `heartbeat` or `uplink`.
    """
    addresses = ", ".join(evidence.addresses)
    if not addresses:
        return f"no {what} can be pinged"
    missed = f"missed {evidence.missed} of {evidence.needed}"
    if evidence.heard_at is not None:
        return f"{what} {addresses} {missed if evidence.missed else 'answers'}"
    if not evidence.missed:
        return f"{what} {addresses} has not answered yet"
    since = "" if evidence.never_answered else " since its checks began"
    return f"{what} {addresses} has never answered{since} ({missed})"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 prefix` and `2 prefixes`."""
    plural = f"{noun}es" if noun.endswith("x") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def visible(text: str) -> str:
    """Return text that others wrote (a tag, a name) on one line, all of it to be seen.

    What a terminal obeys or hides is shown as its escape: `\\n`, `\\x1b`, `\\u202e`. So a
    comment in YAML ends where its line does.
    """
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, written in full and without a zone (%eth0)."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""Not on the internet: RFC 1918, RFC 6598, RFC 4193."""
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")


def crosses_gateway(address: str) -> bool:
    """Whether an address is one of the internet. One that is not lies in the VPC or a tunnel."""
    own = ip_address(address)
    return not any(own in ip_network(block) for block in (*PRIVATE, *LINK_LOCAL))


TCP = "tcp://"


def is_tcp(target: str) -> bool:
    """Whether a check opens a connection, as to `tcp://199.7.83.42:53`; else it is a ping."""
    return target.startswith(TCP)


def host_of(target: str) -> str:
    """Return the address that a check asks: that of `tcp://[2001:db8::1]:53`, or the ping's own."""
    if not is_tcp(target):
        return target
    return target.removeprefix(TCP).rpartition(":")[0].strip("[]")


def port_of(target: str) -> int:
    """Return the port of a `tcp://` target."""
    return int(target.rpartition(":")[2])
