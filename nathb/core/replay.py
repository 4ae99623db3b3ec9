"""A round and its decision as one line of text, both ways.

The line is JSON with what equals its default left out, so that it fits a journal field and can be
read by any tool. `replay` asks today's rules the same question again.

Lines are kept for years, in journals and post-mortems, so their fields are a contract: see
`model.Recorded`, and the recorded lines in tests/contracts.
"""

from __future__ import annotations

import msgspec

from nathb.core.context import Facts
from nathb.core.errors import OtherVersionError, UsageError
from nathb.core.model import Recorded, Ruling
from nathb.core.older_rounds import upgraded
from nathb.core.rules import decide


class Round(Recorded, frozen=True):
    """What was known, and what was ruled on it."""

    known: Facts
    rulings: tuple[Ruling, ...] = ()


def render(known: Facts, rulings: tuple[Ruling, ...]) -> str:
    """Return the round as one line, without a line break."""
    return msgspec.json.encode(Round(known, rulings)).decode()


def parse(line: str) -> Round:
    """Return the round that a line holds.

    UsageError when it holds none, OtherVersionError when it was written by a version of nathb
    whose fields or rules are not those of this one.
    """
    try:
        return msgspec.json.decode(line, type=Round)
    except msgspec.ValidationError as error:
        return _of_an_older_version(line, error)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(
            f"the line is not a round: {error}; give the NATHB_TRACE field as the journal has it"
        ) from error


def replay(line: str) -> tuple[Round, tuple[Ruling, ...]]:
    """Return the recorded round, and what the rules of this version say to the same facts."""
    recorded = parse(line)
    return recorded, decide(recorded.known)


def _of_an_older_version(line: str, error: msgspec.ValidationError) -> Round:
    try:
        return msgspec.convert(upgraded(msgspec.json.decode(line)), Round)
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError, AttributeError):
        raise OtherVersionError(_unknown(error)) from error


def _unknown(error: msgspec.ValidationError) -> str:
    """Say what this version does not know: `… does not know the field `x` in known.view`."""
    what, _, where = str(error).partition(" - at ")
    what = what.replace("Object contains unknown field", "this version does not know the field")
    place = where.strip("`").removeprefix("$").removeprefix(".")
    return f"{what} in {place}" if place else what
