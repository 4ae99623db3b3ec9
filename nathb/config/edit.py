"""Writing a file, and changing one value of it and nothing else: comments, order and spacing stay
as they are.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nathb.core.errors import FileError, Mistake, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nathb.core.model import Group, Node


FOLDER, NEW = 0o755, 0o644
"""Modes of what is made here: the service, which has a user of its own, has to read it."""


def with_instance(
    text: str, group: Group, node: str, instance: str, parse: Callable[[str], Group]
) -> str:
    """Return the file's text with another instance for a node.

    Every place where the old id stands is tried, and the one counts after which `parse` reads
    just the group that is wanted. UsageError when the node is not named by an instance id, or
    when no single edit has that effect; FileError when the new id is none.
    """
    old = _node(group, node).instance
    edited = replace(_node(group, node), instance=instance)
    nodes = tuple(edited if one.name == node else one for one in group.nodes)
    wanted = replace(group, nodes=nodes)
    for candidate in _candidates(text, old, instance):
        if parse(candidate) == wanted:
            return candidate
    raise UsageError(
        f"{node}: its instance {old} cannot be changed in one place of the file; edit it by hand"
    )


def read(path: Path) -> str | None:
    """Return a file's text, whatever it means; None when there is no file, FileError when this user
    may not read it.
    """
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        text = f"cannot be read ({error.strerror}); run as root, or name another file"
        raise FileError([Mistake(str(path), 0, "", text)]) from error


def create(path: Path, text: str) -> None:
    """Write a file, whole or not at all, and its folder if there is none; FileError when this user
    may not. Anybody may read a new one.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            path.parent.chmod(FOLDER)  # whatever the umask
    except OSError as error:
        raise _unwritten(path, error) from error
    write(path, text)


def write(path: Path, text: str) -> None:
    """Put text in a file's place, whole or not at all; FileError when this user may not.

    What the path leads to is replaced, so that a link stays a link; its mode stays too.
    """
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else NEW
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fchmod(opened.fileno(), mode)
                os.fsync(opened.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> FileError:
    text = f"cannot be written ({error.strerror}); run as root, or see to its folder"
    return FileError([Mistake(str(path), 0, "", text)])


def _node(group: Group, name: str) -> Node:
    names = [node.name for node in group.nodes]
    if name not in names:
        raise UsageError(f"{name}: the group has {', '.join(names)}; name one of these")
    node = group.node(name)
    if not node.instance:
        raise UsageError(
            f"{name} is found by its `match`; start an instance with that tag, then: nathb apply"
        )
    if node.eni:
        raise UsageError(
            f"{name}: its `eni` {node.eni} is named too, and goes with the old instance; "
            "edit both by hand, then: nathb apply"
        )
    return node


def _candidates(text: str, old: str, new: str) -> Iterator[str]:
    for match in re.finditer(rf"(?<![\w-]){re.escape(old)}(?![\w-])", text):
        yield text[: match.start()] + new + text[match.end() :]
