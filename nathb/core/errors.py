"""Every error nathb raises, drawn in one place.

    NathbError
    ├── FileError               the file is absent, unreadable or wrong; carries every mistake
    ├── BlindError              a check could not be sent: the outcome is Blind, never Missed
    ├── ReadingError            the prefixes that the router knows could not be read: Blind
    ├── ResolveError            a host name has no address that could be pinged
    ├── IdentityError           which node or region this machine is could not be learned
    ├── CloudError              EC2 did not do what was asked; `failure` says in which way
    ├── SnapshotError           the daemon's state could not be written, or not be read
    ├── JournalError            the journal could not be read, or holds nothing of the kind
    ├── HeldError               another daemon of this machine has the group, or one of its tables
    ├── BusyError               so many calls hang already that another one is refused
    ├── RefusalError            what was asked would do harm, or nothing, as things stand
    ├── OutputError             standard output cannot be written
    │   └── ReaderGoneError     whoever read it has seen enough: no failure to speak of
    └── UsageError              a command was given what it cannot work with
        └── OtherVersionError   a recorded round that another version of nathb wrote

A message names the thing, the cause and the fix, in that order.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nathb.core.model import Failure


class NathbError(Exception):
    """Whatever nathb can explain to a person; anything else is a defect."""


class Mistake(Struct, frozen=True, order=True):
    """One mistake in the file: where it stands and how to fix it.

    `line` counts from 1; 0 stands for the file as a whole. `path` is dotted, as in
    `nodes.nat-a.heartbeat`, and empty for the file as a whole.
    """

    file: str
    line: int
    path: str
    text: str

    @property
    def where(self) -> str:
        """The file, and the line if it is one line's mistake."""
        return self.file if self.line == 0 else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        where = self.where
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


class FileError(NathbError):
    """The file cannot be used; `mistakes` holds all that is wrong with it, in order of line."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class BlindError(NathbError):
    """No echo request left this machine, so its silence says nothing about the peer."""


class ResolveError(NathbError):
    """A host name has no usable address now; the addresses last known may still serve."""


class ReadingError(NathbError):
    """What the router knows could not be read, so nothing may be concluded from it."""


class IdentityError(NathbError):
    """This machine could not be matched with a node of the group, or its region is unknown."""


class CloudError(NathbError):
    """An EC2 call failed; `failure` says how, `request_id` is empty when EC2 gave none."""

    def __init__(self, failure: Failure, message: str, request_id: str = "") -> None:
        self.failure = failure
        self.request_id = request_id
        super().__init__(message)


class SnapshotError(NathbError):
    """The file that `nathb status` reads could not be written, or is absent or damaged."""


class JournalError(NathbError):
    """The journal cannot be read, or the answer to what was asked of it is no."""


class HeldError(NathbError):
    """Another daemon of this machine has the group, or one of its tables; the message says who."""


class BusyError(NathbError):
    """A call was not even started, for too many are under way that have not come back."""


class RefusalError(NathbError):
    """A request that makes no sense in the present state; the message says what does."""


class OutputError(NathbError):
    """Standard output cannot be written: the disk is full, or it is closed."""


class ReaderGoneError(OutputError):
    """Standard output is a pipe that nobody reads any more, as after `| head`."""


class UsageError(NathbError):
    """The command line asks for something that cannot be done; the message says what can."""


def no_such_node(name: str, nodes: Iterable[str]) -> UsageError:
    """Return the error for a node's name that is not among the group's `nodes`; it lists them."""
    return UsageError(f"{name}: no such node; one of {', '.join(nodes)}")


class OtherVersionError(UsageError):
    """A recorded round has what this version of nathb does not know, which `unknown` names."""

    def __init__(self, unknown: str) -> None:
        self.unknown = unknown
        super().__init__(
            f"the NATHB_TRACE field is from another version of nathb: {unknown}; "
            "read it with the version that wrote it"
        )


class Level(Enum):
    """How a finding stands."""

    GOOD = "good"
    WARNING = "warning"
    """It works, but not as well, or not as long, as it could."""
    BAD = "bad"
    """A takeover, a return or clients' packets fail for it."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. `fix` is what to do about it, a command where there is one."""

    level: Level
    subject: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f"; {self.fix}" if self.fix else ""
        return f"{self.level.value:<8} {self.subject}: {self.text}{fix}"


def good(subject: str, text: str) -> Finding:
    """Return a finding that needs no fix."""
    return Finding(Level.GOOD, subject, text)


def warning(subject: str, text: str, fix: str) -> Finding:
    """Return a finding that can wait for a working day."""
    return Finding(Level.WARNING, subject, text, fix)


def bad(subject: str, text: str, fix: str) -> Finding:
    """Return a finding that cannot."""
    return Finding(Level.BAD, subject, text, fix)
