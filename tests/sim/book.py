"""The book of seeds that ever failed: one per line, each with a remark.

A remark that begins with `open`, as in `open R7: …`, is a defect still to be mended: such a seed
may violate that rule, and no other.
"""

from __future__ import annotations

from pathlib import Path

BOOK = Path(__file__).with_name("failed_seeds.txt")


def _entries() -> dict[int, str]:
    lines = (line.partition("#")[0].split(maxsplit=1) for line in BOOK.read_text().splitlines())
    return {int(words[0]): words[1] for words in lines if words}


FAILED = _entries()
OPEN = {
    seed: remark.partition(":")[0].removeprefix("open ")
    for seed, remark in FAILED.items()
    if remark.startswith("open ")
}


def is_known(seed: int, offence: Exception) -> bool:
    """Whether the book says that this seed may end like this."""
    return seed in OPEN and f" {OPEN[seed]}:" in str(offence)
