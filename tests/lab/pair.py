"""Both daemons of a lab's pair, as a person beside the two machines would watch them."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from typing import Any

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.processes import Daemon, nathb

DEFAULT: dict[str, Any] = {
    "check": {
        "interval": "30s",
        "fast_interval": "1s",
        "timeout": "1s",
        "fall": 3,
        "rise": 3,
        "pulse": "500ms",
    },
    "preempt_delay": "60s",
}
"""The timing that a file without any `check` block has, written out."""

NODES = ("nat-a", "nat-c")


class Pair:
    """nathb on every NAT of the lab, with one file."""

    def __init__(
        self,
        lab: Lab,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        journal: str = "",
        **overrides: Any,
    ) -> None:
        """`overrides` replace keys of the lab's file, as `Lab.pair_config` takes them.

        With `journal`, a journald's socket, entries go there and not to the daemons' logs.
        """
        self.lab = lab
        self.env = env
        self._status = "dry-run/status.json" if "--dry-run" in arguments else "status.json"
        self.config = lab.pair_config(**overrides)
        self.nodes = tuple(nat.name for nat in lab.plan.nats)
        self.daemons: dict[str, Daemon] = {
            node: lab.start_nathb(node, self.config, *arguments, env=env, journal=journal)
            for node in self.nodes
        }

    def snapshot(self, node: str) -> dict[str, Any]:
        """What the node's daemon last wrote for `nathb status`; empty before the first."""
        path = self.lab.directory / "run" / node / "nathb" / "lab" / self._status
        try:
            return dict(json.loads(path.read_text()))
        except FileNotFoundError:
            return {}

    def status(self, node: str, *arguments: str) -> tuple[int, str]:
        """Run `nathb status` on the node; its exit code and what it printed."""
        done = self.lab.run(node, nathb("status", "lab", *arguments))
        return done.returncode, done.stdout + done.stderr

    def verdict(self, node: str, subject: str) -> str:
        """What the node's daemon thinks of its `uplink`, or of a peer: up, down or unknown."""
        now = self.snapshot(node)
        known = {"uplink": now.get("uplink", {}), **now.get("peers", {})}
        return str(known.get(subject, {}).get("verdict", "unknown"))

    def settled(self, node: str) -> bool:
        """Whether this node's daemon knows all it needs, and all of it is good."""
        now = self.snapshot(node)
        if not now or now["suspecting"] or not now.get("view"):
            return False
        return all(path.get("verdict") == "up" for path in (now["uplink"], *now["peers"].values()))

    def settle(self, *nodes: str, within: float = 60.0) -> Pair:
        """Wait until these nodes (all, if none is named) watch a healthy pair in peace."""
        for node in nodes or self.nodes:
            wait_until(
                f"{node} settles; it wrote {self.daemons[node].lines()[-10:]}",
                lambda node=node: self.settled(node),
                within,
            )
        return self

    def restart(self, node: str, *arguments: str) -> Daemon:
        """Start a node's daemon again, after it has ended."""
        self.daemons[node] = self.lab.start_nathb(node, self.config, *arguments, env=self.env)
        return self.daemons[node]

    def reload(self, node: str, config: str) -> None:
        """Write another file for this node, and have its daemon read it."""
        self.lab.install(node, config)
        self.daemons[node].signal(signal.SIGHUP)

    def told(self, node: str, text: str) -> list[str]:
        """The lines with `text` in them that this node's daemon has written so far."""
        return [line for line in self.daemons[node].lines() if text in line]

    def stalls(self, node: str, longer_than: float = 0.0) -> list[float]:
        """By how many seconds its daemon was late, each time that it said so.

        A crowded machine may stall it for a second or two at any time.
        """
        lines = self.told(node, "was stalled for ")
        late = [float(line.partition("was stalled for ")[2].split()[0]) for line in lines]
        return [seconds for seconds in late if seconds > longer_than]

    def wait_holder(self, zone: str, node: str, within: float) -> None:
        """Wait until a zone's default route points at this node."""
        wait_until(
            f"{zone}'s route points at {node}", lambda: self.lab.holder(zone) == node, within, 0.05
        )

    def written(self, since: float = 0.0) -> list[tuple[str, str]]:
        """Who wrote to whom: (caller, node the route was pointed at) of each write."""
        names = {ids.eni: name for name, ids in self.lab.instances.items()}
        return [
            (one.caller, names[one.parameters["NetworkInterfaceId"]])
            for one in self.lab.writes(since=since)
        ]
