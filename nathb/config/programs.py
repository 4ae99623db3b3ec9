"""Values that name a program and its arguments, as execve(2) takes them. No shell reads them."""

from __future__ import annotations

from nathb.config.values import InvalidValueError, quote


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
