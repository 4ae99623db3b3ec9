"""`{match: …, destination: …, except: […]}` in the routes of a node: routes to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nathb.config import values
from nathb.config.value_reader import meant_keys
from nathb.config.values import TABLE_ID, Id, InvalidValueError, Parser, quote
from nathb.core.model import ANY_DESTINATION, RouteMatch

if TYPE_CHECKING:
    from nathb.config.value_reader import Reader, ValueReader
    from nathb.config.yaml_reader import Mapping, Value

KEYS = ("match", "destination", "except")
VPC_ID = Id("vpc", "a VPC")
VPC_FILTER = "vpc-id"
WILDCARDS = "*?\\"


def read_match(reader: ValueReader, block: Mapping) -> RouteMatch | None:
    """Read one match; None when it is not free of mistakes."""
    read: tuple[Reader, ...] = (
        lambda value: _filters(reader, value),
        reader.single(parse_destination),
        reader.one_or_more(reader.single(parse_exception), can_be_empty=True),
    )
    readers = dict(zip(KEYS, read, strict=True))
    found = reader.keys(block, readers, required=("match",))
    if found.keys() != meant_keys(block, readers) | {"match"} or not found["match"]:
        return None
    match = RouteMatch(
        found["match"],
        found.get("destination", values.DEFAULT_DESTINATION),
        found.get("except", ()),
    )
    thing = (frozenset(match.filters), match.destination)
    reader.refuse_second("found", thing, "the same match", block)
    return match


def _filters(reader: ValueReader, value: Value) -> tuple[tuple[str, str], ...] | None:
    block = reader.mapping(value, 'what the tables have, such as {"tag:nathb": nat-a}')
    if block is None:
        return None
    if not block.written:
        reader.mistakes.add(block, 'would find every table; write a tag, or "vpc-id": vpc-…')
    pairs = []
    for key, entry in block.entries.items():
        text = reader.single(_parser(key))(entry)
        if reader.is_valid_key(parse_filter, key, block) and text is not None:
            pairs.append((key, text))
    return tuple(pairs) if len(pairs) == block.written else None


def _parser(key: str) -> Parser:
    return VPC_ID if key == VPC_FILTER else parse_whole_tag


def parse_filter(text: str) -> str:
    """Take the name of a filter of route tables: `tag:Key` or `vpc-id`."""
    if text == VPC_FILTER:
        return text
    try:
        return values.parse_tag_key(text)
    except InvalidValueError:
        raise InvalidValueError(
            f"{quote(text)} finds no route tables; write 'vpc-id', or 'tag:' and the tag's key"
        ) from None


def parse_whole_tag(text: str) -> str:
    """Take the value that a table's tag must have: whole, for it is compared here once more."""
    if any(character in WILDCARDS for character in text):
        raise InvalidValueError(
            f"{quote(text)} has one of {' '.join(WILDCARDS)}, by which EC2 would find other values "
            "too; write the whole value of the tag, without these"
        )
    return values.parse_tag_value(text)


def parse_destination(text: str) -> str:
    """Take `any`, or a destination of a route."""
    return text if text == ANY_DESTINATION else values.parse_destination(text)


def parse_exception(text: str) -> str:
    """Take what a match leaves out: a destination, or the id of a table."""
    return TABLE_ID(text) if text.startswith("rtb-") else values.parse_destination(text)
