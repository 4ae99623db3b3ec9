"""The few ways in which the lab talks to the kernel: ip, nft, and commands inside a namespace."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PRIORITY = -20  # as nice(1) counts: beside ten busy processes, nine tenths of a CPU


class MachineError(RuntimeError):
    """A command of the lab's own failed: which one, and what it said."""


class DeadlineError(AssertionError):
    """What a test waited for did not come to pass in time."""


def inside(namespace: str | None, *argv: str) -> list[str]:
    """The command line that runs `argv` in `namespace`, or here when that is None."""
    if namespace is None:
        return list(argv)
    return ["nsenter", f"--net=/run/netns/{namespace}", "--", *argv]


def run(argv: Sequence[str], feed: str = "") -> str:
    """Run a command of the lab's own to its end; its stdout, or MachineError."""
    done = subprocess.run(argv, input=feed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MachineError(f"{' '.join(argv)} exited with {done.returncode}: {done.stderr}{feed}")
    return done.stdout


def prefer(pid: int) -> None:
    """Have a process, and what it starts from now on, run before other work, if that is allowed.

    Each instance is a machine of its own in EC2, where nothing else wants its CPUs; and whoever
    measures them must not be late. Between sessions, the kernel shares CPUs by the niceness of
    whole sessions: sched(7), "The autogroup feature". Only a session that ends with this process
    is touched.
    """
    with suppress(OSError):  # not allowed, the process has ended, or no autogroups here
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)
        if os.getsid(pid) == pid:
            Path(f"/proc/{pid}/autogroup").write_text(str(PRIORITY))


def run_preferred(
    argv: Sequence[str], env: Mapping[str, str], within: float
) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail to its end, before other work; TimeoutExpired after `within`."""
    with subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        prefer(process.pid)
        try:
            printed, complained = process.communicate(timeout=within)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, printed, complained)


def ip(namespace: str | None, lines: Iterable[str], *options: str) -> None:
    """Give `lines` to one `ip -batch` in `namespace`."""
    if feed := "\n".join(lines):
        run(inside(namespace, "ip", *options, "-batch", "-"), feed)


def nft(namespace: str | None, ruleset: str) -> None:
    """Give `ruleset` to nft in `namespace`: all of it in one transaction, or none."""
    run(inside(namespace, "nft", "-f", "-"), ruleset)


def wait_until(what: str, true: Callable[[], T], within: float = 15.0, every: float = 0.01) -> T:
    """Call `true` until it returns something true, and return that.

    `within` and `every` are seconds. DeadlineError says `what` did not happen.
    """
    deadline = time.monotonic() + within
    while not (outcome := true()):
        if time.monotonic() > deadline:
            raise DeadlineError(f"not within {within:g} s: {what}")
        time.sleep(every)
    return outcome
