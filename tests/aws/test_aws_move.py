"""The one write against moto's EC2: it moves the route, from several threads at once too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from nathb.aws.ec2 import Cloud
from nathb.core.errors import CloudError
from nathb.core.model import Cause, Failure, Move, Route, Rule
from tests.aws.world import ANYWHERE, World, route, table


def to(node: str, of: Route) -> Move:
    return Move(of, "", node, Rule.R3, Cause(node, "down", 0.0), "because")


@pytest.mark.parametrize("destination", [ANYWHERE, "::/0"])
def test_a_move_is_what_the_next_view_shows(world: World, destination: str):
    moved = Route(world.private["nat-c"], destination)
    if destination != ANYWHERE:
        route(world.ec2, moved.table, destination, world.enis["nat-c"])
    first, second = world.group.nodes
    nodes = (first, msgspec.structs.replace(second, routes=(moved,)))
    cloud = Cloud(world.ec2, msgspec.structs.replace(world.group, nodes=nodes))
    roster = cloud.roster("nat-a")
    done = cloud.move(to("nat-a", moved), world.enis["nat-a"], float("inf"))
    assert 0 < done.took < 5
    assert done.request_id
    holding = cloud.view(roster).holding(moved)
    assert holding is not None
    assert (holding.node, holding.target) == ("nat-a", world.enis["nat-a"])


def test_a_route_that_is_not_there_is_missing_and_not_created(world: World, cloud: Cloud):
    nowhere = Route(world.private["nat-a"], "10.99.0.0/16")
    with pytest.raises(CloudError, match="There is no route defined") as caught:
        cloud.move(to("nat-c", nowhere), world.enis["nat-c"], float("inf"))
    assert caught.value.failure is Failure.MISSING


def test_moves_and_a_look_may_run_at_once_from_many_threads(world: World, cloud: Cloud):
    routes = [Route(table(world.ec2, world.vpc), ANYWHERE) for _ in range(12)]
    for one in routes:
        route(world.ec2, one.table, one.destination, world.enis["nat-c"])
    roster = cloud.roster("nat-a")
    with ThreadPoolExecutor(13) as threads:
        looks = [threads.submit(cloud.view, roster) for _ in range(4)]
        moves = [
            threads.submit(cloud.move, to("nat-a", one), world.enis["nat-a"], float("inf"))
            for one in routes
        ]
        assert all(move.result(20).request_id for move in moves)
        assert all(len(look.result(20).holdings) == 2 for look in looks)
    ids = [one.table for one in routes]
    for listed in world.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"]:
        assert listed["Routes"][-1]["NetworkInterfaceId"] == world.enis["nat-a"]
