"""The file of a lab's group, as its operators would have written it."""

from __future__ import annotations

from typing import Any

import yaml

from tests.lab.account import Account
from tests.lab.plan import EVERYWHERE, Plan, Zone

QUICK = {
    "interval": "200ms",
    "fast_interval": "50ms",
    "timeout": "200ms",
    "fall": 4,
    "rise": 3,
    "pulse": "100ms",
}
"""Timers for tests that do not measure time."""


def group_file(plan: Plan, account: Account, **overrides: Any) -> str:
    """Return the file as YAML text; a keyword replaces a top-level key, and None removes it.

    `check` is merged into the quick timers instead.
    """
    group: dict[str, Any] = {
        "region": plan.region,
        "uplink": [str(address) for address in plan.uplinks],
        "nodes": {zone.nat.name: _node(plan, zone, account) for zone in plan.zones},
        "check": QUICK | overrides.pop("check", {}),
        "preempt": "auto",
        "preempt_delay": "1s",
    }
    whole = {key: value for key, value in (group | overrides).items() if value is not None}
    return yaml.safe_dump(whole, sort_keys=False, default_flow_style=None)


def _node(plan: Plan, zone: Zone, account: Account) -> dict[str, Any]:
    table = account.tables[zone.app.subnet.name]
    routes: list[Any] = [
        table if destination == EVERYWHERE else {"table": table, "destination": destination}
        for destination in (*plan.destinations, *filter(None, [account.prefix_list]))
    ]
    if zone.ingress:
        routes.append({"table": account.tables["igw"], "destination": str(zone.app.subnet.cidr)})
    return {
        "instance": account.instances[zone.nat.name].instance,
        "heartbeat": str(zone.heartbeat),
        "routes": routes,
    }
