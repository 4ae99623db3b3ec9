"""The front door: one verb, one room in `commands`.

Exit codes: 0 good, 1 the answer is no, 2 usage, 78 bad configuration (EX_CONFIG, sysexits.h(3)).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nathb import __version__
from nathb.commands import (
    check,
    drain,
    explain,
    history,
    iam_policy,
    init,
    pause,
    plan,
    replace,
    revert,
    run,
    status,
)
from nathb.commands.arguments import Parser, attached
from nathb.core.errors import FileError, NathbError, UsageError

EX_NO = 1
EX_USAGE = 2
EX_CONFIG = 78

VERBS = (
    run,
    init,
    check,
    status,
    history,
    explain,
    drain,
    pause,
    revert,
    plan,
    replace,
    iam_policy,
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; each verb's room adds its own part."""
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
    given = parser().parse_args(attached(sys.argv[1:] if arguments is None else arguments))
    try:
        code = int(given.carry_out(given))
        sys.stdout.flush()  # here rather than at exit, where a closed pipe would be a traceback
    except FileError as error:
        _complain(str(error))
        return EX_CONFIG
    except UsageError as error:
        _complain(f"nathb: {error}")
        return EX_USAGE
    except NathbError as error:
        _complain(f"nathb: {error}")
        return EX_NO
    except BrokenPipeError:
        # the reader has seen enough; keep Python from flushing into the closed pipe at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_NO
    except KeyboardInterrupt:
        return 130
    return code


def _complain(text: str) -> None:
    """Say what went wrong; under journald each line as an error, see sd-daemon(3)."""
    level = "<3>" if os.environ.get("JOURNAL_STREAM") else ""
    for line in text.splitlines():
        print(f"{level}{line}", file=sys.stderr)
