"""What is legal in a file and yet unwise."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from nathb.config.values import duration_text, networks
from nathb.core.errors import Mistake
from nathb.core.learned import is_within
from nathb.core.model import Preempt, parts_of
from nathb.core.text import crosses_gateway, host_of, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nathb.core.model import Group, Learn, Node, Uplink

PathAndText = tuple[str, str]
"""Of one warning."""

RESOLVERS = {
    "Google": networks("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"),
    "Cloudflare": networks("1.1.1.0/29", "1.0.0.0/29", "2606:4700:4700::1000/119"),
    "Quad9": networks("9.9.9.8/29", "149.112.112.0/24", "2620:fe::/120"),
    "OpenDNS": networks(
        "208.67.222.220/30", "208.67.220.220/30", "2620:119:35::35", "2620:119:53::53"
    ),
    "Level 3": networks("4.2.2.0/29"),
    "AdGuard": networks("94.140.14.0/24", "94.140.15.0/24"),
    "Alibaba": networks("223.5.5.5", "223.6.6.6"),
    "114DNS": networks("114.114.114.0/24", "114.114.115.0/24"),
    "Yandex": networks("77.88.8.0/24"),
}
"""Public resolvers that clients are likely to use, by operator."""

DOCUMENTATION = networks("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")


def find_warnings(group: Group, file: str = "") -> tuple[Mistake, ...]:
    """Return what is legal in this group and yet unwise.

    They are Mistakes with a path but no line (a Group does not remember its lines).
    `file` is what to call the file; without it, the name that systemd's unit would read.
    """
    found = [*_check_uplink("uplink", group.uplink), *_check_timers(group), *_check_notify(group)]
    for node in group.nodes:
        found += [*_check_node(node), *_check_sight(group, node)]
    if group.learn is not None:
        found += _check_learn(group.learn)
    return tuple(Mistake(file or f"{group.name}.yaml", 0, path, text) for path, text in found)


def _check_uplink(path: str, uplink: Uplink) -> Iterator[PathAndText]:
    """Yield what is unwise about an uplink, of the group or of a node.

    Of an address of the internet there are two operators; beyond a tunnel there may be one host.
    """
    parts = parts_of(uplink)
    for part in parts:
        if len(part) == 1 and (len(parts) == 1 or _is_on_internet(part[0])):
            yield (
                path,
                f"{part[0]} alone decides whether a node is cut off; add an address of another "
                "operator",
            )
        for address in part:
            if _is_documentation(address):
                yield (
                    path,
                    f"{address} is a documentation address, which nothing answers; write a real "
                    "one",
                )


def _check_timers(group: Group) -> Iterator[PathAndText]:
    check = group.check
    if check.fall == 1:
        yield "check.fall", "a single lost packet moves the routes; write 2 or more"
    if check.pulse >= check.interval:
        yield (
            "check.pulse",
            f"{duration_text(check.pulse)} is not shorter than interval, so it speeds up nothing; "
            "write less, or off",
        )
    if group.preempt_delay < check.interval:
        delay, interval = duration_text(group.preempt_delay), duration_text(check.interval)
        yield (
            "preempt_delay",
            f"{delay} is under interval {interval}: routes return before the next "
            "check confirms the path; write more",
        )


def _check_notify(group: Group) -> Iterator[PathAndText]:
    if group.notify.kms and not group.notify.sns:
        yield "notify.kms", "is the key of a topic, and the file names no topic; add `sns:`"


def _check_node(node: Node) -> Iterator[PathAndText]:
    path = f"nodes.{node.name}"
    yield from _check_uplink(f"{path}.uplink", node.uplink)
    for address in node.heartbeat:
        host = host_of(address)
        if owner := _resolver(host):
            yield (
                f"{path}.heartbeat",
                f"{address} is {owner}'s public resolver: clients that use it lose it whenever "
                f"{node.name} is down; choose an address that no client needs",
            )
        if _is_documentation(host):
            yield (
                f"{path}.heartbeat",
                f"{address} is a documentation address, which nothing answers; write a real one",
            )
    for key, text in node.match:
        if "*" in text or "?" in text:
            yield (
                f"{path}.match",
                f"{key}={text} may match several instances; write the whole tag",
            )


def _check_sight(group: Group, node: Node) -> Iterator[PathAndText]:
    """Yield a heartbeat that answers whatever becomes of the tunnel that the node's uplink needs.

    The node hands its routes over, and the others, who find it up, return them after a while.
    """
    parts = group.uplink_of(node.name)
    needed = [part for part in parts if not any(map(_is_on_internet, part))]
    is_seen = all(not crosses_gateway(host_of(address)) for address in node.heartbeat)
    if len(parts) > 1 and needed and not is_seen and group.preempt is Preempt.AUTO:
        yield (
            f"nodes.{node.name}.heartbeat",
            f"answers also while {needed[0][0]} does not, so the others return routes to "
            f"{node.name} that it cannot serve; choose an address beyond its tunnel, or write "
            "preempt: manual",
        )


BRIEF = 60.0
"""Seconds in which a BGP session that restarts may not have all of its prefixes again."""


def _check_learn(learn: Learn) -> Iterator[PathAndText]:
    if learn.withdraw_after < BRIEF:
        yield (
            "learn.withdraw_after",
            f"{duration_text(learn.withdraw_after)} is short: a BGP session that restarts takes "
            "its routes with it; write 1m or more",
        )
    for block in learn.allowed:
        outer = [other for other in learn.allowed if other != block and is_within(block, other)]
        if outer:
            yield "learn.allow", f"{block} is part of {outer[0]}; remove it"


def _resolver(text: str) -> str:
    address = ipaddress.ip_address(text)
    owners = (owner for owner, known in RESOLVERS.items() if any(address in net for net in known))
    return next(owners, "")


def _is_on_internet(target: str) -> bool:
    return not is_address(target) or crosses_gateway(target)


def _is_documentation(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a host name
        return False
    return any(address in network for network in DOCUMENTATION)
