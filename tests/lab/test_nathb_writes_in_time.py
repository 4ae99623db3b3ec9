"""R16, on real packets: no ReplaceRoute reaches EC2 more than 3 s after its round."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud
from nathb.core.model import Failure
from tests.aws.conftest import session_at
from tests.aws.scripted import Handler, replaced, serving, tables
from tests.aws.test_aws_api_errors import GROUP, MOVE, ROSTER, failing
from tests.lab.api_faults import ApiFault
from tests.lab.host_faults import connections_to_ec2
from tests.lab.lab import Lab
from tests.lab.machine import nft, wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import API, API_PORT
from tests.lab.processes import Daemon
from tests.lab.scripts import name_server

LATEST = 3.0 + 1.0
"""How old the API may find a write: R16, and the whole second that a request's date is cut to."""
KEPT = 10.0
"""Seconds for which nathb uses addresses again that it has looked up."""


def ages(lab: Lab) -> list[float]:
    """How long ago each write that reached EC2 had been signed, just after its round."""
    return [write.age for write in lab.writes() if write.age is not None]


def test_r16_a_write_into_the_void_is_not_delivered_when_packets_pass_again(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    warm_up(lab, pair.daemons["nat-a"])
    lab.faults.api_unreachable("nat-a")
    lab.crash("nat-c")
    lost = time.monotonic()
    pair.daemons["nat-a"].wait_line("could not take")
    time.sleep(max(0.0, lost + 10.0 - time.monotonic()))
    assert lab.writes() == []
    lab.faults.api_unreachable("nat-a", on=False)
    back = time.monotonic()
    served = lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert lab.pace.elapsed(back, served) <= 5.0
    time.sleep(10.0)  # unbounded, the kernel would try once more, 13 s after the write
    assert pair.written() == [("nat-a", "nat-a")]
    assert max(ages(lab)) <= LATEST


def test_r16_a_resolver_slower_than_a_write_may_wait_delays_the_take_and_makes_none_late(
    lab: Lab,
) -> None:
    endpoint = {"AWS_ENDPOINT_URL_EC2": f"http://ec2.region.example:{API_PORT}"}
    with name_server(lab, {"ec2.region.example": str(API)}, "nat-a", "nat-c", patience=30) as names:
        pair = Pair(lab, env=endpoint, **DEFAULT).settle()
        time.sleep(KEPT)
        names.freeze()
        connections_to_ec2(lab, "nat-a", "--kill")
        assert connections_to_ec2(lab, "nat-a") == [], "the pool is not cold"
        lab.crash("nat-c")
        slow = time.monotonic()
        line = pair.daemons["nat-a"].wait_line("could not take", within=20.0)
        assert "not sent: " in line
        time.sleep(max(0.0, slow + 9.0 - time.monotonic()))
        assert lab.writes() == []
        names.freeze(on=False)
        back = time.monotonic()
        served = lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
        assert lab.pace.elapsed(back, served) <= 5.0
        time.sleep(5.0)
    assert pair.written() == [("nat-a", "nat-a")]
    assert max(ages(lab)) <= LATEST


def test_r16_a_process_frozen_in_the_middle_of_a_write_has_it_delivered_in_time_or_never(
    lab: Lab,
) -> None:
    writer = warm_writer(lab, 3.0)
    lab.faults.api_unreachable("nat-a")
    writer.signal(signal.SIGUSR1)
    wait_until("bytes are on their way", lambda: unacknowledged(lab), 10.0)
    writer.signal(signal.SIGSTOP)
    time.sleep(3.1)  # the kernel's next try would be 3.3 s after the write
    lab.faults.api_unreachable("nat-a", on=False)
    time.sleep(12.0)
    writer.signal(signal.SIGCONT)
    assert "no reply" in writer.wait_line("ReplaceRoute")
    assert lab.writes() == []


def test_r16_a_write_that_its_own_firewall_held_back_is_not_delivered_when_that_opens(
    tmp_path: Path,
) -> None:
    """The kernel's own limit is a loose one here: it counts anew whenever a packet comes in, and
    the server sends again what it has had no acknowledgement of."""

    def then_shut(handler: Handler) -> None:
        packets_out(handler.server.server_address[1], dropped=True)
        tables()(handler)

    with serving() as server, ThreadPoolExecutor() as threads:
        server.will(then_shut, replaced())
        client = make_client(session=session_at(server.url, tmp_path), read_timeout=60.0)
        cloud = Cloud(client, GROUP)
        try:
            cloud.view(ROSTER)
            move = threads.submit(cloud.move, MOVE, "eni-c", time.monotonic() + 2.0)
            time.sleep(2.6)
        finally:
            packets_out(server.server_address[1], dropped=False)
        assert failing(lambda: move.result(60.0)).failure is Failure.NO_REPLY
        time.sleep(8.0)
        assert server.actions == ["DescribeRouteTables"]


def packets_out(port: int, dropped: bool) -> None:
    """Let the sandbox's own firewall drop what leaves for a port, or let it through again."""
    rules = "add table ip held\ndelete table ip held\n"
    if dropped:
        rules += f"""
table ip held {{
    chain out {{
        type filter hook output priority filter;
        tcp dport {port} drop
    }}
}}
"""
    nft(None, rules)


def warm_up(lab: Lab, daemon: Daemon) -> None:
    """Have it read EC2 so often at once that a write, too, finds a connection in the pool."""
    lab.api.fail(ApiFault.LATENCY, seconds=2.0)
    for _ in range(5):
        daemon.signal(signal.SIGHUP)
        time.sleep(0.3)
    wait_until("8 connections", lambda: len(connections_to_ec2(lab, daemon.host)) >= 8, 20.0)
    lab.api.lift()
    time.sleep(3.0)


def warm_writer(lab: Lab, seconds: float) -> Daemon:
    """Start a process that will send one write, by so many seconds after SIGUSR1."""
    file = lab.install("nat-a", lab.pair_config())
    about = (str(file), "nat-a", lab.tables["private-c"], lab.instances["nat-a"].eni, str(seconds))
    writer = lab.start("nat-a", [sys.executable, "-m", "tests.lab.writer", *about])
    writer.wait_line("warm")
    return writer


def unacknowledged(lab: Lab) -> bool:
    return any(connections_to_ec2(lab, "nat-a"))
