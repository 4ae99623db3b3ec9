"""Who gets which events: the journal all, hooks and a topic the transitions.

The agent knows one method, `emit`. Behind it, only the journal and the queues are touched; whoever
else is notified is notified by a thread of its own, so that nothing here can hold up a move.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from nathb.aws.sns import Topic
from nathb.core.events import TRANSITIONS, Event
from nathb.core.model import Group, Notify
from nathb.core.ports import Journal
from nathb.host.delivery_queue import DeliveryQueue
from nathb.host.hooks import Hooks
from nathb.host.journal_schema import notice

HOOKS = "hooks.d"
"""Beside the file of the group: /etc/nathb/hooks.d for /etc/nathb/NAME.yaml."""
LAST_WORDS = 0.25
"""Seconds in which what waits may still be passed on after SIGTERM."""
LAST_BREATH = 0.1
"""Seconds in which a hook that was killed then is seen to have ended."""


class Notifier:
    """All receivers of the events of this node. All methods are for the loop's thread.

    At first only the journal is; `follow` adds those that the file names.
    """

    def __init__(self, journal: Journal, node: str) -> None:
        self._journal = journal
        self._node = node
        self._group = ""
        self._hooks: Hooks | None = None
        self._queues: dict[str, DeliveryQueue] = {}
        self._retired: list[DeliveryQueue] = []
        self._notify = Notify()

    def emit(self, event: Event) -> None:
        """Log the event, and queue it for every other receiver that it concerns."""
        self._journal.emit(event)
        if event.kind in TRANSITIONS and self._queues:
            message = notice(event, self._group, self._node, datetime.now().astimezone())
            for queue in self._queues.values():
                queue.emit(message)

    def follow(self, group: Group, directory: Path) -> None:
        """Notify those that this file names from now on; `directory` is where it lies.

        Those that are no longer named still get what waits.
        """
        self._group = group.name
        if self._hooks is None:
            self._hooks = Hooks(directory / HOOKS)
            self._queues["hooks"] = DeliveryQueue("hooks", self._hooks.carry, self._journal)
        if group.notify != self._notify:
            self._notify = group.notify
            if before := self._queues.pop("sns", None):
                before.close()
                self._retired.append(before)
            if group.notify.sns:
                topic = Topic(group.notify.sns)
                self._queues["sns"] = DeliveryQueue("sns", topic.carry, self._journal)

    def close(self) -> None:
        """Pass on what can be in a moment, end the hook that runs, and count the rest as lost."""
        queues = [*self._queues.values(), *self._retired]
        for queue in queues:
            queue.close()
        deadline = time.monotonic() + LAST_WORDS
        for queue in queues:
            if not queue.join(deadline - time.monotonic()):
                queue.give_up()
        if self._hooks is not None:
            self._hooks.stop()
            self._queues["hooks"].join(LAST_BREATH)
