"""A directory of hooks for tests, real executables that are run as the daemon runs them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from nathb.host.hooks import Hooks
from nathb.host.journal_schema import notice
from tests.host.samples import TOOK

NOON = datetime(2031, 2, 3, 12, 0, tzinfo=UTC)
NOTICE = notice(TOOK, "tokyo", "nat-a", NOON)
PATIENCE = 20.0


class HookRunner:
    """A directory of hooks, and where they leave word."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "hooks.d"
        self.directory.mkdir(mode=0o755)
        self.directory.chmod(0o755)
        self.word = folder / "word"
        self.environ = {"PATH": os.environ["PATH"], "WORD": str(self.word)}

    def hook(self, name: str, script: str, mode: int = 0o755) -> Path:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        return path

    def carry(self, timeout: float = PATIENCE, grace: float = PATIENCE) -> list[str]:
        hooks = Hooks(self.directory, environ=self.environ, timeout=timeout, grace=grace)
        return [event.message for event in hooks.carry(NOTICE)]

    def said(self) -> list[str]:
        return self.word.read_text().split() if self.word.exists() else []
