"""The Debian package, in a root where nathb never was."""

from __future__ import annotations

import re
import subprocess

import pytest

from nathb import __version__
from tests.install.built import PYTHON, Built
from tests.install.root import Root, uncompiled

SETTINGS = "/etc/nathb/nat/settings.env"
DEBIANS_OWN = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/etc/ld.so.cache")
CATALOG = "/var/lib/systemd/catalog/database"


@pytest.fixture
def installed(root: Root, built: Built) -> Root:
    root.bring(built.package, "/nathb.deb")
    root.did("dpkg", "--install", "/nathb.deb")
    return root


def test_what_it_installs_is_complete_and_nothing_is_enabled(installed: Root) -> None:
    assert installed.did("nathb", "--version") == f"nathb {__version__}\n"
    assert "nathb: nathb started guarding" in installed.did("journalctl", "--list-catalog")
    for unit in ("nathb@tokyo.service", "nathb-nat.service"):
        assert installed.run("systemctl", "is-enabled", unit).stdout.strip() == "disabled"
        assert installed.did("systemd-analyze", "verify", "--man=no", unit) == ""


def test_any_user_may_run_it_and_none_has_to_compile_it(installed: Root) -> None:
    example = "/usr/share/doc/nathb/examples/example.yaml"
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert "good: group example" in installed.did(*nobody, "nathb", "check", example)
    assert uncompiled(installed) == 0


def test_it_refers_to_the_systems_own_interpreter_and_depends_on_that(built: Built) -> None:
    assert (built.tree / "opt/nathb/bin" / PYTHON.name).readlink() == PYTHON
    depends = subprocess.run(
        ["dpkg-deb", "--field", built.package, "Depends"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert PYTHON.name in depends.stdout.split(", ")


def test_after_a_purge_no_trace_of_it_is_left_but_what_operators_wrote(installed: Root) -> None:
    enabled = "/etc/systemd/system/multi-user.target.wants/nathb@tokyo.service"
    installed.did("ln", "-s", "/usr/lib/systemd/system/nathb@.service", enabled)
    installed.write("/etc/nathb/tokyo.yaml", "mine\n")
    installed.did("rm", "/nathb.deb")
    installed.did("dpkg", "--purge", "nathb")
    left = {one for one in installed.changed() if not one.startswith(DEBIANS_OWN)}
    assert left - {CATALOG} == {"/etc/nathb", "/etc/nathb/tokyo.yaml"}
    assert "nathb" not in installed.did("journalctl", "--list-catalog")
    assert installed.run("dpkg", "--status", "nathb").returncode != 0


def test_a_purge_leaves_opt_to_the_system_where_nothing_else_is_in_it(
    root: Root, built: Built
) -> None:
    root.hide("/opt")
    root.bring(built.package, "/nathb.deb")
    for leave in ("--remove", "--purge"):
        root.did("dpkg", "--install", "/nathb.deb")
        root.did("dpkg", leave, "nathb")
        assert root.did("ls", "/opt") == "", leave


def test_a_fresh_package_starts_nothing(root: Root, built: Built) -> None:
    root.bring(built.package, "/nathb.deb")
    root.listen("systemctl", "journalctl")
    root.did("dpkg", "--install", "/nathb.deb")
    assert root.calls() == ["systemctl daemon-reload", "journalctl --update-catalog"]


def test_an_upgrade_restarts_what_runs_and_keeps_what_operators_set(installed: Root) -> None:
    installed.listen("systemctl", "journalctl")
    installed.write(SETTINGS, "NATHB_NAT_CLIENTS=10.7.0.0/16\n")
    installed.did("dpkg", "--install", "--force-confdef", "--force-confold", "/nathb.deb")
    assert installed.calls() == [
        "systemctl daemon-reload",
        "systemctl try-reload-or-restart nathb-nat.service",
        "systemctl try-restart nathb@*.service",
        "journalctl --update-catalog",
    ]
    assert installed.did("cat", SETTINGS) == "NATHB_NAT_CLIENTS=10.7.0.0/16\n"


def test_a_daemon_that_does_not_come_up_again_is_no_fault_of_the_upgrade(installed: Root) -> None:
    installed.listen("journalctl")
    failing = '#!/bin/sh\n[ "$1" = daemon-reload ]\n'
    installed.write("/usr/local/bin/systemctl", failing, 0o755)
    installed.did("dpkg", "--install", "/nathb.deb")
    assert "install ok installed" in installed.did("dpkg", "--status", "nathb")


def test_when_it_goes_the_daemons_stop_before_the_nat_does(installed: Root) -> None:
    installed.listen("systemctl", "journalctl")
    installed.did("dpkg", "--remove", "nathb")
    stops = [one for one in installed.calls() if " stop " in one]
    assert stops == ["systemctl stop nathb@*.service", "systemctl stop nathb-nat.service"]
    assert installed.run("test", "-e", SETTINGS).returncode == 0, "a removal keeps settings"


def test_nothing_in_it_names_where_it_was_built(built: Built) -> None:
    workshops = re.compile(rb"/\.nathb-|nathb-source-|/tmp/tmp\.")
    files = (one for one in built.tree.rglob("*") if one.is_file() and not one.is_symlink())
    assert [one for one in files if workshops.search(one.read_bytes())] == []
