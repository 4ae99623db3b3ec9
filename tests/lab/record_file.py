"""What a process of the lab writes down, record by record, while the test reads it."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from typing import Any


class RecordFile:
    """A file of records of one size that another process goes on writing."""

    def __init__(self, path: Path, record: Struct) -> None:
        self._path = path
        self._record = record
        self._read = 0

    def new_records(self) -> list[tuple[Any, ...]]:
        """The whole records that were written since the last call."""
        with self._path.open("rb") as notes:
            notes.seek(self._read)
            found = notes.read()
        whole = len(found) // self._record.size * self._record.size
        self._read += whole
        return list(self._record.iter_unpack(found[:whole]))
