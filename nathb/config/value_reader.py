"""Values of any key: read with their mistakes noted, and compared with one another.

Every reader takes a value, notes its mistakes, and returns what it understood, or None. What could
not be read is left out of all later comparisons, so that one mistake does not cause a second
message. Which keys there are is said in `config.schema`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from msgspec.structs import fields as fields_of

from nathb.config.values import InvalidValueError, Parser, duration_text, quote
from nathb.config.yaml_reader import Mapping, Mistakes, Scalar, Sequence, Value, describe

Reader = Callable[[Value], Any]
"""Takes a value of the file; returns what it means, or None with its mistakes noted."""

LONGEST_GUESS = 40


class ValueReader:
    """Reads the values of one file.

    `required` says, by key, what to write where a required key is missing; `distinct` what to do
    where a value stands twice that must stand once.
    """

    def __init__(
        self, mistakes: Mistakes, required: dict[str, str], distinct: dict[str, str]
    ) -> None:
        self.mistakes = mistakes
        self._required = required
        self._fixes = distinct
        self.first: dict[tuple[str, Hashable], Value] = {}

    # --- any key ------------------------------------------------------------------------------

    def mapping(self, value: Value, needs: str) -> Mapping | None:
        """Return a mapping, or None when it is something else; `needs` says what to write."""
        if isinstance(value, Scalar | Sequence):
            self.mistakes.add(value, f"expected a mapping, not {describe(value)}; write {needs}")
        return value if isinstance(value, Mapping) else None

    def keys(
        self, block: Mapping, readers: dict[str, Reader], required: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Read each key with its reader; return what was understood."""
        meant = meant_keys(block, readers)
        for key in required:
            if key not in meant:
                path, line = (f"{block.path}.{key}", block.line) if block.path else (key, 0)
                self.mistakes.add_at(line, path, f"is missing; {self._required[key]}")
        found = {}
        for key, value in block.entries.items():
            if key not in readers:
                self.mistakes.add_at(block.key_lines[key], block.path, _unknown(key, readers))
            elif (read := readers[key](value)) is not None:
                found[key] = read
        return found

    def is_valid_key(self, parse: Parser, key: str, block: Mapping) -> bool:
        """Whether a parser takes a key that users choose; if not, the mistake is noted."""
        try:
            parse(key)
        except InvalidValueError as error:
            self.mistakes.add_at(block.key_lines[key], block.path, str(error))
            return False
        return True

    def single(self, parse: Parser) -> Reader:
        """Make the reader of a single value."""

        def read(value: Value) -> Any:
            if isinstance(value, Sequence | Mapping):
                self.mistakes.add(
                    value, f"expected one value, not {describe(value)}; write it plainly"
                )
            if not isinstance(value, Scalar):
                return None
            try:
                return parse(value.text)
            except InvalidValueError as error:
                self.mistakes.add(value, str(error))
                return None

        return read

    def one_or_more(self, reader: Reader, *, can_be_empty: bool = False) -> Reader:
        """Make the reader of one value or a list of such."""

        def read(value: Value) -> tuple[Any, ...] | None:
            items = value.items if isinstance(value, Sequence) else (value,)
            if not items and not can_be_empty:
                self.mistakes.add(value, "the list is empty; write at least one address")
            return tuple(found for item in items if (found := reader(item)) is not None)

        return read

    # --- how values must agree ----------------------------------------------------------------

    def distinct(
        self, key: str, parse: Parser, same: Callable[[Any], Hashable] = lambda found: found
    ) -> Reader:
        """Make the reader of a value that must stand only once in the file.

        Two values are the same one when `same` is the same of both.
        """
        one = self.single(parse)

        def read(value: Value) -> Any:
            found = one(value)
            if found is not None:
                self.refuse_second(key, same(found), str(found), value)
            return found

        return read

    def refuse_second(self, key: str, thing: Hashable, shown: str, value: Value) -> None:
        """Note a mistake when the thing already stands elsewhere in the file."""
        first = self.first.setdefault((key, thing), value)
        if first is not value:
            text = f"{shown} is already at {first.path}, line {first.line}; {self._fixes[key]}"
            self.mistakes.add(value, text)

    def compare(
        self, block: Mapping, found: dict[str, Any], low: str, high: str, model: type[Any]
    ) -> None:
        """`low` is at most `high`, each written or by default; a wrong one is not compared."""
        written = meant_keys(block, (low, high))
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
        self.mistakes.add(block.entries[low if low in written else high], text)


def meant_keys(block: Mapping, known: Iterable[str]) -> set[str]:
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
