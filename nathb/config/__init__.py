"""The file: YAML to a Group, or every mistake at once.

    files       the file on disk to bytes
    stream      bytes to YAML's events, within bounds
    yaml_reader events to values that know their line and path
    values      what the text of one value may be
    addresses   the same, for addresses
    keys        the plain keys, their bounds and the reasons
    schema      values to what a Group takes, and how they must agree
    lint        what is legal and yet unwise
    mistakes    where mistakes gather until the whole file has been read
    digest      whether two files mean the same
    edit        another instance for a node, comments kept

`load` and `parse` read a file; `warnings` is what `nathb check` has to add.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any

from nathb.config import stream, values, yaml_reader
from nathb.config.digest import digest
from nathb.config.files import NoFileError, closed_to_service, read_bytes
from nathb.config.lint import warnings
from nathb.config.mistakes import Mistakes, TooManyError, WrongError
from nathb.config.schema import read
from nathb.core.model import Group

__all__ = ["closed_to_service", "digest", "load", "parse", "warnings"]


def load(path: str | os.PathLike[str]) -> Group:
    """Read a group from its file.

    The group is called after the file: `/etc/nathb/tokyo.yaml` is the group `tokyo`.
    Raises FileError, with every mistake by line, and the file called by the path as given.
    """
    file = os.fspath(path)
    try:
        data = read_bytes(file, stream.LARGEST + 1)
    except NoFileError as error:
        mistakes = Mistakes(file)
        mistakes.on(0, "", str(error))
        mistakes.fail()
    return parse(data, file)


def parse(text: str | bytes, file: str) -> Group:
    """Read a group from a file's text; `file` gives the group its name, and mistakes theirs.

    Raises FileError, as `load` does.
    """
    mistakes = Mistakes(file)
    found: dict[str, Any] = {}
    try:
        try:
            found["name"] = values.group_name(PurePath(file).stem)
        except WrongError as wrong:
            mistakes.on(0, "", str(wrong))
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        top = yaml_reader.read(data, mistakes)
        if top is not None:
            found |= read(top, mistakes)
    except TooManyError:
        pass
    if mistakes:
        mistakes.fail()
    return Group(**found)
