"""How an agent is broken on purpose: nathb's own, with one function in it exchanged.

`rewired` makes a copy of a function that finds other things under some of the names it uses;
production code is not touched, and the other agents of the process go on as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from nathb.core import rules
from nathb.core.prober import Prober
from nathb.core.rules import RULES, decide
from nathb.daemon.agent import Agent
from nathb.daemon.ec2_watcher import EC2Watcher
from nathb.daemon.mover import Mover

Rules = tuple[Callable[..., object], ...]


def rewired(function: Callable[..., object], **names: object) -> Callable[..., object]:
    """Return a copy of the function that finds these under the names it uses."""
    assert isinstance(function, FunctionType)
    unknown = names.keys() - function.__globals__.keys()
    assert not unknown, f"{function.__name__} knows nothing of {unknown}"
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def deciding(decision: Callable[..., object]) -> type[Agent]:
    """An agent that decides otherwise."""
    return type("Mutant", (Agent,), {"_decide": rewired(Agent._decide, decide=decision)})


def ruled_by(*rulebook: Callable[..., object], **names: object) -> type[Agent]:
    """An agent that goes by other rules; `names` are exchanged in whatever holds wishes back."""
    rule = rewired(
        rules._rule, RULES=rulebook or RULES, _held_back=rewired(rules._held_back, **names)
    )
    return deciding(rewired(decide, _rule=rule))


def watching(**methods: object) -> type[Agent]:
    """An agent whose watch is another."""
    bent = type("BentProber", (Prober,), methods)
    return type("Mutant", (Agent,), {"_begin": rewired(Agent._begin, Prober=bent)})


def seeing(**methods: object) -> type[Agent]:
    """An agent whose sight of the cloud is another."""
    bent = type("BentEC2Watcher", (EC2Watcher,), methods)
    return type("Mutant", (Agent,), {"_begin": rewired(Agent._begin, EC2Watcher=bent)})


def moving(base: type[Agent] = Agent, **methods: object) -> type[Agent]:
    """An agent whose mover is another."""
    bent = type("BentMover", (Mover,), methods)
    return type("Mutant", (base,), {"__init__": rewired(Agent.__init__, Mover=bent)})


def instead(rule: Callable[..., object], other: Callable[..., object]) -> Rules:
    """The rules with one of them exchanged."""
    return tuple(other if one is rule else one for one in RULES)


def without(*dropped: Callable[..., object]) -> Rules:
    """The rules but these."""
    return tuple(one for one in RULES if one not in dropped)
