"""Moves one route once, on a warm connection, when it is told to: run as a script on an instance.

    writer.py FILE NODE TABLE ENI SECONDS

It prints `warm`, waits for SIGUSR1, and prints what came of a move that may arrive for so many
seconds. It waits for an answer for longer than any test takes.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from nathb import config
from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud
from nathb.core.errors import CloudError
from nathb.core.model import Cause, Move, Route, Rule
from tests.lab.plan import EVERYWHERE

PATIENCE = 300.0


def main(file: str, node: str, table: str, eni: str, seconds: str) -> None:
    """Warm up, wait, move."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    group = config.load(Path(file))
    client = make_client(group.region, read_timeout=PATIENCE, call_timeout=PATIENCE)
    cloud = Cloud(client, group)
    cloud.roster(node)
    print("warm", flush=True)
    signal.sigwait({signal.SIGUSR1})
    move = Move(Route(table, EVERYWHERE), "", node, Rule.R3, Cause(node, "down", 0.0), "a test")
    try:
        print(cloud.move(move, eni, time.monotonic() + float(seconds)))
    except CloudError as error:
        print(error.failure.value, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
