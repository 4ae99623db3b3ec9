"""A pair in the simulated world, as tests of agents and of what agents tell want it.

Nothing is wrong until a test says so, the API takes 6 ms to carry a write out, and nothing is left
to chance but the backoff after a refusal.
"""

from __future__ import annotations

from nathb.core.model import Failure, Group
from nathb.daemon.agent import Agent
from tests.core.build import PAIR
from tests.sim.stage import A, C, Stage

HEARTBEAT = {A: "8.8.8.8", C: "8.8.4.4"}
UPLINK = "1.1.1.1"
RTT, API = 0.002, 0.012
"""Seconds to an answered ping, and of an API call there and back."""


def started(
    group: Group,
    *nodes: str,
    dry_run: bool = False,
    uptime: float = 0.0,
    settle: float = 0.0,
    agent: type[Agent] = Agent,
) -> Stage:
    """Return a world in which daemons run on these nodes, of machines up for so long (seconds).

    The other nodes serve, and no daemon runs on them.
    """

    def prepare(stage: Stage) -> None:
        stage.net.rtt, stage.ec2.takes = RTT, API
        for host in stage.world.hosts.values():
            host.behind = -uptime

    names = {node.name for node in group.nodes}
    return Stage(
        group,
        dry=names if dry_run else (),
        absent=names - set(nodes),
        before=prepare,
        agent=agent,
        settle=settle,
    )


def pair(*nodes: str, dry_run: bool = False) -> Stage:
    """Return a pair that has been running well for a while: both daemons, or these."""
    return started(PAIR, *(nodes or (A, C)), dry_run=dry_run, settle=70.0)


def failing(failure: Failure, *actions: str) -> dict[str, Failure]:
    """Return what lets every call of these actions fail so, for `SimEC2.failing`."""
    return dict.fromkeys(actions, failure)


def writes(stage: Stage) -> list[tuple[str, str, str]]:
    """Return (by, table, to) of every write that nodes had carried out."""
    return [(one.who, one.route.table, one.to) for one in stage.ec2.wrote]
