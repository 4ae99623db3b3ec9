"""A yes before anything is changed: typed at the terminal, or given beforehand with --yes."""

from __future__ import annotations

import sys

from nathb.core.errors import UsageError


def is_confirmed(verb: str, question: str, shown: str = "plan") -> bool:
    """Ask the person at the terminal; ^D is no. Where there is none, UsageError.

    `shown` names what was printed before the question.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{verb}: there is nobody to ask; read the {shown}, then repeat with --yes"
        )
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:  # ^D
        print()
        return False
