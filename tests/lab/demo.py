"""`make demo`: a takeover and a return on real packets, live, with what clients felt of them.

Two NATs with the real daemon at default timing, two clients that send a datagram every 5 ms to a
server on the internet. nat-c is killed, its route is taken by nat-a; it is revived, and the route
goes home. The exit code is 0 only if all of that was seen.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from tests.lab.client import Client
from tests.lab.lab import Lab
from tests.lab.pair import DEFAULT, Pair

PREEMPT_DELAY = "10s"
"""Instead of 60 s, so that nobody waits a minute for the return."""
PATIENCE = 60.0
"""Seconds that any one act may take."""
TAKEOVER_BOUND, RETURN_BOUND = 4.5, 0.1


@dataclass
class Stage:
    """Prints what is new: a line a second, and every sentence of the daemons as it comes."""

    pair: Pair
    begun: float = field(default_factory=time.monotonic)
    told: dict[str, int] = field(default_factory=dict)
    shown_at: float = 0.0

    @property
    def lab(self) -> Lab:
        return self.pair.lab

    def act(self, title: str) -> float:
        """Announce what is done next; return the monotonic second."""
        self.say(f"\n--- {title}")
        return time.monotonic()

    def say(self, text: str) -> None:
        print(text, flush=True)

    def clock(self) -> str:
        return f"{time.monotonic() - self.begun:6.1f} s"

    def watch(self, title: str, seen: object) -> None:
        """Show what happens until `seen()` is true."""
        deadline = time.monotonic() + PATIENCE
        while not seen():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise TimeoutError(f"not seen within {PATIENCE:.0f} s: {title}")
            self.show()
            time.sleep(0.05)
        self.show(now=True)

    def watch_for(self, seconds: float) -> None:
        """Show what happens for so long."""
        until = time.monotonic() + seconds
        self.watch(f"{seconds} s pass", lambda: time.monotonic() >= until)

    def show(self, *, now: bool = False) -> None:
        """Print new sentences, and the state of things once a second or at once."""
        for node, daemon in self.pair.daemons.items():
            lines = daemon.lines()
            for line in lines[self.told.get(node, 0) :]:
                self.say(f"{self.clock()}  {node} says: {line.partition(' ')[2]}")
            self.told[node] = len(lines)
        if now or time.monotonic() - self.shown_at >= 1.0:
            self.shown_at = time.monotonic()
            self.say(f"{self.clock()}  {self.zone('a')}   {self.zone('c')}")

    def zone(self, zone: str) -> str:
        """Who holds a zone's route, and how its client fares."""
        via = self.lab.clients[f"app-{zone}"].via()
        client = f"served through {via}" if via else "SILENT"
        return f"zone {zone}: route at {self.lab.holder(zone)}, client {client:<20}"


def outage(client: Client, since: float) -> float:
    """The longest silence since then, in seconds."""
    return client.outage(since=since)


def play(lab: Lab) -> int:
    """Perform all acts; return the exit code."""
    print("Starting nathb on nat-a and nat-c, at default timing", flush=True)
    stage = Stage(Pair(lab, **DEFAULT | {"preempt_delay": PREEMPT_DELAY}))
    client = lab.clients["app-c"]
    stage.watch("both daemons settle", lambda: all(map(stage.pair.settled, stage.pair.nodes)))
    stage.watch_for(2.0)

    killed = stage.act("nat-c is killed: its host falls silent without a word")
    lab.crash("nat-c")
    stage.watch("clients of zone c are served by nat-a", lambda: client.via() == "nat-a")
    takeover = outage(client, killed)
    stage.watch_for(2.0)

    revived = stage.act("nat-c is back")
    lab.revive("nat-c")
    stage.watch("clients of zone c are served by nat-c", lambda: client.via() == "nat-c")
    stage.watch_for(2.0)
    back = outage(client, revived)
    other = outage(lab.clients["app-a"], killed)
    writes = stage.pair.written()

    good = takeover <= TAKEOVER_BOUND and back <= RETURN_BOUND and len(writes) == 2
    print(
        f"""
Measured by clients that send every 5 ms, with real packets through real masquerade:
  takeover   zone c was silent for {takeover:.2f} s after its NAT died (bound: {TAKEOVER_BOUND} s)
  return     zone c was silent for {back * 1000:.0f} ms while its route went home (bound: 100 ms)
  zone a     was never silent for longer than {other * 1000:.0f} ms
  EC2        was asked to move a route {len(writes)} times: {", ".join(map(_arrow, writes))}
{"All as promised." if good else "NOT as promised."}""",
        flush=True,
    )
    return 0 if good else 1


def _arrow(write: tuple[str, str]) -> str:
    return f"to {write[1]} by {write[0]}"


def main() -> int:
    """Build the lab and play in it."""
    print("Building a VPC of network namespaces: two NATs, two clients, EC2's API", flush=True)
    with Lab() as lab:
        return play(lab)


if __name__ == "__main__":
    sys.exit(main())
