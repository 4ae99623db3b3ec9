"""Shows that a fresh environment works, before it takes the place of the one in use.

    python -I proof.py

Run by the environment's own Python. Every name that nathb takes from another package is looked up
there, and every module of nathb is imported. A client for EC2 is made, which reads botocore's
data. Nothing is sent. SystemExit says what is wrong.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

OWN = sys.stdlib_module_names | {"nathb"}
SETTINGS = {
    # So that the client neither looks for credentials nor reads what is set for whoever installs.
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
ABSENT = object()


def main() -> None:
    """Prove it."""
    home = Path(imported("nathb").__path__[0])
    trees = {file: ast.parse(file.read_text()) for file in sorted(home.rglob("*.py"))}
    extras = of_extras()
    missing = {name for tree in trees.values() for name in missing_names(tree, extras)}
    if missing:
        raise SystemExit(f"nathb uses what its packages do not have: {', '.join(sorted(missing))}")
    for file in trees:
        name = ".".join(file.relative_to(home.parent).with_suffix("").parts)
        imported(name.removesuffix(".__init__"), extras)
    for key in [key for key in os.environ if key.startswith("AWS_")]:
        del os.environ[key]
    os.environ.update(SETTINGS)
    imported("nathb.aws.client").make_client("us-east-1")


def of_extras() -> frozenset[str]:
    """Return the packages that nathb does without where their extra was not asked for."""
    lines = (line for line in requires("nathb") or () if "extra ==" in line)
    names = (re.match(r"[\w.-]+", line) for line in lines)
    return frozenset(name[0].replace("-", "_") for name in names if name)


def imported(name: str, extras: frozenset[str] = frozenset()) -> ModuleType | None:
    """Return a module; None when it needs a package of `extras` that is not installed."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever a bad release raises
        if isinstance(error, ModuleNotFoundError) and error.name in extras:
            return None
        raise SystemExit(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def missing_names(tree: ast.Module, extras: frozenset[str]) -> Iterator[str]:
    """Yield the names that a module takes from other packages and that are not there."""
    modules: dict[str, ModuleType] = {}
    for node in _run_parts(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_foreign(alias.name) and (module := imported(alias.name, extras)):
                    top = alias.name.partition(".")[0]
                    modules[alias.asname or top] = module if alias.asname else sys.modules[top]
        elif isinstance(node, ast.ImportFrom) and _is_foreign(node.module or ""):
            if module := imported(node.module or "", extras):
                for alias in node.names:
                    member = _member(module, alias.name)
                    if member is ABSENT:
                        yield f"{node.module}.{alias.name}"
                    elif isinstance(member, ModuleType):
                        modules[alias.asname or alias.name] = member
    for node in _run_parts(tree):
        if isinstance(node, ast.Attribute):
            owner = _resolved(node.value, modules)
            if isinstance(owner, ModuleType) and _member(owner, node.attr) is ABSENT:
                yield f"{owner.__name__}.{node.attr}"


def _run_parts(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield each node that a running program may reach: not what is for type checkers alone."""
    yield tree
    skipped: list[ast.stmt] = []
    if isinstance(tree, ast.If) and ast.unparse(tree.test) in TYPE_CHECKING:
        skipped = tree.body
    for child in ast.iter_child_nodes(tree):
        if child not in skipped:
            yield from _run_parts(child)


def _is_foreign(name: str) -> bool:
    return name.partition(".")[0] not in OWN


def _resolved(node: ast.expr, modules: dict[str, ModuleType]) -> object:
    """Return what a dotted name stands for as far as it leads through modules."""
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, modules)
        return _member(owner, node.attr) if isinstance(owner, ModuleType) else None
    return None


def _member(module: ModuleType, name: str) -> object:
    """Return what a module has by that name, a submodule too; ABSENT when there is none."""
    path = f"{module.__name__}.{name}"
    if not hasattr(module, name) and hasattr(module, "__path__") and importlib.util.find_spec(path):
        return imported(path)
    return getattr(module, name, ABSENT)


if __name__ == "__main__":
    main()
