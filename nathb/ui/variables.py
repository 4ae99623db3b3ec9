"""The environment variables of nathb's own, for daemons that no service manager starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from nathb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Variable(Struct, frozen=True):
    """A variable that is absent, or has the one value that it takes, and what that then means."""

    name: str
    value: str
    meaning: str


LEAVE = Variable("NATHB_LEAVE", "on-stop", "a stop of the daemon then hands over its routes")
JOURNAL = Variable(
    "NATHB_JOURNAL", "socket", "entries then go to the journal's socket, wherever stderr leads"
)


def is_set(variable: Variable, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a variable has its value; UsageError when it has another one."""
    given = environ.get(variable.name, "")
    if given in ("", variable.value):
        return bool(given)
    raise UsageError(
        f"{variable.name}={given}: the only value is {variable.value} ({variable.meaning}); write "
        f"{variable.name}={variable.value}, or remove it from the environment"
    )
