"""What each fault does: the lines before `yield` begin it, those after it end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nathb.core.ec2_state import PinState
from tests.sim.draw import Fault
from tests.sim.faults import cloud, machines, network, operators

if TYPE_CHECKING:
    from tests.sim.world import World

FAULTS: dict[str, Callable[[World, Fault], Iterator[None]]] = {
    "loss": network.loss,
    "slow-answers": network.slow_answers,
    "duplicates": network.duplicates,
    "one-way": network.one_way,
    "partition": network.partition,
    "gateway-cut": network.gateway_cut,
    "all-gateways-cut": network.all_gateways_cut,
    "targets-lost": network.targets_lost,
    "forwards-nothing": network.forwards_nothing,
    "echo-closed": network.echo_closed,
    "process-crash": machines.process_crash,
    "host-crash": machines.host_crash,
    "stop": machines.stop,
    "stand-in-stopped": machines.stand_in_stopped,
    "flapping": machines.flapping,
    "freeze": machines.freeze,
    "frozen-in-doubt": machines.frozen_in_doubt,
    "blind": network.blind,
    "ec2-slow": cloud.api_fault("slow"),
    "ec2-throttled": cloud.api_fault("throttled"),
    "ec2-unavailable": cloud.api_fault("unavailable"),
    "ec2-denied": cloud.api_fault("denied"),
    "describe-denied": cloud.api_fault("unreadable"),
    "no-reply-applied": cloud.api_fault("applied_without_reply"),
    "no-reply-lost": cloud.api_fault("lost_without_reply"),
    "stale-describe": cloud.stale_describe,
    "operator-moves": operators.operator_moves,
    "operator-insists": operators.operator_insists,
    "foreign": operators.foreign,
    "pin-missing": cloud.pin(PinState.MISSING),
    "pin-elsewhere": cloud.pin(PinState.ELSEWHERE),
    "pause": operators.pause,
    "drain": operators.drain,
    "reload": operators.reload,
    "ec2-hangs": cloud.api_fault("hanging"),
    "unmasqueraded": network.unmasqueraded,
    "names-lost": network.names_lost,
    "names-moved": network.names_moved,
    "shutdown": machines.shutdown,
    "drained-unsure": operators.drained_unsure,
    "revert": operators.revert,
    "reload-changed": operators.reload_changed,
    "mild-loss": network.mild_loss,
    "mild-loss-between": network.mild_loss_between,
    "flapping-cut": network.flapping_cut,
    "flapping-gateway": network.flapping_gateway,
    "conntrack-full": network.conntrack_full,
    "dead-nat-and-silence": network.dead_nat_and_silence,
    "unreachable": network.unreachable,
    "slow-shutdown": machines.slow_shutdown,
    "suspend": machines.suspend,
    "reboot": machines.reboot,
    "late-writes": cloud.api_fault("late"),
    "connects-hang": cloud.api_fault("connecting"),
    "endless-calls": cloud.api_fault("endless"),
    "applied-5xx": cloud.api_fault("applied_with_error"),
    "disrupted-zone": cloud.disrupted_zone,
    "ambiguous-match": cloud.ambiguous_match,
    "new-ids": cloud.new_ids,
    "wavering-reads": cloud.wavering_reads,
    "denied-to-one": cloud.denied_to_one,
    "other-order": operators.other_order,
    "contested-then-dead": network.contested_then_dead,
    "gateway-cut-unseen": network.gateway_cut_unseen,
    "drained-in-doubt": operators.drained_in_doubt,
    "daemon-dead": machines.process_crash,
    "daemon-frozen": machines.freeze,
    "daemon-dry": machines.daemon_dry,
}
