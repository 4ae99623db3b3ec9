"""`nathb init`: a first file, drafted from the VPC itself."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from nathb.aws.client import make_client
from nathb.aws.draft import draft, find, text
from nathb.aws.reading import Reader
from nathb.core.errors import UsageError


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "init",
        help="draft a file from what EC2 shows of two or more instances",
        description="Draft the file of a group from the VPC: interfaces, the private tables' "
        "routes that lead to each node, heartbeats (those that are pinned already, or a proposal) "
        "and uplinks. It is printed, and nothing is changed.",
        epilog="example: nathb init nat-a nat-c > /etc/nathb/tokyo.yaml",
    )
    verb.add_argument(
        "instances",
        metavar="INSTANCE",
        nargs="+",
        help="instance id or Name tag; in the order in which they cover for one another",
    )
    verb.add_argument("--json", action="store_true", help="print what was found as JSON instead")
    verb.add_argument("--region", default="", help="the region, if it is not this machine's own")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print the file; return 0."""
    if len(set(given.instances)) < 2:
        raise UsageError("init: a group takes two instances or more; name them by id or Name tag")
    client = make_client(given.region)
    reader = Reader(client)
    drafts = draft(reader, find(reader, given.instances))
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(drafts), indent=2).decode())
    else:
        print(text(drafts, client.meta.region_name), end="")
    return 0
