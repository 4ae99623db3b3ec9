"""The keys that hold one plain value, their bounds and the reasons, and why others must be there.

Key names are the model's field names; defaults are the model's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nathb.config import addresses, values
from nathb.config.values import Count, Duration

if TYPE_CHECKING:
    from collections.abc import Callable

    Shape = Callable[[str], Any]

FLOOD = "whoever answers the checks would take them for a flood"

CHECK: dict[str, Shape] = {
    "interval": Duration(0.05, FLOOD, 300, "a broken path could stay unseen that long"),
    "fast_interval": Duration(0.02, FLOOD, 300, "a suspect peer must be judged at once"),
    "timeout": Duration(
        0.02,
        "answers from the internet take longer",
        10,
        "a takeover would wait that long for an answer that is not coming",
    ),
    "fall": Count(20, "so many misses only put off the takeover"),
    "rise": Count(20, "so many answers only put off the return"),
    "pulse": Duration(
        0.1,
        "a busy peer would be suspect all the time",
        10,
        "it could hasten nothing; write off to send none",
        can_be_off=True,
    ),
}

SETTINGS: dict[str, Shape] = {
    "region": values.region,
    "preempt": values.preempt,
    "preempt_delay": Duration(0, "", 86400, "write preempt: manual to return by hand"),
    "refresh": Duration(
        1,
        "EC2 throttles an account whose nodes describe more often",
        300,
        "what operators ask for would be noticed too late",
    ),
    "view_max_age": Duration(
        1,
        "one lost DescribeRouteTables would block a takeover",
        3600,
        "routes may have been moved since by another hand",
    ),
    "settle": Duration(
        1,
        "EC2 may still show the old route after a write",
        300,
        "a move by another hand would be taken for a late answer",
    ),
    "contest_hold": Duration(
        10,
        "two nodes that disagree would move the route to and fro",
        7200,
        "a route would be left with a dead node for so long",
    ),
}

NOTIFY: dict[str, Shape] = {"sns": values.topic}

METRICS: dict[str, Shape] = {"textfile": values.textfile, "listen": addresses.listen}

REQUIRED = {
    "uplink": "write addresses that tell whether this node's own way to the internet is up",
    "nodes": "write at least two, for they watch each other",
    "heartbeat": "write the internet address that the other nodes ping through this one",
    "table": "write the route table's id, rtb-…",
}

DISTINCT = {
    "uplink": "once is enough",
    "heartbeat": "a pin leads to one node, so choose another address",
    "route": "a route has one home",
    "instance": "each node is an instance of its own",
    "match": "each node is an instance of its own",
    "eni": "each node has an interface of its own",
    "source": "each node has an address of its own",
}
