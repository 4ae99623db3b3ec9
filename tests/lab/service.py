"""nathb as systemd's service on a booted instance, as its operator would look after it."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.lab.machine import DeadlineError, wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.processes import CLOUD

UNIT = "nathb@pair"
FILE = "/etc/nathb/pair.yaml"
# Where EC2 is, in the lab; credentials and the node's name come from the metadata service.
ENVIRONMENT = "".join(f"{key}={value}\n" for key, value in CLOUD.items() if "_ENDPOINT_" in key)


class Service:
    """`nathb@pair` on one machine."""

    def __init__(self, machine: NspawnMachine, config: str) -> None:
        """Write its file, and the environment that docs/install.md speaks of; nothing runs yet."""
        self.machine = machine
        self.config = config
        machine.write(FILE, config)
        machine.lab.grant(machine.node, config, "pair")
        machine.write("/etc/nathb/pair.env", ENVIRONMENT)

    def enable(self) -> Service:
        """Start it now and at every boot."""
        self.machine.did("systemctl", "enable", "--now", UNIT)
        return self

    def drop_in(self, settings: str) -> None:
        """Change settings of [Service] on this machine."""
        path = "/etc/systemd/system/nathb@.service.d/test.conf"
        self.machine.write(path, f"[Service]\n{settings}\n")
        self.machine.did("systemctl", "daemon-reload")

    def show(self, setting: str) -> str:
        """One of its properties, as `systemctl show` gives it."""
        return self.machine.show(UNIT, setting)

    @property
    def pid(self) -> int:
        """The daemon's pid on its machine; 0 when there is none."""
        return int(self.show("MainPID"))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the daemon alone."""
        self.machine.did("kill", f"-{number.value}", str(self.pid))

    def settle(self, within: float = 60.0) -> Service:
        """Wait until its STATUS= says that all paths are good, and `nathb status` that all is."""
        for what, true, every in (
            ("hears all", lambda: "uplink up, nat-c up" in self.show("StatusText"), 0.1),
            ("is well", lambda: self.machine.run("nathb", "status", "pair").returncode == 0, 0.5),
        ):
            wait_until(f"{UNIT} on {self.machine.node} {what}", true, within, every)
        return self

    def sentences(self) -> list[str]:
        """What the journal has of the unit, systemd's own words about it included."""
        return self.machine.journal("--unit", UNIT, "--output", "cat").splitlines()

    def wait_sentence(self, text: str, within: float = 30.0) -> str:
        """Wait until one of the sentences has `text` in it; that sentence."""
        try:
            return wait_until(
                f"the journal of {UNIT} has {text!r}",
                lambda: next((one for one in self.sentences() if text in one), ""),
                within,
                every=0.1,
            )
        except DeadlineError as error:
            raise DeadlineError("\n".join([f"{error}; it has", *self.sentences()[-100:]])) from None

    def entries(self, *matches: str) -> list[dict[str, Any]]:
        """The journal's entries that match `FIELD=value`, whole."""
        lines = self.machine.journal("--output", "json", *matches).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]
