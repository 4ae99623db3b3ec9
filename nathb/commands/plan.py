"""`nathb plan` and `nathb apply`: make EC2 match the file, and show beforehand what that takes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.reader import Reader
from nathb.core.errors import CloudError, UsageError
from nathb.core.model import Group, Route
from nathb.provision.inventory import survey
from nathb.provision.steps import Plan, plan
from nathb.provision.steps import carry_out as call
from nathb.ui.confirmation import is_confirmed
from nathb.ui.group_file import add_group, locate
from nathb.ui.interruption import saying_what_stays
from nathb.ui.json_output import json_text

SETTLING = 5
"""How often EC2 is read again, a second apart, until it shows what was written."""


def add_parser(verbs: Any) -> None:
    """Add both verbs to the command line."""
    planning = _add(
        verbs,
        "plan",
        "show what would make EC2 match the file",
        "Show the pins, source/dest checks and routes that differ from the file, and change "
        "nothing. Exit 0 when there is nothing to do, 1 otherwise.",
        "example: nathb plan tokyo",
    )
    planning.set_defaults(carry_out=show)
    applying = _add(
        verbs,
        "apply",
        "make EC2 match the file",
        "Show the plan, ask, and carry it out. May be repeated at any time; touches nothing that "
        "the file does not name. Routes that another node of the group holds are left to the "
        "daemons.",
        "example: nathb apply tokyo --yes",
    )
    applying.add_argument("--yes", action="store_true", help="do not ask")
    applying.set_defaults(carry_out=apply)


def _add(verbs: Any, name: str, short: str, long: str, example: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=short, description=long, epilog=example
    )
    add_group(verb)
    verb.add_argument(
        "--adopt",
        action="store_true",
        help="also move guarded routes home that point outside of the group now",
    )
    verb.add_argument("--json", action="store_true", help="print the plan as JSON")
    return verb


def show(given: argparse.Namespace) -> int:
    """Print the plan; return 0 when EC2 matches the file, 1 when it does not."""
    group = config.load(locate(given.group))
    client = make_client(group.region)
    found = look(client, group, adopt=given.adopt)
    if given.json:
        print(_json(found))
    else:
        print("\n".join(page(group, found)))
    return 0 if is_done(found) else 1


def apply(given: argparse.Namespace) -> int:
    """Show the plan, carry it out when that is wanted; return 0 when EC2 then matches the file."""
    if given.json and not given.yes:
        raise UsageError("--json: there is nobody to ask; read the plan, then add --yes")
    group = config.load(locate(given.group))
    client = make_client(group.region)
    before = found = look(client, group, adopt=given.adopt)
    say = _nothing if given.json else _line
    say("\n".join(page(group, before)))
    if before.steps:
        if not given.yes and not _is_wanted():
            say("nothing was changed")
            return 1
        done: list[str] = []

        def tell(text: str) -> None:
            done.append(text)
            say(text)

        with saying_what_stays(lambda: _stays(len(done), len(before.steps), given.group)):
            perform(client, before, tell)
            found = _settled(client, group, adopt=given.adopt)
            say("\n".join(page(group, found)))
    if given.json:
        print(_json({"done": before.steps, "left": found}))
    return 0 if is_done(found) else 1


def _stays(done: int, steps: int, group: str) -> str:
    """Say what stays of an `apply` that was ended early."""
    more = ", and EC2 may have carried out the next one" if done < steps else ""
    return (
        f"{done} of {steps} steps are done and stay{more}; `nathb plan {group}` shows what is left,"
        f" `nathb apply {group}` does it"
    )


def _line(text: str) -> None:
    print(text, flush=True)


def _nothing(_text: str) -> None:
    """Say nothing: all of it comes as JSON in the end."""


def _json(what: object) -> str:
    return json_text(what, indent=2)


def look(client: Any, group: Group, *, adopt: bool) -> Plan:
    """Return what EC2 lacks now. CloudError when it cannot be read."""
    adopted: Iterable[Route] = group.routes() if adopt else ()
    return plan(survey(Reader(client), group), config.digest(group), frozenset(adopted))


def perform(client: Any, wanted: Plan, say: Callable[[str], object]) -> None:
    """Carry out the steps in order; CloudError, saying how many are left, at the first refusal."""
    for number, step in enumerate(wanted.steps, 1):
        try:
            call(client, step)
        except CloudError as error:
            left = len(wanted.steps) - number + 1
            message = f"{error}; {left} of {len(wanted.steps)} steps are left: run it again then"
            raise CloudError(error.failure, message, error.request_id) from error
        say(f"done: {step.sentence}")


def _settled(client: Any, group: Group, *, adopt: bool) -> Plan:
    """Read until EC2 shows what was written: Describe may lag behind a write."""
    found = look(client, group, adopt=adopt)
    for _ in range(SETTLING):
        if not found.steps:
            break
        time.sleep(1.0)
        found = look(client, group, adopt=adopt)
    return found


def is_done(found: Plan) -> bool:
    """Whether nothing is left to do, neither by `apply` nor by a person."""
    return not found.steps and not any(note.bad for note in found.notes)


def page(group: Group, found: Plan) -> list[str]:
    """Return the lines that show a plan to people."""
    notes = [
        f"  {'!' if note.bad else '-'} {note.subject}: {note.text}; {note.fix}"
        for note in found.notes
    ]
    if not found.steps:
        verdict = "EC2 matches the file" if is_done(found) else "nothing is left to apply, but"
        return [f"{group.name}: {verdict}", *notes]
    count = f"{len(found.steps)} step{'s' if len(found.steps) > 1 else ''}"
    steps = [f"  {at}. {one.sentence}: {one.fault}" for at, one in enumerate(found.steps, 1)]
    return [f"{group.name}: {count} to make EC2 match the file", *steps, *notes]


def _is_wanted() -> bool:
    """Ask the person at the terminal; where there is none, it has to be said beforehand."""
    return is_confirmed("apply", "Carry this out?")
