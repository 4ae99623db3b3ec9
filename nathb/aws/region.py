"""Which region is asked, and where that comes from: what is not found is mostly somewhere else.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, UnknownRegionError
from msgspec import Struct

from nathb.aws.imds import Metadata
from nathb.core.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IN_FILE = "`region:` in the file"
METADATA = "this instance's metadata"
ELSEWHERE = f"write {IN_FILE}, or set AWS_REGION"


class Region(Struct, frozen=True):
    """A region's name (ap-northeast-1), and what names it, for messages."""

    name: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} (from {self.source})"


def find_region(
    configured: str = "",
    session: Any = None,
    environ: Mapping[str, str] = os.environ,
    elsewhere: str = ELSEWHERE,
) -> Region:
    """Return the region that the file names, or else AWS_REGION (which boto3 alone among the SDKs
    does not read), AWS_DEFAULT_REGION, the profile, or the instance's own metadata.

    IdentityError when none of them knows; it says to do `elsewhere` what stands there, where there
    is no metadata service. It may take seconds then.
    """
    session = session or boto3.Session()
    for name, source in _named(configured, session, environ):
        return Region(name, source)
    return Region(Metadata.from_environment(environ).region(elsewhere), METADATA)


def region_of(client: Any, configured: str, environ: Mapping[str, str] = os.environ) -> Region:
    """Return the region that a client asks, as `find_region` chose it; asks nobody."""
    try:
        named = next(_named(configured, boto3.Session(), environ), ("", METADATA))
    except BotoCoreError:  # a profile that has gone since
        named = ("", "the profile")
    return Region(client.meta.region_name, named[1])


def partition_of(region: str) -> str:
    """Return the partition (aws, aws-cn, aws-us-gov, …) that a region is in, as the SDK knows it.

    RefusalError when it knows none.
    """
    try:
        return str(boto3.Session().get_partition_for_region(region))
    except UnknownRegionError as error:
        raise RefusalError(
            f"region {region}: boto3 knows no partition with it; correct {IN_FILE}, or AWS_REGION"
        ) from error


def _named(configured: str, session: Any, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each region that somebody has written down, and where; the first one is in force."""
    for name, source in (
        (configured, IN_FILE),
        (environ.get("AWS_REGION"), "AWS_REGION in the environment"),
        (environ.get("AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION in the environment"),
        (session.region_name, "the profile in AWS's configuration file"),
    ):
        if name:
            yield name, source
