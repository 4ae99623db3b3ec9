"""Prints what is made from the command line itself: the man page, or a shell's completion.

pages.py man docs/nathb.8.in        the page, its verbs put where the source has `.\\" VERBS`
pages.py bash | zsh                 the completion
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab

from nathb import __version__
from nathb.cli import parser

HERE = '.\\" VERBS\n'

# Where a group is asked for: the names that have a file in /etc/nathb, or any file's path.
GROUPS = {"bash": "_nathb_groups", "zsh": "_nathb_groups"}
PREAMBLE = {
    "bash": """
_nathb_groups() {
    local file
    for file in /etc/nathb/*.yaml; do
        file=${file##*/}
        [ -r "/etc/nathb/$file" ] && compgen -W "${file%.yaml}" -- "$1"
    done
    compgen -f -X '!*.y*ml' -- "$1"
}
""",
    "zsh": """
_nathb_groups() {
    local -a groups
    groups=(/etc/nathb/*.yaml(N:t:r))
    _alternative "groups:group:($groups)" "files:file:_files -g '*.y(a|)ml'"
}
""",
}


def main(kind: str, *source: str) -> str:
    """Return the text of one page, or of one shell's completion."""
    if kind == "man":
        return manual(Path(*source).read_text())
    top = parser()
    for verb in verbs(top).values():
        for action in verb._actions:
            if action.dest == "group":
                action.complete = GROUPS  # type: ignore[attr-defined]
    return shtab.complete(top, shell=kind, preamble=PREAMBLE)


def verbs(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return each verb's own parser."""
    (table,) = (one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    return dict(table.choices)


def manual(source: str) -> str:
    """Return the page: the source, with what the command line says of each verb."""
    before, mark, after = source.partition(HERE)
    if not mark:
        raise SystemExit("the source of the man page has no line for the verbs")
    shown = "\n".join(line for name, verb in verbs(parser()).items() for line in _verb(name, verb))
    return f"{before}{shown}\n{after}".replace("@VERSION@", __version__)


def _verb(name: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    options = [one for one in verb._actions if not isinstance(one, argparse._HelpAction)]
    yield f".It Cm {name} {' '.join(_synopsis(one) for one in options)}".rstrip()
    yield from _sentences(verb.description or "")
    flags = [one for one in options if one.option_strings]
    if flags:
        yield ".Bl -tag -width Ds -compact"
        for flag in flags:
            yield f".It {_flag(flag)}"
            yield from _sentences(f"{flag.help or ''}.")
        yield ".El"
    if verb.epilog:
        yield ".Pp"
        yield f".Dl {_plain(verb.epilog.removeprefix('example: '))}"


def _synopsis(action: argparse.Action) -> str:
    if action.option_strings:
        return f"Oo {_flag(action)} Oc"
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    return f"Oo Ar {metavar} Oc" if action.nargs in ("?", "*") else f"Ar {metavar}"


def _flag(action: argparse.Action) -> str:
    names = " , ".join(f"Fl {_plain(name[1:])}" for name in action.option_strings)
    if action.nargs == 0:
        return names
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return f"{names} Ar {metavar}"


def _sentences(text: str) -> Iterator[str]:
    """Yield one sentence to a line, as mdoc(7) wants it."""
    for sentence in _plain(text).replace("%%", "%").replace(". ", ".\n").splitlines():
        yield sentence[:1].upper() + sentence[1:]


def _plain(text: str) -> str:
    """Return the text with what would mean something to roff made plain."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    print(main(*sys.argv[1:]), end="")
