"""Values to a Group: which keys there are, what each takes, and how they must agree.

Every reader takes a value, notes its mistakes, and returns what it understood, or None. What
could not be read is left out of all that is compared later: no mistake draws another after it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from msgspec.structs import fields as fields_of

from nathb.config import addresses, values
from nathb.config.keys import CHECK, DISTINCT, METRICS, NOTIFY, REQUIRED, SETTINGS
from nathb.config.mistakes import WrongError, quote
from nathb.config.yaml_reader import Mapping, Scalar, Sequence, Value, kind
from nathb.core.model import Group, Metrics, Node, Notify, Route, Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from nathb.config.keys import Shape
    from nathb.config.mistakes import Mistakes

    Reader = Callable[[Value], Any]

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
            "uplink": self._some(self._distinct("uplink", addresses.uplink)),
            "nodes": self._nodes,
            "check": self._check,
        }
        readers |= {key: self._one(shape) for key, shape in SETTINGS.items()}
        readers |= {
            "notify": self._block(NOTIFY, Notify, "sns: arn:aws:sns:REGION:ACCOUNT:NAME"),
            "metrics": self._block(METRICS, Metrics, "listen: 127.0.0.1:9477"),
        }
        found = self._keys(top, readers, required=("uplink", "nodes"))
        self._ascending(top, found, "refresh", "view_max_age", Group)
        self._uplinks_apart()
        return found

    def _check(self, value: Value) -> Timers | None:
        block = self._mapping(value, "keys such as interval: 30s")
        if block is None:
            return None
        found = self._keys(block, {key: self._one(shape) for key, shape in CHECK.items()})
        self._ascending(block, found, "fast_interval", "interval", Timers)
        return Timers(**found)

    def _block(self, shapes: dict[str, Shape], model: type[Any], needs: str) -> Reader:
        """Make the reader of a block of plain keys that need not agree."""
        readers = {key: self._one(shape) for key, shape in shapes.items()}

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
            self._key_is(values.node_name, name, block)
        if block.written < 2:
            text = "a group needs at least two nodes, for they watch each other; write another"
            self._mistakes.at(block, text)
        complete = len(block.entries) == block.written > 0
        if complete and not any(map(_may_have_routes, block.entries.values())):
            text = "no node has a route, so there is nothing to guard; write routes below one"
            self._mistakes.at(block, text)
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
            "instance": self._distinct("instance", values.instance),
            "match": self._match,
            "eni": self._distinct("eni", values.eni),
            "source": self._distinct("source", addresses.source),
            "heartbeat": self._some(self._distinct("heartbeat", addresses.heartbeat)),
            "routes": self._some(self._route, can_be_empty=True),
        }
        found = self._keys(block, readers, required=("heartbeat",))
        ways = {"instance", "match"}
        if ways <= block.entries.keys():
            text = "both instance and match say which instance this node is; keep one"
            self._mistakes.at(block, text)
        if not ways & _meant(block, readers):
            text = "neither instance nor match says which instance this node is; write one"
            self._mistakes.at(block, text)
        return Node(name, **({"heartbeat": ()} | found))

    def _match(self, value: Value) -> tuple[tuple[str, str], ...] | None:
        block = self._mapping(value, 'tags such as {"tag:Name": nat-a}')
        if block is None:
            return None
        if not block.written:
            self._mistakes.at(block, 'no tag to match; write one such as {"tag:Name": nat-a}')
        pairs = []
        for key, entry in block.entries.items():
            text = self._one(values.tag_value)(entry)
            if self._key_is(values.tag_key, key, block) and text is not None:
                pairs.append((key, text))
        if len(pairs) == block.written > 0:
            self._meet("match", frozenset(pairs), "the same match", block)
        return tuple(pairs)

    def _route(self, value: Value) -> Route | None:
        if isinstance(value, Mapping):
            readers = {
                "table": self._one(values.table),
                "destination": self._one(addresses.destination),
            }
            found = self._keys(value, readers, required=("table",))
            if found.keys() != _meant(value, readers) | {"table"}:
                return None
            route = Route(**({"destination": addresses.DEFAULT_DESTINATION} | found))
        else:
            table = self._one(values.table)(value)
            if table is None:
                return None
            route = Route(table, addresses.DEFAULT_DESTINATION)
        self._meet("route", route, str(route), value)
        return route

    # --- any key ------------------------------------------------------------------------------

    def _mapping(self, value: Value, needs: str) -> Mapping | None:
        if isinstance(value, Scalar | Sequence):
            self._mistakes.at(value, f"expected a mapping, not {kind(value)}; write {needs}")
        return value if isinstance(value, Mapping) else None

    def _keys(
        self, block: Mapping, readers: dict[str, Reader], required: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Read each key with its reader; return what was understood."""
        meant = _meant(block, readers)
        for key in required:
            if key not in meant:
                path, line = (f"{block.path}.{key}", block.line) if block.path else (key, 0)
                self._mistakes.on(line, path, f"is missing; {REQUIRED[key]}")
        found = {}
        for key, value in block.entries.items():
            if key not in readers:
                self._mistakes.on(block.key_lines[key], block.path, _unknown(key, readers))
            elif (read := readers[key](value)) is not None:
                found[key] = read
        return found

    def _key_is(self, shape: Shape, key: str, block: Mapping) -> bool:
        """Whether a key that users choose has the shape it needs."""
        try:
            shape(key)
        except WrongError as wrong:
            self._mistakes.on(block.key_lines[key], block.path, str(wrong))
            return False
        return True

    def _one(self, shape: Shape) -> Reader:
        """Make the reader of a single value."""

        def read(value: Value) -> Any:
            if isinstance(value, Sequence | Mapping):
                self._mistakes.at(value, f"expected one value, not {kind(value)}; write it plainly")
            if not isinstance(value, Scalar):
                return None
            try:
                return shape(value.text)
            except WrongError as wrong:
                self._mistakes.at(value, str(wrong))
                return None

        return read

    def _some(self, reader: Reader, *, can_be_empty: bool = False) -> Reader:
        """Make the reader of one value or a list of such."""

        def read(value: Value) -> tuple[Any, ...] | None:
            items = value.items if isinstance(value, Sequence) else (value,)
            if not items and not can_be_empty:
                self._mistakes.at(value, "the list is empty; write at least one address")
            return tuple(found for item in items if (found := reader(item)) is not None)

        return read

    # --- how values must agree ----------------------------------------------------------------

    def _distinct(self, key: str, shape: Shape) -> Reader:
        """Make the reader of a value that must stand only once in the file."""
        one = self._one(shape)

        def read(value: Value) -> Any:
            found = one(value)
            if found is not None:
                self._meet(key, found, str(found), value)
            return found

        return read

    def _meet(self, key: str, thing: Hashable, shown: str, value: Value) -> None:
        first = self._first.setdefault((key, thing), value)
        if first is not value:
            text = f"{shown} already stands at {first.path}, line {first.line}; {DISTINCT[key]}"
            self._mistakes.at(value, text)

    def _uplinks_apart(self) -> None:
        """No heartbeat is an uplink: its pin would take the uplink's checks to a peer."""
        for (key, thing), value in self._first.items():
            uplink = self._first.get(("uplink", thing))
            if key == "heartbeat" and uplink is not None:
                text = (
                    f"{thing} is also an uplink, line {uplink.line}, but its pin takes the other "
                    "nodes' checks through this one; choose another address"
                )
                self._mistakes.at(value, text)

    def _ascending(
        self, block: Mapping, found: dict[str, Any], low: str, high: str, model: type[Any]
    ) -> None:
        """`low` is at most `high`, each written or by default; a wrong one is not compared."""
        written = _meant(block, (low, high))
        if not written <= found.keys():
            return
        defaults = {field.name: field.default for field in fields_of(model)}
        least, most = (found.get(key, defaults[key]) for key in (low, high))
        if least <= most:
            return
        names = [
            f"{key} {values.spell(value)}{'' if key in written else ' (the default)'}"
            for key, value in ((low, least), (high, most))
        ]
        text = f"{names[0]} is over {names[1]}; write {low} no longer than {high}"
        self._mistakes.at(block.entries[low if low in written else high], text)


def _may_have_routes(node: Value) -> bool:
    """Whether a node has routes, or may have had some before a mistake."""
    if not isinstance(node, Mapping):
        return True
    match node.entries.get("routes"):
        case None:
            return "routes" in _meant(node, ["routes"])
        case Sequence(items=items):
            return bool(items)
        case _:
            return True


def _meant(block: Mapping, known: Iterable[str]) -> set[str]:
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
    mend = f"did you mean {quote(guess[0])}?" if guess else f"the keys here are {', '.join(known)}"
    return f"unknown key {quote(key)}; {mend}"


def _guess(key: str, known: Iterable[str]) -> list[str]:
    """Return the one known key that comes near, if any; comparing costs the square of length."""
    return difflib.get_close_matches(key[:LONGEST_GUESS], known, n=1)
