"""Routes of a transit gateway's table as EC2 shows them: moto has one attachment where EC2 lists
several, and so shows none.
"""

from __future__ import annotations

from typing import Any

ATTACHMENTS = "transitGatewayAttachments"


def list_attachments(backend: Any) -> None:
    """Correct all routes of moto's, by its backend of a region."""
    for table in backend.transit_gateways_route_tables.values():
        for route in table.routes.values():
            if isinstance(route.get(ATTACHMENTS), dict):
                route[ATTACHMENTS] = [route[ATTACHMENTS]]
