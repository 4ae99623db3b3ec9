"""The time, for decisions: the only two clocks that nobody sets."""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import datetime

from nathb.core.errors import UsageError


class Clock:
    """Seconds that only ever grow. Both agree until the machine is suspended (R14)."""

    def monotonic(self) -> float:
        """Seconds awake since boot, CLOCK_MONOTONIC of clock_gettime(2): one for all processes."""
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds since boot, time spent suspended included: CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


BARE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
FORMS = 'such as "2h", "30m", "3d", "2 hours ago", "yesterday", or 2026-11-20 03:12'


def point(text: str) -> float:
    """Return a point in time as seconds since 1970; UsageError when the text names none.

    ISO 8601 is read here. All else is put to `systemd-analyze timestamp`, whose forms are those of
    systemd.time(7); a bare span is that long ago.
    """
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        pass
    if BARE.fullmatch(text.strip()):  # which systemd would take for seconds
        raise UsageError(f"{text!r} has no unit; give a time {FORMS}")
    for form in (text, f"-{text}"):
        if (found := _asked(form)) is not None:
            return found
    raise UsageError(f"{text!r} is no point in time; give one {FORMS}")


def _asked(form: str) -> float | None:
    """What systemd makes of it; None when it makes nothing of it."""
    command = ["systemd-analyze", "timestamp", "--", form]
    try:
        answer = subprocess.run(
            command, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, timeout=10,
            check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^\s*UNIX seconds: @([0-9.]+)$", answer.stdout, re.MULTILINE)
    return float(found[1]) if found else None
