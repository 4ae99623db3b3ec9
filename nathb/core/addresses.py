"""IP addresses as text: one place that says what counts as one."""

from __future__ import annotations

from ipaddress import ip_address


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, written in full and without a zone (%eth0)."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
