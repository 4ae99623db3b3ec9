"""Whether a node serves the clients that are sent to it, as far as one snapshot shows."""

from __future__ import annotations

from msgspec import Struct

from nathb.core.ec2_state import InstanceState
from nathb.core.errors import Level
from nathb.core.model import Evidence, Verdict
from nathb.core.snapshot import Snapshot


class Service(Struct, frozen=True):
    """Whether a node serves the clients that are sent to it; `but` says why it is not GOOD."""

    level: Level = Level.GOOD
    but: str = ""


SERVES = Service()


def service_of(snapshot: Snapshot, node: str) -> Service:
    """Say whether a node serves, by its evidence and by what EC2 says of its instance."""
    if but := gone(snapshot, node):
        return Service(Level.BAD, but)
    verdict = evidence_of(snapshot, node).verdict
    who = f"the uplink of {node}" if node == snapshot.node else node
    if verdict is Verdict.DOWN:
        return Service(Level.BAD, f"{who} is DOWN")
    if verdict is Verdict.UNKNOWN:
        return Service(Level.WARNING, f"{who} is not known to be up")
    return SERVES


def gone(snapshot: Snapshot, node: str) -> str:
    """Say that EC2 shows no instance that could serve for a node; empty when it shows one."""
    state, evidence = snapshot.instances.get(node), evidence_of(snapshot, node)
    if state is InstanceState.UNSEEN:
        return f"EC2 shows no instance of {node}"
    if state is None or not state.is_gone:
        return f"EC2 says that {node} is stopped or gone" if evidence.gone else ""
    read_at, heard_at = snapshot.instances_at, evidence.heard_at
    if evidence.verdict is Verdict.UP and read_at is not None and heard_at is not None:
        if heard_at >= read_at:
            return ""  # it has answered since EC2 said so: it is back
    return f"the instance of {node} is {state.value}"


def evidence_of(snapshot: Snapshot, node: str) -> Evidence:
    """Return how a node stands: the one that made the snapshot by its uplink, others as peers."""
    if node == snapshot.node:
        return snapshot.uplink
    return snapshot.peers.get(node, Evidence())
