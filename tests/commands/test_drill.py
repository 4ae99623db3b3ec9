"""`nathb drill` on a pair that obeys, on one that does not, and ended early."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from nathb.cli import main
from nathb.commands.drill import READ_MARGIN, Drill
from nathb.core.ec2_state import Intent, View
from nathb.core.errors import CloudError, Finding, NathbError, RefusalError, bad, good, warning
from nathb.core.memory import WriteState
from nathb.core.model import Failure, Group, Preempt, Route
from nathb.core.snapshot import Snapshot, Write
from nathb.ui.interruption import TerminatedError, saying_what_stays
from nathb.ui.operator_session import OperatorSession, Report
from tests.commands.test_command_line import EXAMPLE
from tests.commands.test_operator_session import Ask, World
from tests.commands.test_status import HEALTHY
from tests.core.build import PAIR, ROUTE_A, ROUTE_C, down, up, view

A, C = "nat-a", "nat-c"
MANUAL = replace(PAIR, preempt=Preempt.MANUAL)
Shown = pytest.CaptureFixture[str]


class Daemons(World):
    """EC2, and daemons that read the tags within `reads_within` seconds and move within one."""

    def __init__(self) -> None:
        super().__init__()
        self.reads_within = 1.9
        self.hands_over = True
        self.returns = True
        self.accepted: dict[Route, Write] = {}
        self.at: dict[float, Callable[[], None]] = {}
        self._drained_since: float | None = None
        self._undrained_since: float | None = None

    def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        for moment in sorted(one for one in self.at if one <= end):
            self.now = moment
            self.at.pop(moment)()
        self.now = end
        self._obey()

    def drain(self, nodes: Iterable[str]) -> None:
        super().drain(nodes)
        drained = A in self.intent.drained
        self._drained_since = self.now if drained else None
        self._undrained_since = None if drained else self.now

    def _obey(self) -> None:
        if self.intent.paused:
            return
        if self._is_read(self._drained_since) and self.hands_over and self.holders["a"] == A:
            self.move(A, C)
        elif self._is_read(self._undrained_since) and self.returns and self.holders["a"] == C:
            self.move(C, A)

    def _is_read(self, since: float | None) -> bool:
        return since is not None and self.now >= since + self.reads_within

    def move(self, holder: str, to: str) -> None:
        self.holders["a"] = to
        if holder == HEALTHY.node:  # of the other node's writes this machine's daemon has none
            at = self.now - 0.1
            self.accepted[ROUTE_A] = Write(ROUTE_A, holder, to, WriteState.ACCEPTED, at)


@dataclass
class Around:
    """EC2 around the pair, as `check --aws` sees it."""

    daemons: Daemons
    found: list[Finding] = field(default_factory=lambda: [good("nat-a", "runs")])
    pointed: list[Route] = field(default_factory=list)

    def findings(self) -> Iterable[Finding]:
        return self.found

    def point_home(self, route: Route) -> None:
        self.pointed.append(route)
        self.daemons.holders["a"] = A


class Held:
    """One drill's end, on the machine of nat-a."""

    def __init__(self) -> None:
        self.daemons = Daemons()
        self.around = Around(self.daemons)
        self.ask = Ask(self.daemons)

    def find(self, group: str) -> Snapshot:
        return replace(self.ask.find(group), accepted=tuple(self.daemons.accepted.values()))

    def publish(self, seen: View) -> None:
        """Let the daemon on this machine have read this."""
        assert self.ask.local is not None
        self.ask.local = replace(self.ask.local, view=seen)

    def __call__(
        self, node: str = A, *, group: Group = PAIR, yes: bool = True, as_json: bool = False
    ) -> int:
        session = OperatorSession(
            group, self.daemons, Report(as_json=as_json),
            clock=lambda: self.daemons.now, sleep=self.daemons.sleep,
            find=self.find, look_now=lambda _snapshot: self.ask.deaf,
        )  # fmt: skip
        drill = Drill(session, self.around, node)
        with saying_what_stays(lambda: drill.stays):
            return drill.hold(yes=yes)


@pytest.fixture
def hold() -> Held:
    return Held()


# --- a drill that goes well


def test_a_drill_drains_undrains_and_says_how_long_each_route_took_both_ways(
    hold: Held, capsys: Shown
) -> None:
    assert hold() == 0
    assert hold.daemons.written == ["drain nat-a", "drain"]
    assert hold.daemons.holders == {"a": A, "c": C}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "drill of nat-a in pair:"
    assert lines[1] == "  1. drain nat-a: 1 route goes to nat-c, moved by nat-a"
    assert "nat-a is drained: 1 route goes to nat-c" in lines
    assert f"  {ROUTE_A} to nat-c: answered after 1.9 s, read back after 2.0 s" in lines
    assert f"  {ROUTE_A} to nat-a: read back after 2.0 s" in lines
    assert lines[-1] == (
        "all went well: away in 2.0 s, home in 2.0 s; every route of nat-a is at home"
    )


def test_the_drain_lasts_until_every_node_has_read_that_the_routes_are_away_and_why(
    hold: Held,
) -> None:
    hold()
    # away after 2 s; nat-c reads that within `refresh`; then the drain ends: home 2 s later
    lasts = 2.0 + PAIR.refresh + READ_MARGIN + 2.0
    assert lasts <= hold.daemons.now < lasts + 0.5


def test_on_the_node_that_gets_the_routes_the_drain_ends_when_its_daemon_has_read_them(
    hold: Held,
) -> None:
    hold.ask.local = replace(HEALTHY, node=C, at=0.0, peers={A: up()}, view=view(at=0.0))
    hold.daemons.at[7.0] = lambda: hold.publish(view(at=7.0, a=C))
    assert hold() == 0
    assert 9.0 <= hold.daemons.now < 10.5


def test_machines_get_the_times_of_each_route_and_null_where_another_node_asked_ec2(
    hold: Held, capsys: Shown
) -> None:
    assert hold(as_json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["good"], shown["is_home"], shown["node"]) == (True, True, A)
    (away,), (home,) = shown["away"]["routes"], shown["home"]["routes"]
    assert away["answered_seconds"] == pytest.approx(1.9)
    assert away["read_back_seconds"] == pytest.approx(shown["away"]["seconds"]) == pytest.approx(2)
    assert home["answered_seconds"] is None
    assert shown["home"]["to"] == A


def test_with_preempt_manual_a_drill_asks_for_the_return_and_takes_that_back(hold: Held) -> None:
    assert hold(group=MANUAL) == 0
    assert hold.daemons.written == ["drain nat-a", "drain", "revert 600", "reverted"]


# --- what it refuses


def _paused(hold: Held) -> None:
    hold.daemons.intent = Intent(paused=True)


def _drained(hold: Held) -> None:
    hold.daemons.intent = Intent(drained=frozenset({C}))


def _reverting(hold: Held) -> None:
    hold.daemons.intent = Intent(revert=True)


def _away(hold: Held) -> None:
    hold.daemons.holders["c"] = A


def _peer_down(hold: Held) -> None:
    hold.ask.local = replace(HEALTHY, peers={C: down()})


def _peer_unknown(hold: Held) -> None:
    hold.ask.local = replace(HEALTHY, peers={})


def _in_doubt(hold: Held) -> None:
    hold.ask.local = replace(HEALTHY, suspecting=True, peers={C: replace(up(), missed=1)})


def _no_daemon(hold: Held) -> None:
    hold.ask.local = None


def _check_is_on(hold: Held) -> None:
    hold.around.found = [bad(C, "the source/dest check is on", "nathb apply pair")]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (_paused, "operators: PAUSED: no route is moved; nathb resume pair"),
        (_drained, "operators: DRAINED: nat-c; nathb undrain pair nat-c"),
        (_reverting, "operators: someone else's `nathb revert` is in force"),
        (_away, f"{ROUTE_C}: held by nat-a, not by its home"),
        (_peer_down, "nat-c: heartbeat 8.8.4.4 missed 3 of 3; on nat-c: nathb check pair --aws"),
        (_peer_unknown, f"{ROUTE_C}: "),
        (_in_doubt, "nat-a: something is in doubt; try again in a minute"),
        (_no_daemon, "this machine: no daemon of pair is alive here"),
        (_check_is_on, "nat-c: the source/dest check is on; nathb apply pair"),
    ],
)
def test_a_drill_is_refused_while_not_all_is_well_and_says_what_is_not(
    hold: Held, break_it: Callable[[Held], None], says: str
) -> None:
    break_it(hold)
    with pytest.raises(RefusalError) as refused:
        hold()
    assert "not begun, and nothing was changed" in str(refused.value)
    assert says in str(refused.value)
    assert hold.daemons.written == []


def test_a_warning_of_check_does_not_prevent_a_drill(hold: Held) -> None:
    hold.around.found = [warning("nodes", "several nodes are in the zone a", "")]
    assert hold() == 0


# --- the yes


def test_without_a_yes_nothing_is_changed(
    hold: Held, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr("nathb.commands.drill.is_confirmed", lambda *_: False)
    assert hold(yes=False) == 1
    assert hold.daemons.written == []
    assert capsys.readouterr().out.splitlines()[-1] == "nothing was changed"


def test_where_nobody_can_be_asked_the_yes_has_to_be_given_beforehand(
    hold: Held, capsys: Shown
) -> None:
    with pytest.raises(NathbError, match="drill: there is nobody to ask"):
        hold(yes=False)
    assert hold.daemons.written == []
    assert main(["drill", str(EXAMPLE), A, "--json"]) == 2
    assert "then add --yes" in capsys.readouterr().err


# --- a drill that fails


def test_routes_that_do_not_leave_are_a_failure_and_the_drain_is_undone(
    hold: Held, capsys: Shown
) -> None:
    hold.daemons.hands_over = False
    assert hold() == 1
    assert hold.daemons.written == ["drain nat-a", "drain", "revert 600", "reverted"]
    shown = capsys.readouterr()
    assert f"warning: {ROUTE_A} is not away: nat-a says: at home" in shown.err
    assert shown.out.splitlines()[-1] == (
        "the drill FAILED, and is undone: every route of nat-a is at home"
    )


def test_routes_that_no_daemon_returns_are_a_failure_and_moved_home_by_the_drill_itself(
    hold: Held, capsys: Shown
) -> None:
    hold.daemons.returns = False
    assert hold() == 1
    assert hold.daemons.written == ["drain nat-a", "drain", "revert 600", "reverted"]
    assert hold.around.pointed == [ROUTE_A]
    shown = capsys.readouterr()
    assert "was not returned by the daemon of nat-c; this command moved it" in shown.err
    assert "the drill FAILED, and is undone: every route of nat-a is at home" in shown.out


def test_while_an_operator_has_paused_the_group_the_drill_moves_nothing_itself(
    hold: Held, capsys: Shown
) -> None:
    paused = Intent(paused=True)
    hold.daemons.at[5.0] = lambda: setattr(hold.daemons, "intent", paused)
    assert hold() == 1
    assert hold.around.pointed == []
    assert "not every route is at home: nathb status pair" in capsys.readouterr().out


def test_a_role_that_may_not_tag_changes_nothing_and_undoes_nothing(
    hold: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_nodes: object) -> None:
        raise CloudError(Failure.DENIED, "CreateTags: denied")

    monkeypatch.setattr(hold.daemons, "drain", denied)
    with pytest.raises(CloudError, match="CreateTags: denied"):
        hold()
    assert hold.daemons.now == 0.0


# --- ended early


@pytest.mark.parametrize("moment", [0.5, 5.0, 36.0], ids=["leaving", "away", "returning"])
def test_ctrl_c_at_any_moment_ends_with_every_route_at_home_and_says_so(
    hold: Held, capsys: Shown, moment: float
) -> None:
    hold.daemons.at[moment] = hold.daemons.interrupted
    with pytest.raises(KeyboardInterrupt):
        hold()
    assert hold.daemons.holders["a"] == A
    assert "drain" in hold.daemons.written
    assert hold.daemons.intent.drained == frozenset()
    assert capsys.readouterr().err.splitlines()[-1].startswith("nathb: ended early: ")


def test_ctrl_c_while_a_node_may_still_hand_over_waits_until_it_has_read_the_undrain(
    hold: Held, capsys: Shown
) -> None:
    hold.ask.deaf = "only root may"
    hold.daemons.at[0.5] = hold.daemons.interrupted
    with pytest.raises(KeyboardInterrupt):
        hold()
    assert hold.daemons.now >= 0.5 + PAIR.refresh
    assert hold.daemons.written == ["drain nat-a", "drain", "revert 600", "reverted"]
    assert capsys.readouterr().err == (
        "nathb: ended early: the drill is undone: every route of nat-a is at home\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_drill_whose_terminal_is_gone_or_that_is_terminated_moves_everything_home(
    hold: Held, number: signal.Signals
) -> None:
    before = signal.signal(number, lambda *_: None)
    try:
        hold.daemons.at[5.0] = lambda: signal.raise_signal(number)
        with pytest.raises(TerminatedError):
            hold()
    finally:
        signal.signal(number, before)
    assert hold.daemons.holders["a"] == A
    assert hold.daemons.intent.drained == frozenset()


def test_a_second_ctrl_c_says_what_is_left_to_do(hold: Held, capsys: Shown) -> None:
    hold.daemons.returns = False
    hold.daemons.at[5.0] = hold.daemons.interrupted
    hold.daemons.at[12.0] = hold.daemons.interrupted
    with pytest.raises(KeyboardInterrupt):
        hold()
    assert capsys.readouterr().err.endswith(
        "nathb: ended early: nat-a is not drained any more, and its routes go home; "
        "`nathb status pair` shows them, `nathb revert pair` hastens it\n"
    )
