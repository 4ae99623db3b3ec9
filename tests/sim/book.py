"""The book of seeds that ever failed: one per line, each with a remark.

A remark that begins with `open` is a defect still to be mended: such a seed may fail.
"""

from __future__ import annotations

from pathlib import Path

BOOK = Path(__file__).with_name("failed_seeds.txt")


def _entries() -> dict[int, str]:
    lines = (line.partition("#")[0].split(maxsplit=1) for line in BOOK.read_text().splitlines())
    return {int(words[0]): words[1] for words in lines if words}


FAILED = _entries()
OPEN = frozenset(seed for seed, remark in FAILED.items() if remark.startswith("open"))
