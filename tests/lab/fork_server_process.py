"""The fork server's process, `python -m tests.lab.fork_server_process FD`: a fork per request."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.test import Client

from tests.lab.fork_server import ServerRequest
from tests.lab.server import serve

LARGEST_REQUEST = 65536
SIGNED = "AWS4-HMAC-SHA256 Credential=warm/20260101/{region}/ec2/aws4_request"


class Services:
    """moto's applications for the services that nathb calls, by what a request is signed for.

    moto's own dispatcher tries the patterns of all its services, which costs more than the call.
    """

    def __init__(self) -> None:
        self._ec2, self._sts = create_backend_app("ec2"), create_backend_app("sts")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        sts = "/sts/" in environ.get("HTTP_AUTHORIZATION", "")
        return (self._sts if sts else self._ec2)(environ, start_response)


def main(requests: socket.socket) -> None:
    """Fork a server per request, until there will be no more requests."""
    moto = Services()
    _warm(moto, "ap-northeast-1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the test process's business
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the servers
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 1)
        if not message:
            return
        wire = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            requests.close()
            _become_server(pickle.loads(message), wire, moto)
        wire.close()


def _warm(moto: Services, region: str) -> None:
    """Have moto load what it loads at its first call; a read, so its state stays untouched."""
    Client(moto).post(
        "/",
        data={"Action": "DescribeVpcs", "Version": "2016-11-15"},
        headers={"Authorization": SIGNED.format(region=region)},
    )
    gc.freeze()  # keep the collector from copying the pages that forks share


def _become_server(request: ServerRequest, wire: socket.socket, moto: Services) -> None:
    """Serve, and never return to the fork server's own code."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # it waits for its `ip` and `nft`
        serve(request, wire, moto)
    except BaseException:  # noqa: BLE001  # a fork must not run on in its parent's frames
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
