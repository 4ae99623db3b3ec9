"""docs/vyos.md, in a root laid out like VyOS: what is in /config outlives the image, nothing else.

Not the real thing: the root is this machine's Debian, and no boot loader hands one image over to
the next.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nathb import __version__
from tests.install.built import CHECKOUT, PYTHON, Built
from tests.install.documents import blocks
from tests.install.root import Root

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
    to_build, to_install = blocks("docs/vyos.md")
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
