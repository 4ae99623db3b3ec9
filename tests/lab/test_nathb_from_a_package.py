"""The Debian package on a booted machine: installed, at work, and gone again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.install.built import build
from tests.lab.installed import bare
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.service import UNIT, Service

PACKAGE = "/opt/lab/nathb.deb"


@pytest.mark.usefixtures("bootable")
def test_a_machine_with_the_package_guards_its_pair_and_a_purge_leaves_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    built = build(tmp_path / "built")
    with NspawnMachine(lab, "nat-a", ()) as machine:
        bare(machine)
        shutil.copy(built.package, machine.disk / PACKAGE.lstrip("/"))
        machine.power_on()
        assert machine.run("sh", "-c", "command -v nathb").returncode != 0

        machine.did("dpkg", "--install", PACKAGE)
        lab.start_nathb("nat-c", lab.pair_config(), name="pair")
        Service(machine, lab.pair_config()).enable().settle(within=40.0)
        lab.crash("nat-c")
        wait_until("nat-a takes", lambda: lab.holder("c") == "nat-a", within=15.0)

        machine.did("dpkg", "--purge", "nathb")
        assert machine.run("systemctl", "is-active", UNIT).stdout.strip() != "active"
        assert machine.run("sh", "-c", "command -v nathb").returncode != 0
        assert machine.run("ls", "/opt/nathb").returncode != 0
