"""`nathb iam-policy`: the least that the instances' role must be allowed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nathb import config
from nathb.core.errors import UsageError
from nathb.provision.iam import Feature, policy
from nathb.ui.group_file import add_group, locate


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "iam-policy",
        help="print the least-privilege policy for a file",
        description="Print the policy that lets a role run the daemons of this file, and no more.",
        epilog="example: nathb iam-policy tokyo --features apply,drain --account 123456789012",
    )
    add_group(verb)
    names = ",".join(feature.value for feature in Feature)
    verb.add_argument(
        "--features",
        metavar=names,
        default="",
        help="also what these need: `apply` (with replace), `drain` (with pause and revert), "
        "`prove` (`check --prove`), `sns` (included anyway where the file names a topic)",
    )
    verb.add_argument("--account", metavar="ID", default="*", help="the account, twelve digits")
    verb.add_argument("--json", action="store_true", help="the same: a policy is JSON")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print the policy document; return 0."""
    group = config.load(locate(given.group))
    wanted = features(given.features)
    if Feature.SNS in wanted and not group.notify.sns:
        raise UsageError("--features sns: the file names no topic; add `notify: {sns: arn:…}`")
    document = policy(group, wanted, account(given.account))
    print(json.dumps(document, indent=2))
    return 0


def features(text: str) -> list[Feature]:
    """Return the features named in a list with commas; UsageError for one that is none."""
    known = {feature.value: feature for feature in Feature}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UsageError(f"--features {name}: there are {', '.join(known)}; name some of these")
    return [known[name] for name in names]


def account(text: str) -> str:
    """Return an account's id; UsageError for what is none."""
    if text != "*" and not (len(text) == 12 and text.isdecimal()):
        raise UsageError(f"--account {text}: is no account; give its twelve digits")
    return text
