"""Reading EC2: whole answers, page by page, each page asked for twice at most. All of it blocks."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nathb.aws.api_errors import cloud_error
from nathb.aws.region import region_of
from nathb.aws.responses import DescribeInstances, DescribeRouteTables, parse
from nathb.core.errors import CloudError
from nathb.core.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nathb.aws.responses import EC2Instance, Page, Table

    Filters = Sequence[tuple[str, Sequence[str]]]

PAUSES = {Failure.THROTTLED: 1.0, Failure.UNAVAILABLE: 0.2, Failure.NO_REPLY: 0.05}
"""Failures after which a read is made once more, and the longest pause before that, in seconds.
The pause is drawn at random, so that two nodes that failed together do not return together. A
lost reply is mostly a pooled connection gone stale, and the next one is fresh."""

MAX_PAGES = 100
"""Pages per question. An answer without end is not EC2's."""

INSTANCES_PER_PAGE = 1000
TABLES_PER_PAGE = 100
"""The most that EC2 allows as MaxResults. An answer without it is "susceptible to throttling and
timeouts", say the API's own documents; with ids, which bound the answer, EC2 refuses it."""


class Reader:
    """What EC2 lists, behind a boto3 client. Every failure is a CloudError."""

    def __init__(
        self,
        client: Any,
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sleep` takes seconds; `draw` gives a number from 0 to 1; `clock` monotonic seconds."""
        self.client = client
        self._sleep = sleep
        self._draw = draw
        self.clock = clock

    def region(self, configured: str) -> str:
        """Say which region is asked, and where that comes from; `configured` is the file's."""
        return str(region_of(self.client, configured))

    def instances(
        self, whose: str, filters: Filters = (), ids: Sequence[str] = (), tries: int = 2
    ) -> list[EC2Instance]:
        """Return the instances with these ids that pass these filters; `whose` is for messages.

        While a zone is disrupted, EC2 answers only to ids of instances in other zones. By id it
        fails for all when it knows one of them no more (MISSING).
        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
        """
        thing = f"the instances of {whose}"
        request: dict[str, Any] = {"Filters": named(filters)} if filters else {}
        request |= {"InstanceIds": list(ids)} if ids else {"MaxResults": INSTANCES_PER_PAGE}
        pages = self.read(self.client.describe_instances, DescribeInstances, thing, request, tries)
        return [
            replace(one, owner_id=launch.owner_id)
            for page in pages
            for launch in page.reservations
            for one in launch.instances
        ]

    def tables(self, thing: str, **request: Any) -> list[Table]:
        """Return the route tables that a request in boto3's words asks for, by ids or filters."""
        if "RouteTableIds" not in request:
            request["MaxResults"] = TABLES_PER_PAGE
        pages = self.read(self.client.describe_route_tables, DescribeRouteTables, thing, request)
        return [table for page in pages for table in page.route_tables]

    def read(
        self,
        call: Callable[..., Any],
        shape: type[Page],
        thing: str,
        request: dict[str, Any],
        tries: int = 2,
    ) -> list[Page]:
        """Return every page that a method of `client` answers to a request in boto3's words."""
        pages: list[Page] = []
        while len(pages) < MAX_PAGES:
            page = self._page(call, shape, thing, request, tries)
            pages.append(page)
            if not page.next_token:
                return pages
            request["NextToken"] = page.next_token
        raise CloudError(
            Failure.REFUSED,
            f"{shape.__name__} of {thing}: EC2's answer has no end after {MAX_PAGES} pages;"
            " see whether AWS_ENDPOINT_URL puts something else in EC2's place",
        )

    def _page(
        self,
        call: Callable[..., Any],
        shape: type[Page],
        thing: str,
        request: dict[str, Any],
        tries: int,
    ) -> Page:
        try:
            return _ask(call, shape, thing, request)
        except CloudError as error:
            if error.failure not in PAUSES or tries < 2:
                raise
            self._sleep(PAUSES[error.failure] * self._draw())
        return _ask(call, shape, thing, request)


def named(filters: Filters) -> list[dict[str, Any]]:
    """Return filters as boto3 takes them."""
    return [{"Name": name, "Values": list(values)} for name, values in filters]


def _ask(call: Callable[..., Any], shape: type[Page], thing: str, request: dict[str, Any]) -> Page:
    try:
        answer = call(**request)
    except Exception as error:
        # Any Exception: on an answer that is not EC2's, botocore's parsers raise what they like.
        raise cloud_error(error, shape.__name__, thing) from error
    return parse(answer, shape)
