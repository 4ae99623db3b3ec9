"""The command line: one verb, one module in `commands`.

Exit codes: 0 good, 1 the answer is no, 2 usage, 78 bad configuration (EX_CONFIG, sysexits.h(3)),
130 interrupted (128 + SIGINT, as a shell has it).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from nathb import __version__
from nathb.commands import (
    check,
    drain,
    drill,
    explain,
    history,
    iam_policy,
    init,
    pause,
    plan,
    reload,
    replace,
    revert,
    run,
    status,
)
from nathb.core.errors import FileError, NathbError, ReaderGoneError, UsageError
from nathb.host.streams import complain
from nathb.ui.arguments import Parser, attached

EX_NO = 1
EX_USAGE = 2
EX_CONFIG = 78
EX_INTERRUPTED = 130

VERBS = (
    run,
    init,
    check,
    status,
    history,
    explain,
    drain,
    drill,
    pause,
    revert,
    plan,
    replace,
    reload,
    iam_policy,
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; each verb's module adds its own part."""
    top = Parser(
        prog="nathb",
        description="Two routers watch each other through the path their clients use, "
        "and move the route when that path breaks.",
        epilog="example: nathb check tokyo && systemctl enable --now nathb@tokyo",
    )
    top.add_argument("--version", action="version", version=f"nathb {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line; return its exit code. No error of a user's is a traceback."""
    code = _code_of(lambda: _carry_out(arguments))
    flushed = _code_of(_flush)  # here rather than at exit, where a failure would be a traceback
    return code or flushed


def _carry_out(arguments: Sequence[str] | None) -> int:
    given = parser().parse_args(attached(sys.argv[1:] if arguments is None else arguments))
    return int(given.carry_out(given))


def _flush() -> int:
    sys.stdout.flush()
    return 0


def _code_of(act: Callable[[], int]) -> int:
    """Return the exit code that an act comes to, once what went wrong has been said."""
    try:
        return act()
    except SystemExit as end:  # from argparse, which has said why
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return EX_INTERRUPTED
    except ReaderGoneError:
        return EX_NO
    except FileError as error:
        complain(str(error))
        return EX_CONFIG
    except UsageError as error:
        complain(f"nathb: {error}")
        return EX_USAGE
    except NathbError as error:
        complain(f"nathb: {error}")
        return EX_NO
