"""Values to a Group: which keys there are, what each takes, and how they must agree.

Key names are the model's field names; defaults are the model's too. Every reader takes a value,
notes its mistakes, and returns what it understood, or None. What could not be read is left out
of all later comparisons, so that one mistake does not cause a second message.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from msgspec.structs import fields as fields_of

from nathb.config import values
from nathb.config.values import Count, Duration, InvalidValueError, Parser, duration_text, quote
from nathb.config.yaml_reader import Mapping, Mistakes, Scalar, Sequence, Value, describe
from nathb.core.model import Group, Metrics, Node, Notify, Route, Timers
from nathb.core.text import host_of

Reader = Callable[[Value], Any]
"""Takes a value of the file; returns what it means, or None with its mistakes noted."""

# --- plain keys ---------------------------------------------------------------------------------

FLOOD = "the hosts that answer would treat the checks as a flood"

CHECK: dict[str, Parser] = {
    "interval": Duration(0.05, FLOOD, 300, "a broken path could go unnoticed for that long"),
    "fast_interval": Duration(0.02, FLOOD, 300, "a suspect peer must be checked fast"),
    "timeout": Duration(
        0.02,
        "replies from the internet take longer",
        10,
        "a takeover would wait that long for a reply that does not come",
    ),
    "fall": Count(20, "more misses only delay the takeover"),
    "rise": Count(20, "more replies only delay the return"),
    "pulse": Duration(
        0.1,
        "a busy peer would be suspect all the time",
        10,
        "it would not speed up detection; write off to send none",
        can_be_off=True,
    ),
}

SETTINGS: dict[str, Parser] = {
    "region": values.parse_region,
    "preempt": values.parse_preempt,
    "preempt_delay": Duration(0, "", 86400, "write preempt: manual to return by hand"),
    "refresh": Duration(
        1,
        "EC2 throttles an account whose nodes describe more often",
        300,
        "what operators ask for would be noticed too late",
    ),
    "view_max_age": Duration(
        1,
        "one lost DescribeRouteTables would block a takeover",
        3600,
        "someone else may have moved routes since then",
    ),
    "settle": Duration(
        1,
        "EC2 may still show the old route after a write",
        300,
        "a move by someone else would be mistaken for old data",
    ),
    "contest_hold": Duration(
        10,
        "two nodes that disagree would move the route back and forth",
        7200,
        "a route could stay on a dead node for that long",
    ),
}

NOTIFY: dict[str, Parser] = {"sns": values.parse_topic, "kms": values.parse_key}

METRICS: dict[str, Parser] = {"textfile": values.parse_textfile, "listen": values.parse_listen}

REQUIRED = {
    "uplink": "write addresses that show whether this node's own path to the internet is up",
    "nodes": "write at least two, because they watch each other",
    "heartbeat": "write the internet address that the other nodes ping through this one",
    "table": "write the route table's id, rtb-…",
}

DISTINCT = {
    "uplink": "write it once",
    "heartbeat": "a pin leads to one node, so choose another address",
    "route": "a route has one home",
    "instance": "each node needs its own instance",
    "match": "each node needs its own instance",
    "eni": "each node needs its own interface",
    "source": "each node needs its own address",
}

# --- the file -----------------------------------------------------------------------------------

LONGEST_GUESS = 40


def read(top: Mapping, mistakes: Mistakes) -> dict[str, Any]:
    """Read the top level: what Group takes, by name, as far as it is free of mistakes."""
    return _GroupReader(mistakes).top(top)


class _GroupReader:
    """Walks the values of one file."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._first: dict[tuple[str, Hashable], Value] = {}

    def top(self, top: Mapping) -> dict[str, Any]:
        readers: dict[str, Reader] = {
            "uplink": self._list(self._distinct("uplink", values.parse_uplink)),
            "nodes": self._nodes,
            "check": self._check,
        }
        readers |= {key: self._value(parse) for key, parse in SETTINGS.items()}
        readers |= {
            "notify": self._block(NOTIFY, Notify, "sns: arn:aws:sns:REGION:ACCOUNT:NAME"),
            "metrics": self._block(METRICS, Metrics, "listen: 127.0.0.1:9477"),
        }
        found = self._keys(top, readers, required=("uplink", "nodes"))
        self._compare(top, found, "refresh", "view_max_age", Group)
        self._compare_uplinks()
        return found

    def _check(self, value: Value) -> Timers | None:
        block = self._mapping(value, "keys such as interval: 30s")
        if block is None:
            return None
        found = self._keys(block, {key: self._value(parse) for key, parse in CHECK.items()})
        self._compare(block, found, "fast_interval", "interval", Timers)
        return Timers(**found)

    def _block(self, parsers: dict[str, Parser], model: type[Any], needs: str) -> Reader:
        """Make the reader of a block of plain keys that need not agree."""
        readers = {key: self._value(parse) for key, parse in parsers.items()}

        def read(value: Value) -> Any:
            block = self._mapping(value, needs)
            return None if block is None else model(**self._keys(block, readers))

        return read

    # --- nodes --------------------------------------------------------------------------------

    def _nodes(self, value: Value) -> tuple[Node, ...] | None:
        block = self._mapping(value, "a name for each node, with its keys below")
        if block is None:
            return None
        for name in block.entries:
            self._is_valid_key(values.parse_node_name, name, block)
        if block.written < 2:
            text = "a group needs at least two nodes, because they watch each other; write another"
            self._mistakes.add(block, text)
        complete = len(block.entries) == block.written > 0
        if complete and not any(map(_may_have_routes, block.entries.values())):
            text = (
                "no node has a route, so there is nothing to guard; write routes for at least one"
            )
            self._mistakes.add(block, text)
        return tuple(
            node
            for name, entry in block.entries.items()
            if (node := self._node(name, entry)) is not None
        )

    def _node(self, name: str, value: Value) -> Node | None:
        block = self._mapping(value, "the keys instance and heartbeat below it")
        if block is None:
            return None
        readers: dict[str, Reader] = {
            "instance": self._distinct("instance", values.INSTANCE_ID),
            "match": self._match,
            "eni": self._distinct("eni", values.ENI_ID),
            "source": self._distinct("source", values.parse_source),
            "heartbeat": self._list(
                self._distinct("heartbeat", values.parse_heartbeat, same=host_of)
            ),
            "routes": self._list(self._route, can_be_empty=True),
        }
        found = self._keys(block, readers, required=("heartbeat",))
        ways = {"instance", "match"}
        if ways <= block.entries.keys():
            text = "both instance and match say which instance this node is; keep one"
            self._mistakes.add(block, text)
        if not ways & _meant_keys(block, readers):
            text = "neither instance nor match says which instance this node is; write one"
            self._mistakes.add(block, text)
        return Node(name, **({"heartbeat": ()} | found))

    def _match(self, value: Value) -> tuple[tuple[str, str], ...] | None:
        block = self._mapping(value, 'tags such as {"tag:Name": nat-a}')
        if block is None:
            return None
        if not block.written:
            self._mistakes.add(block, 'no tag to match; write one such as {"tag:Name": nat-a}')
        pairs = []
        for key, entry in block.entries.items():
            text = self._value(values.parse_tag_value)(entry)
            if self._is_valid_key(values.parse_tag_key, key, block) and text is not None:
                pairs.append((key, text))
        if len(pairs) == block.written > 0:
            self._refuse_second("match", frozenset(pairs), "the same match", block)
        return tuple(pairs)

    def _route(self, value: Value) -> Route | None:
        if isinstance(value, Mapping):
            readers = {
                "table": self._value(values.TABLE_ID),
                "destination": self._value(values.parse_destination),
            }
            found = self._keys(value, readers, required=("table",))
            if found.keys() != _meant_keys(value, readers) | {"table"}:
                return None
            route = Route(**({"destination": values.DEFAULT_DESTINATION} | found))
        else:
            table = self._value(values.TABLE_ID)(value)
            if table is None:
                return None
            route = Route(table, values.DEFAULT_DESTINATION)
        self._refuse_second("route", route, str(route), value)
        return route

    # --- any key ------------------------------------------------------------------------------

    def _mapping(self, value: Value, needs: str) -> Mapping | None:
        if isinstance(value, Scalar | Sequence):
            self._mistakes.add(value, f"expected a mapping, not {describe(value)}; write {needs}")
        return value if isinstance(value, Mapping) else None

    def _keys(
        self, block: Mapping, readers: dict[str, Reader], required: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Read each key with its reader; return what was understood."""
        meant = _meant_keys(block, readers)
        for key in required:
            if key not in meant:
                path, line = (f"{block.path}.{key}", block.line) if block.path else (key, 0)
                self._mistakes.add_at(line, path, f"is missing; {REQUIRED[key]}")
        found = {}
        for key, value in block.entries.items():
            if key not in readers:
                self._mistakes.add_at(block.key_lines[key], block.path, _unknown(key, readers))
            elif (read := readers[key](value)) is not None:
                found[key] = read
        return found

    def _is_valid_key(self, parse: Parser, key: str, block: Mapping) -> bool:
        """Whether a parser takes a key that users choose; if not, the mistake is noted."""
        try:
            parse(key)
        except InvalidValueError as error:
            self._mistakes.add_at(block.key_lines[key], block.path, str(error))
            return False
        return True

    def _value(self, parse: Parser) -> Reader:
        """Make the reader of a single value."""

        def read(value: Value) -> Any:
            if isinstance(value, Sequence | Mapping):
                self._mistakes.add(
                    value, f"expected one value, not {describe(value)}; write it plainly"
                )
            if not isinstance(value, Scalar):
                return None
            try:
                return parse(value.text)
            except InvalidValueError as error:
                self._mistakes.add(value, str(error))
                return None

        return read

    def _list(self, reader: Reader, *, can_be_empty: bool = False) -> Reader:
        """Make the reader of one value or a list of such."""

        def read(value: Value) -> tuple[Any, ...] | None:
            items = value.items if isinstance(value, Sequence) else (value,)
            if not items and not can_be_empty:
                self._mistakes.add(value, "the list is empty; write at least one address")
            return tuple(found for item in items if (found := reader(item)) is not None)

        return read

    # --- how values must agree ----------------------------------------------------------------

    def _distinct(
        self, key: str, parse: Parser, same: Callable[[Any], Hashable] = lambda found: found
    ) -> Reader:
        """Make the reader of a value that must stand only once in the file.

        Two values are the same one when `same` is the same of both.
        """
        one = self._value(parse)

        def read(value: Value) -> Any:
            found = one(value)
            if found is not None:
                self._refuse_second(key, same(found), str(found), value)
            return found

        return read

    def _refuse_second(self, key: str, thing: Hashable, shown: str, value: Value) -> None:
        first = self._first.setdefault((key, thing), value)
        if first is not value:
            text = f"{shown} is already at {first.path}, line {first.line}; {DISTINCT[key]}"
            self._mistakes.add(value, text)

    def _compare_uplinks(self) -> None:
        """No heartbeat is an uplink: its pin would take the uplink's checks to a peer."""
        for (key, thing), value in self._first.items():
            uplink = self._first.get(("uplink", thing))
            if key == "heartbeat" and uplink is not None:
                text = (
                    f"{thing} is also an uplink, line {uplink.line}, but its pin takes the other "
                    "nodes' checks through this one; choose another address"
                )
                self._mistakes.add(value, text)

    def _compare(
        self, block: Mapping, found: dict[str, Any], low: str, high: str, model: type[Any]
    ) -> None:
        """`low` is at most `high`, each written or by default; a wrong one is not compared."""
        written = _meant_keys(block, (low, high))
        if not written <= found.keys():
            return
        defaults = {field.name: field.default for field in fields_of(model)}
        least, most = (found.get(key, defaults[key]) for key in (low, high))
        if least <= most:
            return
        names = [
            f"{key} {duration_text(value)}{'' if key in written else ' (the default)'}"
            for key, value in ((low, least), (high, most))
        ]
        text = f"{names[0]} is over {names[1]}; write {low} no longer than {high}"
        self._mistakes.add(block.entries[low if low in written else high], text)


def _may_have_routes(node: Value) -> bool:
    """Whether a node has routes, or may have had some before a mistake."""
    if not isinstance(node, Mapping):
        return True
    match node.entries.get("routes"):
        case None:
            return "routes" in _meant_keys(node, ["routes"])
        case Sequence(items=items):
            return bool(items)
        case _:
            return True


def _meant_keys(block: Mapping, known: Iterable[str]) -> set[str]:
    """Return the keys that are not to be called missing.

    They are there, or a misspelt key was meant for them; and one that is unreadable may be any.
    """
    if block.unreadable:
        return set(known)
    keys = block.entries.keys()
    return {key for key in known if key in keys} | {
        guess for key in keys if key not in known for guess in _guess(key, known)
    }


def _unknown(key: str, known: Iterable[str]) -> str:
    guess = _guess(key, known)
    fix = f"did you mean {quote(guess[0])}?" if guess else f"the keys here are {', '.join(known)}"
    return f"unknown key {quote(key)}; {fix}"


def _guess(key: str, known: Iterable[str]) -> list[str]:
    """Return the one known key that comes near, if any; comparing costs the square of length."""
    return difflib.get_close_matches(key[:LONGEST_GUESS], known, n=1)
