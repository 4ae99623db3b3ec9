"""A round and its decision as one line of text, both ways.

The line is JSON with what equals its default left out, so that it fits a journal field and can be
read by any tool. `replay` asks today's rules the same question again.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from nathb.core.case import Known
from nathb.core.decide import decide
from nathb.core.errors import UsageError
from nathb.core.model import Ruling


class Round(Struct, frozen=True, omit_defaults=True):
    """What was known, and what was ruled on it."""

    known: Known
    rulings: tuple[Ruling, ...] = ()


def render(known: Known, rulings: tuple[Ruling, ...]) -> str:
    """Return the round as one line, without a line break."""
    return msgspec.json.encode(Round(known, rulings)).decode()


def parse(line: str) -> Round:
    """Return the round that a line holds; UsageError when it holds none."""
    try:
        return msgspec.json.decode(line, type=Round)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(
            f"the line is not a round: {error}; give the NATHB_TRACE field as the journal has it"
        ) from error


def replay(line: str) -> tuple[Round, tuple[Ruling, ...]]:
    """Return the recorded round, and what the rules of this version say to the same facts."""
    recorded = parse(line)
    return recorded, decide(recorded.known)
