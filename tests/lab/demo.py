"""`make demo`: a takeover and a return on real packets, live, with what clients felt of them.

Two NATs with the real daemon at default timing, two clients that send a datagram every 10 ms to a
server on the internet. nat-c is killed, its route is taken by nat-a; it is revived, and the route
goes home. The exit code is 0 only if all of that was seen.

    python -m tests.lab.demo [--into FILE ...]

With --into, what was shown by `nathb status` and `nathb history`, and what was measured, is also
put into the files, each where one of them has lines like `<!-- demo: status -->` and
`<!-- end -->`. To renew the documents: `--into README.md docs/proven.md`.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.host.journald import Journald
from tests.lab.lab import Lab
from tests.lab.pair import DEFAULT, Pair
from tests.lab.processes import nathb

PREEMPT_DELAY = "10s"
"""Instead of 60 s, so that nobody waits a minute for the return."""
PATIENCE = 60.0
"""Seconds that any one act may take."""
ASKING = 0.25
"""Seconds between two looks at the journal."""
TAKEOVER_BOUND, RETURN_BOUND = 4.5, 0.1


@dataclass
class Stage:
    """Prints what is new: a line a second, and every sentence of the daemons as it comes."""

    pair: Pair
    journald: Journald
    begun: float = field(default_factory=time.monotonic)
    told: int = 0
    asked_at: float = 0.0
    shown_at: float = 0.0
    captured: dict[str, str] = field(default_factory=dict)
    """What commands printed, and what was measured, by a name."""

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
        if now or time.monotonic() - self.asked_at >= ASKING:
            self.asked_at = time.monotonic()
            entries = self.journald.entries("NATHB_GROUP=lab")
            for one in entries[self.told :]:
                self.say(f"{self.clock()}  {one['NATHB_NODE']} says: {one['MESSAGE']}")
            self.told = len(entries)
        if now or time.monotonic() - self.shown_at >= 1.0:
            self.shown_at = time.monotonic()
            self.say(f"{self.clock()}  {self.zone('a')}   {self.zone('c')}")

    def type_in(self, verb: str, *hidden: str) -> None:
        """Show what a command prints on nat-a; `hidden` is where the lab keeps what it asks."""
        done = self.lab.run("nat-a", nathb(verb, "lab", *hidden))
        self.captured[verb] = f"$ nathb {verb} lab\n{done.stdout}{done.stderr}".rstrip()
        self.say(f"\n{self.captured[verb]}\n")

    def zone(self, zone: str) -> str:
        """Who holds a zone's route, and how its client fares."""
        via = self.lab.clients[f"app-{zone}"].via()
        client = f"served through {via}" if via else "SILENT"
        return f"zone {zone}: route at {self.lab.holder(zone)}, client {client:<20}"


def play(lab: Lab, journald: Journald) -> dict[str, str]:
    """Perform all acts; return what was captured, `measured` being empty if it was not good."""
    print("Starting nathb on nat-a and nat-c, at default timing", flush=True)
    timing = DEFAULT | {"preempt_delay": PREEMPT_DELAY}
    stage = Stage(Pair(lab, journal=journald.address, **timing), journald)
    client = lab.clients["app-c"]
    stage.watch("both daemons settle", lambda: all(map(stage.pair.settled, stage.pair.nodes)))
    stage.watch_for(2.0)

    killed = stage.act("nat-c is killed: its host falls silent without a word")
    lab.crash("nat-c")
    stage.watch("clients of zone c are served by nat-a", lambda: client.via() == "nat-a")
    takeover = client.takeover(since=killed)
    stage.watch_for(2.0)
    stage.type_in("status")

    revived = stage.act("nat-c is back")
    lab.revive("nat-c")
    stage.watch("clients of zone c are served by nat-c", lambda: client.via() == "nat-c")
    stage.watch_for(2.0)
    back = client.outage(since=revived)
    other = lab.clients["app-a"].outage(since=killed)
    frozen = lab.pace.frozen(killed)
    writes = stage.pair.written()

    stage.type_in("history", "--directory", journald.directory)

    good = takeover <= TAKEOVER_BOUND and back <= RETURN_BOUND and len(writes) == 2
    measured = f"""\
Measured by clients that send every 10 ms, with real packets through real masquerade:
  takeover   zone c was silent for {takeover:.2f} s after its NAT died (bound: {TAKEOVER_BOUND} s)
  return     zone c was silent for {back * 1000:.0f} ms while its route went home (bound: 100 ms)
  zone a     was never silent for longer than {other * 1000:.0f} ms
  EC2        was asked to move a route {len(writes)} times: {", ".join(map(_arrow, writes))}
{_not_counted(frozen)}{"All as promised." if good else "NOT as promised."}"""
    print(measured, flush=True)
    return stage.captured | {"measured": measured if good else ""}


def _not_counted(frozen: float) -> str:
    """What is said of the time in which this machine was too busy to run what was measured."""
    return f"  machine    was frozen for {frozen:.2f} s, which is not counted\n" if frozen else ""


def _arrow(write: tuple[str, str]) -> str:
    return f"to {write[1]} by {write[0]}"


def put_into(files: Sequence[Path], captured: dict[str, str]) -> None:
    """Replace what stands between the files' marks; ValueError, and no file is changed, unless
    there is one place in all for each name.
    """
    texts = {file: file.read_text() for file in files}
    for name, shown in captured.items():
        block = re.compile(rf"(<!-- demo: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        places = [file for file, text in texts.items() for _ in block.findall(text)]
        if len(places) != 1:
            among = ", ".join(map(str, files))
            raise ValueError(f"{among}: {len(places)} places for what {name} shows; make it one")
        new = f"```\n{shown}\n```\n"
        texts[places[0]] = block.sub(
            lambda marks, new=new: f"{marks[1]}{new}{marks[2]}", texts[places[0]]
        )
    for file, text in texts.items():
        file.write_text(text)


def main() -> int:
    """Build the lab and play in it."""
    arguments = argparse.ArgumentParser(prog="python -m tests.lab.demo")
    arguments.add_argument("--into", type=Path, nargs="+", metavar="FILE")
    given = arguments.parse_args()
    print("Building a VPC of network namespaces: two NATs, two clients, EC2's API", flush=True)
    with Journald() as journald, Lab() as lab:
        captured = play(lab, journald)
    good = bool(captured["measured"])
    if good and given.into:
        put_into(given.into, captured)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
