"""What is installed is billed, comes as wheels or from the system, and is compiled only without."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.install.built import (
    CHECKOUT,
    CLONED,
    OFFLINE,
    PYTHON,
    VERSION,
    WHEELS,
    Built,
    clone,
    make,
)
from tests.install.root import Root
from tests.install.test_bad_release import lock

LOCK = CHECKOUT / "packaging" / "lock"
HERE = "opt/nathb/bom.json"
SYSTEMS = "/usr/lib/python3/dist-packages"
WITHOUT_COMPILER = "rm -rf /usr/bin/*gcc* /usr/bin/cc /usr/bin/c99 /usr/bin/pkg-config"


def bill(tree: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((tree / HERE).read_text())
    return read


def checked_by(part: dict[str, Any]) -> str:
    return {one["name"]: one["value"] for one in part["properties"]}["nathb:checked-by"]


# --- the bill -------------------------------------------------------------------------------------


def test_every_package_is_on_the_bill_with_its_version_and_who_has_checked_it(built: Built) -> None:
    packages = built.tree / f"opt/nathb/lib/{VERSION}/site-packages"
    found = {
        re.sub(r"[-_.]+", "-", one[1]).lower(): one[2]
        for path in packages.iterdir()
        if (one := re.fullmatch(r"(.+?)-(\d[^-]*)\.(?:dist|egg)-info", path.name))
    }
    billed = bill(built.tree)
    of = billed["metadata"]["component"]
    libraries = {part["name"]: part for part in [*billed["components"], of]}
    python = libraries.pop("python")
    assert {name: part["version"] for name, part in libraries.items()} == found
    assert python["type"] == "platform"
    locked = "".join(file.read_text() for file in (LOCK / "nathb.txt", LOCK / "completion.txt"))
    hashed = {name: part for name, part in libraries.items() if "hashes" in part}
    assert set(libraries) - set(hashed) <= {"nathb", "systemd-python"}
    for name, part in hashed.items():
        (only,) = part["hashes"]
        assert only["alg"] == "SHA-256"
        assert f"--hash=sha256:{only['content']}" in locked
        assert f"{name}=={part['version']} " in locked
        assert checked_by(part).startswith("packaging/lock")
    for part in (python, of):
        assert "no hash in packaging/lock" in checked_by(part)


def test_the_document_says_what_the_hashes_do_not_cover(built: Built) -> None:
    text = " ".join((CHECKOUT / "docs" / "install.md").read_text().split())
    (said,) = re.findall(r"The hashes do not cover (.*?)\.", text)
    billed = bill(built.tree)
    parts = [*billed["components"], billed["metadata"]["component"], *billed["metadata"]["tools"]]
    uncovered = {part["name"] for part in parts if "hashes" not in part}
    assert {"nathb", "python", "pip"} <= uncovered
    names = {"python": "the Python interpreter", "nathb": "nathb itself"}
    assert [name for name in uncovered if names.get(name, name) not in said] == []


# --- nothing is compiled that can be had ready-made -----------------------------------------------


def python3_systemd(folder: Path) -> Path:
    """A package like Debian's python3-systemd, of what this environment has compiled."""
    tree = folder / "tree"
    ours = CHECKOUT / ".venv" / "lib" / VERSION / "site-packages"
    for path in (ours / "systemd", *ours.glob("systemd_python-*-info")):
        shutil.copytree(path, tree / SYSTEMS.lstrip("/") / path.name)
    (tree / "DEBIAN").mkdir(mode=0o755)
    (tree / "DEBIAN" / "control").write_text(
        "Package: python3-systemd\nVersion: 235-9+lab\nArchitecture: all\n"
        "Maintainer: nobody <nobody@localhost>\nDescription: for the tests of nathb\n"
    )
    package = folder / "python3-systemd.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", tree, package]
    subprocess.run(command, check=True, capture_output=True)
    return package


@pytest.fixture
def debian(root: Root, tmp_path: Path) -> Root:
    """A Debian without a compiler and without python3-systemd, which apt-get brings."""
    root.did("sh", "-ec", f"rm -rf {SYSTEMS}/systemd*; {WITHOUT_COMPILER}")
    root.did("ln", "-sfn", str(PYTHON), "/usr/bin/python3")
    for name in CLONED:
        root.bring(CHECKOUT / name, f"/checkout/{name}")
    root.bring(WHEELS, "/wheels")
    root.bring(python3_systemd(tmp_path), "/hidden/python3-systemd.deb")
    apt = """#!/bin/sh
echo "apt-get $*" >>/calls
case "$*" in *" python3-systemd") dpkg --force-all --install /hidden/python3-systemd.deb ;; esac
"""
    root.write("/usr/local/bin/apt-get", apt, 0o755)
    root.write("/usr/local/bin/systemctl", "#!/bin/sh\n", 0o755)
    return root


def test_python3_systemd_is_taken_where_the_system_has_it_and_nothing_is_compiled(
    debian: Root,
) -> None:
    env = OFFLINE | {"PIP_FIND_LINKS": "/wheels"}
    said = debian.did("make", "-C", "/checkout", "install", env=env)
    assert debian.calls()[-1].endswith(" install -y --no-install-recommends python3-systemd")
    assert "without a hash there: nathb (the folder that make ran in), systemd-python " in said
    assert "(python3-systemd 235-9+lab), python (" in said
    billed = json.loads(debian.did("cat", f"/{HERE}"))
    (part,) = (one for one in billed["components"] if one["name"] == "systemd-python")
    assert part["purl"].endswith("/python3-systemd@235-9%2Blab")
    assert checked_by(part).startswith("the system's package manager")
    for module in ("_reader", "_journal"):
        name = f"systemd/{module}.*.so"
        debian.did(
            "sh", "-c", f"cmp {SYSTEMS}/{name} /opt/nathb/lib/{VERSION}/site-packages/{name}"
        )

    debian.did("/checkout/packaging/prepare")
    assert debian.calls() == [], "it is there already"


def test_a_package_that_has_no_wheel_is_refused_and_not_compiled(tmp_path: Path) -> None:
    index = Path(shutil.copytree(WHEELS, tmp_path / "index"))
    checkout = clone(tmp_path / "checkout")
    ran = tmp_path / "ran"
    source = index / "icmplib-99.0.tar.gz"
    code = f"from pathlib import Path; Path({str(ran)!r}).touch()\nfrom setuptools import setup\n"
    code += "setup(name='icmplib', version='99.0')\n"
    with tarfile.open(source, "w:gz") as archive:
        member = tarfile.TarInfo("icmplib-99.0/setup.py")
        member.size = len(code)
        archive.addfile(member, io.BytesIO(code.encode()))
    lock(checkout, "icmplib", source)
    assert (
        hashlib.sha256(source.read_bytes()).hexdigest()
        in (checkout / "packaging" / "lock" / "nathb.txt").read_text()
    )
    arguments = (f"DESTDIR={tmp_path / 'to'}", f"PYTHON={PYTHON}")
    done = make("install", *arguments, at=checkout, env={"PIP_FIND_LINKS": index.as_uri()})
    assert done.returncode != 0
    assert "No matching distribution found for icmplib==99.0" in done.stdout
    assert not ran.exists()
