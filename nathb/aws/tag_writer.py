"""What operators ask for, written: the tags on the guarded route tables that every node reads.

A tag is written to every guarded table of the group, so that a view of any one shows it. EC2 has
no compare-and-set for tags either: of two drains typed within the same second, on two machines,
one may be lost. Whoever waits for the routes to leave notices.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nathb.aws.api_errors import cloud_error
from nathb.aws.ec2 import Cloud, guarded
from nathb.aws.instances import Found, describe
from nathb.aws.tags import DRAIN_TAG, FILE_TAG, PAUSE_TAG, REVERT_TAG, until, wall_clock
from nathb.core.ec2_state import Roster
from nathb.core.errors import CloudError
from nathb.core.model import Failure
from nathb.core.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from nathb.core.ec2_state import Instance, Intent, View
    from nathb.core.model import Group, Route


class TagWriter:
    """What is asked of one group. Every failure is a CloudError; all methods can be repeated."""

    def __init__(
        self,
        client: Any,
        group: Group,
        utc: Callable[[], datetime] = wall_clock,
        before: Collection[Route] = (),
    ) -> None:
        """`client` is boto3's; `utc` is the wall clock, for ends.

        `before` are routes that a daemon guards now (see `core.found_routes.resolve`).
        """
        self._before = before
        self._client = client
        self._group = group
        self._utc = utc
        self._cloud = Cloud(client, group, utc=utc)

    @cached_property
    def group(self) -> Group:
        """The group with plain routes: those that its matches find now, too."""
        if not self._group.finds_routes:
            return self._group
        return self._cloud.resolved(self._roster, self._before).group

    def view(self) -> View:
        """Return where the guarded routes point now and what is asked for; of pins it says nothing.

        Unlike a daemon's, it needs no node to read from. What EC2 does not say of instances, it
        takes from the file (see `instance`).
        """
        return self._cloud.resolved(self._roster, self._before).view

    def requests(self) -> Intent:
        """Return what is asked for now; no instance is described for that, if no match is used."""
        if self._group.finds_routes:
            return self.view().intent
        return self._cloud.view(Roster(at=0.0, me="", instances=())).intent

    def instance(self, node: str) -> Instance:
        """Return what stands for a node, as `view` goes by it; UNSEEN where EC2 gives no answer."""
        return next(one for one in self._roster.instances if one.node == node)

    def drain(self, nodes: Iterable[str]) -> None:
        """Let these nodes, and no others, be drained."""
        names = " ".join(sorted(nodes))
        if names:
            self._write(DRAIN_TAG, names)
        else:
            self._delete(DRAIN_TAG)

    def pause(self, seconds: float | None) -> str:
        """Ask for no moves, for so long or without end; return what was written."""
        return self._write(PAUSE_TAG, until(self._in(seconds)))

    def resume(self) -> None:
        """End the pause."""
        self._delete(PAUSE_TAG)

    def revert(self, seconds: float) -> str:
        """Ask for routes to go home within so long; return what was written."""
        return self._write(REVERT_TAG, until(self._in(seconds)))

    def reverted(self) -> None:
        """Say that the routes need not go home any more."""
        self._delete(REVERT_TAG)

    # --- how ----------------------------------------------------------------------------------

    @cached_property
    def _roster(self) -> Roster:
        try:
            instances = self._cloud.instances()
        except CloudError as error:
            nothing = Found(unread=str(error))
            instances = tuple(describe(node, nothing) for node in self._group.nodes)
        return Roster(at=0.0, me="", instances=instances)

    def _in(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self._utc() + timedelta(seconds=seconds)

    def _tables(self) -> list[str]:
        """Return the guarded tables that there are: with one that is not, EC2 would refuse all."""
        ids = (*guarded(self.group), *self._once_found())
        tables = self._cloud.tables(ids)
        if not tables:
            shown = ", ".join(ids) or "those that its matches would find"
            raise CloudError(
                Failure.MISSING,
                f"the guarded tables of {self._group.name}: EC2 shows none of {shown} in"
                f" {self._cloud.region}; correct the tables, or the region, in the file",
            )
        return [table.route_table_id for table in tables]

    def _once_found(self) -> tuple[str, ...]:
        """Return tables that match, and in which nothing is found now, but was at the last apply.

        A daemon that found something there before still reads their tags. The digest of the file
        tells them from tables of other groups.
        """
        if not self._group.finds_routes:
            return ()
        digests, found = self.view().digests, guarded(self.group)
        return tuple(
            table.route_table_id
            for table in self._cloud.named_tables()
            if table.route_table_id not in found
            and any(tag.key == FILE_TAG and visible(tag.value) in digests for tag in table.tags)
        )

    def _write(self, key: str, value: str) -> str:
        """Set a tag on all guarded tables with one call, so that all have it or none.

        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
        """
        tables = self._tables()
        try:
            self._client.create_tags(Resources=tables, Tags=[{"Key": key, "Value": value}])
        except Exception as error:
            raise cloud_error(error, "CreateTags", f"{key} = {value}", ", ".join(tables)) from error
        return value

    def _delete(self, key: str) -> None:
        """Remove a tag, whatever its value; where there is none EC2 is content too.

        https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteTags.html
        """
        tables = self._tables()
        try:
            self._client.delete_tags(Resources=tables, Tags=[{"Key": key}])
        except Exception as error:
            raise cloud_error(error, "DeleteTags", key, ", ".join(tables)) from error
