"""The layout is a promise: who may import whom, read from the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "nathb"
BARRED_FROM_CORE = {
    "asyncio", "boto3", "botocore", "concurrent", "icmplib", "io", "logging", "multiprocessing",
    "os", "pathlib", "random", "secrets", "select", "selectors", "signal", "socket", "subprocess",
    "systemd", "threading", "time", "yaml",
}  # fmt: skip
MAY_IMPORT = {
    # room: the rooms of ours that it may import from
    "core": {"core"},
    "config": {"config", "core"},
    "net": {"net", "core"},
    "aws": {"aws", "core"},
    "host": {"host", "core"},
    "daemon": {"daemon", "core"},
    "provision": {"provision", "net", "aws", "core"},
    "ui": {"ui", "provision", "host", "aws", "net", "config", "core"},
}
EDGES_OF_THE_DAEMON = {"loop.py", "notifier.py", "metrics_exporter.py"}
"""Where the daemon meets the host and AWS; the rest of it imports the core alone."""
SEES_EVERYTHING = {"commands", "cli", "__main__"}
FILES = sorted(HOUSE.rglob("*.py"))


def room_of(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, those under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(file: Path) -> set[str]:
    """Return the rooms of ours that a file imports from; the package's own face is no room."""
    names = (name.split(".") for name in imported(file))
    rooms = {HOUSE / parts[1] for parts in names if parts[0] == "nathb" and len(parts) > 1}
    return {room.name for room in rooms if room.is_dir() or room.with_suffix(".py").exists()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_strictly_down(file: Path) -> None:
    room = room_of(file)
    if room in SEES_EVERYTHING or room == "__init__":
        return
    at_the_edge = room == "daemon" and file.name in EDGES_OF_THE_DAEMON
    assert ours(file) <= MAY_IMPORT[room] | ({"host", "aws"} if at_the_edge else set())


@pytest.mark.parametrize("file", sorted((HOUSE / "core").glob("*.py")), ids=lambda file: file.name)
def test_the_core_has_no_clock_no_chance_and_no_io(file: Path) -> None:
    tops = {name.split(".")[0] for name in imported(file)}
    assert tops.isdisjoint(BARRED_FROM_CORE)
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls.isdisjoint({"open", "print", "input"})


def test_no_circle_of_imports() -> None:
    graph = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): {
            name for name in imported(file) if name.startswith("nathb")
        }
        for file in FILES
    }
    edges = {
        module: {name if name in graph else name.rpartition(".")[0] for name in names} - {module}
        for module, names in graph.items()
    }
    while edges:
        ground = {module for module, below in edges.items() if not below & edges.keys()}
        assert ground, f"a circle among {sorted(edges)}"
        edges = {module: below for module, below in edges.items() if module not in ground}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_room_is_larger_than_one_can_take_in(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 450


def test_no_name_of_a_room_stands_twice() -> None:
    names = [file.stem for file in FILES if not file.stem.startswith("__")]
    assert sorted(names) == sorted(set(names))
