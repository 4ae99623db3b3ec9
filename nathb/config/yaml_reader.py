"""YAML to values that know their line and path, and nothing more than that.

Scalars stay text: what `30:00`, `on` or `1.10` mean is for the key to say, not for YAML 1.1.
Anchors, aliases, merge keys and tags are refused, so a file means what it shows.

Values are built from PyYAML's events, for its node composers recurse without bounds: the one in
C ends the process with a segmentation fault on 64 KiB of `[`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml
from msgspec import Struct

from nathb.config.mistakes import quote
from nathb.config.stream import StopError, decode, events, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nathb.config.mistakes import Mistakes


class Scalar(Struct, frozen=True):
    """One piece of text, quoted or not."""

    line: int
    path: str
    text: str


class Sequence(Struct, frozen=True):
    """A list."""

    line: int
    path: str
    items: tuple[Value, ...]


class Mapping(Struct, frozen=True):
    """Keys and values, in the file's order.

    `written` counts the keys as they stand in the file, also those that are left out of `entries`:
    duplicates, and the `unreadable`.
    """

    line: int
    path: str
    entries: dict[str, Value]
    key_lines: dict[str, int]
    written: int
    unreadable: int


class Broken(Struct, frozen=True):
    """Stands for a value whose mistake has been noted, so that nothing follows from it."""

    line: int
    path: str


Value = Scalar | Sequence | Mapping | Broken


def read(data: bytes, mistakes: Mistakes) -> Mapping | None:
    """Read the one document of a file; None when it is no mapping or cannot be read to its end."""
    try:
        top = _Builder(decode(data), mistakes).document()
    except StopError as stop:
        mistakes.on(stop.line, "", str(stop))
        return None
    if isinstance(top, Mapping):
        return top
    if isinstance(top, Scalar | Sequence):
        text = f"the top level is {kind(top)}; it must be a mapping with the keys uplink and nodes"
        mistakes.on(top.line, "", text)
    return None


def kind(value: Value) -> str:
    """Say what a value is, for messages."""
    match value:
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"
        case Scalar(text=""):
            return "nothing"
        case Scalar(text=text):
            return quote(text)
        case _:
            return "unreadable"


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:/-]{1,63}")


class _Builder:
    """Builds values from events. Its recursion is bounded: `events` stops at `DEEPEST`."""

    def __init__(self, text: str, mistakes: Mistakes) -> None:
        self._events = events(text)
        self._mistakes = mistakes

    def document(self) -> Value:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                top = self._value(next(self._events), "")
                break
        else:
            raise StopError(0, "the file is empty; it must have the keys uplink and nodes")
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                text = "a second document starts here; one file describes one group"
                self._mistakes.on(line_of(event), "", text)
                break
        return top

    def _value(self, event: yaml.Event, path: str, key_line: int = 0) -> Value:
        line = line_of(event)
        self._refuse_marks(event, path)
        match event:
            case yaml.ScalarEvent():
                return Scalar(line, path, event.value)
            case yaml.SequenceStartEvent():
                return Sequence(key_line or line, path, tuple(self._items(path)))
            case yaml.MappingStartEvent():
                return self._mapping(key_line or line, path)
            case _:
                alias = quote("*" + getattr(event, "anchor", ""))
                text = f"the alias {alias} is refused; write the value out"
                self._mistakes.on(line, path, text)
                return Broken(line, path)

    def _items(self, path: str) -> Iterator[Value]:
        for index, event in enumerate(self._until(yaml.SequenceEndEvent)):
            yield self._value(event, f"{path}[{index}]")

    def _mapping(self, line: int, path: str) -> Mapping:
        entries: dict[str, Value] = {}
        key_lines: dict[str, int] = {}
        written = unreadable = 0
        for event in self._until(yaml.MappingEndEvent):
            written += 1
            key_line = line_of(event)
            key = self._key(event, path)
            if key is None:
                unreadable += 1
                self._skip(next(self._events))
            elif key in entries:
                text = f"the key {quote(key)} is already on line {key_lines[key]}; keep one"
                self._mistakes.on(key_line, path, text)
                self._skip(next(self._events))
            else:
                key_lines[key] = key_line
                entries[key] = self._value(next(self._events), _join(path, key), key_line)
        return Mapping(line, path, entries, key_lines, written, unreadable)

    def _key(self, event: yaml.Event, path: str) -> str | None:
        """Return a key's text; None, with the mistake noted, for all that is no plain key."""
        if not isinstance(event, yaml.ScalarEvent):
            self._mistakes.on(line_of(event), path, "a key must be plain text; write one")
            self._skip(event)
            return None
        self._refuse_marks(event, path)
        if event.value == "<<":
            text = "the merge key '<<' is refused; write the keys out"
            self._mistakes.on(line_of(event), path, text)
            return None
        return str(event.value)

    def _refuse_marks(self, event: yaml.Event, path: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            return
        if anchor := getattr(event, "anchor", None):
            text = f"the anchor {quote('&' + anchor)} is refused; write the value at each place"
            self._mistakes.on(line_of(event), path, text)
        if tag := getattr(event, "tag", None):
            shown = quote(tag.replace("tag:yaml.org,2002:", "!!"))
            text = f"the tag {shown} is refused; each key knows what its value is"
            self._mistakes.on(line_of(event), path, text)

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        """Yield the events that begin entries; whoever takes one consumes the rest of it."""
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _skip(self, event: yaml.Event) -> None:
        """Consume the rest of a value that will not be looked at."""
        depth = int(isinstance(event, yaml.CollectionStartEvent))
        while depth:
            event = next(self._events)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)


def _join(path: str, key: str) -> str:
    part = key if _PLAIN_KEY.fullmatch(key) else quote(key)
    return f"{path}.{part}" if path else part
