"""Bytes to text, and text to YAML's events, within bounds that no honest file comes near.

The parser is always PyYAML's own in Python, never libyaml: the two do not accept quite the same
language, whereas one file must mean the same on every node. It needs some milliseconds for a
real file, and less than a second for the worst that these bounds let through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 64 * 1024
DEEPEST = 16
"""More than twice what a group needs. PyYAML's scanner is quadratic in the depth of brackets."""
MOST_EVENTS = 10_000
"""Twice what 64 KiB of route tables come to; it bounds the time that a silly file takes."""

# --- text -------------------------------------------------------------------------------------

# YAML 1.1 also counts NEL, LS and PS as line ends; editors do not, and the lines would part.
_UNWANTED = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_END = re.compile(r"\r\n|\r|\n")


class StopError(Exception):
    """Reading cannot go on beyond this line."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        super().__init__(text)


def decode(data: bytes) -> str:
    """Return the text; StopError for too much, not UTF-8, or with control characters in it."""
    if len(data) > LARGEST:
        raise StopError(0, f"larger than {LARGEST // 1024} KiB; a group needs far less")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_after(error.object[: error.start].decode("utf-8", "replace"))
        raise StopError(line, "not UTF-8; save the file in that encoding") from None
    if unwanted := _UNWANTED.search(text):
        character = f"U+{ord(unwanted.group()):04X}"
        line = _line_after(text[: unwanted.start()])
        raise StopError(line, f"the control character {character} has no place here; delete it")
    return text


def _line_after(text: str) -> int:
    return len(_LINE_END.findall(text)) + 1


# --- events -----------------------------------------------------------------------------------

_MENDS = (
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
    ("expected <block end>", "line the keys up with those above", "there"),
)
"""What PyYAML's words come down to, by the first that fits; and whether the mistake is *there*,
where it was noticed, or where the thing began *from* which it was read."""


def _stop_at(error: yaml.MarkedYAMLError) -> StopError:
    problem = error.problem or "unreadable"
    fits = ((mend, where) for words, mend, where in _MENDS if words in problem)
    mend, where = next(fits, ("check this line", "there"))
    mark = error.context_mark if where == "from" else error.problem_mark
    return StopError(mark.line + 1 if mark else 0, f"not valid YAML ({problem}); {mend}")


def events(text: str) -> Iterator[yaml.Event]:
    """Yield the parser's events; StopError at the first thing that is not YAML or too deep."""
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
                raise StopError(line_of(event), deep)
            if count > MOST_EVENTS:
                raise StopError(line_of(event), "far more values than a group needs; keep to those")
            yield event
    except yaml.MarkedYAMLError as error:
        raise _stop_at(error) from None
    except (ValueError, OverflowError):
        # PyYAML's scanner lets these through for "\UFFFFFFFF" and for absurd %YAML versions.
        range_error = "not valid YAML (a number is out of range); check this line"
        raise StopError(parser.line + 1, range_error) from None
    finally:
        parser.dispose()


def line_of(event: yaml.Event) -> int:
    """Return the line on which the event begins, counted from 1."""
    mark = event.start_mark
    return mark.line + 1 if mark else 0
