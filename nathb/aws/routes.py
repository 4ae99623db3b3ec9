"""Finding a route in a table, and telling where it leads. Pure.

EC2 spells an address one way and a file another (`::/0`, `0::/0`), so networks are compared as
networks.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nathb.aws.answers import Entry, Table
    from nathb.core.view import Instance


def find(table: Table | None, destination: str) -> Entry | None:
    """Return the route that carries a destination: the static one, where there are two."""
    if table is None:
        return None
    wanted = _network(destination)
    found = [entry for entry in table.routes if _network(entry.destination) == wanted]
    return min(found, key=lambda entry: entry.is_propagated, default=None)


def leads_to(entry: Entry, instance: Instance | None) -> bool:
    """Whether the route takes the clients' own way into an instance: the interface they use.

    Another interface of the same instance may pass pings while clients are cut off. The instance
    id is asked only where no interface is shown.
    """
    if instance is None or entry.is_propagated:
        return False
    if entry.network_interface_id:
        return entry.network_interface_id == instance.eni
    return bool(entry.instance_id) and entry.instance_id == instance.instance


def family(destination: str) -> str:
    """Name the parameter of EC2's that carries a destination of this family."""
    return "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"


def host_route(address: str) -> str:
    """Return the destination that covers one address and no other, as a pin has it."""
    return str(ip_network(address))


def _network(text: str) -> str:
    """Return the one spelling of a network or address; other words stay as they are."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text
