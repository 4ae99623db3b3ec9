"""The program as pip installs it: the script that its entry point becomes, in a process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.commands.command_line import OFF_EC2, ROOT

SCRIPT = """\
import re
import sys
from {module} import {function}
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit({function}())
"""


def script(folder: Path) -> Path:
    """Write what pip would put into bin/ for the entry point that setup.cfg names."""
    found = re.search(r"^ +nathb = ([\w.]+):(\w+)$", (ROOT / "setup.cfg").read_text(), re.M)
    assert found
    path = folder / "nathb"
    path.write_text(SCRIPT.format(module=found[1], function=found[2]))
    return path


def command(folder: Path, *arguments: str) -> list[str]:
    """Return the command line of the installed program."""
    return [sys.executable, str(script(folder)), *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Return an environment without AWS, and with Python's own buffers."""
    dropped = ("AWS_", "PYTHONUNBUFFERED")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return kept | OFF_EC2 | {"PYTHONPATH": str(ROOT)} | variables


def through_shell(
    redirection: str, argv: Sequence[str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line with a shell's redirection behind it, such as `>&-`."""
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {redirection}', "bash", *argv],
        env=environment(**variables), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
