"""The unit and the catalog, held against systemd's own judgement of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from configparser import RawConfigParser
from pathlib import Path

import pytest

from nathb.core.events import Event, EventKind
from nathb.host.journal import Journal
from nathb.host.journal_schema import ENTRIES, LOST
from tests.host.journald import PATIENCE, Journald
from tests.host.samples import TOOK

# --- the unit -------------------------------------------------------------------------------------

UNITS = Path(__file__).parents[2] / "systemd"
UNIT = UNITS / "nathb@.service"
NAT = UNITS / "nathb-nat.service"
EXPOSURE = 2.0
PROGRAM = "/opt/nathb/bin/nathb"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a stand-in for the program, for `verify` looks whether it can be run."""
    stand_in = shutil.which("true")
    assert stand_in
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(PROGRAM, stand_in))
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", "--man=no", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_systemd_finds_no_fault_with_the_unit(unit: Path) -> None:
    verdict = analyze("verify", "--recursive-errors=no", str(unit))
    assert (verdict.returncode, verdict.stdout) == (0, "")


def test_systemd_finds_the_fault_of_an_unknown_setting(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("RestartSec=", "RestartSecs="))
    assert "RestartSecs" in analyze("verify", "--recursive-errors=no", str(unit)).stdout


@pytest.mark.parametrize("name", ["nathb", "nathb-nat"])
def test_a_service_is_barely_exposed(unit: Path, name: str) -> None:
    """Prints systemd's own table; 0 is no exposure, 10 the most, and from 4 on it says MEDIUM."""
    threshold = f"--threshold={EXPOSURE * 10:.0f}"
    file = str(unit if name == "nathb" else NAT)
    verdict = analyze("security", "--offline=true", threshold, file)
    print(verdict.stdout)
    assert verdict.returncode == 0, "the level is above the threshold"
    assert re.search(rf"Overall exposure level for {name}[@.]\S+: [\d.]+ OK", verdict.stdout)


class Lists(dict[str, object]):
    """Keys that may be given more than once, as ExecReload= is."""

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, list) and key in self and isinstance(self[key], list):
            value = [*self[key], *value]  # type: ignore[misc]
        super().__setitem__(key, value)


@pytest.fixture
def service() -> dict[str, str]:
    """The settings of [Service]; of several values of one setting, one to a line."""
    parser = RawConfigParser(dict_type=Lists, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser["Service"])


def test_a_reload_asks_whether_the_file_is_good_and_then_waits_for_the_daemons_answer(
    service: dict[str, str],
) -> None:
    assert service["ExecReload"].split("\n") == [
        f"{PROGRAM} check %i",
        f"{PROGRAM} reload %i --pid $MAINPID",
    ]


def test_nothing_but_a_bad_file_keeps_the_daemon_down(service: dict[str, str]) -> None:
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "78"
    assert "StartLimitIntervalSec=0" in UNIT.read_text().partition("[Service]")[0]


def test_a_hook_that_runs_out_of_memory_takes_nobody_with_it(service: dict[str, str]) -> None:
    assert service["OOMPolicy"] == "continue"


def test_the_end_of_the_service_is_the_end_of_what_hooks_left_behind(
    service: dict[str, str],
) -> None:
    assert service.get("KillMode", "control-group") == "control-group"


def test_the_runtime_directory_is_where_a_person_s_status_looks(service: dict[str, str]) -> None:
    assert service["RuntimeDirectory"] == "nathb/%i"
    assert "RuntimeDirectoryPreserve" not in service, "DynamicUser= would move it to /run/private"


def test_systemd_finds_no_fault_with_the_unit_of_a_plain_nat() -> None:
    verdict = analyze("verify", "--recursive-errors=no", str(NAT))
    assert (verdict.returncode, verdict.stdout) == (0, "")


def test_masquerade_is_there_before_the_daemon_and_goes_after_it() -> None:
    after = re.findall(r"^After=(.+)$", UNIT.read_text(), re.M)
    assert NAT.name in " ".join(after).split()


def test_the_unit_of_a_plain_nat_may_rule_the_network_and_nothing_else() -> None:
    settings = NAT.read_text().splitlines()
    assert "CapabilityBoundingSet=CAP_NET_ADMIN" in settings
    assert not [one for one in settings if re.match(r"Exec\w+=[-@:]*[+!]", one)], "past the sandbox"


def test_rules_that_masquerade_go_also_when_a_start_was_cut_short() -> None:
    settings = NAT.read_text().splitlines()
    assert "ExecStopPost=-nft delete table ip nathb_nat" in settings


# --- the catalog ----------------------------------------------------------------------------------

CATALOG = Path(__file__).parents[2] / "systemd" / "nathb.catalog"
ALWAYS = {"MESSAGE", "NATHB_GROUP", "NATHB_NODE"}
CARRIED = {
    # What the core always puts into events; a field that is absent is shown by its bare name.
    "NATHB_ROUTE_TABLE NATHB_DESTINATION NATHB_TO NATHB_REASON": (
        "took returned released handed-over would-move move-failed"
    ),
    "NATHB_ROUTE_TABLE NATHB_DESTINATION NATHB_TO": "moved-by-another",
    "NATHB_ROUTE_TABLE NATHB_DESTINATION NATHB_REASON": (
        "contested foreign route-missing route-guarded route-found route-unguarded damped"
    ),
    "NATHB_ROUTE_TABLE NATHB_DESTINATION": "learned withdrawn",
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
