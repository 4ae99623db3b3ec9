"""Packages: Debian's, VyOS's boot hook, and what Amazon Linux needs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from nathb import __version__
from tests.install.built import CHECKOUT, CLONED, OFFLINE, PYTHON, WHEELS, Built
from tests.install.documents import blocks
from tests.install.root import Root, uncompiled

# --- Debian ---------------------------------------------------------------------------------------

SETTINGS = "/etc/nathb/nat/settings.env"
EXAMPLES = "/usr/share/doc/nathb/examples"
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
    example = f"{EXAMPLES}/example.yaml"
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert "good: group example" in installed.did(*nobody, "nathb", "check", example)
    assert uncompiled(installed) == 0


def test_the_examples_come_as_documents_and_none_as_a_group(built: Built) -> None:
    shipped = {one.name for one in (CHECKOUT / "etc" / "nathb").glob("*.yaml")}
    assert {one.name for one in (built.tree / EXAMPLES.lstrip("/")).iterdir()} == shipped
    assert list((built.tree / "etc" / "nathb").glob("*.y*ml")) == []


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


# --- VyOS -----------------------------------------------------------------------------------------

# Not the real thing: the root is this machine's Debian, and no boot loader hands one image over to
# the next.

CONFIG = "/opt/vyatta/etc/config"
HOOK = "/config/scripts/vyos-postconfig-bootup.script"
AS_SHIPPED = (
    "#!/bin/sh\n# This script is executed at boot time after VyOS configuration is applied.\n"
)
START = "systemctl start --no-block nathb@tokyo.service"


MakeRoot = Callable[[], Root]


def image(make_root: MakeRoot) -> Root:
    """A fresh image, with /config as VyOS has it."""
    fresh = make_root()
    fresh.did("sh", "-ec", f"mkdir -p {CONFIG}/scripts; ln -s {CONFIG} /config; rm /usr/bin/apt*")
    fresh.write(HOOK, AS_SHIPPED)
    fresh.did("chgrp", "-R", "users", CONFIG)
    fresh.did("chmod", "-R", "u=rwX,g=rwXs,o=", f"{CONFIG}/scripts")
    fresh.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
    fresh.write("/usr/local/bin/vi", "#!/bin/sh\n", 0o755)
    fresh.listen("systemctl", "logger")
    return fresh


@pytest.fixture
def first(make_root: MakeRoot, built: Built) -> Root:
    """An image on which what the document says has been typed."""
    root = image(make_root)
    for file in (
        built.package,
        CHECKOUT / "packaging" / "vyos" / "boot",
        CHECKOUT / "etc" / "nathb" / "example.yaml",
    ):
        root.bring(file, f"/home/vyos/{file.name}")
    to_build, to_install, *_ = blocks("docs/vyos.md")
    for name in ("nathb_*.deb", "packaging/vyos/boot", "etc/nathb/example.yaml"):
        assert name in to_build, "what is brought above is what it says to copy"
    root.did("sh", "-exc", f"cd /home/vyos; {to_install}")
    return root


def upgraded(old: Root, make_root: MakeRoot) -> Root:
    """The next image: VyOS copies /config, and nothing else."""
    new = image(make_root)
    new.did("rm", "-rf", CONFIG)
    new.bring(old.place / "upper" / CONFIG.lstrip("/"), CONFIG)
    return new


def test_typed_as_written_it_runs(first: Root) -> None:
    assert START in first.calls()
    assert first.did("nathb", "--version") == f"nathb {__version__}\n"
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert "good: group tokyo" in first.did(*nobody, "nathb", "check", "tokyo")


def test_it_is_back_in_the_next_image(first: Root, make_root: MakeRoot) -> None:
    next_image = upgraded(first, make_root)
    assert next_image.run("nathb", "--version").returncode != 0, "the image has no nathb"
    next_image.did(HOOK)
    assert START in next_image.calls()
    assert next_image.did("nathb", "--version") == f"nathb {__version__}\n"
    assert "good: group tokyo" in next_image.did("nathb", "check", "tokyo")
    assert "nathb started guarding" in next_image.did("journalctl", "--list-catalog")


def test_a_second_boot_only_starts_the_daemons(first: Root) -> None:
    first.calls()
    assert first.did(HOOK) == ""
    assert first.calls() == [START]


def test_a_group_whose_file_has_gone_is_shown_to_nobody(first: Root) -> None:
    first.calls()
    first.did("mv", "/config/nathb/tokyo.yaml", "/config/nathb/osaka.yaml")
    first.did(HOOK)
    assert first.calls() == ["systemctl start --no-block nathb@osaka.service"]
    assert first.did("find", "/etc/nathb", "-name", "*.yaml") == "/etc/nathb/osaka.yaml\n"


def test_an_image_of_another_release_says_that_routes_are_not_guarded(
    first: Root, make_root: MakeRoot
) -> None:
    other = upgraded(first, make_root)
    other.did("sed", "-i", f"s/^Package: {PYTHON.name}$/&9/", "/var/lib/dpkg/status")
    assert other.run(HOOK).returncode == 1
    calls = other.calls()
    assert START not in calls
    (said,) = (one for one in calls if one.startswith("logger --priority daemon.err"))
    assert "routes are NOT guarded" in said
    assert f"nathb depends on {PYTHON.name}" in " ".join(calls)


def test_the_newest_of_several_packages_is_taken(first: Root) -> None:
    first.did("cp", "/bin/true", "/config/nathb/nathb_0.0.9_amd64.deb")
    assert first.did(HOOK) == ""
    for newer in ("99.10.0", "99.9.0"):
        first.did("cp", "/bin/true", f"/config/nathb/nathb_{newer}_amd64.deb")
    assert "nathb_99.10.0_amd64.deb does not go into this image" in first.run(HOOK).stdout


# --- Amazon Linux ---------------------------------------------------------------------------------

# Not the real thing: below its Python 3.9, its dnf and its lack of apt the root is this machine's
# Debian. dnf brings what it is asked for by uncovering what has been hidden.

RELEASE = 'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
PYTHON_3_9 = """#!/bin/sh
# What it is asked is whether it is 3.11; it is not.
[ "$1" = --version ] && echo Python 3.9.25 && exit
cat >/dev/null
exit 1
"""
(PKG_CONFIG,) = Path("/usr/lib").glob("*/pkgconfig/libsystemd.pc")
BROUGHT = {
    # by Amazon's name of the package
    "python3.11": PYTHON,
    "python3.11-devel": Path("/usr/include", PYTHON.name),
    "gcc": Path("/usr/bin/gcc"),
    "pkgconf-pkg-config": Path("/usr/bin/pkg-config"),
    "systemd-devel": PKG_CONFIG,
}
DNF = """#!/bin/sh
echo "dnf $*" >>/calls
for name; do
    [ ! -e "/hidden/$name.place" ] || mv "/hidden/$name" "$(cat "/hidden/$name.place")"
done
"""
GIT = """#!/bin/sh
[ "$1" = clone ] && exec cp -R /checkout "$3"
"""
LEFT = {f"/etc/nathb/nat/{one.name}" for one in (CHECKOUT / "etc/nathb/nat").iterdir()}


@pytest.fixture
def amazon_linux(root: Root) -> Root:
    root.did("sh", "-ec", "rm -f /usr/bin/apt* /usr/bin/dpkg* /usr/bin/cc /usr/bin/python3")
    root.did("sh", "-ec", "rm -rf /usr/lib/python3/dist-packages/systemd*")
    for name, place in BROUGHT.items():
        hide = 'mkdir -p /hidden; mv "$2" "/hidden/$1"; echo "$2" >"/hidden/$1.place"'
        root.did("sh", "-ec", hide, "hide", name, str(place))
    root.did("sh", "-ec", "rm -f /usr/bin/python3.* /usr/local/bin/python3* /etc/os-release")
    root.write("/etc/os-release", RELEASE)
    root.write("/usr/bin/python3", PYTHON_3_9, 0o755)
    root.write("/usr/bin/dnf", DNF, 0o755)
    root.write("/usr/bin/git", GIT, 0o755)
    root.write("/usr/bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
    for name in CLONED:
        root.bring(CHECKOUT / name, f"/checkout/{name}")
    root.bring(WHEELS, "/wheels")
    return root


def test_typed_as_written_it_installs_and_goes_again(amazon_linux: Root) -> None:
    before = amazon_linux.changed()
    (typed,) = blocks("docs/amazon-linux.md")
    env = OFFLINE | {"PIP_FIND_LINKS": "/wheels"}
    said = amazon_linux.did("sh", "-exc", f"cd /srv; {typed}", env=env)
    assert f"This system has no python3-systemd for {PYTHON}: systemd-python is compiled\n" in said
    assert ", systemd-python-235.tar.gz compiled here; without a hash there: nathb (" in said

    assert amazon_linux.calls() == [
        "dnf install -y git make",
        "dnf install --quiet --assumeyes python3.11 python3.11-pip",
        f"dnf install --quiet --assumeyes {' '.join(list(BROUGHT)[1:])}",
    ]
    assert amazon_linux.did("nathb", "--version") == f"nathb {__version__}\n"
    assert amazon_linux.did("readlink", f"/opt/nathb/bin/{PYTHON.name}") == f"{PYTHON}\n"
    assert uncompiled(amazon_linux) == 0
    assert "nathb started guarding" in amazon_linux.did("journalctl", "--list-catalog")
    for unit in ("nathb@tokyo.service", "nathb-nat.service"):
        assert amazon_linux.run("systemctl", "is-enabled", unit).stdout.strip() == "disabled"

    amazon_linux.did("make", "-C", "/srv/nathb", "uninstall")
    assert "nathb started guarding" not in amazon_linux.did("journalctl", "--list-catalog")
    amazon_linux.did("rm", "-r", "/srv/nathb")
    places = tuple(map(str, BROUGHT.values()))
    left = {one for one in amazon_linux.changed() - before if not one.startswith(places)}
    assert {one for one in left if "nathb" in one} - {"/etc/nathb", "/etc/nathb/nat"} == LEFT
