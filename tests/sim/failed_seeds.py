"""The seeds that ever failed, of failed_seeds.txt: one per line as `seed@edition`, with a remark.

A remark that begins with `open`, as in `open R7: …`, is a defect that is still to be fixed: such a
seed may violate that rule, and no other.
"""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("failed_seeds.txt")

Key = tuple[int, int]
"""A seed, and the edition of the schedules in which it failed."""


def _entries() -> dict[Key, str]:
    lines = (line.partition("#")[0].split(maxsplit=1) for line in FILE.read_text().splitlines())
    return {_key(words[0]): words[1] for words in lines if words}


def _key(text: str) -> Key:
    seed, edition = text.split("@")
    return int(seed), int(edition)


FAILED = _entries()
OPEN = {
    key: remark.partition(":")[0].removeprefix("open ")
    for key, remark in FAILED.items()
    if remark.startswith("open ")
}


def is_known(key: Key, offence: Exception) -> bool:
    """Whether it is known that this seed may end like this."""
    return key in OPEN and f" {OPEN[key]}:" in str(offence)
