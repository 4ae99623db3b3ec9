"""The loop around the agent: waits for answers, signals and time, and ends cleanly."""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from nathb import __version__
from nathb.core.errors import NathbError
from nathb.core.events import Event, EventKind
from nathb.daemon.agent import Agent
from nathb.host.sd_notify import Manager

LAST_MOVES = 1.0
"""Seconds that moves under way get to end after SIGTERM, of the two in which we must be gone.

The other second is for a busy machine: what is left to do then takes next to no CPU time."""
LEAVING = 8.0
"""Longest time in seconds that a machine's shutdown waits for us; the unit allows ten."""

GOING_DOWN = signal.SIGUSR2
"""What the unit sends before SIGTERM when the whole machine is shutting down."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, GOING_DOWN)


class Service:
    """One agent in one process. `reload` makes the agent go on with what the file says now.

    Upon any of the signals `leave_on` the node leaves: it hands over its routes, and takes none.
    Where nobody sends GOING_DOWN, as in a container, SIGTERM is all that tells of a shutdown.
    """

    def __init__(
        self,
        agent: Agent,
        reload: Callable[[], None],
        manager: Manager,
        leave_on: frozenset[signal.Signals],
    ) -> None:
        self.agent = agent
        self.reload = reload
        self.manager = manager
        self.leave_on = leave_on

    def run(self, filenos: Iterable[int]) -> None:
        """Go round until SIGTERM or SIGINT; `filenos` become readable when there is work."""
        with _signals() as bell, selectors.DefaultSelector() as selector:
            for readable in (*filenos, bell.fileno()):
                selector.register(readable, selectors.EVENT_READ)
            self._emit(EventKind.STARTED, self._greeting())
            wake_at = self.agent.step()
            self.manager.ready(self.agent.status())
            while not self._stop_asked(bell):
                selector.select(max(0.0, wake_at - time.monotonic()))
                wake_at = self.agent.step()
            selector.unregister(bell)  # what else may ring changes nothing any more
            self._end(selector)

    def _stop_asked(self, bell: socket.socket) -> bool:
        """Answer the signals that have come; return whether one of them ends the service."""
        asked = {signal.Signals(number) for number in _received(bell)}
        if asked & self.leave_on and not self.agent.leaving:
            self.agent.leaving = True
            why = "this machine is shutting down"
            if GOING_DOWN not in asked:
                why = "this daemon is being stopped (NATHB_LEAVE)"
            self._emit(EventKind.LEAVING, f"{why}: handing over its routes")
        if asked & {signal.SIGTERM, signal.SIGINT}:
            return True
        if signal.SIGHUP in asked:
            self._reload()
        if signal.SIGUSR1 in asked:
            self.agent.look_now()
        return False

    def _reload(self) -> None:
        self.manager.reloading()
        try:
            self.reload()
        except NathbError as error:
            message = f"reload refused, the old file stays in force: {error}"
            self._emit(EventKind.RELOAD_REFUSED, message)
        self.manager.ready(self.agent.status())

    def _end(self, selector: selectors.BaseSelector) -> None:
        """Begin no more moves, unless the node leaves; let those under way end."""
        asked_at = time.monotonic()
        self.manager.stopping()
        if self.agent.leaving:
            self.agent.step()
            self._go_on(selector, asked_at + LEAVING, lambda: self.agent.may_leave)
        self.agent.stopping = True
        self._go_on(selector, asked_at + LAST_MOVES, lambda: self.agent.idle)
        unfinished = "" if self.agent.idle else "; a move is under way, EC2 may still carry it out"
        self._emit(EventKind.STOPPED, f"stopped{unfinished}; routes stay where they are")

    def _go_on(
        self, selector: selectors.BaseSelector, until: float, over: Callable[[], bool]
    ) -> None:
        """Go round, in short steps, until it is over, or until then (monotonic seconds)."""
        while not over() and time.monotonic() < until:
            selector.select(0.05)
            self.agent.step()

    def _greeting(self) -> str:
        agent = self.agent
        peers = ", ".join(node.name for node in agent.group.nodes if node.name != agent.me)
        mode = ", dry run: nothing will be written" if agent.dry_run else ""
        return f"nathb {__version__} guards {agent.group.name} as {agent.me}, with {peers}{mode}"

    def _emit(self, kind: EventKind, message: str) -> None:
        self.agent.emit(Event(kind=kind, message=message))


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Turn signals into bytes on a socket, so that the loop wakes for them like for the rest."""
    bell, rung = socket.socketpair()
    with bell, rung:
        bell.setblocking(False)
        rung.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        previous = signal.set_wakeup_fd(rung.fileno(), warn_on_full_buffer=False)
        try:
            yield bell
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)


def _received(bell: socket.socket) -> bytes:
    try:
        return bell.recv(4096)
    except BlockingIOError:
        return b""
