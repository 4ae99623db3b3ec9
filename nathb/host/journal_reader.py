"""What the journal has kept of a group, found by MESSAGE_ID and NATHB_GROUP, never by its words.

Read through libsystemd, sd-journal(3), by way of systemd-python.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from glob import glob
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nathb.core.errors import JournalError
from nathb.core.timeline import Occurrence
from nathb.host.journal_schema import KINDS, LOST, event, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SYSTEM = ("/var/log/journal/*/system*.journal", "/run/log/journal/*/system*.journal")


CONVERTED = (
    "__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP",
)  # fmt: skip
"""What the library turns into more than text; of our own fields it must make nothing."""


class Where(Struct, frozen=True):
    """Which journals to read: the machine's own if neither directories nor files are named."""

    directories: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    system: tuple[str, ...] = SYSTEM
    """Patterns of the machine's own journal files, to see whether they may be read at all."""


class JournalExcerpt(Struct, frozen=True):
    """What was found, oldest first. Times are seconds since 1970."""

    happened: tuple[Occurrence, ...]
    begins_at: float | None
    """When the oldest entry of any kind was written: nothing is known of what was before."""
    ends_at: float | None
    groups: frozenset[str]
    """Every group that the journals know."""


def read(
    group: str, where: Where, since: float | None = None, until: float | None = None
) -> JournalExcerpt:
    """Return all that the journals hold of the group between two times.

    JournalError when a journal is absent, damaged, or not for this user to read.
    """
    found: dict[str, Occurrence] = {}
    begins, ends, groups = [], [], set[str]()
    for name, reader in _readers(where):
        try:
            begins += _edge(reader.seek_head, reader.get_next)
            ends += _edge(reader.seek_tail, reader.get_previous)
            groups |= {_text(value) for value in reader.query_unique("NATHB_GROUP")}
            found |= dict(_matching(reader, group, since))
        except OSError as error:
            raise JournalError(
                f"{name}: cannot be read to its end: {error.strerror}; "
                "see what is left of it with journalctl --verify"
            ) from error
        finally:
            reader.close()
    return JournalExcerpt(
        tuple(sorted(_between(found.values(), since, until), key=lambda one: one.at)),
        min(begins, default=None),
        max(ends, default=None),
        frozenset(one_line(name) for name in groups),
    )


def _readers(where: Where) -> Iterator[tuple[str, Any]]:
    """Yield each journal's name and its reader, opened one by one."""
    # The daemon, which never reads, does without; to mypy our own folder of units is in the way.
    from systemd import journal  # type: ignore[attr-defined]  # noqa: PLC0415

    for directory in where.directories:
        _may_read_all(directory)
        yield directory, _open(directory, lambda path: journal.Reader(path=path))
    for file in where.files:
        if not os.access(file, os.R_OK):
            why = (
                "may not be read by this user" if os.path.exists(file) else "there is no such file"
            )
            raise JournalError(f"{file}: {why}; name a *.journal file that can be read")
        yield file, _open(file, lambda path: journal.Reader(files=[path]))
    if not where.directories and not where.files:
        _may_read_own(where.system)
        yield "the journal", _open("the journal", lambda _: journal.Reader())


def _open(name: str, opened: Any) -> Any:
    try:
        reader = opened(name)
    except OSError as error:
        raise JournalError(
            f"{name}: is no journal that can be read: {error.strerror}; "
            f"see journalctl --verify --file={name}"
        ) from error
    # libsystemd cuts longer fields at 64 KiB; the round of a large group is larger
    reader.data_threshold = 0
    reader.converters = {key: reader.converters[key] for key in CONVERTED}
    return reader


def _may_read_all(directory: str) -> None:
    """Make sure of a directory; libsystemd passes over in silence what it cannot read."""
    files = glob("**/*.journal", root_dir=directory, recursive=True)
    if not files:
        why = (
            "holds no *.journal file" if os.path.exists(directory) else "there is no such directory"
        )
        raise JournalError(f"{directory}: {why}; name a copy of a machine's /var/log/journal")
    for file in files:
        if not os.access(os.path.join(directory, file), os.R_OK):
            raise JournalError(
                f"{directory}: {file} may not be read by this user; use sudo, or chown the copy"
            )


def _may_read_own(patterns: Iterable[str]) -> None:
    """Make sure of the machine's own journal, of which others see a part only, and no complaint."""
    files = [file for pattern in patterns for file in glob(pattern)]
    if not files:
        raise JournalError(
            "this machine has no journal of its own (no systemd-journald, as in a container?); "
            "read a copied one with --directory DIR or --file FILE"
        )
    if not all(os.access(file, os.R_OK) for file in files):
        raise JournalError(
            "the machine's journal may not be read by this user, who would see a part only; use "
            "sudo, or be in the group systemd-journal: usermod -aG systemd-journal USER"
        )


def _edge(seek: Any, step: Any) -> list[float]:
    """Return the time of the first or last entry, if there is one."""
    seek()
    entry = step()
    return [entry["__REALTIME_TIMESTAMP"].timestamp()] if entry else []


def _matching(reader: Any, group: str, since: float | None) -> Iterator[tuple[str, Occurrence]]:
    reader.add_match(NATHB_GROUP=group)
    for message_id in (*KINDS, LOST.message_id):
        reader.add_match(MESSAGE_ID=message_id)
    if since is None:
        reader.seek_head()
    else:
        reader.seek_realtime(since - 1.0)  # journald stamps an entry later than it was sent
    while entry := reader.get_next():
        with contextlib.suppress(KeyError):  # of a file that was cut off in the middle of one
            yield _text(entry["__CURSOR"]), _happened(entry)


def _happened(entry: Mapping[str, Any]) -> Occurrence:
    written = entry["__REALTIME_TIMESTAMP"].timestamp()
    sent = entry.get("_SOURCE_REALTIME_TIMESTAMP")
    at = sent.timestamp() if isinstance(sent, datetime) else written
    monotonic = entry["__MONOTONIC_TIMESTAMP"]
    fields = {key: _text(value) for key, value in entry.items() if not key.startswith("_")}
    lost = fields.get("NATHB_LOST", "")
    return Occurrence(
        at=at,
        monotonic=monotonic.timestamp.total_seconds() - (written - at),
        boot=str(monotonic.bootid),
        node=one_line(fields.get("NATHB_NODE", "")),
        event=event(fields),
        lost=int(lost) if lost.isdecimal() else 0,
        version=one_line(fields.get("NATHB_VERSION", "")),
    )


def _between(
    happened: Iterable[Occurrence], since: float | None, until: float | None
) -> Iterator[Occurrence]:
    early = float("-inf") if since is None else since
    late = float("inf") if until is None else until
    return (one for one in happened if early <= one.at <= late)


def _text(value: object) -> str:
    """One text of a field, which may have been given several times, and need not be Unicode."""
    if isinstance(value, list):
        value = value[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
