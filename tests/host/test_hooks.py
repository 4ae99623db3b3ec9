"""Hooks, as real executables: who is run, with what, for how long, and what is told of it."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nathb import __version__
from nathb.core.events import Event
from nathb.host.child_process import OURS
from nathb.host.hooks import MOST_OUTPUT, Hooks
from tests.host.hook_runner import NOTICE, PATIENCE, HookRunner
from tests.host.samples import TOOK

FOR_EVER = "sleep 1000"


def alive(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- who is run -------------------------------------------------------------------------------


def test_hooks_run_one_after_the_other_in_the_order_of_their_names(
    runner: HookRunner,
) -> None:
    for name in ("20-second", "10-first.sh", "30-third"):
        runner.hook(name, f'echo begin-{name} >> "$WORD"; sleep 0.05; echo end-{name} >> "$WORD"')
    assert runner.carry() == []
    names = ("10-first.sh", "20-second", "30-third")
    assert runner.said() == [f"{step}-{name}" for name in names for step in ("begin", "end")]


def test_what_is_not_executable_hidden_a_backup_or_no_file_is_no_hook(
    runner: HookRunner,
) -> None:
    for name in (".hidden", "10-old~", "10-old.bak", "10-new.dpkg-new"):
        runner.hook(name, 'echo run >> "$WORD"')
    runner.hook("README", 'echo run >> "$WORD"', mode=0o644)
    (runner.directory / "folder").mkdir()
    (runner.directory / "nowhere").symlink_to("/nonexistent")
    assert runner.carry() == []
    assert runner.said() == []


def test_a_link_to_an_executable_is_a_hook(runner: HookRunner, tmp_path: Path) -> None:
    target = tmp_path / "target"
    runner.hook("10-real", 'echo run >> "$WORD"').rename(target)
    (runner.directory / "10-link").symlink_to(target)
    assert runner.carry() == []
    assert runner.said() == ["run"]


def test_a_directory_may_be_named_from_where_we_are(
    runner: HookRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.hook("10-here", 'echo run >> "$WORD"')
    monkeypatch.chdir(runner.directory.parent)
    runner.directory = Path("hooks.d")
    assert runner.carry() == []
    assert runner.said() == ["run"]


def test_without_a_directory_there_are_no_hooks_and_nothing_to_tell(
    runner: HookRunner,
) -> None:
    runner.directory.rmdir()
    assert runner.carry() == []


def test_a_directory_that_is_none_is_told(runner: HookRunner) -> None:
    runner.directory.rmdir()
    runner.directory.write_text("")
    assert runner.carry() == [
        f"hook {runner.directory}: cannot be read: Not a directory; chmod a+rx"
    ]


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_hook_that_others_may_write_is_refused_with_the_fix_and_the_rest_run(
    runner: HookRunner, mode: int
) -> None:
    refused = runner.hook("10-open", 'echo open >> "$WORD"', mode)
    runner.hook("20-good", 'echo good >> "$WORD"')
    assert runner.carry() == [
        f"hook {refused}: not run, because others may write to {refused}: chmod go-w {refused} "
        "(event: took)"
    ]
    assert runner.said() == ["good"]


def test_in_a_directory_that_others_may_write_no_hook_is_run(runner: HookRunner) -> None:
    runner.hook("10-good", 'echo good >> "$WORD"')
    runner.directory.chmod(0o777)
    [told] = runner.carry()
    assert f"others may write to {runner.directory}: chmod go-w {runner.directory}" in told
    assert runner.said() == []


# --- with what --------------------------------------------------------------------------------


def show(runner: HookRunner) -> dict[str, str]:
    """Have a hook write down its environment, as the kernel has it."""
    code = "import json, os, sys; json.dump(dict(os.environ), open(os.environ['WORD'], 'w'))"
    runner.hook("10-show", f"exec {shlex.quote(sys.executable)} -I -S -c {shlex.quote(code)}")
    assert runner.carry() == []
    shown: dict[str, str] = json.loads(runner.word.read_text())
    return shown


def test_a_hook_gets_what_the_journal_knows_by_the_same_names(runner: HookRunner) -> None:
    shown = show(runner)
    added_by_shells = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    assert {name: shown[name] for name in shown.keys() - added_by_shells} == {
        "PATH": os.environ["PATH"],
        "WORD": str(runner.word),
        "MESSAGE": TOOK.message,
        "MESSAGE_ID": "920b5b55184f4dabb7b6c8064bb16a41",
        "PRIORITY": "4",
        "NATHB_GROUP": "tokyo",
        "NATHB_NODE": "nat-a",
        "NATHB_EVENT": "took",
        "NATHB_ROUTE_TABLE": "rtb-0bee8f2dc00000003",
        "NATHB_DESTINATION": "0.0.0.0/0",
        "NATHB_FROM": "nat-c",
        "NATHB_TO": "nat-a",
        "NATHB_REASON": "heartbeat 8.8.4.4 missed 3 of 3",
        "NATHB_RULE": "R3",
        "NATHB_DETECT_MS": "3400",
        "NATHB_API_MS": "0",
        "NATHB_ERROR": "no reply",
        "NATHB_VERSION": __version__,
        "NATHB_TIME": "2031-02-03T12:00:00.000+00:00",
        "AWS_REQUEST_ID": "59dbff89-35bd-4eac-99ed-be587EXAMPLE",
    }


def test_what_the_service_manager_says_to_the_daemon_no_hook_hears(
    runner: HookRunner,
) -> None:
    runner.environ |= dict.fromkeys(OURS, "/run/systemd/notify") | {"NATHB_LOST": "stale"}
    runner.environ |= {"AWS_PROFILE": "routers", "https_proxy": "http://proxy:3128"}
    shown = show(runner)
    assert shown.keys() & OURS == set()
    assert {"NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"} <= OURS
    assert "NATHB_LOST" not in shown
    assert shown["AWS_PROFILE"] == "routers"
    assert shown["https_proxy"] == "http://proxy:3128"


def test_a_hook_reads_nothing_and_inherits_no_descriptor(
    runner: HookRunner, tmp_path: Path
) -> None:
    with open(tmp_path / "ours", "w") as ours:
        os.set_inheritable(ours.fileno(), True)
        runner.hook("10-ls", 'readlink /proc/$$/fd/* > "$WORD"; cat; pwd >> "$WORD"')
        assert runner.carry() == []
        assert str(tmp_path / "ours") not in runner.said()
    assert "/dev/null" in runner.said()
    assert runner.said()[-1] == "/"


# --- what is told -----------------------------------------------------------------------------

FAILURES = {
    "exit 3": "ended with status 3",
    "echo to out; echo to err >&2; exit 1": "ended with status 1; it wrote last: to out to err",
    "kill -SEGV $$": "ended by SIGSEGV",
    "printf 'x%.0s' $(seq 500); exit 1": f"ended with status 1; it wrote last: {'x' * 300}",
}


@pytest.mark.parametrize("script", FAILURES)
def test_a_hook_that_fails_is_told_with_what_it_wrote_and_the_next_one_runs(
    runner: HookRunner, script: str
) -> None:
    path = runner.hook("10-fails", script)
    runner.hook("20-works", 'echo ran >> "$WORD"; echo chatter')
    assert runner.carry() == [f"hook {path}: {FAILURES[script]} (event: took)"]
    assert runner.said() == ["ran"]


def test_a_script_without_an_interpreter_or_with_a_missing_one_is_told(
    runner: HookRunner,
) -> None:
    path = runner.hook("10-missing", "")
    path.write_text("#!/nonexistent/python\n")
    [told] = runner.carry()
    assert told.startswith(f"hook {path}: ended with status 127")
    assert "No such file or directory" in told


def test_output_without_end_ends_the_hook_and_not_our_memory(runner: HookRunner) -> None:
    runner.hook("10-yes", "exec yes")
    begun = time.monotonic()
    [told] = runner.carry()
    assert "ended by SIGPIPE; it wrote last: y y" in told
    assert len(told) < 500
    assert time.monotonic() - begun < PATIENCE
    assert MOST_OUTPUT == 65536


# --- for how long -----------------------------------------------------------------------------


def test_a_hook_that_hangs_is_killed_with_its_children_also_those_that_ignore_sigterm(
    runner: HookRunner,
) -> None:
    deaf = f"trap '' TERM; {FOR_EVER}"
    runner.hook("10-hangs", f'({deaf}) & echo $! >> "$WORD"\necho $$ >> "$WORD"\n{FOR_EVER}')
    begun = time.monotonic()
    [told] = runner.carry(timeout=0.5)
    assert time.monotonic() - begun >= 0.5
    assert "killed after 500 ms" in told
    assert len(runner.said()) == 2
    eventually(lambda: not any(alive(pid) for pid in runner.said()))


def test_a_hook_that_ignores_sigterm_is_killed_after_the_grace(runner: HookRunner) -> None:
    runner.hook("10-deaf", f'trap "" TERM; echo $$ >> "$WORD"; while :; do {FOR_EVER}; done')
    begun = time.monotonic()
    [told] = runner.carry(timeout=0.5, grace=0.5)
    assert time.monotonic() - begun >= 1.0
    assert "killed after 500 ms" in told
    assert not any(alive(pid) for pid in runner.said())


def test_a_hook_may_clean_up_when_it_is_told_to_end(runner: HookRunner) -> None:
    runner.hook("10-tidy", f"trap 'echo tidied >> \"$WORD\"; exit 0' TERM; {FOR_EVER} & wait")
    [told] = runner.carry(timeout=0.5)
    assert "killed after 500 ms" in told
    assert runner.said() == ["tidied"]


def test_a_child_that_keeps_the_pipe_open_is_not_waited_for_and_ends_with_its_hook(
    runner: HookRunner,
) -> None:
    runner.hook("10-leaves", f'{FOR_EVER} & echo $! >> "$WORD"')
    begun = time.monotonic()
    assert runner.carry() == []
    assert time.monotonic() - begun < PATIENCE / 2
    eventually(lambda: not alive(runner.said()[0]))


def test_a_child_in_a_session_of_its_own_is_not_waited_for_either(runner: HookRunner) -> None:
    runner.hook(
        "10-escapes",
        f"setsid sh -c 'echo $$ >> \"$WORD\"; exec {FOR_EVER}' &\n"
        'while [ ! -s "$WORD" ]; do sleep 0.01; done',
    )
    begun = time.monotonic()
    assert runner.carry() == []
    assert time.monotonic() - begun < PATIENCE / 2
    assert alive(runner.said()[0])
    os.kill(int(runner.said()[0]), 9)


@pytest.fixture
def carried(runner: HookRunner) -> Iterator[tuple[Hooks, list[Event], threading.Thread]]:
    hooks = Hooks(runner.directory, environ=runner.environ)
    failures: list[Event] = []
    thread = threading.Thread(target=lambda: failures.extend(hooks.carry(NOTICE)))
    yield hooks, failures, thread
    hooks.stop()
    thread.join(PATIENCE)


def test_a_stop_ends_the_hook_that_runs_and_begins_no_other(
    runner: HookRunner, carried: tuple[Hooks, list[Event], threading.Thread]
) -> None:
    hooks, failures, thread = carried
    runner.hook("10-hangs", f'echo $$ >> "$WORD"; {FOR_EVER}')
    runner.hook("20-later", 'echo later >> "$WORD"')
    thread.start()
    eventually(runner.said)
    hooks.stop()
    thread.join(PATIENCE / 2)
    assert not thread.is_alive()
    assert [event.message.partition(": ")[2] for event in failures] == [
        "killed, because nathb stopped (event: took)"
    ]
    assert not alive(runner.said()[0])
    assert len(runner.said()) == 1
