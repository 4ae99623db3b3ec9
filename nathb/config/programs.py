"""Values that name a program and its arguments, as execve(2) takes them. No shell reads them."""

from __future__ import annotations

from nathb.config.value_reader import ValueReader
from nathb.config.values import InvalidValueError, quote
from nathb.config.yaml_reader import Mapping, Sequence, Value


def read_command(reader: ValueReader, value: Value) -> tuple[str, ...] | None:
    """Read a program and its arguments: a list, for no shell divides a line into words."""
    if isinstance(value, Mapping):
        reader.mistakes.add(value, "expected a list; write the program, then its arguments")
        return None
    items = value.items if isinstance(value, Sequence) else (value,)
    if not items:
        reader.mistakes.add(value, "the list is empty; write the program, then its arguments")
    words = [
        reader.single(parse_argument if at else parse_program)(item)
        for at, item in enumerate(items)
    ]
    return tuple(word for word in words if word is not None)


def parse_program(text: str) -> str:
    """Take the name of a program, or its full path."""
    if any(one.isspace() for one in text):
        raise InvalidValueError(
            f"{quote(text)} has spaces, and no shell divides it; write a list, as in "
            "[vtysh, -c, show version]"
        )
    if not text or ("/" in text and not text.startswith("/")):
        raise InvalidValueError(
            f"{quote(text)} is neither the name of a program nor its full path; write one such as "
            "vtysh or /usr/bin/vtysh"
        )
    return parse_argument(text)


def parse_argument(text: str) -> str:
    """Take an argument of a program: any text that execve(2) takes."""
    if "\0" in text:
        raise InvalidValueError(f"{quote(text)} has a NUL, which no argument may; leave it out")
    return text
