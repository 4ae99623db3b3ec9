"""Makes servers quickly: importing moto takes a second, forking a process that has it takes 10 ms.

One fork server serves a whole test session. Each fork starts from the same untouched moto, so every
lab is a fresh account, without a reset that might forget something.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab.machine import prefer
from tests.lab.plan import Plan

CHECKOUT = Path(__file__).resolve().parents[2]


def python_path(environment: Mapping[str, str]) -> dict[str, str]:
    """The variable by which a Python anywhere finds this checkout, and what it found before."""
    before = environment.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *([before] if before else [])])}


@dataclass(frozen=True)
class ServerRequest:
    """What a new server is to serve: a plan, and the path of its `vpc` namespace."""

    plan: Plan
    namespace: str


class Wire:
    """The test's end of a server's wire: JSON lines there and back."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lines = end.makefile("rw")
        self._lock = threading.Lock()
        hello = self._read()
        self.port: int = hello["port"]
        self.pid: int = hello["pid"]

    def ask(self, do: str, **details: Any) -> Any:
        """Have the server do something; what it answers."""
        with self._lock:
            print(json.dumps({"do": do, **details}), file=self._lines, flush=True)
            return self._read()

    def close(self) -> None:
        """Let go of the server, which ends it."""
        self._lines.close()
        self._end.close()

    def _read(self) -> Any:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the lab's API server has ended; its reason is on stderr")
        return json.loads(line)


class ForkServer:
    """A process that has imported moto and waits for requests. Use it as a context manager."""

    def __enter__(self) -> ForkServer:
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.fork_server_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=CHECKOUT,
            env=os.environ | python_path(os.environ),
            start_new_session=True,
        )
        prefer(self._process.pid)
        theirs.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()
        self._process.kill()
        self._process.wait()

    def fork(self, plan: Plan, namespace: str) -> Wire:
        """A new server for `plan` in the network namespace at this path, ready to be asked."""
        ours, theirs = socket.socketpair()
        request = pickle.dumps(ServerRequest(plan, namespace))
        with theirs:
            try:
                socket.send_fds(self._end, [request], [theirs.fileno()])
            except BrokenPipeError as error:
                raise ConnectionError(
                    "the fork server has ended; its reason is on stderr"
                ) from error
        return Wire(ours)
