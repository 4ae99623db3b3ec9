"""What `nathb status` shows where no daemon can be read: what EC2 alone shows."""

from __future__ import annotations

from collections.abc import Iterator

from nathb.aws.ec2 import guarded
from nathb.aws.tags import read_intent, wall_clock
from nathb.core.diagnosis import intended, placed
from nathb.core.ec2_state import Holding, InstanceState, Intent, RouteState
from nathb.core.errors import Finding, Level
from nathb.core.model import Route
from nathb.core.node_service import SERVES, Service
from nathb.core.snapshot import Home
from nathb.provision.inventory import Inventory
from nathb.provision.steps import plan
from nathb.ui.status_screen import INKS, headline, to_do
from nathb.ui.terminal import Ink, Paint, plain


def bystander(seen: Inventory, why: str, paint: Paint = plain) -> Iterator[str]:
    """Yield the lines that show what EC2 says; `why` is why there is no daemon to be read."""
    group = seen.group
    services = {node.name: service(seen, node.name) for node in group.nodes}
    holdings = {route: _holding(seen, route) for route in group.routes()}
    homes = [Home(route, group.home(route)) for route in group.routes()]
    routes = [
        placed(group.name, home, holdings[home.route], services.__getitem__) for home in homes
    ]
    nodes = [Finding(one.level, name, one.but) for name, one in services.items()]
    intent = _intent(seen)
    found = [*nodes, *routes]
    away = {
        str(home.route)
        for home in homes
        if (holding := holdings[home.route]) and holding.node not in {"", home.node}
    }
    wrong = headline(found, away, intent) or "EC2 shows no problem"
    title = paint(f"{group.name} as EC2 shows it", Ink.TITLE)
    yield f"{title}: {paint(f'no daemon can be read here, {wrong}', Ink.WRONG)}"
    yield f"    {paint(why, Ink.WRONG)}"
    yield ""
    for one in nodes:
        instance = seen.instance(one.subject)
        ids = " ".join(an_id for an_id in (instance.instance, instance.eni) if an_id)
        state = paint(instance.state.value, INKS[one.level])
        yield f"{one.subject}  {state}  {ids}" + (f"  {one.text}" if one.text else "")
    for asked in intended(group.name, intent):
        yield paint(asked.text, INKS[asked.level])
        yield from to_do(asked)
    yield ""
    for one in routes:
        yield f"{one.subject}  {paint(one.text, INKS[one.level])}"
        yield from to_do(one)


def service(seen: Inventory, node: str) -> Service:
    """Say whether a node could serve, as far as EC2 says; whether it does, only pings can show."""
    instance = seen.instance(node)
    if instance.unread:
        return Service(Level.BAD, f"EC2 does not say what stands for {node}: {instance.unread}")
    if instance.state is InstanceState.UNSEEN:
        return Service(Level.BAD, f"EC2 shows no instance of {node}")
    if instance.state is InstanceState.PENDING:
        return Service(Level.WARNING, f"the instance of {node} is pending")
    if instance.state is not InstanceState.RUNNING:
        return Service(Level.BAD, f"the instance of {node} is {instance.state.value}")
    if not instance.eni:
        return Service(Level.BAD, f"EC2 shows no interface of {node}")
    wrong = plan(seen, "").step(instance.eni)
    return Service(Level.BAD, wrong.fault) if wrong is not None else SERVES


def _holding(seen: Inventory, route: Route) -> Holding | None:
    entry = seen.entry(route.table, route.destination)
    if entry is None:
        return None
    state = RouteState.BLACKHOLE if entry.state == "blackhole" else RouteState.ACTIVE
    return Holding(route, seen.holder_of(entry), entry.target, state)


def _intent(seen: Inventory) -> Intent:
    tables = (seen.tables[table] for table in guarded(seen.group) if table in seen.tables)
    names = (node.name for node in seen.group.nodes)
    return read_intent((tag for table in tables for tag in table.tags), names, wall_clock())
