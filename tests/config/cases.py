"""Broken files, and beside each, to the letter, what nathb says about it: the cases in `broken/`.

    == NAME       begins a case
    -LINE         this line of PAIR is left out
    +LINE         this line comes in: after the line before, or, if no line is before, at the end
     LINE         (one blank first) this line of PAIR stays; it says where the next + belongs
    |LINE         the file is not PAIR at all, but these lines
    ----          ends the file; what follows, up to the next case, are the messages

`<1b>` stands for one byte. Lines before the first case are remarks.
`python -m pytest tests/config --rewrite` renews the messages; read the difference before you
commit it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

FOLDER = Path(__file__).parent / "broken"
FILE = "pair.yaml"

PAIR = """\
uplink: [1.1.1.1, 9.9.9.9]
nodes:
  nat-a:
    instance: i-0a9b954b0c0ffee01
    heartbeat: 198.51.100.1
    routes: [rtb-0b8e8f2da00000001]
  nat-c:
    instance: i-0c24460a0c0ffee02
    heartbeat: 203.0.113.1
    routes: [rtb-0bee8f2dc00000003]
"""
"""The good file that cases change."""


class Case(Struct, frozen=True):
    """One broken file, and the messages about it."""

    theme: Path
    name: str
    data: bytes
    messages: str
    """What follows `----`, without the empty line before the next case."""


def read_cases(folder: Path = FOLDER) -> list[Case]:
    """Return the cases of all themes."""
    return [case for theme in sorted(folder.glob("*.txt")) for case in _cases(theme)]


def rewrite(case: Case, messages: str) -> None:
    """Put other messages in the place of those of a case."""
    text = case.theme.read_text("utf-8")
    before, head, rest = text.partition(f"== {case.name}\n")
    _, _, after = rest.partition("\n== ")
    file = rest.partition("----\n")[0]
    end = f"\n== {after}" if after else ""
    case.theme.write_text(f"{before}{head}{file}----\n{messages}{end}", "utf-8")


def _cases(theme: Path) -> Iterator[Case]:
    _, *parts = re.split(r"^== ", theme.read_text("utf-8"), flags=re.MULTILINE)
    for part in parts:
        head, messages = part.split("----\n")
        name, *lines = head.splitlines()
        yield Case(theme, name, _file(lines), messages.rstrip("\n") + "\n")


def _file(lines: list[str]) -> bytes:
    text = "".join(f"{line}\n" for line in _changed(PAIR.splitlines(), lines))
    parts = re.split(r"<([0-9a-f]{2})>", text)
    return b"".join(
        bytes.fromhex(part) if odd % 2 else part.encode() for odd, part in enumerate(parts)
    )


def _changed(pair: list[str], lines: list[str]) -> Iterator[str]:
    if all(line.startswith("|") for line in lines):
        yield from (line[1:] for line in lines)
        return
    at = len(pair) if lines[0].startswith("+") else 0
    yield from pair[:at]
    for line in lines:
        mark, text = line[0], line[1:]
        if mark == "+":
            yield text
            continue
        found = pair.index(text, at)
        yield from pair[at:found]
        if mark == " ":
            yield text
        at = found + 1
    yield from pair[at:]
