"""Colour, where the terminal has it: the few SGR codes that all terminals know (ECMA-48, 8.3.117).

Nothing is said by colour alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from enum import Enum


class Ink(Enum):
    """What a piece of text is, rather than how it looks."""

    WELL = "32"
    DOUBTFUL = "33"
    WRONG = "1;31"
    TITLE = "1"
    ASIDE = "2"


Paint = Callable[[str, Ink], str]


def plain(text: str, _ink: Ink) -> str:
    """Return the text as it is."""
    return text


def coloured(text: str, ink: Ink) -> str:
    """Return the text in colour; surrounding spaces stay plain."""
    bare = text.strip()
    return text.replace(bare, f"\x1b[{ink.value}m{bare}\x1b[0m", 1) if bare else text


def for_this_terminal(environ: Mapping[str, str] = os.environ) -> Paint:
    """Return how to paint what goes to stdout; NO_COLOR (no-color.org) and TERM=dumb are heeded."""
    return coloured if takes_codes(environ) and not environ.get("NO_COLOR") else plain


def takes_codes(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether stdout is a terminal that takes control codes; a pipe, a file, or one with
    TERM=dumb, does not.
    """
    return sys.stdout.isatty() and environ.get("TERM", "dumb") != "dumb"
