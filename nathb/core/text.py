"""Text for people that several rooms need: durations, and what counts as an IP address."""

from __future__ import annotations

from ipaddress import ip_address

STEPS = (
    # up to so many seconds; the unit in seconds and its name; the next smaller one
    (90 * 60.0, 60.0, "min", 0.0, ""),
    (36 * 3600.0, 3600.0, "h", 60.0, "min"),
    (float("inf"), 86400.0, "d", 3600.0, "h"),
)


def humane(seconds: float) -> str:
    """Return a span of seconds in few words, as in `6 ms`, `3.4 s`, `12 min` or `5 h 10 min`."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    _, size, unit, less, rest = next(step for step in STEPS if seconds < step[0])
    if not less:
        return f"{seconds / size:.0f} {unit}"
    left = int(seconds % size // less)
    return f"{int(seconds // size)} {unit}" + (f" {left} {rest}" if left else "")


def ago(seconds: float) -> str:
    """Return a duration with one unit: `42 s`, `7 min`, `2 h`, `3 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, written in full and without a zone (%eth0)."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
