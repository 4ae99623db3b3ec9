"""The unit file, held against systemd's own judgement of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

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


def test_the_service_is_barely_exposed(unit: Path) -> None:
    threshold = f"--threshold={EXPOSURE * 10:.0f}"
    verdict = analyze("security", "--offline=true", threshold, str(unit))
    assert verdict.returncode == 0, verdict.stdout
    assert "Overall exposure level" in verdict.stdout


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


def test_rules_that_masquerade_go_also_when_a_start_was_cut_short() -> None:
    settings = NAT.read_text().splitlines()
    assert "ExecStopPost=-nft delete table ip nathb_nat" in settings
