"""A root with nathb installed on it as README.md says, made once for all machines of a sandbox.

The block of the step "Install" is read from README.md and run as it is written there, on a
booted machine. Some programs that it calls are stand-ins, as the lab has no internet, and this
machine's `python3` need not be the one that runs the suite:

- `apt-get` does nothing: tests/prepare has installed those packages;
- `git clone` copies this checkout;
- `sudo` runs the command: one is root already;
- `python3` is the system's own of the suite's version, or else the suite's.

pip takes what is locked from a folder instead of an index; `make .venv/wheels/ready` has filled it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.lab.cgroups import sweep, tree
from tests.lab.fork_server import CHECKOUT, ForkServer
from tests.lab.lab import Lab
from tests.lab.machine import MachineError
from tests.lab.nspawn import NspawnMachine
from tests.lab.plan import PAIR

PLACE = Path("/dev/shm/nathb-installed")

WHEELS = CHECKOUT / ".venv" / "wheels"
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PYTHONS = (Path("/usr/bin") / VERSION, Path(sys.base_prefix) / "bin" / VERSION)
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))  # ProtectHome= in the unit

STAND_INS = {
    "apt-get": "exit 0",
    "git": '[ "$1" = clone ] && exec cp -R /opt/lab/checkout "$3"',
    "sudo": 'exec "$@"',
}
GENERATORS = Path("/usr/lib/systemd/system-generators")
# The lab has set the addresses already, and what may be installed here is not on every machine.
MASKED = ("systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service")

CLONED = (
    *("README.md", "LICENSE", "Makefile", "pyproject.toml", "setup.cfg"),
    *("nathb", "systemd", "etc", "packaging", "docs"),
)
PIP = {
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "/opt/lab/wheels",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_CONFIG_FILE": os.devnull,
}


def obstacle() -> str:
    """Why no machine can be booted in this sandbox, with the fix; empty when one can."""
    if not shutil.which("systemd-nspawn"):
        return "systemd-nspawn is missing; get it with: apt-get install systemd-container"
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        return "to boot a machine takes root, not a user namespace: `sudo make test`"
    if not python():
        return f"no {VERSION} outside of homes, which a service may not read; install one"
    try:
        tree()
    except MachineError as error:
        said = " ".join(str(error).split())
        return f"to boot a machine takes cgroups, in a container: --privileged ({said})"
    return ""


def python() -> Path | None:
    """The interpreter for a service: of this version, for the wheels that are here are built for
    it, and with what it takes to make a virtual environment.
    """
    for one in PYTHONS:
        if not any(home in one.parents for home in HOMES) and one.exists():
            complete = subprocess.run([one, "-c", "import ensurepip, venv"], check=False)
            if complete.returncode == 0:
                return one
    return None


def step(title: str) -> str:
    """A step of "Quick start on two instances" in README.md, by the word that it begins with."""
    text = (CHECKOUT / "README.md").read_text().partition("\n## Quick start on two instances\n")[2]
    found = re.search(rf"^\d\. \*\*{title}\*\* .*?^(?=\d\. |## )", text, re.M | re.S)
    assert found, f"README.md has no step {title} in its quick start"
    return found[0]


def commands(title: str) -> str:
    """The block of shell commands in a step of README.md's quick start."""
    found = re.search(r"^ +```\n(.*?)^ +```$", step(title), re.M | re.S)
    assert found, f"README.md has no block of commands in the step {title} of its quick start"
    return textwrap.dedent(found[1])


def installed(fork_server: ForkServer) -> Path:
    """The layer of a root with nathb on it, made by whoever asks first; the others wait."""
    PLACE.mkdir(exist_ok=True)
    layer = PLACE / "root"
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not layer.exists():
            sweep()
            _install(fork_server, layer)
    return layer


def _install(fork_server: ForkServer, layer: Path) -> None:
    with Lab(PAIR, fork_server) as lab, NspawnMachine(lab, "nat-a", ()) as machine:
        bare(machine)
        machine.power_on()
        install(machine)
        machine.poweroff()
        for needed_no_more in ("opt/lab/checkout", "opt/lab/wheels", "root/nathb"):
            shutil.rmtree(machine.disk / needed_no_more)
        machine.disk.rename(layer)


def install(machine: NspawnMachine) -> None:
    """Do what README.md says in its step "Install", on a machine that is bare and up."""
    settings = [f"{key}={value}" for key, value in PIP.items()]
    # Nice to the tests beside it, some of which measure milliseconds.
    script = f"cd; {commands('Install')}"
    machine.did("nice", "env", *settings, "sh", "-exc", script, within=600.0)


def bare(machine: NspawnMachine) -> None:
    """Make it a machine, before it boots, on which nothing is installed and nothing is enabled.

    Beside it lies what the commands would get from the internet.
    """
    _bring(machine.disk / "opt/lab")
    machine.furnish("/etc/fstab", "")
    machine.furnish("/etc/systemd/journald.conf.d/lab.conf", "[Journal]\nSystemMaxUse=16M\n")
    for folder in ("/etc/systemd/system", "/etc/nathb", "/opt/nathb", "/root"):
        machine.hide(folder)
    masked = [f"system-generators/{one.name}" for one in GENERATORS.iterdir()]
    masked += [f"system/{unit}" for unit in MASKED]
    for name in masked:
        link = machine.disk / "etc/systemd" / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.devnull)
    stand_ins = STAND_INS | {"python3": f'exec {python()} "$@"'}
    for name, does in stand_ins.items():
        machine.furnish(f"/opt/lab/bin/{name}", f"#!/bin/sh\n{does}\n", mode=0o755)


def _bring(folder: Path) -> None:
    """Put there what the commands would get from the internet."""
    if not (WHEELS / "ready").exists():
        raise MachineError(f"{WHEELS} is not filled; do so with: make .venv/wheels/ready")
    shutil.copytree(WHEELS, folder / "wheels")
    for name in CLONED:
        here, there = CHECKOUT / name, folder / "checkout" / name
        there.parent.mkdir(exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, there)
