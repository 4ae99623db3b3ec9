"""What an address may be: of a heartbeat, of an uplink, of a route.

Shapes, as in `values`: text in, the model's text out, WrongError with the mend.
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from nathb.config.mistakes import WrongError, quote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_DESTINATION = "0.0.0.0/0"
"""Of a route that is written as a table's id alone."""


class Kind(Struct, frozen=True):
    """Addresses that are not on the internet, and why that matters."""

    networks: tuple[Network, ...]
    name: str
    why_no_heartbeat: str
    why_no_uplink: str = ""
    """Empty where an uplink may be such an address: the far end of a tunnel, say."""


def networks(*blocks: str) -> tuple[Network, ...]:
    """Make a table's CIDR blocks ready to be asked `address in network`."""
    return tuple(ipaddress.ip_network(block) for block in blocks)


PRIVATE = "a private address"

# Not ipaddress.is_private: that counts the documentation nets in, which labs pin with good right.
NOT_INTERNET = (
    Kind(
        networks("169.254.169.0/24", "fd00:ec2::/32"),
        "an AWS service address",
        "it is answered inside the VPC, whatever becomes of the node",
        "it is answered inside the VPC, whatever becomes of the internet gateway",
    ),
    Kind(
        networks("0.0.0.0/8", "::/128"),
        "an unspecified address",
        "nothing answers there",
        "nothing answers there",
    ),
    Kind(
        networks("127.0.0.0/8", "::1/128"),
        "a loopback address",
        "this machine would answer itself",
        "this machine would answer itself",
    ),
    Kind(
        networks("224.0.0.0/4", "ff00::/8"),
        "a multicast address",
        "many may answer or none",
        "many may answer or none",
    ),
    Kind(
        networks("240.0.0.0/4"),
        "a reserved address",
        "nothing answers there",
        "nothing answers there",
    ),
    Kind(
        networks("::ffff:0:0/96"),
        "an IPv4 address in an IPv6 coat",
        "a pin needs the IPv4 address",
        "an echo request needs the IPv4 address",
    ),
    Kind(
        networks("169.254.0.0/16", "fe80::/10"),
        "a link-local address",
        "no pin leads there",
    ),
    Kind(
        networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
        PRIVATE,
        "the way there crosses no internet gateway",
    ),
)
"""The first that fits decides."""

_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_HOST_NAME = 253
_PORT = re.compile(r"[1-9][0-9]{3,4}")


def heartbeat(text: str) -> str:
    """Take an internet address, IPv4 or IPv6; return it as EC2 would write it."""
    address = _address(text)
    if address is None:
        raise WrongError(f"{quote(text)} is not an IP address; write one such as 199.7.83.42")
    if refused := _kind(address):
        raise WrongError(
            f"{text} is {refused.name}: {refused.why_no_heartbeat}; write an internet address"
        )
    return str(address)


def uplink(text: str) -> str:
    """Take an address or a host name; return it in its shortest, lower-case form."""
    address = _address(text)
    if address is None:
        name = text.lower()
        if _is_host_name(name):
            return name
        raise WrongError(
            f"{quote(text)} is neither an IP address nor a host name; write one such as 1.1.1.1"
        )
    refused = _kind(address)
    if refused and refused.why_no_uplink:
        raise WrongError(
            f"{text} is {refused.name}: {refused.why_no_uplink}; "
            "write an address beyond the gateway"
        )
    return str(address)


def source(text: str) -> str:
    """Take an address that an interface in a VPC may have; return it as EC2 would write it."""
    address = _address(text)
    if address is None:
        raise WrongError(f"{quote(text)} is not an IP address; write one such as 10.0.0.11")
    refused = _kind(address)
    if refused and refused.name != PRIVATE:
        raise WrongError(
            f"{text} is {refused.name}, which no interface in a VPC has; write a private address "
            "of this node that has no public one"
        )
    return str(address)


def listen(text: str) -> str:
    """Take a loopback address and a port, as in 127.0.0.1:9477 or [::1]:9477."""
    host, _, port = text.rpartition(":")
    address = _address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    if address is None or (address.version == 6) is not host.startswith("["):
        raise WrongError(
            f"{quote(text)} is not an address and a port; write one such as 127.0.0.1:9477"
        )
    if not address.is_loopback:
        raise WrongError(
            f"{quote(text)} is no loopback address, and there is no password on it; "
            "write one such as 127.0.0.1:9477, and have an agent of your own fetch from there"
        )
    if not _PORT.fullmatch(port) or not 1024 <= int(port) <= 65535:
        raise WrongError(f"{quote(port)} is not a port from 1024 to 65535; write one such as 9477")
    return text


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A zone (fe80::1%eth0) names an interface of one machine; the file is the same on all.
    return None if "%" in text else address


def _is_host_name(text: str) -> bool:
    labels = text.split(".")
    return (
        len(text) <= _LONGEST_HOST_NAME
        and all(_HOST_LABEL.fullmatch(label) for label in labels)
        # A number at the end makes it an address gone wrong, such as 8.8.8 or 8.8.8.888.
        and not labels[-1].isdigit()
    )


def _kind(address: Address) -> Kind | None:
    return next(
        (kind for kind in NOT_INTERNET if any(address in network for network in kind.networks)),
        None,
    )


def destination(text: str) -> str:
    """Take a CIDR block, IPv4 or IPv6; return it as EC2 writes it."""
    if text.startswith("pl-"):
        raise WrongError(
            f"{quote(text)} is a prefix list, which EC2 cannot move like a route; "
            "write its CIDR blocks one by one"
        )
    address, _, length = text.rpartition("/")
    block = _network(text)
    if block is None or not length.isdecimal():
        raise WrongError(f"{quote(text)} is not a CIDR block; write one such as 10.8.0.0/16")
    if ipaddress.ip_address(address) != block.network_address:
        raise WrongError(f"{quote(text)} has host bits set; write {block}")
    return str(block)


def _network(text: str) -> Network | None:
    try:
        return None if "%" in text else ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
