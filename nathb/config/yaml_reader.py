"""YAML to values that know their line and path, and nothing more than that.

Scalars stay text: what `30:00`, `on` or `1.10` mean is for the key to say, not for YAML 1.1.
Anchors, aliases, merge keys and tags are refused, so a file means what it shows. Mistakes gather
until the whole file has been read.

The parser is always PyYAML's own in Python, never libyaml: the two do not accept quite the same
language, whereas one file must mean the same on every node. It needs some milliseconds for a
real file, and less than a second for the worst that the bounds below let through.

Values are built from the parser's events. PyYAML's composers do not fit: their nodes do not say
whether a value had an anchor or a tag, they recurse without bounds (the one in C ends the process
with a segmentation fault on 64 KiB of `[`), and of a file that ends in a syntax error they return
nothing, so the mistakes before it could not be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

import yaml
from msgspec import Struct

from nathb.config.values import quote
from nathb.core.errors import FileError, Mistake


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


class Invalid(Struct, frozen=True):
    """Stands for a value whose mistake has been noted, so that nothing follows from it."""

    line: int
    path: str


Value = Scalar | Sequence | Mapping | Invalid


def describe(value: Value) -> str:
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


# --- mistakes ---------------------------------------------------------------------------------

MOST_MISTAKES = 100
"""Nobody fixes more at once; the bound also makes a hostile file cheap to refuse."""


class TooManyMistakesError(Exception):
    """Reading on is of no use: `MOST_MISTAKES` have been found."""


class Mistakes:
    """The mistakes found so far in one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Mistake] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, value: Value, text: str) -> None:
        """Note a mistake in a value, where the value stands."""
        self.add_at(value.line, value.path, text)

    def add_at(self, line: int, path: str, text: str) -> None:
        """Note a mistake by line (0 for the file as a whole) and path.

        Raises TooManyMistakesError when there are enough.
        """
        if len(self._found) == MOST_MISTAKES:
            enough = f"more than {MOST_MISTAKES} mistakes; fix these first, then check again"
            self._found.append(Mistake(self._file, 0, "", enough))
            raise TooManyMistakesError
        self._found.append(Mistake(self._file, line, path, text))

    def fail(self) -> NoReturn:
        """Raise a FileError with everything found."""
        raise FileError(self._found)


class UnreadableError(Exception):
    """Reading cannot go on beyond this line (0 for the file as a whole); the message is why."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        super().__init__(text)


# --- bytes to text ------------------------------------------------------------------------------

LARGEST = 64 * 1024
"""Bytes."""

# YAML 1.1 also counts NEL, LS and PS as line ends; editors do not, and line numbers would differ.
_REFUSED = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_END = re.compile(r"\r\n|\r|\n")


def _decode(data: bytes) -> str:
    if len(data) > LARGEST:
        raise UnreadableError(0, f"larger than {LARGEST // 1024} KiB; a group needs far less")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_after(error.object[: error.start].decode("utf-8", "replace"))
        raise UnreadableError(line, "not UTF-8; save the file in that encoding") from None
    if refused := _REFUSED.search(text):
        character = f"U+{ord(refused.group()):04X}"
        line = _line_after(text[: refused.start()])
        text = f"the control character {character} is not allowed; delete it"
        raise UnreadableError(line, text)
    return text


def _line_after(text: str) -> int:
    return len(_LINE_END.findall(text)) + 1


# --- text to events -----------------------------------------------------------------------------

DEEPEST = 16
"""More than twice what a group needs. PyYAML's scanner is quadratic in the depth of brackets."""
MOST_EVENTS = 10_000
"""Twice what 64 KiB of route tables come to; it bounds the time that an absurd file takes."""

_FIXES = (
    ("'\\t' that cannot start", "indent with spaces, not with tabs", "there"),
    ("that cannot start any token", "put the text in quotes", "there"),
    (
        "mapping values are not allowed",
        "check the indentation, and quote any text with ': '",
        "there",
    ),
    ("unexpected end of stream", "close the quoted text that begins here", "from"),
    ("but got '<stream end>'", "close the bracket that opens here", "from"),
    ("expected ',' or", "put a comma between entries, and close the bracket", "there"),
    ("could not find expected ':'", "write 'key: value'", "from"),
    ("expected <block end>", "align the keys with those above", "there"),
)
"""What PyYAML says, and the fix, by the first that matches. The mistake is *there*, where it was
noticed, or at the start of the thing *from* which PyYAML was reading."""


def _events(text: str) -> Iterator[yaml.Event]:
    """Yield the parser's events; UnreadableError at what is not YAML, too deep or too much."""
    parser = yaml.SafeLoader(text)
    depth = count = 0
    try:
        while parser.check_event():
            event: yaml.Event = parser.get_event()  # type: ignore[no-untyped-call]
            count += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                deep = f"nested deeper than {DEEPEST} levels; a group needs far fewer"
                raise UnreadableError(_line(event), deep)
            if count > MOST_EVENTS:
                raise UnreadableError(
                    _line(event), "far more values than a group needs; delete what is not needed"
                )
            yield event
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error) from None
    except (ValueError, OverflowError):
        # PyYAML's scanner lets these through for "\UFFFFFFFF" and for absurd %YAML versions.
        range_error = "not valid YAML (a number is out of range); check this line"
        raise UnreadableError(parser.line + 1, range_error) from None
    finally:
        parser.dispose()


def _line(event: yaml.Event) -> int:
    """Return the line on which the event begins, counted from 1."""
    return event.start_mark.line + 1 if event.start_mark else 0


def _syntax_error(error: yaml.MarkedYAMLError) -> UnreadableError:
    problem = error.problem or "unreadable"
    fits = ((fix, where) for words, fix, where in _FIXES if words in problem)
    fix, where = next(fits, ("check this line", "there"))
    mark = error.context_mark if where == "from" else error.problem_mark
    return UnreadableError(mark.line + 1 if mark else 0, f"not valid YAML ({problem}); {fix}")


# --- events to values ---------------------------------------------------------------------------


def read(data: bytes, mistakes: Mistakes) -> Mapping | None:
    """Read the one document of a file; None when it is no mapping or cannot be read to its end."""
    try:
        top = _Builder(_decode(data), mistakes).document()
    except UnreadableError as error:
        mistakes.add_at(error.line, "", str(error))
        return None
    if isinstance(top, Mapping):
        return top
    if isinstance(top, Scalar | Sequence):
        what = describe(top)
        text = f"the top level is {what}; it must be a mapping with the keys uplink and nodes"
        mistakes.add_at(top.line, "", text)
    return None


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:/-]{1,63}")


class _Builder:
    """Builds values from events. Its recursion is bounded: `events` stops at `DEEPEST`."""

    def __init__(self, text: str, mistakes: Mistakes) -> None:
        self._events = _events(text)
        self._mistakes = mistakes

    def document(self) -> Value:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                top = self._value(next(self._events), "")
                break
        else:
            raise UnreadableError(0, "the file is empty; it must have the keys uplink and nodes")
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                text = "a second document starts here; one file describes one group"
                self._mistakes.add_at(_line(event), "", text)
                break
        return top

    def _value(self, event: yaml.Event, path: str, key_line: int = 0) -> Value:
        line = _line(event)
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
                text = f"the alias {alias} is refused; write the value itself"
                self._mistakes.add_at(line, path, text)
                return Invalid(line, path)

    def _items(self, path: str) -> Iterator[Value]:
        for index, event in enumerate(self._until(yaml.SequenceEndEvent)):
            yield self._value(event, f"{path}[{index}]")

    def _mapping(self, line: int, path: str) -> Mapping:
        entries: dict[str, Value] = {}
        key_lines: dict[str, int] = {}
        written = unreadable = 0
        for event in self._until(yaml.MappingEndEvent):
            written += 1
            key_line = _line(event)
            key = self._key(event, path)
            if key is None:
                unreadable += 1
                self._skip(next(self._events))
            elif key in entries:
                text = f"the key {quote(key)} is already on line {key_lines[key]}; keep one"
                self._mistakes.add_at(key_line, path, text)
                self._skip(next(self._events))
            else:
                key_lines[key] = key_line
                entries[key] = self._value(next(self._events), _join(path, key), key_line)
        return Mapping(line, path, entries, key_lines, written, unreadable)

    def _key(self, event: yaml.Event, path: str) -> str | None:
        """Return a key's text; None, with the mistake noted, for all that is no plain key."""
        if not isinstance(event, yaml.ScalarEvent):
            self._mistakes.add_at(_line(event), path, "a key must be plain text; write one")
            self._skip(event)
            return None
        self._refuse_marks(event, path)
        if event.value == "<<":
            text = "the merge key '<<' is refused; write the keys themselves"
            self._mistakes.add_at(_line(event), path, text)
            return None
        return str(event.value)

    def _refuse_marks(self, event: yaml.Event, path: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            return
        if anchor := getattr(event, "anchor", None):
            text = f"the anchor {quote('&' + anchor)} is refused; write the value at each place"
            self._mistakes.add_at(_line(event), path, text)
        if tag := getattr(event, "tag", None):
            shown = quote(tag.replace("tag:yaml.org,2002:", "!!"))
            text = f"the tag {shown} is refused; delete it"
            self._mistakes.add_at(_line(event), path, text)

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
