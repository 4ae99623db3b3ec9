"""A package that is not what nathb was tested with does not cost a good installation."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

from nathb import __version__
from tests.install.built import CHECKOUT, PYTHON, WHEELS, Built, clone, make, release

RAISES = "raise RuntimeError('no good')"
PROOF = CHECKOUT / "packaging" / "proof.py"
# As the environment's own Python runs it, but for a folder that comes before its packages.
PROVE = "import runpy, sys; sys.path.insert(0, sys.argv[2]); runpy.run_path(sys.argv[1])['main']()"


def lock(checkout: Path, name: str, wheel: Path) -> None:
    """Lock the package `name` to this wheel, as `make lock` would if it were the newest."""
    file = checkout / "packaging" / "lock" / "nathb.txt"
    line = f"{name}==99.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    text, count = re.subn(rf"^{name}==(?:.*\\\n)+.*\n", line, file.read_text(), flags=re.M)
    assert count == 1
    file.write_text(text)


@pytest.fixture
def good(built: Built, tmp_path: Path) -> Path:
    """A tree with a good installation."""
    return Path(shutil.copytree(built.tree, tmp_path / "good", symlinks=True))


def works(tree: Path) -> bool:
    argv = [tree / "opt/nathb/bin/python", "-I", "-m", "nathb", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.returncode, done.stdout) == (0, f"nathb {__version__}\n")


def install(good: Path, *folders: Path, at: Path = CHECKOUT) -> str:
    """Try to install over the good one, of what is in these folders; what was said."""
    links = " ".join(folder.as_uri() for folder in folders)
    arguments = (f"DESTDIR={good}", f"PYTHON={PYTHON}")
    done = make("install", *arguments, at=at, env={"PIP_FIND_LINKS": links})
    assert done.returncode != 0
    return done.stdout


def test_a_bad_release_that_is_locked_leaves_the_good_installation_at_work(
    good: Path, tmp_path: Path
) -> None:
    checkout = clone(tmp_path / "checkout")
    wheel = release(tmp_path / "index", "icmplib", RAISES)
    lock(checkout, "icmplib", wheel)
    said = install(good, WHEELS, wheel.parent, at=checkout)
    assert "icmplib cannot be imported: RuntimeError: no good\n" in said
    assert f"does not work, so {good}/opt/nathb stays as it was" in said
    assert "Traceback" not in said
    assert works(good)
    assert [one.name for one in (good / "opt").iterdir()] == ["nathb"]


def test_a_package_whose_content_is_not_what_is_locked_is_refused(
    good: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(WHEELS, tmp_path / "index"))
    (wheel,) = folder.glob("icmplib-*.whl")
    with ZipFile(wheel, "a") as archive:
        archive.writestr("icmplib/more.py", "")
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in install(good, folder)
    assert works(good)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("icmplib", RAISES, "icmplib cannot be imported: RuntimeError: no good\n"),
        ("icmplib", "", "nathb uses what its packages do not have: icmplib.ICMPLibError, icmplib."),
        ("boto3", "", "nathb uses what its packages do not have: boto3.Session\n"),
        ("nothing", "", ""),
    ],
)
def test_an_environment_is_good_when_it_has_every_name_that_nathb_uses(
    tmp_path: Path, name: str, code: str, said: str
) -> None:
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text(code)
    argv = [CHECKOUT / ".venv" / "bin" / "python", "-I", "-B", "-c", PROVE, PROOF, tmp_path]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={})
    assert done.returncode == bool(said)
    assert done.stderr.startswith(said)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
