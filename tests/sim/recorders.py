"""What a process reports, kept for tests: its journal, and what it tells the service manager."""

from __future__ import annotations

from dataclasses import dataclass, field

from nathb.core.events import Event


@dataclass
class JournalRecorder:
    """Every event of one machine, oldest first."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]

    def sentences(self) -> list[str]:
        return [event.message for event in self.events]


@dataclass
class ManagerRecorder:
    """The newest status line, and how often the watchdog was fed."""

    status_line: str = ""
    watchdogs: int = 0

    def ready(self, status: str) -> None:
        self.status_line = status

    def status(self, status: str) -> None:
        self.status_line = status

    def watchdog(self) -> None:
        self.watchdogs += 1
