"""The block `learn`: where prefixes come from, and which route tables they go to."""

from __future__ import annotations

import ipaddress
from typing import Any

from nathb.config import values
from nathb.config.programs import read_command
from nathb.config.value_reader import Reader, ValueReader, meant_keys
from nathb.config.values import Count, Duration, InvalidValueError, Parser, quote
from nathb.config.yaml_reader import Mapping, Scalar, Value
from nathb.core.model import Learn, is_gateway_table

REQUIRED = {
    "from": 'write a command, such as [vtysh, -c, "show ip route bgp json"], or the path of a file',
    "into": "write the ids of route tables, rtb-… or tgw-rtb-…",
    "allow": "write the CIDR blocks within which routes may be created and withdrawn",
}
DISTINCT = {
    "into": "write each table once",
    "allow": "write each block once",
}

LONGEST_PATH = 4096

SETTINGS: dict[str, Parser] = {
    "attachment": values.ATTACHMENT_ID,
    "at_most": Count(500, "a route table takes no more unless AWS has raised its quota"),
    "interval": Duration(
        1,
        "the router would be asked without a break",
        300,
        "new prefixes would have no route for that long",
    ),
    "withdraw_after": Duration(
        5,
        "a BGP session that restarts would take its routes with it",
        86400,
        "routes that lead nowhere would stay for that long",
    ),
}


def read(reader: ValueReader, value: Value) -> Learn | None:
    """Return the block, as far as it is free of mistakes; None when it is too broken to use."""
    block = reader.mapping(value, "the keys from, into and allow below it")
    if block is None:
        return None
    readers: dict[str, Reader] = {
        "from": lambda source: _source(reader, source),
        "into": reader.one_or_more(reader.distinct("into", _parse_table)),
        "allow": reader.one_or_more(reader.distinct("allow", _parse_allowed)),
    }
    readers |= {key: reader.single(parse) for key, parse in SETTINGS.items()}
    found = reader.keys(block, readers, required=("from", "into", "allow"))
    _check_attachment(reader, block, found)
    if not {"from", "into", "allow"} <= found.keys():
        return None
    return Learn(**(found.pop("from") | found))


def _source(reader: ValueReader, value: Value) -> dict[str, Any] | None:
    """Read `from`: a list is a command, and a single value is a file."""
    if isinstance(value, Scalar):
        path = reader.single(_parse_path)(value)
        return None if path is None else {"file": path}
    words = read_command(reader, value)
    return {"command": words} if words else None


def _check_attachment(reader: ValueReader, block: Mapping, found: dict[str, Any]) -> None:
    """An attachment is what routes of a transit gateway point at, and of no use without them."""
    written = "attachment" in meant_keys(block, ("attachment",))
    gateway = [table for table in found.get("into", ()) if is_gateway_table(table)]
    if gateway and not written:
        text = (
            f"attachment is missing: routes in {gateway[0]} need a target; write the id of the "
            "VPC's attachment, tgw-attach-…"
        )
        reader.mistakes.add(block, text)
    if written and "attachment" in found and found.get("into") and not gateway:
        text = "no table of into is a transit gateway's; add one, tgw-rtb-…, or remove this key"
        reader.mistakes.add(block.entries["attachment"], text)


def _parse_table(text: str) -> str:
    return (values.GATEWAY_TABLE_ID if is_gateway_table(text) else values.TABLE_ID)(text)


def _parse_allowed(text: str) -> str:
    block = values.parse_destination(text)
    if block.startswith("pl-"):
        raise InvalidValueError(f"{quote(text)} is a prefix list; write its CIDR blocks")
    if ipaddress.ip_network(block).prefixlen == 0:
        raise InvalidValueError(
            f"{quote(text)} allows every prefix, the default route too; write the CIDR blocks of "
            "your own sites"
        )
    return block


def _parse_path(text: str) -> str:
    if text.startswith("/") and "\0" not in text and len(text) < LONGEST_PATH:
        return text
    raise InvalidValueError(
        f"{quote(text)} is not the full path of a file; write one such as /run/router/prefixes, or "
        'a command as a list: [vtysh, -c, "show ip route bgp json"]'
    )
