"""The bill of what an environment is made of: CycloneDX 1.5, which security scanners read.

For each part: its name, its version, the hash of the file that it came in, and who has checked it.
https://cyclonedx.org/docs/1.5/json/
"""

from __future__ import annotations

import ensurepip
import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from distribution import Journal, Package

FILE = "bom.json"
BY_HASH = "packaging/lock, which has the hash of this file"
BY_SYSTEM = "the system's package manager, by its signature; no hash in packaging/lock"
BY_NOBODY = "nobody: no hash in packaging/lock, and no package of the system"


def bill(
    version: str, reports: Iterable[Path], journal: Journal | None, python: Package | None
) -> dict[str, Any]:
    """Return the bill. `reports` are pip's of what it has installed (pip install --report);
    `journal` and `python` are what the system has brought, None for what it has not.
    """
    parts = [_installed(one) for report in reports for one in _read(report)]
    if journal is not None:
        parts.append(_of_system("systemd-python", journal.version, journal.package))
    interpreter = _of_system("python", platform.python_version(), python)
    nathb = _part("nathb", version, BY_NOBODY, "the folder that make ran in")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": nathb | {"type": "application"},
            "tools": [{"name": "pip", "version": ensurepip.version()}],
        },
        "components": [
            *sorted(parts, key=lambda part: part["name"]),
            interpreter | {"type": "platform"},  # referred to, and no part of the environment
        ],
    }


def summary(of: dict[str, Any]) -> str:
    """Return the bill in a sentence, for whoever installs."""
    by_hash = [part for part in of["components"] if "hashes" in part]
    compiled = [_source(part) for part in by_hash if not _source(part).endswith(".whl")]
    here = f", {', '.join(compiled)} compiled here" if compiled else ""
    others = [of["metadata"]["component"], *(p for p in of["components"] if p not in by_hash)]
    (pip,) = of["metadata"]["tools"]
    rest = [*(f"{part['name']} ({_source(part)})" for part in others), f"pip {pip['version']}"]
    return (
        f"Installed {len(by_hash)} Python packages by their hashes in packaging/lock{here}; "
        f"without a hash there: {', '.join(rest)}"
    )


def _read(report: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return found


def _installed(one: dict[str, Any]) -> dict[str, Any]:
    """Return the part for an entry of pip's report: of its address only the file's name."""
    about, download = one["metadata"], one["download_info"]
    file = download["url"].rpartition("/")[2]
    archive = download["archive_info"]
    sha256 = archive.get("hashes", {}).get("sha256") or archive["hash"].partition("=")[2]
    name = re.sub(r"[-_.]+", "-", about["name"]).lower()
    return _part(name, about["version"], BY_HASH, file) | {
        "purl": f"pkg:pypi/{name}@{quote(about['version'])}",
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def _of_system(name: str, version: str, package: Package | None) -> dict[str, Any]:
    if package is None:
        return _part(name, version, BY_NOBODY, "this machine")
    part = _part(name, version, BY_SYSTEM, f"{package.name} {package.version}")
    return part | {"purl": _purl(package)}


def _part(name: str, version: str, checked: str, source: str) -> dict[str, Any]:
    return {
        "type": "library",
        "name": name,
        "version": version,
        "properties": [
            {"name": "nathb:source", "value": source},
            {"name": "nathb:checked-by", "value": checked},
        ],
    }


def _source(part: dict[str, Any]) -> str:
    return str(part["properties"][0]["value"])


def _purl(package: Package) -> str:
    """Return a package URL: https://github.com/package-url/purl-spec."""
    vendor = platform.freedesktop_os_release()["ID"]
    return f"pkg:{package.kind}/{vendor}/{package.name}@{quote(package.version, safe='.~-')}"
