"""docs/amazon-linux.md, in a root laid out like Amazon Linux 2023.

Not the real thing: below its Python 3.9, its dnf and its lack of apt the root is this machine's
Debian. dnf brings what it is asked for by uncovering what has been hidden.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nathb import __version__
from tests.install.built import CHECKOUT, CLONED, OFFLINE, PYTHON, WHEELS
from tests.install.documents import blocks
from tests.install.root import Root, uncompiled

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
LEFT = {"/etc/nathb/nat/rules.nft", "/etc/nathb/nat/settings.env", "/etc/nathb/nat/sysctl.conf"}


@pytest.fixture
def amazon_linux(root: Root) -> Root:
    root.did("sh", "-ec", "rm -f /usr/bin/apt* /usr/bin/dpkg* /usr/bin/cc /usr/bin/python3")
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
    amazon_linux.did("sh", "-exc", f"cd /srv; {typed}", env=OFFLINE | {"PIP_FIND_LINKS": "/wheels"})

    wanted = " ".join(["python3.11", "python3.11-pip", *list(BROUGHT)[1:]])
    assert amazon_linux.calls() == [
        "dnf install -y git make",
        f"dnf install --quiet --assumeyes {wanted}",
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
