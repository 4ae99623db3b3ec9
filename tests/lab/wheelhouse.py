"""Wheels of what is installed here, so that pip can install it again where there is no index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def pack(names: Iterable[str], folder: Path) -> None:
    """Write a wheel of each named distribution, and of all that it needs, into `folder`."""
    folder.mkdir(parents=True)
    for one in _closure(names):
        _repack(one, folder)


def requirements_of(name: str) -> list[str]:
    """The names of what an installed distribution needs, extras left out."""
    needed = (one for one in distribution(name).requires or () if "extra ==" not in one)
    return [match[0] for one in needed if (match := NAME.match(one))]


def _closure(names: Iterable[str]) -> Iterator[Distribution]:
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # wanted on another platform, or pip will say that it is missing
        yield found
        waiting += requirements_of(name)


def _repack(one: Distribution, folder: Path) -> None:
    """What pip unpacked from a wheel is that wheel, but for scripts, which pip makes anew."""
    files = [file for file in one.files or () if ".." not in file.parts]
    about = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
    tags = re.findall(r"^Tag: (\S+)-(\S+)-(\S+)$", one.read_text("WHEEL") or "", flags=re.M)
    if not tags:
        raise ValueError(f"{about} names no tag in its WHEEL file; install it again with pip")
    tag = "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))
    wheel = folder / f"{about.removesuffix('.dist-info')}-{tag}.whl"
    with ZipFile(wheel, "w") as archive:
        for file in files:
            if file.suffix != ".pyc":
                archive.write(one.locate_file(file), str(file))
