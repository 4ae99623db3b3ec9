"""Is it only this service that ends, or the whole machine? Asked of systemd when SIGTERM comes.

A stop or restart of the daemon must move nothing, while a machine that goes down (reboot, stop,
spot interruption, scale-in) should hand over its routes first; the signal is the same. systemd
knows: its state is `stopping` as soon as a shutdown is queued (systemctl(1), is-system-running).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

ASK = ("systemctl", "is-system-running")
GOING_DOWN = b"stopping"


class Shutdown:
    """One question to the service manager, asked beside the loop. Use it as a context manager.

    Where there is no systemd, no bus, or no answer, nobody can say that the machine goes down.
    """

    def __init__(self, command: Sequence[str] = ASK) -> None:
        self._command = command
        self._asked: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Shutdown:
        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        try:
            self._asked = subprocess.Popen(self._command, stdin=null, stdout=pipe, stderr=null)
        except OSError:
            self._asked = None  # no systemctl: no machine of systemd's that could go down
        return self

    def __exit__(self, *_: object) -> None:
        if self._asked is not None:
            self._asked.kill()
            self._asked.communicate()

    @property
    def is_known(self) -> bool:
        """Whether the answer is there."""
        return self._asked is None or self._asked.poll() is not None

    @property
    def is_coming(self) -> bool:
        """Whether the answer is that the whole machine goes down; call it once it is known."""
        if self._asked is None or self._asked.stdout is None or not self.is_known:
            return False
        return self._asked.stdout.read(64).strip() == GOING_DOWN
