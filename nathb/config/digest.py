"""A group's digest: the same for files that mean the same, whatever their comments say."""

from __future__ import annotations

import hashlib

import msgspec

from nathb.core.model import Group

LENGTH = 16
"""Hexadecimal digits; enough to tell two files apart, short enough to be read aloud."""


def digest(group: Group) -> str:
    """Return the digest of what a file means."""
    meaning = msgspec.json.encode(group, order="deterministic")
    return hashlib.sha256(meaning).hexdigest()[:LENGTH]
