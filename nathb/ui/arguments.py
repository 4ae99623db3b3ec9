"""What argparse lacks: the verb that was meant, and values that begin with a minus sign."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", re.DOTALL)
"""argparse's own words; Python 3.12 and later leave out the quotes around the choices."""
CHOSEN = re.compile(r"[\w-]+")
OPTION = re.compile(r"--[a-z][a-z-]*")
NEGATIVE = re.compile(r"-[0-9]")


class Parser(argparse.ArgumentParser):
    """A parser that names the closest choice when what was typed is none. Verbs get one too."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong; exit 2."""
        found = CHOICE.fullmatch(message)
        if found is not None:
            argument, typed, listed = found.groups()
            choices = CHOSEN.findall(listed)
            closest = difflib.get_close_matches(typed, choices, n=1)
            meant = f"did you mean {closest[0]}? Choose from" if closest else "choose from"
            what = "verb" if argument == "VERB" else f"choice for {argument}"
            message = f"there is no {what} {typed!r}; {meant} {', '.join(choices)}"
        super().error(message)


def attached(arguments: Sequence[str]) -> list[str]:
    """Return a command line on which no value begins with a minus sign: `--since -2h` becomes
    `--since=-2h`, which argparse would take for an option without its value.
    """
    joined: list[str] = []
    for argument in arguments:
        if NEGATIVE.match(argument) and joined and OPTION.fullmatch(joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
