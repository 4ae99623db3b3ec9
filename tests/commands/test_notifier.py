"""Who is told what, with real hooks and a topic that nobody can reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.core.events import TRANSITIONS, Event, EventKind
from nathb.core.model import Notify
from nathb.daemon.notifier import Notifier
from nathb.host.hooks import TIMEOUT
from tests.core.build import PAIR
from tests.sim.recorders import JournalRecorder

PATIENCE = 20.0
FOR_EVER = "sleep 1000"
TOLD = {
    "took", "returned", "released", "handed-over", "move-failed",
    "peer-up", "peer-down", "uplink-up", "uplink-down", "contested", "view-lost",
}  # fmt: skip


class Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = JournalRecorder()
        self.chorus = Notifier(self.journal, "nat-a")
        self.word = folder / "word"

    def hook(self, script: str) -> None:
        directory = self.folder / "hooks.d"
        directory.mkdir()
        directory.chmod(0o755)
        path = directory / "10-hook"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def said(self) -> list[str]:
        return self.word.read_text().split() if self.word.exists() else []


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.chorus.close()


def eventually(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_transitions_are_moves_made_or_failed_verdicts_and_what_keeps_moves_back() -> None:
    assert {kind.value for kind in TRANSITIONS} == TOLD


def test_the_journal_is_told_everything_and_hooks_are_told_transitions(stage: Stage) -> None:
    stage.hook(f'echo "$NATHB_GROUP/$NATHB_NODE/$NATHB_EVENT" >> {stage.word}')
    stage.chorus.follow(PAIR, stage.folder)
    for kind in EventKind:
        stage.chorus.emit(Event(kind=kind, message="x"))
    assert stage.journal.kinds() == [kind.value for kind in EventKind]
    eventually(lambda: len(stage.said()) == len(TOLD))
    told = [f"{PAIR.name}/nat-a/{kind.value}" for kind in EventKind if kind.value in TOLD]
    assert stage.said() == told


def test_before_it_follows_a_file_nobody_but_the_journal_is_told(stage: Stage) -> None:
    stage.hook(f"echo run >> {stage.word}")
    stage.chorus.emit(Event(kind=EventKind.TOOK, message="x"))
    stage.chorus.close()
    assert stage.said() == []
    assert stage.journal.kinds() == ["took"]


def test_what_is_told_just_before_the_end_still_reaches_a_quick_hook(stage: Stage) -> None:
    stage.hook(f"echo run >> {stage.word}")
    stage.chorus.follow(PAIR, stage.folder)
    stage.chorus.emit(Event(kind=EventKind.TOOK, message="x"))
    stage.chorus.close()
    assert stage.said() == ["run"] or "untold" in stage.journal.kinds()


def test_at_the_end_a_hook_that_hangs_is_killed_and_the_rest_is_owned_up_to(stage: Stage) -> None:
    stage.hook(f"echo $$ >> {stage.word}; {FOR_EVER}")
    stage.chorus.follow(PAIR, stage.folder)
    for _ in range(3):
        stage.chorus.emit(Event(kind=EventKind.TOOK, message="x"))
    eventually(stage.said)
    begun = time.monotonic()
    stage.chorus.close()
    untold = [one.message for one in stage.journal.events if one.kind is EventKind.UNTOLD]
    assert untold == ["hooks: 3 events were not delivered: nathb stopped before they were"]
    eventually(lambda: not Path(f"/proc/{stage.said()[0]}").exists())
    assert time.monotonic() - begun < TIMEOUT / 2


def test_a_reload_names_a_topic_and_another_one_names_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    named = replace(PAIR, notify=Notify("arn:aws:sns:eu-west-1:123456789012:nathb"))
    stage.chorus.follow(PAIR, stage.folder)
    stage.chorus.emit(Event(kind=EventKind.PEER_DOWN, message="nobody but the journal"))
    stage.chorus.follow(named, stage.folder)
    stage.chorus.follow(named, stage.folder)
    stage.chorus.emit(Event(kind=EventKind.TOOK, message="x"))
    eventually(lambda: "notice-failed" in stage.journal.kinds())
    stage.chorus.follow(PAIR, stage.folder)
    stage.chorus.emit(Event(kind=EventKind.PEER_UP, message="nobody but the journal"))
    failed = [e.message for e in stage.journal.events if e.kind is EventKind.NOTICE_FAILED]
    assert len(failed) == 1
    assert failed[0].startswith("cannot notify of took: it is tried again for five minutes")
