"""Runs a command as on a machine that has been up for so many seconds.

    python -m tests.uptime SECONDS CMD ...

The command gets a time namespace, time_namespaces(7), in which the monotonic clocks show SECONDS
when it starts. The wall clock is the machine's. It takes root, or a user namespace as the sandbox
makes one; where there is no time namespace to be had, nothing is run and the exit status is 1.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

CLOCKS = {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}
OFFSETS = Path("/proc/self/timens_offsets")
NEEDS = (
    "it takes Linux 5.6 or later with CONFIG_TIME_NS, unshare of util-linux 2.36 or later, and"
    " root or `tests/lab/sandbox CMD ...`; in a container: --privileged"
)


def command(argv: Sequence[str], *, monotonic: float, boottime: float) -> list[str]:
    """The command line that starts `argv` when those clocks show so many seconds, or one more.

    OSError where the kernel has no time namespaces.
    """
    wanted = {"monotonic": monotonic, "boottime": boottime}
    shifts = [f"--{name}={_offset(name, seconds)}" for name, seconds in wanted.items()]
    return ["unshare", "--time", "--fork", "--kill-child", *shifts, "--", *argv]


def _offset(clock: str, seconds: float) -> int:
    """What to add, in whole seconds, to the machine's own clock, which is never made negative."""
    # This process may be in a time namespace already, and offsets are from the machine's clock.
    lines = (line.split() for line in OFFSETS.read_text().splitlines())
    here = {name: int(whole) + int(nano) / 1e9 for name, whole, nano in lines}[clock]
    return math.ceil(seconds - (time.clock_gettime(CLOCKS[clock]) - here))


def main(seconds: float, argv: Sequence[str]) -> None:
    """Become the command."""
    try:
        trial = command(["true"], monotonic=seconds, boottime=seconds)
        subprocess.run(trial, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise SystemExit(f"tests.uptime: no time namespace here: {said.strip()}; {NEEDS}") from None
    line = command(argv, monotonic=seconds, boottime=seconds)
    os.execvp(line[0], line)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
