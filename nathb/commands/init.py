"""`nathb init`: a first file, drafted from the VPC itself."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.reader import Reader
from nathb.aws.region import Region, find_region
from nathb.config.files import create, read_text
from nathb.config.values import InvalidValueError, parse_group_name
from nathb.core.errors import FileError, RefusalError, UsageError
from nathb.provision.draft import draft, find, text
from nathb.ui.group_file import DIRECTORY, locate

ELSEWHERE = "pass --region REGION, or set AWS_REGION"


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "init",
        help="draft a file from what EC2 shows of two or more instances",
        description="Draft the file of a group from the VPC: interfaces, the private tables' "
        "routes that lead to each node, heartbeats (those that are pinned already, or a proposal) "
        "and uplinks. It is printed, or with --write written; EC2 is not changed.",
        epilog="example: nathb init nat-a nat-c --write tokyo",
    )
    verb.add_argument(
        "instances",
        metavar="INSTANCE",
        nargs="+",
        help="instance id or Name tag; in the order in which they cover for one another",
    )
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print what was found as JSON instead")
    how.add_argument(
        "--write",
        metavar="NAME|FILE",
        help=f"write it to {DIRECTORY}/NAME.yaml, or to a file, if the draft is complete",
    )
    verb.add_argument(
        "--force", action="store_true", help="with --write: replace a file that differs"
    )
    verb.add_argument("--region", default="", help="the region, if it is not this machine's own")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print the file, or write it; return 0."""
    if len(set(given.instances)) < 2:
        raise UsageError("init: a group takes two instances or more; name them by id or Name tag")
    if given.force and given.write is None:
        raise UsageError("init: --force replaces a file, and there is none without --write NAME")
    path = None if given.write is None else _path(given.write)
    if given.region:
        region = Region(given.region, "--region")
    else:
        _say("looking for the region: in the environment, the AWS profile, the instance metadata")
        region = find_region(elsewhere=ELSEWHERE)
    _say(f"asking EC2 in {region} about {', '.join(given.instances)}")
    reader = Reader(make_client(region.name))
    drafts = draft(reader, find(reader, given.instances, str(region)))
    drafted = text(drafts, region.name)
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(drafts), indent=2).decode())
    elif path is not None:
        _write(path, drafted, given.instances, force=given.force)
    else:
        print(drafted, end="")
    return 0


def _say(text: str) -> None:
    """Say on stderr what is being done: where nothing answers, each step takes seconds."""
    print(f"nathb init: {text}", file=sys.stderr, flush=True)


def _path(named: str) -> Path:
    """Return the file to write; UsageError when no group could be called after it."""
    path = locate(named)
    try:
        parse_group_name(path.stem)
    except InvalidValueError as error:
        raise UsageError(f"init: --write {named}: {error}") from error
    return path


def _write(path: Path, drafted: str, instances: Sequence[str], *, force: bool) -> None:
    """Write a draft that can be used as it is, and nothing over a file that differs.

    FileError when the draft is not complete, or cannot be written; RefusalError when there is
    another file.
    """
    printed = f"nathb init {shlex.join(instances)}"
    try:
        group = config.parse(drafted, str(path))
    except FileError as error:
        raise RefusalError(
            f"{path} was not written, because the draft is not complete:\n{error}\n"
            f"print it with `{printed}`, complete it by hand, and check it with `nathb check`"
        ) from error
    there = read_text(path)
    if there == drafted:
        print(f"{path} is as drafted already: nothing was written")
        return
    if there is not None and not force:
        raise RefusalError(
            f"{path} exists and differs from the draft: nothing was written; see the difference "
            f"with `{printed} | diff {path} -`; to replace the file, add --force"
        )
    create(path, drafted)
    print(f"{path}: written; read it, then: nathb check {group.name}")
