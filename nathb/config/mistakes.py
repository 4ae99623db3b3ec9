"""Where mistakes gather until the whole file has been read."""

from __future__ import annotations

from typing import NoReturn, Protocol

from nathb.core.errors import FileError, Mistake

MOST_MISTAKES = 100
"""Nobody mends more in one sitting; the bound also keeps a hostile file cheap to refuse."""

LONGEST_QUOTE = 60


class Placed(Protocol):
    """Whatever knows where in the file it stands."""

    @property
    def line(self) -> int:
        """Counted from 1."""

    @property
    def path(self) -> str:
        """Dotted, as in `nodes.nat-a.heartbeat`."""


class WrongError(Exception):
    """What is wrong with one value, and the mend, in one sentence; a shape raises it."""


class TooManyError(Exception):
    """There is no use in reading on: `MOST_MISTAKES` have been found."""


class Mistakes:
    """The mistakes found so far in one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Mistake] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def at(self, value: Placed, text: str) -> None:
        """Note what is wrong with a value, where the value stands."""
        self.on(value.line, value.path, text)

    def on(self, line: int, path: str, text: str) -> None:
        """Note a mistake by line (0 for the file as a whole) and path.

        Raises TooManyError when there are enough.
        """
        if len(self._found) == MOST_MISTAKES:
            enough = f"more than {MOST_MISTAKES} mistakes; mend these first, the others come next"
            self._found.append(Mistake(self._file, 0, "", enough))
            raise TooManyError
        self._found.append(Mistake(self._file, line, path, text))

    def fail(self) -> NoReturn:
        """Raise a FileError with everything found."""
        raise FileError(self._found)


def quote(text: str) -> str:
    """The text in quotes, fit for one line of a terminal: shortened, and nothing unprintable."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…")
