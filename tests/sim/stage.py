"""A world by script instead of by seed: production timers, named faults, figures at the end.

A stage is the same world that seeds live in. Faults are begun and ended by the script, at times
that it states, and nothing is judged on the way: the script reads its figures off the accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from nathb.core.model import Group, Node, Route
from nathb.daemon.agent import Agent
from tests.sim.account import Write
from tests.sim.draw import Schedule
from tests.sim.host import Host
from tests.sim.net import Link, entering, leaving, links
from tests.sim.truth import Service
from tests.sim.world import World

LETTERS = "acde"
A, C, D = "nat-a", "nat-c", "nat-d"
HOUR = 3600.0


def production(size: int = 2, **changes: object) -> Group:
    """A group of so many nodes with a default route each, and the timers that nathb ships with."""
    nodes = tuple(
        Node(
            f"nat-{letter}",
            (f"8.8.{number}.8",),
            (Route(f"rtb-0000000{letter}", "0.0.0.0/0"),),
            instance=f"i-0000000{letter}",
        )
        for number, letter in enumerate(LETTERS[:size])
    )
    return replace(Group(name="sim", nodes=nodes, uplink=("1.1.1.1",)), **changes)


class Stage:
    """A running group, and the faults that the script begins and ends. All times are seconds."""

    def __init__(
        self,
        group: Group | None = None,
        *,
        dry: Iterable[str] = (),
        absent: Iterable[str] = (),
        files: dict[str, Group] | None = None,
        before: Callable[[Stage], None] = lambda _stage: None,
        agent: type[Agent] = Agent,
        settle: float = 90.0,
    ) -> None:
        self.group = group or production()
        self.bounds: dict[str, float] = {}
        """What this may cost at most, as far as the script has said: writes, and seconds."""
        self.world = World(
            Schedule(0, self.group, ()), agent, judged=False, held=False, telling=True
        )
        self.net, self.ec2, self.names = self.world.net, self.world.ec2, self.world.names
        self.ec2.likely = 1.0
        before(self)
        for name, host in self.world.hosts.items():
            host.file = (files or {}).get(name, self.group)
            if name not in set(absent):
                host.start(dry_run=name in set(dry))
        self.began = self.world.clock.now
        self.run(settle)

    # --- time -------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.world.clock.now

    def run(self, seconds: float) -> Stage:
        """Let time pass."""
        self.world.run(self.world.clock.now + seconds)
        return self

    def until(self, happened: Callable[[], bool], at_most: float = 120.0) -> Stage:
        """Let time pass until something has happened; AssertionError when it does not."""
        end = self.now + at_most
        while not happened():
            assert self.now < end, f"has not happened in {at_most:g} s: {self.written()}"
            self.run(0.05)
        return self

    def mark(self) -> float:
        """Count writes and seconds from now on; return the time."""
        self.world.look()
        self.began = self.now
        for account in self.world.accounts.of.values():
            account.dark = account.poor = 0.0
            account.on.clear()
        return self.now

    # --- faults -----------------------------------------------------------------------------

    @contextmanager
    def fault(self, say: str, *counted: tuple[dict[object, int], object]) -> Iterator[None]:
        """Let these counters count one more, for as long as the block lasts."""
        self.trace(f"begins: {say}")
        for counter, key in counted:
            counter[key] += 1
        self.world.look()
        yield
        for counter, key in counted:
            counter[key] -= 1
        self.trace(f"ends: {say}")
        self.world.look()

    @contextmanager
    def silent(self, node: str) -> Iterator[None]:
        """The machine stands still with all that is on it, and then goes on; its daemon too."""
        host = self.host(node)
        with self.fault(f"{node} is silent", (self.net.down, node)):
            host.frozen += 1
            yield
            host.frozen -= 1
            host.wake()

    @contextmanager
    def unreachable(self, node: str) -> Iterator[None]:
        """Nothing gets to the machine or from it, while its daemon goes on."""
        with self.fault(f"{node} is unreachable", (self.net.down, node), (self.net.cut, node)):
            yield

    @contextmanager
    def crashed(self, node: str) -> Iterator[None]:
        """The machine is gone with its daemon, unknown to EC2; it boots again at the end."""
        with self.fault(f"{node} crashed", (self.net.down, node)):
            self.world.kill(node)
            yield
        self.world.revive(node)

    @contextmanager
    def forwards_nothing(self, node: str) -> Iterator[None]:
        """The NAT is dead though the host is alive."""
        with self.fault(f"{node} forwards nothing", (self.net.deaf, node)):
            yield

    @contextmanager
    def cut(self, one: str, *others: str) -> Iterator[None]:
        """The zones cannot reach each other; each has its own internet."""
        both = links([one], others) + links(others, [one])
        pairs = [(self.net.severed, link) for link in both]
        with self.fault(f"{one} is cut from {', '.join(others)}", *pairs):
            yield

    @contextmanager
    def loss(self, node: str, share: float, *, ways: str = "out") -> Iterator[None]:
        """The node loses that share of packets at its interface: out, in, or both."""
        at: list[Link] = [leaving(node)] * (ways != "in") + [entering(node)] * (ways != "out")
        with self.fault(f"{node} loses {share:.0%} of its packets ({ways})"):
            for link in at:
                self.net.dropping.setdefault(link, []).append(share)
            self.world.look()
            yield
            for link in at:
                self.net.dropping[link].remove(share)

    @contextmanager
    def api_fault(self, **counted: int) -> Iterator[None]:
        """EC2's API has these faults."""
        faults = self.ec2.faults
        self.trace(f"begins: EC2 has the fault {', '.join(counted)}")
        for name in counted:
            setattr(faults, name, getattr(faults, name) + 1)
        yield
        for name in counted:
            setattr(faults, name, getattr(faults, name) - 1)
        self.trace(f"ends: EC2 has the fault {', '.join(counted)}")

    def network(self, **faults: Iterable[object]) -> Stage:
        """Let the network have these faults and no others: counters of `Network`, and whom."""
        self.trace(f"network: {faults or 'no faults'}")
        counters = {name: one for name, one in vars(self.net).items() if isinstance(one, Counter)}
        assert faults.keys() <= counters.keys(), f"no such faults: {faults.keys() - counters}"
        for name, counter in counters.items():
            counter.clear()
            counter.update(faults.get(name, ()))
        self.world.look()
        return self

    def drain(self, *nodes: str) -> None:
        """Set which nodes are drained."""
        self.trace(f"operator drains {nodes or 'nobody'}")
        self.ec2.intent = replace(self.ec2.intent, drained=frozenset(nodes))
        self.look_now()

    def pause(self, *, paused: bool) -> None:
        """Pause the group, or go on."""
        self.trace("operator pauses the group" if paused else "operator resumes the group")
        self.ec2.intent = replace(self.ec2.intent, paused=paused)
        self.look_now()

    def revert(self) -> None:
        """Ask for all routes to go home, as `nathb revert` does."""
        self.trace("operator asks for revert")
        self.ec2.intent = replace(self.ec2.intent, revert=True)
        self.look_now()

    def shut_down(self, node: str) -> None:
        """Let a machine begin to shut down; its daemon may leave when it has handed over."""
        host = self.host(node)
        host.leaving += 1
        host.leave()

    def look_now(self) -> None:
        """Let every daemon look at EC2 at once, as `nathb revert` and `undrain` tell it to."""
        for host in self.world.hosts.values():
            if host.agent is not None and not host.frozen:
                host.agent.look_now()
                host.wake()

    # --- figures ----------------------------------------------------------------------------

    def host(self, node: str) -> Host:
        return self.world.hosts[node]

    def agent(self, node: str) -> Agent:
        agent = self.host(node).agent
        assert agent is not None, f"no daemon runs on {node}"
        return agent

    def route(self, node: str) -> Route:
        """The node's own default route."""
        return self.group.node(node).routes[0]

    def holder(self, node: str) -> str:
        """Who holds the node's own route."""
        return self.ec2.routes[self.route(node)]

    @property
    def writes(self) -> list[Write]:
        """What nodes have written since the mark."""
        return [one for one in self.world.accounts.latest if one.change.at >= self.began]

    def written(self) -> list[tuple[float, str, str, str]]:
        """Each write since the mark: seconds after it, by whom, whose route, to whom."""
        homes = self.world.accounts.truth.home
        return [
            (round(one.at - self.began, 2), one.who, homes[one.route], one.to)
            for one in (write.change for write in self.writes)
        ]

    def dark(self, node: str) -> float:
        """Seconds since the mark in which the clients of the node's zone were not served."""
        self.world.look()
        return self.world.accounts.of[self.route(node)].dark

    def on(self, node: str, holder: str) -> float:
        """Seconds since the mark that the node's own route was on that holder."""
        self.world.look()
        return self.world.accounts.of[self.route(node)].on[holder]

    def takes_from_serving(self) -> list[Write]:
        """Takes since the mark from a node that served just then."""
        return [one for one in self.writes if one.takes and one.before is Service.SERVES]

    def trace(self, line: str) -> None:
        self.world.trace.append(f"{self.now:.3f} stage | {line}")
