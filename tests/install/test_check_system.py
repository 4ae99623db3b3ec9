"""`make install` and `make uninstall` say what is in their way before they touch anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from nathb import __version__
from tests.install.built import CHECKOUT, CLONED, OFFLINE, WHEELS, release
from tests.install.documents import blocks
from tests.install.root import Root

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SYSTEMD = ("systemctl", "journalctl")


@pytest.fixture
def cloned(root: Root) -> Root:
    """A root with a clone, and with something installed, which must stay."""
    for name in CLONED:
        root.bring(CHECKOUT / name, f"/checkout/{name}")
    root.write("/opt/nathb/bin/nathb", "the one before")
    return root


@pytest.mark.parametrize("goal", ["install", "uninstall"])
def test_a_plain_user_is_told_to_be_root(cloned: Root, goal: str) -> None:
    before = cloned.changed()
    done = cloned.run(*NOBODY, "make", "-C", "/checkout", goal)
    assert done.returncode != 0
    assert f"takes root: sudo make {goal}\n" in done.stdout
    assert "Permission denied" not in done.stdout
    assert cloned.changed() == before


@pytest.mark.parametrize("goal", ["install", "uninstall"])
@pytest.mark.parametrize("missing", [*[(one,) for one in SYSTEMD], SYSTEMD], ids=" ".join)
def test_a_system_without_systemd_is_told_so(
    cloned: Root, goal: str, missing: tuple[str, ...]
) -> None:
    cloned.did("rm", *(f"/usr/bin/{program}" for program in missing))
    before = cloned.changed()
    done = cloned.run("make", "-C", "/checkout", goal, env=OFFLINE)
    assert done.returncode != 0
    assert f"Missing: {' '.join(missing)}. nathb runs under systemd" in done.stdout
    assert cloned.changed() == before


def test_below_a_destdir_anybody_may_and_systemd_is_not_asked_for(cloned: Root) -> None:
    cloned.did("rm", *(f"/usr/bin/{program}" for program in SYSTEMD))
    cloned.did("install", "-D", "--owner=65534", "/dev/null", "/home/nobody/tree/opt/nathb/one")
    cloned.did("chown", "-R", "65534:65534", "/home/nobody")
    cloned.did(*NOBODY, "make", "-C", "/checkout", "uninstall", "DESTDIR=/home/nobody/tree")
    assert cloned.run("test", "-e", "/home/nobody/tree/opt/nathb").returncode != 0


def test_typed_as_the_document_has_it_a_folder_is_all_that_is_needed(
    cloned: Root, tmp_path: Path
) -> None:
    cloned.bring(WHEELS, "/wheels")
    cloned.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
    (typed,) = (block for block in blocks("docs/install.md") if "make wheels" in block)
    collect, install = typed.splitlines()
    where = "cd /checkout; "
    newer = release(tmp_path, "icmplib", "raise RuntimeError('newer than what is locked')")
    cloned.bring(newer, f"/newer/{newer.name}")
    links = {"PIP_FIND_LINKS": "/wheels /newer"}  # what an index would offer
    cloned.did("sh", "-exc", where + collect, env=OFFLINE | links)
    cloned.did("rm", "-r", "/wheels", "/newer")
    cloned.did("sh", "-exc", where + install)
    assert cloned.did("nathb", "--version") == f"nathb {__version__}\n"
