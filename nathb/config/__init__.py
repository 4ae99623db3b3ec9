"""The file: YAML to a Group, or every mistake at once.

    files        the file on disk, read and written
    yaml_reader  bytes to values that know their line and path, within bounds
    values       what the text of one value may be
    schema       the keys, what each takes, and how they must agree
    learn_schema those of the block `learn`
    lint         what is legal and yet unwise
    route_match  matches, which find routes
    edit         another instance for a node, comments kept

`load` and `parse` read a file; `find_warnings` is what `nathb check` has to add.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import PurePath
from typing import Any

import msgspec

from nathb.config import schema, yaml_reader
from nathb.config.files import chmod_for_service, read_bytes
from nathb.config.lint import find_warnings
from nathb.config.values import InvalidValueError, parse_group_name
from nathb.config.yaml_reader import Mistakes, TooManyMistakesError
from nathb.core.model import Group

__all__ = ["chmod_for_service", "digest", "find_warnings", "load", "parse"]

DIGEST_LENGTH = 16
"""Hexadecimal digits; enough to tell two files apart, short enough to be read aloud."""


def load(path: str | os.PathLike[str]) -> Group:
    """Read a group from its file.

    The group is called after the file: `/etc/nathb/tokyo.yaml` is the group `tokyo`.
    Raises FileError, with every mistake by line, and the file called by the path as given.
    """
    file = os.fspath(path)
    return parse(read_bytes(file, yaml_reader.LARGEST + 1), file)


def parse(text: str | bytes, file: str) -> Group:
    """Read a group from a file's text; `file` gives the group its name, and mistakes theirs.

    Raises FileError, as `load` does.
    """
    mistakes = Mistakes(file)
    found: dict[str, Any] = {}
    try:
        try:
            found["name"] = parse_group_name(PurePath(file).stem)
        except InvalidValueError as error:
            mistakes.add_at(0, "", str(error))
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        top = yaml_reader.read(data, mistakes)
        if top is not None:
            found |= schema.read(top, mistakes)
    except TooManyMistakesError:
        pass
    if mistakes:
        mistakes.fail()
    return Group(**found)


def digest(group: Group) -> str:
    """Return the digest of what a file means, whatever its comments and its layout."""
    meaning = msgspec.json.encode(group, order="deterministic")
    return hashlib.sha256(meaning).hexdigest()[:DIGEST_LENGTH]
