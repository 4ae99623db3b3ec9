"""Commands that end before they are done: ^C, SIGTERM, SIGHUP, or nowhere left to print.

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

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Besides ^C. The second is that of a terminal or an SSH session that is gone."""


class TerminatedError(BaseException):
    """One of ENDING has come, which `number` says."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        super().__init__(number)


@contextmanager
def saying_what_stays(stays: Callable[[], str]) -> Iterator[None]:
    """Around all from the first write on: say what stays when the command is ended in there.

    `stays` returns what was done, how to see it, and how to undo it or do the rest; empty when
    nothing was written yet.
    """
    # One that is ignored, as nohup(1) has SIGHUP, stays so.
    before = {one: signal.getsignal(one) for one in ENDING}
    caught = [one for one in ENDING if before[one] is not signal.SIG_IGN]
    for one in caught:
        signal.signal(one, _terminated)
    try:
        yield
    except (KeyboardInterrupt, TerminatedError, OutputError) as error:
        if text := stays():
            complain(f"nathb: ended early: {text}", WARNING)
        if isinstance(error, TerminatedError) and before[error.number] is signal.SIG_DFL:
            signal.signal(error.number, signal.SIG_DFL)
            os.kill(os.getpid(), error.number)  # a shell shows SIGTERM as 143
        raise
    finally:
        for one in caught:
            signal.signal(one, before[one])


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise TerminatedError(signal.Signals(number))
