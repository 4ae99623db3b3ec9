"""Rounds that earlier versions recorded, read as this version would have recorded them.

Lines are kept for years, so what they hold is brought into today's shape rather than refused.
"""

from __future__ import annotations

from typing import Any

OLDEST_HOLD = 600.0
LONGEST_HOLD = 7200.0
"""Seconds: 0.1 recorded until when a contest was to be left alone, not when it began."""


def upgraded(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a decoded round of 0.1 in today's shape; KeyError or TypeError when it is none."""
    known = raw["known"]
    memories = known.get("memory", {})
    hold = known["group"].get("contest_hold", OLDEST_HOLD)
    new = {route: _memory(memory, known["now"], hold) for route, memory in memories.items()}
    return raw | {"known": known | {"memory": new}} if new else raw


def _memory(old: dict[str, Any], now: float, hold: float) -> dict[str, Any]:
    """0.1 kept `in_flight`, `wrote` and `unsure`, and contests by the move and its cause."""
    new = {key: old[key] for key in old.keys() - {"in_flight", "wrote", "unsure", "contests"}}
    unsure = old.get("unsure")
    if "wrote" in old:
        new["accepted"] = old["wrote"] | {"state": "accepted"}
    if unsure is not None:
        new["pending"] = unsure | {"state": "unanswered"}
    if "in_flight" in old:
        lost = {"lost_at": unsure["at"]} if unsure is not None else {}
        new["pending"] = {"move": old["in_flight"], "state": "sent", "at": now} | lost
    if "contests" in old:
        new["contests"] = [_contest(one, hold) for one in old["contests"]]
    return new


def _contest(old: dict[str, Any], hold: float) -> dict[str, Any]:
    times = old["times"]
    began = old["until"] - min(LONGEST_HOLD, hold * 2.0 ** min(times - 1, 16))
    return {"holder": old["cause"]["subject"], "at": began, "times": times}
