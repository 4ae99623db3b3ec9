"""Commands on instances: each in its instance's network namespace, with its own /run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.fork_server import python_path
from tests.lab.machine import prefer, run_preferred, wait_until
from tests.lab.network import Network
from tests.lab.plan import API, API_PORT

ENDPOINT = f"http://{API}:{API_PORT}"
NOWHERE = "/dev/null"

# Credentials come from the role alone, so nothing of the caller's AWS settings may get through.
CLOUD = {
    "AWS_ENDPOINT_URL_EC2": ENDPOINT,
    "AWS_ENDPOINT_URL_STS": ENDPOINT,
    "AWS_CONFIG_FILE": NOWHERE,
    "AWS_SHARED_CREDENTIALS_FILE": NOWHERE,
    "PYTHONUNBUFFERED": "1",
}

# One instance must not find another's sockets and state in /run, which this sandbox has but once.
# Where there is a resolv.conf in an instance's own /run, it is the one that its resolver reads.
OWN_RUN = """
mount --bind "$0" /run || exit
[ ! -e /run/resolv.conf ] || mount --bind /run/resolv.conf "$(readlink -m /etc/resolv.conf)" || exit
exec "$@"
"""
WITH_OWN_RUN = ("unshare", "--mount", "--", "sh", "-c", OWN_RUN)

# journald listens to a service's stderr, and says so in this variable: systemd.exec(5).
STDERR_IS_JOURNAL = 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"'


@dataclass(frozen=True)
class Command:
    """What to run, and with what in its environment besides the cloud's own variables."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path


class Daemon:
    """A process on an instance. Its stdout and stderr go to the file `log`."""

    def __init__(self, host: str, command: Command, process: subprocess.Popen[bytes]) -> None:
        self.host = host
        self.command = command
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.command.log

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def lines(self) -> list[str]:
        """Every line it has written so far, those before a restart included."""
        return self.log.read_text(errors="replace").splitlines()

    def wait_line(self, text: str, within: float = 30.0) -> str:
        """Wait until it has written a line with `text` in it; that line."""
        return wait_until(
            f"{self.host} writes {text!r}; it wrote: {self.lines()[-20:]}",
            lambda: next((line for line in self.lines() if text in line), ""),
            within,
        )

    def signal(self, number: int) -> None:
        """Send a signal to the process itself."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to it and all its children, and reap it."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, within: float = 15.0) -> int:
        """SIGTERM, then wait; its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(within)

    def wait(self, within: float = 30.0) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait(within)


class Processes:
    """Everything that runs on the instances of one lab."""

    def __init__(self, network: Network, directory: Path) -> None:
        self._network = network
        self._directory = directory
        self._daemons: list[Daemon] = []

    def on(self, host: str) -> list[Daemon]:
        """The daemons that run on this instance."""
        return [one for one in self._daemons if one.host == host and one.running]

    def start(
        self,
        host: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> Daemon:
        """Start a command on an instance and leave it running."""
        path = log or self._directory / f"{host}-{len(self._daemons)}.log"
        return self.launch(host, Command(tuple(argv), env or {}, path))

    def launch(self, host: str, command: Command) -> Daemon:
        """Start a command, or the same again; its log goes on where it was."""
        with command.log.open("ab") as log:
            process = subprocess.Popen(
                self.command_line(host, command.argv),
                env=self._environment(command.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        prefer(process.pid)
        daemon = Daemon(host, command, process)
        self._daemons.append(daemon)
        return daemon

    def run(
        self,
        host: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        within: float = 90.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on an instance to its end; it may fail. TimeoutExpired after `within`."""
        command = self.command_line(host, argv)
        return run_preferred(command, self._environment(env or {}), within)

    def command_line(self, host: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` on an instance; every step is an exec, so one pid."""
        run = self._directory / "run" / host
        run.mkdir(parents=True, exist_ok=True)
        return self._network.inside(host, *WITH_OWN_RUN, str(run), *argv)

    def under_journald(self, host: str, socket: str, argv: Sequence[str]) -> list[str]:
        """The command line for `argv` on an instance where this journald reads the journal."""
        link = self._directory / "run" / host / "systemd" / "journal" / "socket"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(socket)
        return ["sh", "-c", STDERR_IS_JOURNAL, "sh", *argv]

    def kill(self, host: str | None = None) -> list[Command]:
        """SIGKILL to all that runs on an instance, or on all; what was running."""
        victims = [one for one in self._daemons if host in (None, one.host) and one.running]
        for daemon in victims:
            daemon.kill()
        return [daemon.command for daemon in victims]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        mine = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        return mine | CLOUD | python_path(mine) | dict(more)


def nathb(*arguments: str) -> list[str]:
    """The command line of this checkout's nathb."""
    return [sys.executable, "-m", "nathb", *arguments]
