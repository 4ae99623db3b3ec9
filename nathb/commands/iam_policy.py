"""`nathb iam-policy`: the least that the instances' role must be allowed."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud
from nathb.aws.region import Region, find_region, partition_of
from nathb.core.errors import CloudError, IdentityError, RefusalError, UsageError
from nathb.core.model import Group
from nathb.provision.iam import (
    ANY,
    Feature,
    Place,
    first_policy,
    policy,
    service_control_policy,
)
from nathb.ui.group_file import add_group, locate

ROLE = re.compile(r"arn:[a-z*-]+:iam::([0-9]{12}|\*):(role|user)/[\w+=,.@/*?-]+")
VPC = re.compile(r"vpc-[0-9a-z]{1,32}")


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "iam-policy",
        help="print the least-privilege policy for a file",
        description="Print the policy that lets a role run the daemons of this file, and no more. "
        "With --init, the policy for the time before there is a file. With --scp, a service "
        "control policy that keeps everyone else from nathb's tags.",
        epilog="example: nathb iam-policy tokyo --features apply,check,drain",
    )
    add_group(verb, optional=True)
    names = ",".join(feature.value for feature in Feature)
    verb.add_argument(
        "--features",
        metavar=names,
        default="",
        help="also what these need: `apply` (with replace), `check` (`check --aws`), `drain` "
        "(with pause, revert and drill), `prove` (`check --prove`), `sns` and `learn` (included "
        "anyway where the file names a topic, or has `learn`)",
    )
    verb.add_argument("--account", metavar="ID", default=ANY, help="the account, twelve digits")
    verb.add_argument(
        "--vpc",
        metavar="ID",
        help="the VPC to which `apply` is limited; by default EC2 is asked, * is every VPC",
    )
    other = verb.add_mutually_exclusive_group()
    other.add_argument(
        "--init",
        action="store_true",
        help="without a file: what `nathb init` and `nathb check --aws` read",
    )
    other.add_argument(
        "--scp",
        metavar="ROLE[,ROLE]",
        help="without a file: deny nathb's tags to all but these roles (ARNs, which may have *)",
    )
    verb.add_argument("--json", action="store_true", help="the same: a policy is JSON")
    verb.set_defaults(carry_out=carry_out)


def carry_out(given: argparse.Namespace) -> int:
    """Print the policy document; return 0."""
    print(json.dumps(_document(given), indent=2))
    return 0


def _document(given: argparse.Namespace) -> dict[str, Any]:
    if given.init or given.scp is not None:
        _refuse_with_a_file(given)
        return service_control_policy(roles(given.scp)) if given.scp is not None else _first()
    if given.group is None:
        raise UsageError("iam-policy: name a group, or add --init for the time before its file")
    group = config.load(locate(given.group))
    wanted = features(given.features)
    if Feature.SNS in wanted and not group.notify.sns:
        raise UsageError("--features sns: the file names no topic; add `notify: {sns: arn:…}`")
    if Feature.LEARN in wanted and group.learn is None:
        raise UsageError("--features learn: the file has no `learn`, so leave it out")
    limit = vpc(given.vpc)
    region = _region(group)
    place = Place(
        partition_of(region.name) if region else ANY, group.region or ANY, account(given.account)
    )
    if Feature.APPLY in wanted and limit != ANY:
        vpcs = _vpcs(group) if limit is None else (limit,)
        place = Place(place.partition, place.region, place.account, vpcs)
    return policy(group, wanted, place)


def _first() -> dict[str, Any]:
    _say(
        "this policy allows no change; after `nathb init … --write NAME`, replace it with what "
        "`nathb iam-policy NAME --features apply,check,drain` prints"
    )
    return first_policy()


def _refuse_with_a_file(given: argparse.Namespace) -> None:
    """Refuse what is about a file, beside --init or --scp, which are not."""
    flag = "--init" if given.init else "--scp"
    unused = {
        "NAME": given.group,
        "--features": given.features,
        "--vpc": given.vpc,
        "--account": given.account != ANY,
    }
    for name, value in unused.items():
        if value:
            raise UsageError(f"{flag}: is about no file, so {name} means nothing; leave it out")


def _region(group: Group) -> Region | None:
    """Return the region by which the partition is known; None when nothing names one."""
    if not group.region:
        _say("looking for the region: in the environment, the AWS profile, the instance metadata")
    try:
        return find_region(group.region)
    except IdentityError as error:
        _say(f"the ARNs are for every partition, because the region is not known: {error}")
        return None


def _vpcs(group: Group) -> tuple[str, ...]:
    """Return the VPCs of the guarded tables; RefusalError when EC2 does not say."""
    _say(f"asking EC2 for the VPC of {group.name}")
    try:
        cloud = Cloud(make_client(group.region), group)
        shown = {table.vpc_id for table in cloud.named_tables()} - {""}
    except (CloudError, IdentityError) as error:
        raise RefusalError(f"--features apply: the VPC is not known: {error}; {BY_HAND}") from error
    if not shown:
        text = f"EC2 shows none of the guarded tables of {group.name} in {cloud.region}"
        raise RefusalError(f"--features apply: the VPC is not known: {text}; {BY_HAND}")
    return tuple(sorted(shown))


BY_HAND = "name the VPC with --vpc vpc-…, or take --vpc '*' for every one"


def _say(text: str) -> None:
    """Say on stderr what is not part of the document."""
    print(f"nathb iam-policy: {text}", file=sys.stderr, flush=True)


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
    if text != ANY and not (len(text) == 12 and text.isdecimal()):
        raise UsageError(f"--account {text}: is no account; give its twelve digits")
    return text


def vpc(text: str | None) -> str | None:
    """Return a VPC's id, `*`, or None where none was given; UsageError for what is none."""
    if text is not None and text != ANY and not VPC.fullmatch(text):
        raise UsageError(f"--vpc {text}: is no VPC; give its id, vpc-…, or '*' for every one")
    return text


def roles(text: str) -> list[str]:
    """Return the ARNs in a list with commas; UsageError for one that is none, or without any."""
    arns = [arn.strip() for arn in text.split(",") if arn.strip()]
    for arn in arns:
        if not ROLE.fullmatch(arn):
            raise UsageError(
                f"--scp {arn}: is not the ARN of a role; write arn:aws:iam::ACCOUNT:role/NAME"
            )
    if not arns:
        raise UsageError("--scp: name the roles that may write nathb's tags, by their ARNs")
    return arns
