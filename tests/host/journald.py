"""A real systemd-journald with a /run of its own, so that several may run side by side.

Its paths are reached from outside through /proc/PID/root, sockets included.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

PATIENCE = 30.0
SCRIPT = """
mount -t tmpfs none /run
mkdir -p /run/systemd/journald.conf.d /run/log/journal
cat >/run/systemd/journald.conf.d/test.conf <<END
[Journal]
Storage=volatile
RateLimitIntervalSec=0
ReadKMsg=no
Audit=no
END
exec "$0"
"""


class Journald:
    """A context manager; `address` is where it listens, `directory` where it writes."""

    def __enter__(self) -> Self:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("")  # the kernel chooses an abstract address
            manager.settimeout(PATIENCE)
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-ec", SCRIPT, "/lib/systemd/systemd-journald"],
                env=os.environ | {"NOTIFY_SOCKET": "@" + manager.getsockname()[1:].decode()},
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in manager.recv(4096).split(b"\n"):
                pass
        self.root = f"/proc/{self._process.pid}/root"
        self.address = f"{self.root}/run/systemd/journal/socket"
        self.directory = f"{self.root}/run/log/journal"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it read nothing from now on; returns once it stands still."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def entries(self, *match: str) -> list[dict[str, Any]]:
        """Return all entries of nathb that match, once all that was sent has been written."""
        self.journalctl("--sync")
        options = ("--output=json", "--all", "SYSLOG_IDENTIFIER=nathb")
        printed = self.journalctl(*options, *match)
        return [json.loads(line) for line in printed.splitlines()]

    def explained(self, catalog: Path) -> str:
        """Return all entries of nathb with their explanations, from a catalog compiled there."""
        self.journalctl("--sync")
        self._inside("mount", "--bind", str(catalog), "/var/lib/systemd")
        return self.journalctl("--catalog", "SYSLOG_IDENTIFIER=nathb")

    def journalctl(self, *options: str) -> str:
        return self._inside("journalctl", "--no-pager", "--quiet", *options)

    def within(self) -> list[str]:
        """Return the beginning of a command line that runs where this journald's /run is."""
        return ["nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt"]

    def _inside(self, *command: str) -> str:
        return subprocess.run(
            [*self.within(), *command],
            check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE,
        ).stdout  # fmt: skip
