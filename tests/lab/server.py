"""The process in `vpc`: EC2 API and IMDS for the instances, EC2 API for the operator, and a wire
by which the test injects faults.

It lives as long as its wire: when the test process goes, however it goes, so does the server.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from moto.moto_api._internal import mock_random

from tests.lab.api import Ec2Api
from tests.lab.api_faults import OPERATOR, ActiveFault, ApiFault
from tests.lab.datagrams import enter_network
from tests.lab.ec2_state import Ec2State
from tests.lab.fork_server import ServerRequest
from tests.lab.imds import Imds
from tests.lab.plan import API, API_PORT, IMDS
from tests.lab.router import KernelRouter
from tests.lab.web import Wsgi, listen

LOOPBACK = "127.0.0.1"


def serve(request: ServerRequest, wire: socket.socket, moto: Wsgi) -> None:
    """Serve `request` until `wire` ends. Call it in a process with one thread."""
    # A socket stays in the namespace it was made in: this one is for the test process, outside.
    operator = socket.create_server((LOOPBACK, 0))
    enter_network(request.namespace)
    mock_random.seed(os.urandom(16))  # forks of one parent would all give out the same ids
    plan = request.plan

    def caller(address: str) -> str:
        instance = plan.at(address)
        return instance.name if instance else OPERATOR if address == LOOPBACK else address

    state = Ec2State(plan)
    api = Ec2Api(moto, state, KernelRouter(plan), caller)
    listen(operator, api)
    listen(socket.create_server((str(API), API_PORT)), api)
    listen(
        socket.create_server((str(IMDS), 80)), Imds(plan, state.instance_id_at, state.network_of)
    )
    with wire.makefile("rw") as lines:
        print(json.dumps({"port": operator.getsockname()[1], "pid": os.getpid()}), file=lines)
        lines.flush()
        for line in lines:
            print(json.dumps(_obey(api, **json.loads(line))), file=lines)
            lines.flush()


def _obey(api: Ec2Api, do: str, **details: Any) -> Any:
    match do:
        case "fail":
            return api.faults.add(
                ActiveFault(
                    ApiFault(details["fault"]),
                    frozenset(details["actions"]),
                    frozenset(details["callers"]),
                    details["times"],
                    details["seconds"],
                    details["spare"],
                    details["zone"],
                )
            )
        case "allow":
            api.roles.setdefault(details["caller"], {})[details["name"]] = details["policy"]
            return True
        case "lift":
            return api.faults.lift(details["number"])
        case "calls":
            return api.calls(details["since"])
    return {"error": f"the server cannot {do!r}"}
