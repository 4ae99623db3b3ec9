"""The process in `vpc`: EC2 API and IMDS for the instances, EC2 API for the operator, and a wire
by which the test makes them ill.

It lives as long as its wire: when the test process goes, however it goes, so does the server.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from moto.moto_api._internal import mock_random

from tests.lab.api import Ec2Api
from tests.lab.api_faults import OPERATOR, Ailment, Spell
from tests.lab.datagrams import enter_network
from tests.lab.ec2_state import Estate
from tests.lab.fork_server import Order
from tests.lab.imds import Imds
from tests.lab.plan import API, API_PORT, IMDS
from tests.lab.router import KernelRouter
from tests.lab.web import Wsgi, listen

LOOPBACK = "127.0.0.1"


def serve(order: Order, wire: socket.socket, moto: Wsgi) -> None:
    """Serve `order` until `wire` ends. Call it in a process with one thread."""
    # A socket stays in the namespace it was made in: this one is for the test process, outside.
    operator = socket.create_server((LOOPBACK, 0))
    enter_network(order.namespace)
    mock_random.seed(os.urandom(16))  # forks of one parent would all give out the same ids
    plan = order.plan

    def caller(address: str) -> str:
        instance = plan.at(address)
        return instance.name if instance else OPERATOR if address == LOOPBACK else address

    estate = Estate(plan)
    api = Ec2Api(moto, estate, KernelRouter(plan), caller)
    listen(operator, api)
    listen(socket.create_server((str(API), API_PORT)), api)
    listen(socket.create_server((str(IMDS), 80)), Imds(plan, estate.instance_id_at))
    with wire.makefile("rw") as lines:
        print(json.dumps({"port": operator.getsockname()[1], "pid": os.getpid()}), file=lines)
        lines.flush()
        for line in lines:
            print(json.dumps(_obey(api, **json.loads(line))), file=lines)
            lines.flush()


def _obey(api: Ec2Api, do: str, **details: Any) -> Any:
    match do:
        case "fail":
            return api.sickbed.add(
                Spell(
                    Ailment(details["ailment"]),
                    frozenset(details["actions"]),
                    frozenset(details["callers"]),
                    details["times"],
                    details["seconds"],
                    details["spare"],
                )
            )
        case "lift":
            return api.sickbed.lift(details["number"])
        case "calls":
            return api.calls(details["since"])
    return {"error": f"the server cannot {do!r}"}
