"""What verbs print with --json. A key that was renamed is printed under its old name too."""

from __future__ import annotations

from typing import Any

import msgspec

OLD_KEYS = {"fix": "mend"}
"""Key: its name in 0.1. Programs may still read that one, so it stays though the word is gone."""


def json_text(what: object, indent: int = 0) -> str:
    """Return the object as JSON, on one line unless `indent` gives spaces for each level."""
    encoded = msgspec.json.encode(_with_old_keys(msgspec.to_builtins(what)))
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()


def _with_old_keys(what: Any) -> Any:
    if isinstance(what, dict):
        whole = {key: _with_old_keys(value) for key, value in what.items()}
        return whole | {OLD_KEYS[key]: whole[key] for key in whole if key in OLD_KEYS}
    if isinstance(what, list | tuple):
        return [_with_old_keys(one) for one in what]
    return what
