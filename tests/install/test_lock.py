"""What is installed is locked in packaging/lock, within what setup.cfg allows."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.install.built import CHECKOUT

LOCK = CHECKOUT / "packaging" / "lock"
FILES = sorted(LOCK.glob("*.txt"))
HASH = r"--hash=sha256:[0-9a-f]{64}"


def wanted() -> dict[str, list[str]]:
    """By the name of the lock file: the requirements as they are written."""
    settings = ConfigParser()
    settings.read(CHECKOUT / "setup.cfg")
    extras = settings["options.extras_require"]
    build = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["build-system"]["requires"]
    nathb = settings["options"]["install_requires"]
    return {
        "build": build,
        "nathb": nathb.split("\n"),
        "uv": ["uv"],
        **{extra: extras[extra].split("\n") for extra in extras},
        "dev": [*build, *"\n".join([nathb, *extras.values()]).split("\n")],
    }


def lines(file: Path) -> list[str]:
    """The lines of a lock file, the continued ones joined, without comments."""
    text = file.read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def locked(file: Path) -> dict[str, Requirement]:
    """By name, what a lock file locks."""
    found = [Requirement(line.partition(" --hash")[0]) for line in lines(file)]
    return {canonicalize_name(one.name): one for one in found}


def version_of(one: Requirement) -> str:
    (only,) = one.specifier
    return only.version


def test_each_extra_has_a_lock_file_and_there_are_no_others() -> None:
    assert {file.stem for file in FILES} == wanted().keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_requirement_is_locked_within_its_range(file: Path) -> None:
    there = locked(file)
    asked = [Requirement(line) for line in wanted()[file.stem] if line]
    assert asked
    for one in asked:
        found = there[canonicalize_name(one.name)]
        assert one.specifier.contains(version_of(found)), f"{one}: {found}; run `make lock`"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_line_is_one_version_with_its_hashes_and_no_place_to_fetch_it_from(
    file: Path,
) -> None:
    pattern = rf"[a-z0-9-]+==[\w.]+( ; [^;]+?)?\s+({HASH}\s*)+"
    assert [line for line in lines(file) if not re.fullmatch(pattern, line)] == []
    assert "://" not in file.read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_tested_is_what_is_installed(file: Path) -> None:
    tested = {name: version_of(one) for name, one in locked(LOCK / "dev.txt").items()}
    for name, one in locked(file).items():
        if file.stem != "uv":
            assert tested[name] == version_of(one)


def test_this_environment_is_what_is_locked() -> None:
    for name, one in locked(LOCK / "dev.txt").items():
        if one.marker is None or one.marker.evaluate():
            assert version(name) == version_of(one), f"{name}; run `make .venv/ready`"


def test_linters_are_the_same_on_any_day() -> None:
    dev = [Requirement(line) for line in wanted()["dev"] if line]
    linters = [one for one in dev if one.name in ("ruff", "mypy") or one.name.startswith("types-")]
    assert len(linters) >= 3
    for one in linters:
        assert [only.operator for only in one.specifier] == ["=="], one
