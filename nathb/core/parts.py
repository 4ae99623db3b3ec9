"""What is known of an uplink of several parts: one Evidence made of theirs.

An uplink of parts is needed whole. So it was heard when its last part was: a witness of R3 means
that every part has answered since. And it is silent while any part is: what convicts it, and what a
person is told, is the evidence of one part, and never a mixture of several.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from nathb.core.model import Evidence, Verdict


def evidence_of_all(parts: Sequence[Evidence], verdict: Verdict, since: float) -> Evidence:
    """Sum up the parts of an uplink, whose verdict is `verdict` since then (seconds)."""
    heard = [part.heard_at for part in parts if part.heard_at is not None]
    silent = [part for part in parts if part.silent_since is not None]
    told = min(silent, key=_weight, default=None)
    everything = tuple(dict.fromkeys(one for part in parts for one in part.addresses))
    return replace(
        told or parts[0],
        verdict=verdict,
        since=since,
        heard_at=min(heard) if len(heard) == len(parts) else None,
        addresses=told.addresses if told is not None else everything,
        blind=next((part.blind for part in parts if part.blind), ""),
        never_answered=any(part.never_answered for part in parts),
    )


def _weight(part: Evidence) -> tuple[bool, float]:
    """Put first what convicts: a part that is DOWN by its present silence; then the oldest one."""
    convicts = part.verdict is Verdict.DOWN and part.missed >= part.needed
    return not convicts, part.silent_since or 0.0
