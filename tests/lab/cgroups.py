"""The cgroups of booted instances: the one thing of the lab's that outlives its sandbox.

They are empty folders by then, in the kernel's one tree without controllers. Whoever boots next
removes them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.lab.machine import MachineError, run, wait_until

TREE = Path("/dev/shm/nathb-lab-cgroup")
OURS = "nathb-lab-"
ABANDONED = 60.0
"""Seconds after which a cgroup without processes is none that is about to be used."""


def new_group(name: str) -> str:
    """A cgroup's name, in which its age can be read; it is not made yet."""
    return f"{OURS}{time.time():.0f}-{name}"  # the one clock that is the same in every sandbox


def tree() -> Path:
    """The cgroup tree, mounted within the sandbox; MachineError where that is refused."""
    if not os.path.ismount(TREE):
        TREE.mkdir(exist_ok=True)
        try:
            run(["mount", "-t", "cgroup2", "lab", str(TREE)])
        except MachineError:
            if not os.path.ismount(TREE):  # by another worker of the suite, meanwhile
                raise
    return TREE


def remove_group(name: str) -> None:
    """Remove a cgroup and all below, once the last of its processes has ended."""
    wait_until(f"the cgroup {name} can be removed", lambda: _removed(tree() / name))


def sweep(abandoned: float = ABANDONED) -> None:
    """Remove what killed sandboxes have left: empty cgroups, named so many seconds ago."""
    for group in tree().glob(f"{OURS}*"):
        begun = group.name.removeprefix(OURS).partition("-")[0]
        if time.time() - float(begun) >= abandoned:
            _removed(group)


def _removed(group: Path) -> bool:
    """Remove what is empty in a cgroup; whether all of it is gone."""
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return False  # somebody lives there
    return not group.exists()
