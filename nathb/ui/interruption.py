"""Commands that end before they are done: ^C, SIGTERM, or nowhere left to print.

What has been written to EC2 or to the file stays, and whoever ended the command has to know that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from nathb.core.errors import OutputError
from nathb.host.streams import WARNING, complain


class TerminatedError(BaseException):
    """SIGTERM has come."""


@contextmanager
def told(stays: Callable[[], str]) -> Iterator[None]:
    """Around all from the first write on: say what stays when the command is ended in there.

    `stays` returns what was done, how to see it, and how to undo it or do the rest; empty when
    nothing was written yet.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except (KeyboardInterrupt, TerminatedError, OutputError) as error:
        if text := stays():
            complain(f"nathb: ended early: {text}", WARNING)
        if isinstance(error, TerminatedError) and before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)  # a shell shows it as 143
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError
