"""Stories told to the rules, and their recorded answers; both are in scenarios.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.core.context import Facts
from nathb.core.ec2_state import Intent
from nathb.core.memory import Observer, RouteMemory, begun, ended, observed
from nathb.core.model import Done, Evidence, Failure, Route, Ruling, Undone, Verdict
from nathb.core.rules import decide
from tests.core.build import PAIR, ROUTE_A, ROUTE_C, down, up, view

FILE = Path(__file__).parent / "scenarios.txt"
_, *PARTS = re.split(r"^== (.+)\n", FILE.read_text(), flags=re.MULTILINE)
SCENARIOS = dict(zip(PARTS[::2], PARTS[1::2], strict=True))


class Story:
    """The world as the lines read so far have told it."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.now = 0.0
        self.paths = {name: Evidence() for name in ("uplink", "nat-a", "nat-c") if name != me}
        self.view = None
        self.memory: dict[str, RouteMemory] = {}
        self.undrained: dict[str, float] = {}
        self.answer: Done | Undone = Done(0.006)
        self.last: dict[Route, str] = {}

    def tell(self, now: float, words: list[str]) -> None:
        self.now = now
        match words:
            case ["view", *facts]:
                self._describe(facts)
            case ["gone", node]:
                self.paths[node] = replace(self.paths[node], gone=True, hastened=True)
            case ["ec2", "done"]:
                self.answer = Done(0.006)
            case ["ec2", failure]:
                self.answer = Undone(Failure(failure.replace("-", " ")), "as told")
            case [name, verdict]:
                self.paths[name] = self._path(name, verdict)
            case []:
                pass

    def _path(self, name: str, verdict: str) -> Evidence:
        before = self.paths[name]
        silent = down(self.now, self.now - 3)
        evidence = {
            "up": up(self.now, self.now),
            "down": silent,
            "rising": replace(silent, silent_since=None, heard_at=self.now),
            "unknown": Evidence(since=self.now),
        }[verdict]
        if evidence.verdict is before.verdict:
            evidence = replace(evidence, since=before.since)
        return replace(evidence, addresses=("1.1.1.1" if name == "uplink" else "8.8.4.4",))

    def _describe(self, facts: list[str]) -> None:
        pairs = dict(fact.split("=") for fact in facts if "=" in fact)
        drained = frozenset(pairs["drain"].split(",")) if "drain" in pairs else frozenset()
        bad = tuple(route for fact, route in (("a!", ROUTE_A), ("c!", ROUTE_C)) if fact in facts)
        intent = Intent(drained, "pause" in facts, "revert" in facts)
        before = self.view.intent.drained if self.view is not None else frozenset()
        self.undrained |= dict.fromkeys(before - drained, self.now)
        holders = {key: "" if pairs[key] == "-" else pairs[key] for key in ("a", "c")}
        self.view = view(**holders, at=self.now, blackholes=bad, intent=intent)
        for route in PAIR.routes():
            memory = self.memory.get(str(route), RouteMemory())
            seen = observed(memory, route, self.view, Observer(self.me, PAIR, self._up()))
            self.memory[str(route)] = seen

    def _up(self) -> frozenset[str]:
        return frozenset(n for n, one in self.paths.items() if one.verdict is Verdict.UP)

    def hear(self) -> list[str]:
        """Ask the rules, carry out what they wish for, and return what is new in their answer."""
        living = {
            name: replace(one, heard_at=self.now) if one.verdict is Verdict.UP else one
            for name, one in self.paths.items()
        }
        uplink = living.pop("uplink")
        known = Facts(
            self.now, self.me, PAIR, uplink, living, self.view, self.memory, self.undrained
        )
        answers = []
        for ruling in decide(known):
            words = self._carry_out(ruling)
            if self.last.get(ruling.route) != words:
                answers.append(f"> {words}")
                self.last[ruling.route] = words
        return answers

    def _carry_out(self, ruling: Ruling) -> str:
        due = "" if ruling.due is None else f" [due {ruling.due:g}]"
        if ruling.move is None:
            return f"{ruling.route}: {ruling.rule.value} {ruling.reason}{due}"
        move, key = ruling.move, str(ruling.route)
        what = f"{move.holder or '?'} -> {move.to}: {ruling.rule.value} {ruling.reason}"
        if ruling.would:
            return f"{ruling.route}: WOULD MOVE {what}"
        sent = begun(self.memory.get(key, RouteMemory()), move, self.now)
        home = PAIR.home(move.route)
        self.memory[key] = ended(sent, move, self.answer, self.now, home=home, jitter=0.0)
        came_of_it = "" if isinstance(self.answer, Done) else f" ({self.answer.failure.value})"
        return f"{ruling.route}: MOVE {what}{came_of_it}"


def perform(script: str) -> str:
    """Return the script with the answers of today's rules."""
    out: list[str] = []
    story: Story | None = None
    for line in script.splitlines():
        words = line.split()
        if line.startswith(">"):
            continue
        out.append(line)
        if not words or line.startswith("#"):
            continue
        if words[0] == "me":
            story = Story(words[1])
            continue
        assert story is not None, "the first line says from whose eyes: me NODE"
        story.tell(float(words[0]), words[1:])
        out += story.hear()
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_answered_as_recorded(name: str, pytestconfig: pytest.Config) -> None:
    recorded = SCENARIOS[name]
    performed = perform(recorded)
    if pytestconfig.getoption("--rewrite"):
        FILE.write_text(FILE.read_text().replace(recorded, performed))
    else:
        assert performed == recorded


def test_there_are_scenarios_and_each_has_answers() -> None:
    assert len(SCENARIOS) == len(PARTS) / 2 > 5
    for name, recorded in SCENARIOS.items():
        assert "\n> " in recorded, name
