"""One daemon for a group on this machine, one group for a table: with real locks of real files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.core.errors import HeldError
from nathb.core.model import Group, Learn, Node, Route, RouteMatch
from nathb.host.lock import Lock, holders

ROOT = Path(__file__).parents[2]
TOKYO = Group("tokyo", (Node("nat-a", ("8.8.8.8",), (Route("rtb-1", "0.0.0.0/0"),)),), ("1.1.1.1",))
OSAKA = replace(
    TOKYO,
    name="osaka",
    nodes=(replace(TOKYO.nodes[0], routes=(Route("rtb-2", "0.0.0.0/0"),)),),
)
FILE = Path("/etc/nathb/tokyo.yaml")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What /run/nathb is to these daemons."""
    return tmp_path / "nathb"


@pytest.fixture
def lock(run: Path) -> Iterator[Callable[..., Lock]]:
    """Make the lock of a group's daemon, of a service if it is said to be; let go in the end."""
    made = []

    def make(group: str = "tokyo", *, by_service: bool = False, dry_run: bool = False) -> Lock:
        place = run / group / "dry-run" if dry_run else run / group
        made.append(Lock(place, by_service=by_service, dry_run=dry_run))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., Lock]


def test_the_second_daemon_of_a_group_is_told_who_the_first_is(lock: Make) -> None:
    assert lock(by_service=True).take(TOKYO, FILE) == ""
    with pytest.raises(HeldError) as refusal:
        lock().take(TOKYO, FILE)
    told = str(refusal.value)
    assert told.startswith(
        "tokyo: another daemon of this group runs on this machine "
        f"(process {os.getpid()}, the service nathb@tokyo, since 20"
    )
    assert told.endswith(
        f", with {FILE}); end it first: systemctl stop nathb@tokyo; "
        "a dry run may run beside it: --dry-run"
    )


def test_a_service_that_starts_beside_a_run_by_hand_is_told_so_however_often(
    lock: Make, run: Path
) -> None:
    lock().take(TOKYO, FILE)
    for _ in range(3):
        with pytest.raises(HeldError, match=rf"started by hand, .* first: kill {os.getpid()};"):
            lock(by_service=True).take(TOKYO, FILE)
        shutil.rmtree(run / "tokyo")  # as systemd does when a start has failed


def test_a_run_by_hand_beside_the_service_is_told_so_after_an_earlier_one_by_hand(
    lock: Make, run: Path
) -> None:
    first = lock()
    first.take(TOKYO, FILE)
    first.close()
    shutil.rmtree(run / "tokyo")
    lock(by_service=True).take(TOKYO, FILE)
    with pytest.raises(HeldError, match="the service nathb@tokyo"):
        lock().take(TOKYO, FILE)


def test_what_is_let_go_can_be_taken_again(lock: Make) -> None:
    first = lock()
    first.take(TOKYO, FILE)
    first.close()
    assert lock(by_service=True).take(TOKYO, FILE) == ""


HOLDS = """
import sys, time
from pathlib import Path
from nathb.host.lock import Lock
from tests.host.test_lock import FILE, TOKYO
print(Lock(Path(sys.argv[1]), by_service=False, dry_run=False).take(TOKYO, FILE), flush=True)
time.sleep(60)
"""


def test_kill_9_lets_go_and_before_it_another_process_is_refused(lock: Make, run: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(run / "tokyo")], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        with pytest.raises(HeldError, match=f"process {process.pid}, started by hand"):
            lock(by_service=True).take(TOKYO, FILE)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert lock(by_service=True).take(TOKYO, FILE) == ""


def test_a_dry_run_and_the_daemon_do_not_mind_each_other_but_two_dry_runs_do(lock: Make) -> None:
    for first in (False, True):
        assert lock(dry_run=first).take(TOKYO, FILE) == ""
    with pytest.raises(HeldError, match="another dry run of this group runs on this machine"):
        lock(dry_run=True).take(TOKYO, FILE)


def test_other_groups_do_not_mind(lock: Make) -> None:
    assert lock().take(TOKYO, FILE) == ""
    assert lock("osaka").take(OSAKA, FILE) == ""


@pytest.mark.parametrize("by_service", [True, False])
def test_a_table_that_another_groups_daemon_guards_is_refused_with_both_names(
    lock: Make, by_service: bool
) -> None:
    lock(by_service=by_service).take(TOKYO, FILE)
    with pytest.raises(HeldError) as refusal:
        lock("osaka").take(replace(OSAKA, nodes=TOKYO.nodes), Path("/etc/nathb/osaka.yaml"))
    told = str(refusal.value)
    assert told.startswith(
        "rtb-1: is guarded on this machine by the daemon of group tokyo too "
        f"(process {os.getpid()}, "
    )
    assert f"with {FILE})" in told
    assert "name each route table in one file only" in told


def test_a_table_that_another_groups_daemon_writes_learned_routes_to_is_refused(lock: Make) -> None:
    learn = Learn(into=("rtb-1", "tgw-rtb-1"), allow=("10.8.0.0/13",), file="/run/prefixes")
    lock().take(TOKYO, FILE)
    with pytest.raises(HeldError, match="rtb-1: is guarded on this machine by the daemon of group"):
        lock("osaka").take(replace(OSAKA, learn=learn), FILE)


def test_who_was_refused_a_table_holds_nothing(lock: Make, run: Path) -> None:
    first = lock()
    first.take(TOKYO, FILE)
    with pytest.raises(HeldError):
        lock("osaka").take(replace(OSAKA, nodes=TOKYO.nodes), FILE)
    first.close()
    assert holders(run) == []
    assert lock("osaka").take(OSAKA, FILE) == ""


def test_a_dry_run_guards_no_table(lock: Make) -> None:
    lock().take(TOKYO, FILE)
    assert lock("osaka", dry_run=True).take(replace(OSAKA, nodes=TOKYO.nodes), FILE) == ""


def test_a_reload_to_a_table_of_another_group_is_refused_and_to_a_free_one_is_told_to_others(
    lock: Make,
) -> None:
    tokyo, osaka = lock(), lock("osaka")
    tokyo.take(TOKYO, FILE)
    osaka.take(OSAKA, FILE)
    with pytest.raises(HeldError, match="rtb-1: is guarded on this machine by the daemon of group"):
        osaka.renew(replace(OSAKA, nodes=TOKYO.nodes), FILE)
    tokyo.renew(replace(TOKYO, nodes=(replace(TOKYO.nodes[0], routes=()),)), FILE)
    osaka.renew(replace(OSAKA, nodes=TOKYO.nodes), FILE)
    with pytest.raises(HeldError, match="guarded on this machine by the daemon of group osaka"):
        tokyo.renew(TOKYO, FILE)


def test_where_nothing_can_be_written_there_is_no_lock_and_it_is_said_why() -> None:
    lock = Lock(Path("/dev/null/nathb/tokyo"), by_service=False, dry_run=False)
    assert lock.take(TOKYO, FILE) == "/dev/null/nathb/.tokyo.lock: Not a directory"


def test_what_the_services_user_has_put_in_the_place_of_its_lock_is_not_followed(
    lock: Make, run: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "shadow"
    victim.write_text("secrets")
    (run / "tokyo").mkdir(parents=True)
    (run / "tokyo" / "lock").symlink_to(victim)
    assert lock().take(TOKYO, FILE) == ""
    assert victim.read_text() == "secrets"
    with pytest.raises(HeldError):
        lock().take(TOKYO, FILE)


def test_everybody_may_see_who_holds_it_whatever_the_umask(lock: Make, run: Path) -> None:
    before = os.umask(0o077)
    try:
        lock().take(TOKYO, FILE)
    finally:
        os.umask(before)
    assert {one.stat().st_mode & 0o777 for one in (run, run / "tokyo")} == {0o755}
    modes = {one.stat().st_mode & 0o777 for one in (run / "tokyo/lock", run / ".tokyo.lock")}
    assert modes == {0o644}


def test_a_table_in_which_a_route_is_found_is_left_to_the_daemon_that_guards_it(lock: Make) -> None:
    match = RouteMatch((("vpc-id", "vpc-1"),), "any")
    finds = replace(OSAKA, nodes=(replace(OSAKA.nodes[0], found=(match,)),))
    tokyo, osaka, paris = lock(), lock("osaka"), lock("paris")
    tokyo.take(TOKYO, FILE)
    osaka.take(finds, FILE)
    (who,) = osaka.claim({"rtb-1", "rtb-3"}).items()
    assert who[0] == "rtb-1"
    assert who[1].startswith(f"the daemon of group tokyo (process {os.getpid()}")
    paris.take(replace(finds, name="paris", nodes=TOKYO.nodes[:0]), FILE)
    assert set(paris.claim({"rtb-2", "rtb-3", "rtb-4"})) == {"rtb-2", "rtb-3"}
    tokyo.close()
    assert osaka.claim({"rtb-1"}) == {}
    assert paris.claim({"rtb-3"}) == {}


def test_the_same_match_in_two_files_is_refused_like_the_same_table(lock: Make) -> None:
    match = RouteMatch((("tag:nathb", "nat-a"),), "0.0.0.0/0")
    lock().take(replace(TOKYO, nodes=(replace(TOKYO.nodes[0], found=(match,)),)), FILE)
    with pytest.raises(HeldError, match="tag:nathb=nat-a: is guarded on this machine"):
        lock("osaka").take(replace(OSAKA, nodes=(replace(OSAKA.nodes[0], found=(match,)),)), FILE)


def test_a_dry_run_claims_no_table_that_it_finds(lock: Make) -> None:
    lock().take(TOKYO, FILE)
    other = lock("osaka", dry_run=True)
    other.take(OSAKA, FILE)
    assert other.claim({"rtb-1"}) == {}
