"""The text of one value to what the model takes: names, ids, addresses, durations, counts.

A parser takes the text as the file has it, and returns the model's value, or raises
InvalidValueError with the cause and the fix. Its caller adds where in the file the value stands.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from nathb.core.model import Preempt
from nathb.core.text import LINK_LOCAL, PRIVATE, TCP, host_of, is_tcp

Parser = Callable[[str], Any]
LONGEST_QUOTE = 60


class InvalidValueError(Exception):
    """A parser cannot take a value; the message is the cause and the fix, in one sentence."""


def quote(text: str) -> str:
    """Return the text in quotes, on one line: shortened, and nothing unprintable in it."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…")


# --- ids and names ----------------------------------------------------------------------------

_REGION = re.compile(r"([a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2})([a-z]?)")
_NODE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TAG_KEY = re.compile(r"tag:.{1,128}", re.DOTALL)
_LONGEST_TAG_VALUE = 256


class Id(Struct, frozen=True):
    """An id as EC2 makes them: a prefix, and 8 (before 2016) or 17 hexadecimal digits."""

    prefix: str
    thing: str

    def __call__(self, text: str) -> str:
        """Return the id as it is."""
        if re.fullmatch(rf"{self.prefix}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})", text):
            return text
        raise InvalidValueError(
            f"{quote(text)} is not the id of {self.thing}; "
            f"write {self.prefix}- and 8 or 17 digits of 0-9 a-f, in lower case"
        )


INSTANCE_ID = Id("i", "an instance")
ENI_ID = Id("eni", "a network interface")
TABLE_ID = Id("rtb", "a route table")
PREFIX_LIST_ID = Id("pl", "a prefix list")
GATEWAY_TABLE_ID = Id("tgw-rtb", "a transit gateway's route table")
ATTACHMENT_ID = Id("tgw-attach", "a transit gateway attachment")


def parse_region(text: str) -> str:
    """Take a region such as ap-northeast-1; the message for a zone names its region."""
    match = _REGION.fullmatch(text)
    if match is None:
        raise InvalidValueError(f"{quote(text)} is not a region; write one such as ap-northeast-1")
    name, zone = match.groups()
    if zone:
        raise InvalidValueError(f"{quote(text)} is an Availability Zone; write its region, {name}")
    return name


def parse_node_name(text: str) -> str:
    """Take a node's name: up to 63 of a-z, 0-9, dot and dash."""
    if _NODE_NAME.fullmatch(text):
        return text
    raise InvalidValueError(
        f"{quote(text)} cannot name a node; write a letter or digit, then up to 62 of a-z 0-9 . -"
    )


def parse_group_name(text: str) -> str:
    """Take a group's name, which systemd, the journal and the file system all have to carry."""
    if _GROUP_NAME.fullmatch(text):
        return text
    raise InvalidValueError(
        f"{quote(text)} cannot name a group; rename the file to letters, digits and . _ -, "
        "as in tokyo.yaml"
    )


def parse_tag_key(text: str) -> str:
    """Take the name of a tag filter, as DescribeInstances takes it: `tag:Key`."""
    if _TAG_KEY.fullmatch(text):
        return text
    raise InvalidValueError(f"{quote(text)} is not a tag filter; write 'tag:' and the tag's key")


def parse_tag_value(text: str) -> str:
    """Take the value that a tag must have: 1 to 256 characters."""
    if 0 < len(text) <= _LONGEST_TAG_VALUE:
        return text
    raise InvalidValueError(
        f"a tag's value has 1 to {_LONGEST_TAG_VALUE} characters, not {len(text)}"
    )


def parse_preempt(text: str) -> Preempt:
    """Take `auto` or `manual`."""
    if text in {"auto", "manual"}:
        return Preempt(text)
    raise InvalidValueError(
        f"{quote(text)} is neither auto (routes go home by themselves) nor manual; write one"
    )


# --- notify and metrics -----------------------------------------------------------------------

_TOPIC = re.compile(r"arn:aws(?:-[a-z]+)*:sns:[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:(.+)")
_KEY = re.compile(r"arn:aws(?:-[a-z]+)*:kms:[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:key/[\w-]+")
_TOPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_PORT = re.compile(r"[1-9][0-9]{3,4}")


def parse_topic(text: str) -> str:
    """Take the ARN of an SNS topic that can send email, which FIFO topics cannot."""
    match = _TOPIC.fullmatch(text)
    name = match.group(1) if match else ""
    if _TOPIC_NAME.fullmatch(name):
        return text
    if name.endswith(".fifo"):
        raise InvalidValueError(
            f"{quote(text)} is a FIFO topic, which sends no email; use a standard one"
        )
    raise InvalidValueError(
        f"{quote(text)} is not the ARN of a topic; write arn:aws:sns:REGION:ACCOUNT:NAME, with "
        "the twelve digits of the account"
    )


def parse_key(text: str) -> str:
    """Take the ARN of a KMS key; of an alias, IAM does not know the key."""
    if _KEY.fullmatch(text):
        return text
    raise InvalidValueError(
        f"{quote(text)} is not the ARN of a KMS key; write arn:aws:kms:REGION:ACCOUNT:key/ID, "
        "not an alias"
    )


def parse_textfile(text: str) -> str:
    """Take the path of a file that node_exporter reads: absolute, and ending in .prom."""
    if text.startswith("/") and text.endswith(".prom") and not text.endswith("/.prom"):
        return text
    raise InvalidValueError(
        f"{quote(text)} is not the full path of a file that node_exporter reads; "
        "write one such as /run/nathb/NAME/metrics.prom"
    )


def parse_listen(text: str) -> str:
    """Take a loopback address and a port, as in 127.0.0.1:9477 or [::1]:9477."""
    host, _, port = text.rpartition(":")
    address = _address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    if address is None or (address.version == 6) is not host.startswith("["):
        raise InvalidValueError(
            f"{quote(text)} is not an address and a port; write one such as 127.0.0.1:9477"
        )
    if not address.is_loopback:
        raise InvalidValueError(
            f"{quote(text)} is not a loopback address, and the metrics have no password; "
            "write one such as 127.0.0.1:9477, and let a local agent collect them"
        )
    if not _PORT.fullmatch(port) or not 1024 <= int(port) <= 65535:
        raise InvalidValueError(
            f"{quote(port)} is not a port from 1024 to 65535; write one such as 9477"
        )
    return text


# --- addresses --------------------------------------------------------------------------------

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_DESTINATION = "0.0.0.0/0"
"""Of a route that is written as a table's id alone."""


def networks(*blocks: str) -> tuple[Network, ...]:
    """Parse a table's CIDR blocks."""
    return tuple(ipaddress.ip_network(block) for block in blocks)


class SpecialPurpose(Struct, frozen=True):
    """Addresses that are not on the internet (RFC 6890), and why that matters."""

    networks: tuple[Network, ...]
    name: str
    why_no_heartbeat: str = ""
    why_no_uplink: str = ""
    """Each is empty where it may be such an address: the far end of a tunnel, say."""


_PRIVATE = "a private address"

# Not ipaddress.is_private: that includes the documentation networks, which labs rightly use.
SPECIAL_PURPOSE = (
    SpecialPurpose(
        networks("169.254.169.0/24", "fd00:ec2::/32"),
        "an AWS service address",
        "the VPC answers it, even when the node is down",
        "the VPC answers it, even when the internet gateway is out of reach",
    ),
    SpecialPurpose(
        networks("0.0.0.0/8", "::/128"),
        "an unspecified address",
        "nothing answers there",
        "nothing answers there",
    ),
    SpecialPurpose(
        networks("127.0.0.0/8", "::1/128"),
        "a loopback address",
        "this machine would answer itself",
        "this machine would answer itself",
    ),
    SpecialPurpose(
        networks("224.0.0.0/4", "ff00::/8"),
        "a multicast address",
        "several hosts may answer, or none",
        "several hosts may answer, or none",
    ),
    SpecialPurpose(
        networks("240.0.0.0/4"),
        "a reserved address",
        "nothing answers there",
        "nothing answers there",
    ),
    SpecialPurpose(
        networks("::ffff:0:0/96"),
        "an IPv4-mapped IPv6 address",
        "a pin needs the IPv4 address",
        "an echo request needs the IPv4 address",
    ),
    SpecialPurpose(networks(*LINK_LOCAL), "a link-local address", "no VPC route can pin it"),
    SpecialPurpose(networks(*PRIVATE), _PRIVATE),
)
"""The first that fits decides."""

_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_HOST_NAME = 253
_PORT = re.compile(r"[0-9]{1,5}")
_INTERFACE = re.compile(r"[A-Za-z0-9._@+-]{1,15}")


def parse_heartbeat(text: str) -> str:
    """Take an address, IPv4 or IPv6, or `tcp://ADDRESS:PORT`; return it normalised.

    An address is written as EC2 would write it. A private one may lie beyond a tunnel.
    """
    if is_tcp(text):
        port = _PORT.fullmatch(text.rpartition(":")[2])
        if port is None or not 1 <= int(port[0]) <= 65535:
            raise InvalidValueError(
                f"{quote(text)} names no port; write one such as tcp://199.7.83.42:53"
            )
        host = parse_heartbeat(host_of(text))
        host = f"[{host}]" if ":" in host else host
        return f"{TCP}{host}:{int(port[0])}"
    address = _address(text)
    if address is None:
        raise InvalidValueError(
            f"{quote(text)} is not an IP address; write one such as 199.7.83.42"
        )
    special = _special_purpose(address)
    if special and special.why_no_heartbeat:
        raise InvalidValueError(
            f"{text} is {special.name}: {special.why_no_heartbeat}; write an internet address, or "
            "one beyond a tunnel"
        )
    return str(address)


def parse_interface(text: str) -> str:
    """Take the name of a network interface, as ip-link(8) shows it."""
    if _INTERFACE.fullmatch(text) and text not in {".", ".."}:
        return text
    raise InvalidValueError(
        f"{quote(text)} is not the name of a network interface; write one such as ens5, as "
        "`ip link` shows it"
    )


def parse_uplink(text: str) -> str:
    """Take an address or a host name; return it in its shortest, lower-case form."""
    address = _address(text)
    if address is None:
        name = text.lower()
        if _is_host_name(name):
            return name
        raise InvalidValueError(
            f"{quote(text)} is neither an IP address nor a host name; write one such as 1.1.1.1"
        )
    special = _special_purpose(address)
    if special and special.why_no_uplink:
        raise InvalidValueError(
            f"{text} is {special.name}: {special.why_no_uplink}; "
            "write an address beyond the internet gateway"
        )
    return str(address)


def parse_source(text: str) -> str:
    """Take an address that an interface in a VPC may have; return it as EC2 would write it."""
    address = _address(text)
    if address is None:
        raise InvalidValueError(f"{quote(text)} is not an IP address; write one such as 10.0.0.11")
    special = _special_purpose(address)
    if special and special.name != _PRIVATE:
        raise InvalidValueError(
            f"{text} is {special.name}, which no interface in a VPC has; write a private address "
            "of this node that has no public address"
        )
    return str(address)


def parse_destination(text: str) -> str:
    """Take a CIDR block, IPv4 or IPv6, or the id of a prefix list; return it as EC2 writes it."""
    if text.startswith("pl-"):
        return PREFIX_LIST_ID(text)
    address, _, length = text.rpartition("/")
    block = _network(text)
    if block is None or not length.isdecimal():
        raise InvalidValueError(f"{quote(text)} is not a CIDR block; write one such as 10.8.0.0/16")
    if ipaddress.ip_address(address) != block.network_address:
        raise InvalidValueError(f"{quote(text)} has host bits set; write {block}")
    return str(block)


def _address(text: str) -> Address | None:
    try:
        # A zone (fe80::1%eth0) names an interface of one machine; the file is the same on all.
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        return None if "%" in text else ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _is_host_name(text: str) -> bool:
    labels = text.split(".")
    return (
        len(text) <= _LONGEST_HOST_NAME
        and all(_HOST_LABEL.fullmatch(label) for label in labels)
        # A number at the end makes it an address gone wrong, such as 8.8.8 or 8.8.8.888.
        and not labels[-1].isdigit()
    )


def _special_purpose(address: Address) -> SpecialPurpose | None:
    kinds = (kind for kind in SPECIAL_PURPOSE if any(address in block for block in kind.networks))
    return next(kinds, None)


# --- durations and counts ---------------------------------------------------------------------

_PART = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_DURATION = re.compile(
    f"{_PART}|(?:{_PART}d)?(?:{_PART}h)?(?:{_PART}m)?(?:{_PART}s)?(?:{_PART}ms)?"
)
_PARTS = re.compile(f"({_PART})(d|h|ms|m|s|$)")
_NEGATIVE = re.compile(r"-[0-9.]")
_UNITS = {
    "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
    "d": Decimal(86400),
}  # fmt: skip
_COUNT = re.compile(r"[0-9]{1,9}")


class Duration(Struct, frozen=True):
    """A time between two bounds, in seconds, with the reason for each."""

    least: float
    why_no_less: str
    most: float
    why_no_more: str
    can_be_off: bool = False
    needs_unit: bool = False
    """Where people do not expect a bare number to be seconds."""

    def __call__(self, text: str) -> float:
        """Return the seconds in `250ms`, `30s`, `2h30m`, or a bare number; 0 for `off`."""
        if self.can_be_off and text == "off":
            return 0.0
        forms = "250ms, 30s, 5m or 2h" + (", or off" if self.can_be_off else "")
        if _NEGATIVE.match(text):
            raise InvalidValueError(f"{quote(text)} is negative; write a duration such as {forms}")
        if not text or not _DURATION.fullmatch(text):
            raise InvalidValueError(f"{quote(text)} is not a duration; write one such as {forms}")
        parts = _PARTS.findall(text)
        seconds = float(sum(Decimal(number) * _UNITS[unit or "s"] for number, unit in parts))
        if self.needs_unit and seconds and not parts[-1][1]:
            raise InvalidValueError(
                f"{quote(text)} has no unit; write {text}s, {text}m, {text}h or {text}d"
            )
        if self.can_be_off and seconds == 0:
            return 0.0
        if seconds < self.least:
            limit = duration_text(self.least)
            raise InvalidValueError(f"{text} is under the limit of {limit}: {self.why_no_less}")
        if seconds > self.most:
            limit = duration_text(self.most)
            raise InvalidValueError(f"{text} is over the limit of {limit}: {self.why_no_more}")
        return seconds


class Count(Struct, frozen=True):
    """A whole number from 1 to a bound, with the reason for the bound."""

    most: int
    why_no_more: str

    def __call__(self, text: str) -> int:
        """Return the number."""
        if not _COUNT.fullmatch(text) or int(text) < 1:
            raise InvalidValueError(f"{quote(text)} is not a count; write a whole number from 1")
        if int(text) > self.most:
            raise InvalidValueError(f"{text} is over the limit of {self.most}: {self.why_no_more}")
        return int(text)


def duration_text(seconds: float) -> str:
    """Return a duration as the file writes it, in the largest unit that leaves it whole."""
    exact = Decimal(repr(seconds))
    whole = (
        unit for unit in ("d", "h", "m", "s") if exact >= _UNITS[unit] and not exact % _UNITS[unit]
    )
    unit = next(whole, "ms" if 0 < exact < 1 else "s")
    return f"{(exact / _UNITS[unit]).normalize():f}{unit}"
