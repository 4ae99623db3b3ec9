"""Scripts that run beside the instances: a ping spoofer in `vpc`, a name server on the internet."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.plan import NAME_SERVER

HERE = Path(__file__).parent


class BackgroundScript:
    """A script of the standard library in a namespace of the lab; what it prints is kept."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def freeze(self, on: bool = True) -> None:
        """Let it sit still: what it is asked meanwhile it will answer when it goes on."""
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def said(self, line: str) -> int:
        """How many times it has printed this line."""
        return self._log.read_text().splitlines().count(line)


@contextmanager
def background_script(
    lab: Lab, where: str, script: str, arguments: Sequence[str]
) -> Iterator[BackgroundScript]:
    """Run `script` in the namespace of `where`, from its first word, `listening`, until the end."""
    log = lab.directory / f"{script}.log"
    python = [sys.executable, "-I", "-S", str(HERE / script)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            lab.network.inside(where, *python, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        one = BackgroundScript(process, log)
        wait_until(f"{script} listens: {log.read_text()}", lambda: one.said("listening"), 10.0)
        yield one
    finally:
        process.kill()
        process.wait()


@contextmanager
def ping_spoofer(
    lab: Lab, asker: str, address: object, manner: str, delay: float = 0.0
) -> Iterator[BackgroundScript]:
    """Answer the asker's pings to an address in that address's name; manners as in ping_spoofer.py.

    It stands in `vpc`, where it sees all that the asker sends. Answers are late by `delay` seconds.
    """
    arguments = [asker, str(address), manner, str(delay)]
    with background_script(lab, "vpc", "ping_spoofer.py", arguments) as one:
        yield one


@contextmanager
def name_server(
    lab: Lab, names: Mapping[str, str], *nodes: str, patience: int = 1
) -> Iterator[BackgroundScript]:
    """Run a name server on the internet, and let what these nodes start from now on ask it.

    While it is frozen it is silent, and whoever asks it gives up after `patience` seconds.
    """
    for node in nodes:
        run = lab.directory / "run" / node
        run.mkdir(parents=True, exist_ok=True)
        settings = f"nameserver {NAME_SERVER}\noptions timeout:{patience} attempts:1\n"
        (run / "resolv.conf").write_text(settings)
        linked = Path("/etc/resolv.conf").resolve()
        if linked.is_relative_to("/run"):  # a link into the /run that each instance has its own of
            stub = run / linked.relative_to("/run")
            stub.parent.mkdir(parents=True, exist_ok=True)
            stub.touch()
    pairs = [f"{name}={address}" for name, address in names.items()]
    with background_script(lab, "internet", "name_server.py", [str(NAME_SERVER), *pairs]) as one:
        yield one
