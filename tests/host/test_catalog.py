"""The catalog, compiled and shown by journalctl itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nathb.core.events import Event, EventKind
from nathb.host.journal import Journal
from nathb.host.journal_schema import ENTRIES, LOST
from tests.host.journald import PATIENCE, Journald
from tests.host.samples import TOOK

CATALOG = Path(__file__).parents[2] / "systemd" / "nathb.catalog"
ALWAYS = {"MESSAGE", "NATHB_GROUP", "NATHB_NODE"}
CARRIED = {
    # What the core always puts into events; a field that is absent is shown by its bare name.
    "NATHB_ROUTE_TABLE NATHB_DESTINATION NATHB_TO NATHB_REASON": (
        "took returned released handed-over would-move move-failed"
    ),
    "NATHB_ROUTE_TABLE NATHB_DESTINATION NATHB_TO": "moved-by-another",
    "NATHB_ROUTE_TABLE NATHB_DESTINATION NATHB_REASON": (
        "contested foreign route-missing route-guarded damped"
    ),
    # A route is also taken from a blackhole, which has no name.
    "NATHB_FROM": (
        "returned released handed-over peer-up peer-down pin-void pin-good drained undrained"
        " still-drained never-answered pulse-ignored"
    ),
}


def texts() -> dict[str, str]:
    """Return each entry's text by its identifier."""
    _, *parts = re.split(r"^-- ([0-9a-f]{32})$", CATALOG.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_table_and_catalog_have_the_same_identifiers() -> None:
    assert texts().keys() == {entry.message_id for entry in (*ENTRIES.values(), LOST)}


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.value)
def test_a_text_uses_only_fields_that_its_events_carry(kind: EventKind) -> None:
    used = set(re.findall(r"@([A-Z][A-Z0-9_]*)@", texts()[ENTRIES[kind].message_id]))
    carried = {
        field
        for fields, kinds in CARRIED.items()
        for field in fields.split()
        if kind.value in kinds.split()
    }
    assert used <= ALWAYS | carried


def test_no_line_is_too_long_for_a_terminal() -> None:
    assert max(map(len, "".join(texts().values()).splitlines())) <= 80


def test_journalctl_compiles_the_catalog_without_complaint(tmp_path: Path) -> None:
    shown = compiled(tmp_path)
    for message_id, text in texts().items():
        subject = re.search(r"^Subject: (.+)$", text, flags=re.MULTILINE)
        assert subject
        assert f"{message_id} nathb: {subject[1]}" in shown.splitlines()


def compiled(root: Path) -> str:
    """Compile the catalog below `root`; return journalctl's list of it."""
    folder = root / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (root / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(CATALOG, folder)
    complaints, shown = (
        subprocess.run(
            ["journalctl", f"--root={root}", "--no-pager", verb],
            check=True, capture_output=True, text=True, timeout=60,
        )
        for verb in ("--update-catalog", "--list-catalog")
    )  # fmt: skip
    assert complaints.stderr == ""
    return shown.stdout


@pytest.mark.lab
def test_journalctl_explains_a_takeover_by_its_names(
    journald: Journald, journal_for: Callable[[Journald], Journal], tmp_path: Path
) -> None:
    compiled(tmp_path)
    journal = journal_for(journald)
    journal.emit(TOOK)
    assert journal.close(PATIENCE)
    shown = journald.explained(tmp_path / "var/lib/systemd")
    assert "Subject: nat-a took rtb-0bee8f2dc00000003 0.0.0.0/0" in shown
    assert "path that clients use: heartbeat 8.8.4.4 missed 3 of 3." in shown
    assert "nathb status tokyo" in shown
    assert "@" not in shown


@pytest.mark.lab
def test_an_at_sign_before_a_field_is_kept(
    journald: Journald, journal_for: Callable[[Journald], Journal], tmp_path: Path
) -> None:
    compiled(tmp_path)
    journal = journal_for(journald)
    journal.emit(Event(kind=EventKind.STOPPED, message="stopped"))
    assert journal.close(PATIENCE)
    assert "systemctl status nathb@tokyo\n" in journald.explained(tmp_path / "var/lib/systemd")
