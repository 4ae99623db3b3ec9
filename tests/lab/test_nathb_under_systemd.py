"""The unit, installed as README.md says, under a real systemd on an instance of the lab.

What systemd says of the unit file alone, its exposure too, is in tests/host/test_systemd_files.py.
Limits on memory, CPU and tasks are read here but not enforced: see tests/lab/nspawn.py.
"""

from __future__ import annotations

import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from nathb.core.events import EventKind
from nathb.host.journal_schema import ENTRIES
from tests.install.built import build
from tests.lab.installed import bare
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.service import ENVIRONMENT, FILE, UNIT, Service

BAD_FILE = 78  # EX_CONFIG
ENDPOINTS = [line.partition("=")[0] for line in ENVIRONMENT.splitlines()]


def bad(config: str) -> str:
    """The file with a typing mistake in it."""
    return config.replace("heartbeat: 193.0.14.129", "heartbeat: 8.8.4")


def written(lab: Lab) -> list[str]:
    """Who wrote routes until now, a name per write."""
    return [one.caller for one in lab.writes()]


def by_hand(machine: NspawnMachine, *arguments: str) -> str:
    """Run the daemon as root in a tight shell, writing to /root/log; its pid, once it guards."""
    machine.did(
        "sh", "-c",
        f"umask 077; . /etc/nathb/pair.env; export {' '.join(ENDPOINTS)};"
        f" nathb run pair {' '.join(arguments)} >/root/log 2>&1 & echo $! >/root/pid",
    )  # fmt: skip
    wait_until("it guards", lambda: "guards pair" in machine.did("cat", "/root/log"), 20.0)
    return machine.did("cat", "/root/pid").strip()


def wait_holder(lab: Lab, zone: str, node: str, within: float = 10.0) -> None:
    wait_until(f"{zone}'s route points at {node}", lambda: lab.holder(zone) == node, within)


def test_installed_and_enabled_as_the_readme_says_it_is_active_and_its_status_shows_the_routes(
    lab: Lab, machine: NspawnMachine
) -> None:
    service = Service(machine, lab.pair_config())
    assert "good: group pair, nodes nat-a, nat-c, 2 routes" in machine.did("nathb", "check", "pair")

    machine.did("sudo", "systemctl", "enable", "--now", UNIT)

    assert service.show("ActiveState") == "active"
    assert machine.did("systemctl", "is-enabled", UNIT) == "enabled\n"
    wait_until(
        "STATUS= shows that all is well",
        lambda: service.show("StatusText") == "nat-a: uplink up, nat-c up; holds 1 of 2 routes",
        within=20.0,
        every=0.1,
    )
    assert machine.did("sudo", "nathb", "status", "pair").count("at home") >= 2
    assert f'Status: "{service.show("StatusText")}"' in machine.did("systemctl", "status", UNIT)


def test_systemd_finds_no_fault_with_the_installed_unit(machine: NspawnMachine) -> None:
    assert machine.did("systemd-analyze", "--no-pager", "verify", "nathb@tokyo.service") == ""


def test_the_daemon_is_nobody_with_one_capability_and_its_hooks_have_none(
    lab: Lab, machine: NspawnMachine, service: Service
) -> None:
    state = machine.did("cat", f"/proc/{service.pid}/status")
    uid = re.search(r"^Uid:\t(\d+)", state, re.MULTILINE)
    assert uid
    assert 61184 <= int(uid[1]) <= 65519, "systemd.exec(5): the range of DynamicUser="
    raw_sockets = f"{1 << 13:016x}"
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert f"{kind}:\t{raw_sockets}\n" in state
    assert "NoNewPrivs:\t1\n" in state
    hook, word = "/etc/nathb/hooks.d/10-state", "/run/nathb/pair/state"
    machine.write(hook, f"#!/bin/sh\nexec cat /proc/self/status >{word}\n")
    machine.did("chmod", "755", hook)
    machine.write("/srv/open", "#!/bin/sh\n")
    machine.did("chmod", "777", "/srv/open")
    machine.did("ln", "-s", "/srv/open", "/etc/nathb/hooks.d/20-link")
    lab.crash("nat-c")
    service.wait_sentence("hooks.d/20-link: not run, because others may write to /srv/open")
    of_hook = machine.did("cat", word)
    assert f"Uid:\t{uid[1]}\t" in of_hook
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert f"{kind}:\t{0:016x}\n" in of_hook


def test_a_reload_with_a_good_file_is_in_force_and_the_daemon_stays(
    lab: Lab, machine: NspawnMachine, service: Service
) -> None:
    before = service.pid
    machine.write(FILE, lab.pair_config(preempt_delay="7s"))

    machine.did("systemctl", "reload", UNIT)

    service.wait_sentence("reloaded pair")
    assert (service.show("ActiveState"), service.pid) == ("active", before)
    service.settle()


def test_a_reload_with_a_bad_file_fails_says_why_and_the_old_file_stays_in_force(
    lab: Lab, machine: NspawnMachine, service: Service
) -> None:
    before = service.pid
    machine.write(FILE, bad(service.config))

    refused = machine.run("systemctl", "reload", UNIT)

    assert refused.returncode != 0
    assert "Job for nathb@pair.service failed" in refused.stdout
    assert "nodes.nat-c.heartbeat: '8.8.4' is not an IP address" in service.wait_sentence("8.8.4'")
    assert service.show("ReloadResult") == "exit-code"
    assert (service.show("ActiveState"), service.pid) == ("active", before)
    lab.crash("nat-c")
    wait_holder(lab, "c", "nat-a")


def test_a_reload_that_the_daemon_refuses_fails_and_says_that_it_takes_a_restart(
    lab: Lab, machine: NspawnMachine, service: Service
) -> None:
    before = service.pid
    machine.write(FILE, service.config.replace(lab.plan.region, "eu-west-1"))
    machine.did("nathb", "check", "pair")  # the file is good: it is the change that is refused

    refused = machine.run("systemctl", "reload", UNIT)

    assert refused.returncode != 0
    assert "Job for nathb@pair.service failed" in refused.stdout
    assert "restart to use another region" in service.wait_sentence("the region has changed")
    assert service.show("ReloadResult") == "exit-code"
    assert (service.show("ActiveState"), service.pid) == ("active", before)
    machine.write(FILE, service.config)
    machine.did("systemctl", "reload", UNIT)
    assert service.show("ReloadResult") == "success"


def test_a_daemon_that_hangs_is_killed_by_the_watchdog_and_comes_back(service: Service) -> None:
    # What the watchdog sends, sent to a loop that waits: the journal shows where each thread stood.
    # After SIGSTOP any thread may take it, and Python then walks the stacks of threads that run.
    service.signal(signal.SIGABRT)
    assert "run.py" in service.wait_sentence("run.py")
    service.settle()
    # The unit's watchdog waits for 30 s; everything but that figure is as installed.
    assert service.show("WatchdogUSec") == "30s"
    service.drop_in("WatchdogSec=4")
    service.machine.did("systemctl", "restart", UNIT)
    service.settle()
    hung, restarts = service.pid, int(service.show("NRestarts"))
    begun = time.monotonic()

    service.signal(signal.SIGSTOP)

    wait_until("it is another", lambda: service.pid not in (0, hung), within=20.0, every=0.1)
    took = time.monotonic() - begun
    assert took >= 2.0, "half of the watchdog's time at least, or it was something else"
    assert "Watchdog timeout (limit 4s)!" in service.wait_sentence("Watchdog timeout")
    service.settle()
    assert int(service.show("NRestarts")) == restarts + 1


def test_after_kill_9_it_is_back_within_seconds(service: Service) -> None:
    killed = service.pid
    begun = time.monotonic()

    service.signal(signal.SIGKILL)

    wait_until(
        "another is ready",
        lambda: service.pid not in (0, killed) and service.show("ActiveState") == "active",
        within=10.0,
        every=0.1,
    )
    assert time.monotonic() - begun >= 1.0, "RestartSec="
    service.settle()


def test_stop_takes_less_than_2_s_moves_nothing_and_says_so(
    lab: Lab, machine: NspawnMachine, service: Service
) -> None:
    machine.did("systemctl", "stop", UNIT)
    # by systemd's own clock, so that a `systemctl` that is late does not count
    asked, ended = (
        int(service.show(f"{moment}TimestampMonotonic")) / 1e6
        for moment in ("ActiveExit", "InactiveEnter")
    )
    assert 0.0 < lab.pace.elapsed(asked, ended) <= 2.0
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success")
    service.wait_sentence("stopped; routes stay where they are")
    time.sleep(1.0)
    assert written(lab) == []
    assert (lab.holder("a"), lab.holder("c")) == ("nat-a", "nat-c")


def test_a_bad_file_at_the_start_is_said_and_not_tried_again(
    lab: Lab, machine: NspawnMachine
) -> None:
    service = Service(machine, bad(lab.pair_config()))

    assert machine.run("systemctl", "start", UNIT).returncode != 0

    time.sleep(2.5)  # RestartSec= is one second
    assert service.show("ExecMainStatus") == str(BAD_FILE)
    assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0")
    assert "pair.yaml" in service.wait_sentence("'8.8.4' is not an IP address")


def test_a_file_that_only_root_may_read_is_warned_of_by_check_and_said_at_the_start_with_its_fix(
    lab: Lab, machine: NspawnMachine
) -> None:
    service = Service(machine, lab.pair_config())
    machine.did("chmod", "600", FILE)

    fix = f"chmod 644 {FILE}"
    assert f"may not read this file: {fix} (warning)" in machine.did("nathb", "check", "pair")
    assert machine.run("systemctl", "start", UNIT).returncode != 0

    assert service.show("ExecMainStatus") == str(BAD_FILE)
    assert fix in service.wait_sentence("this user may not read it")
    machine.did(*fix.split())
    service.enable().settle()


def test_a_run_by_hand_beside_the_service_is_refused_and_a_dry_run_is_not(
    machine: NspawnMachine, service: Service
) -> None:
    done = machine.run("nathb", "run", "pair")

    assert done.returncode == 1
    assert f"(process {service.pid}, the service nathb@pair, since " in done.stdout
    assert "end it first: systemctl stop nathb@pair;" in done.stdout
    dry = by_hand(machine, "--dry-run")
    machine.did("kill", dry)
    wait_until("it ends", lambda: "stopped; routes" in machine.did("cat", "/root/log"), 10.0)
    service.settle()
    before = service.pid
    machine.did("systemctl", "restart", UNIT)
    service.settle()
    assert service.pid != before


def test_a_service_that_starts_beside_a_run_by_hand_waits_until_it_has_ended(
    lab: Lab, machine: NspawnMachine
) -> None:
    service = Service(machine, lab.pair_config())
    pid = by_hand(machine)

    assert machine.run("systemctl", "start", UNIT).returncode != 0

    assert f"end it first: kill {pid}" in service.wait_sentence(f"(process {pid}, started by hand")
    wait_until("it is tried again", lambda: int(service.show("NRestarts")) >= 2, 20.0, every=0.2)
    wait_until(  # systemd removes the directory with each start that fails
        "its status is there again",
        lambda: f'"pid":{pid},' in machine.run("cat", "/run/nathb/pair/status.json").stdout,
        10.0,
        every=0.1,
    )
    machine.did("kill", pid)
    service.settle()


def test_a_machine_that_shuts_down_lets_it_say_its_last_word_and_the_peer_takes(
    lab: Lab, service: Service
) -> None:
    service.machine.poweroff()
    wait_holder(lab, "a", "nat-c")
    lab.clients["app-a"].wait_served(via="nat-c")

    service.machine.power_on()

    before = service.machine.journal("--unit", UNIT, "--boot=-1", "--output=cat")
    assert "stopped" in before
    service.settle()


@pytest.mark.parametrize("way", ["reboot", "crash"])
def test_after_a_reboot_or_a_crash_it_guards_again_without_anybodys_help(
    lab: Lab, service: Service, way: str
) -> None:
    machine = service.machine
    if way == "reboot":
        machine.reboot(off=0.5)
    else:
        lab.crash("nat-a")
        lab.revive("nat-a")
        machine.wait_up()
    service.settle()
    wait_holder(lab, "a", "nat-a")
    lab.crash("nat-c")
    wait_holder(lab, "c", "nat-a")
    lab.clients["app-c"].wait_served(via="nat-a")


# --- the journal ----------------------------------------------------------------------------------

TOOK = re.compile(
    r"took rtb-\w+ 0\.0\.0\.0/0 from nat-c: heartbeat [\d.]+ missed \d+ of \d+, uplink up"
    r" \(detected in [\d.]+ m?s, moved in [\d.]+ m?s\)"
)


@pytest.fixture
def taken(lab: Lab, service: Service) -> Service:
    """The service, when it has just taken nat-c's route."""
    lab.crash("nat-c")
    wait_until("it takes", lambda: lab.holder("c") == "nat-a", within=10.0)
    service.wait_sentence("took")
    return service


def test_journalctl_of_the_unit_tells_the_takeover_in_sentences(taken: Service) -> None:
    sentences = taken.sentences()
    order = [
        next(number for number, one in enumerate(sentences) if re.match(pattern, one))
        for pattern in (r"nathb \S+ guards pair as nat-a, with nat-c", "nat-c is down", TOOK)
    ]
    assert order == sorted(order)


def test_journalctl_x_explains_the_takeover_and_says_what_to_do(taken: Service) -> None:
    shown = taken.machine.journal("--catalog", "--unit", UNIT, "NATHB_EVENT=took")
    assert re.search(r"Subject: nat-a took rtb-\w+ 0\.0\.0\.0/0$", shown, re.MULTILINE), shown
    assert "Defined-By: nathb" in shown
    assert "nathb status pair" in shown


def test_a_takeover_is_found_by_its_message_id_with_all_its_fields(
    lab: Lab, taken: Service
) -> None:
    (entry,) = taken.entries(f"MESSAGE_ID={ENTRIES[EventKind.TOOK].message_id}")
    (write,) = lab.writes(caller="nat-a")
    expected = {
        "_SYSTEMD_UNIT": "nathb@pair.service",
        "_HOSTNAME": "nat-a",
        "_TRANSPORT": "journal",
        "SYSLOG_IDENTIFIER": "nathb",
        "PRIORITY": "4",
        "NATHB_GROUP": "pair",
        "NATHB_NODE": "nat-a",
        "NATHB_EVENT": "took",
        "NATHB_ROUTE_TABLE": lab.tables["private-c"],
        "NATHB_DESTINATION": "0.0.0.0/0",
        "NATHB_FROM": "nat-c",
        "NATHB_TO": "nat-a",
        "NATHB_RULE": "R3",
    }
    assert {key: entry.get(key) for key in expected} == expected
    assert entry["_PID"] == str(taken.pid)
    assert 0 < int(entry["NATHB_DETECT_MS"]) < 10_000
    assert 0 <= int(entry["NATHB_API_MS"]) < 10_000
    assert entry["AWS_REQUEST_ID"]
    assert TOOK.fullmatch(entry["MESSAGE"])
    assert write.parameters["RouteTableId"] == entry["NATHB_ROUTE_TABLE"]


def test_the_journal_still_has_the_takeover_after_a_reboot(taken: Service) -> None:
    taken.machine.reboot(off=0.5)
    (entry,) = taken.entries("NATHB_EVENT=took", "--boot=-1")
    assert entry["NATHB_NODE"] == "nat-a"


# --- the Debian package ---------------------------------------------------------------------------

PACKAGE = "/opt/lab/nathb.deb"


@pytest.mark.long
@pytest.mark.usefixtures("bootable")
@pytest.mark.timeout(900)
def test_a_machine_with_the_package_guards_its_pair_and_a_purge_leaves_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    built = build(tmp_path / "built")
    with NspawnMachine(lab, "nat-a", ()) as machine:
        bare(machine)
        shutil.copy(built.package, machine.disk / PACKAGE.lstrip("/"))
        machine.power_on()
        assert machine.run("sh", "-c", "command -v nathb").returncode != 0

        machine.did("dpkg", "--install", PACKAGE)
        lab.start_nathb("nat-c", lab.pair_config(), name="pair")
        Service(machine, lab.pair_config()).enable().settle(within=40.0)
        lab.crash("nat-c")
        wait_until("nat-a takes", lambda: lab.holder("c") == "nat-a", within=15.0)

        machine.did("dpkg", "--purge", "nathb")
        assert machine.run("systemctl", "is-active", UNIT).stdout.strip() != "active"
        assert machine.run("sh", "-c", "command -v nathb").returncode != 0
        assert machine.run("ls", "/opt/nathb").returncode != 0
