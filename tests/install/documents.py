"""The commands that a document tells people to type."""

from __future__ import annotations

import re
import textwrap

from tests.install.built import CHECKOUT


def blocks(document: str) -> list[str]:
    """The fenced blocks of a document of ours, in its order."""
    text = (CHECKOUT / document).read_text()
    fenced = re.findall(r"^( *)```\n(.*?)^\1```$", text, re.M | re.S)
    return [textwrap.dedent(block) for _, block in fenced]
