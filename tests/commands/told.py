"""Stories of agents on virtual time, told to real journals and read back by commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nathb.host.journal import Journal
from tests.host.journald import PATIENCE, Journald
from tests.sim.stage import Stage

ROOT = Path(__file__).parents[2]


def tell(world: Stage, node: str, journald: Journald) -> str:
    """Write all that a node's agent has told to a journal; return the journal's directory."""
    with open(os.devnull, "wb") as stderr:
        stat = os.fstat(stderr.fileno())
        journal = Journal(
            world.group.name,
            node,
            environ={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"},
            stderr=stderr.fileno(),
            address=journald.address,
        )
        for event in world.host(node).journal.events:
            journal.emit(event)
        assert journal.close(PATIENCE)
    journald.journalctl("--sync")
    return journald.directory


def nathb(*arguments: str, first_on_path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end; never a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "nathb", *arguments],
        env=os.environ | {"PYTHONPATH": f"{first_on_path or ROOT}:{ROOT}", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done
