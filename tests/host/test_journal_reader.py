"""Reading back what was told, from real journals."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb.core.errors import JournalError
from nathb.core.events import Event, EventKind
from nathb.host import journal_schema
from nathb.host.journal import Journal
from nathb.host.journal_reader import Where, read
from nathb.host.journal_schema import ENTRIES, record
from tests.host.journald import PATIENCE, Journald
from tests.host.samples import TOOK, numbered

READS = """
from nathb.core.errors import JournalError
from nathb.host.journal_reader import Where, read
try:
    read("tokyo", {where})
except JournalError as error:
    print(error)
"""
JournalFor = Callable[[Journald], Journal]


def told(journald: Journald, journal: Journal, *events: Event) -> Where:
    """Tell these events, and return where they can be read once they are written."""
    for event in events:
        journal.emit(event)
    assert journal.close(PATIENCE)
    journald.journalctl("--sync")
    return Where(directories=(journald.directory,))


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.value)
def test_an_event_survives_the_way_into_fields_and_back(kind: EventKind) -> None:
    event = replace(TOOK, kind=kind)
    assert journal_schema.event(dict(record(event, "tokyo", "nat-a").fields)) == event


def test_fields_that_somebody_else_wrote_break_nothing() -> None:
    fields = {
        "MESSAGE_ID": ENTRIES[EventKind.TOOK].message_id,
        "NATHB_DETECT_MS": "-1e9",
        "NATHB_API_MS": "²",
        "NATHB_FROM": "nat\x1b[2J\nc",
        "NATHB_ROUTE_TABLE": "rtb-1",
    }
    event = journal_schema.event(fields)
    assert event is not None
    assert (event.detect_ms, event.api_ms, event.source, event.route) == (
        None, None, "nat [2J c", None,
    )  # fmt: skip
    assert journal_schema.event({"MESSAGE": "took"}) is None


@pytest.mark.lab
@pytest.mark.clock
def test_what_was_told_is_read_back_in_order_with_every_field(
    journald: Journald, journal_for: JournalFor
) -> None:
    large = replace(TOOK, trace="0123456789" * 50_000)
    where = told(journald, journal_for(journald), numbered(1), TOOK, large)
    diary = read("tokyo", where)
    assert [one.event for one in diary.happened] == [numbered(1), TOOK, large]
    first, *_, last = diary.happened
    assert first.node == "nat-a"
    assert first.version
    assert first.boot == last.boot
    assert 0 <= last.at - first.at < PATIENCE
    assert last.monotonic - first.monotonic == pytest.approx(last.at - first.at, abs=0.01)
    assert diary.groups == {"tokyo"}
    assert diary.begins_at is not None
    assert diary.begins_at <= first.at + 1


@pytest.mark.lab
@pytest.mark.clock
def test_since_and_until_bound_what_is_read(journald: Journald, journal_for: JournalFor) -> None:
    where = told(journald, journal_for(journald), numbered(1), numbered(2), numbered(3))
    at = [one.at for one in read("tokyo", where).happened]
    assert [one.at for one in read("tokyo", where, at[1]).happened] == at[1:]
    assert [one.at for one in read("tokyo", where, None, at[1]).happened] == at[:2]
    assert read("tokyo", where, at[2] + 3600).happened == ()


@pytest.mark.lab
@pytest.mark.clock
def test_another_group_is_not_read_but_named(journald: Journald, journal_for: JournalFor) -> None:
    diary = read("osaka", told(journald, journal_for(journald), TOOK))
    assert (diary.happened, diary.groups) == ((), {"tokyo"})


@pytest.mark.lab
@pytest.mark.clock
def test_the_same_journal_named_twice_is_read_once(
    journald: Journald, journal_for: JournalFor
) -> None:
    where = told(journald, journal_for(journald), TOOK)
    [file] = Path(journald.directory).glob("**/*.journal")
    both = Where((*where.directories, journald.directory), (str(file),))
    assert len(read("tokyo", both).happened) == 1


@pytest.mark.lab
@pytest.mark.clock
def test_a_journal_copied_from_a_running_machine_is_read(
    journald: Journald, journal_for: JournalFor, tmp_path: Path
) -> None:
    told(journald, journal_for(journald), TOOK)
    shutil.copytree(journald.directory, tmp_path / "copy")
    diary = read("tokyo", Where(directories=(str(tmp_path / "copy"),)))
    assert [one.event for one in diary.happened] == [TOOK]


def test_a_journal_that_is_absent_or_none_is_an_error_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "false.journal").write_text("no journal at all")
    for where, words in (
        (Where(directories=(str(tmp_path / "gone"),)), "no such directory"),
        (Where(directories=(str(tmp_path / "empty"),)), r"holds no \*.journal file"),
        (Where(files=(str(tmp_path / "gone"),)), "no such file"),
        (Where(files=(str(tmp_path / "false.journal"),)), "no journal that can be read"),
    ):
        with pytest.raises(JournalError, match=words):
            read("tokyo", where)


def test_a_machine_without_a_journal_is_told_of_copies(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="--directory DIR"):
        read("tokyo", Where(system=(str(tmp_path / "*" / "system*.journal"),)))


@pytest.mark.lab
@pytest.mark.clock
@pytest.mark.parametrize(
    ("where", "fix"),
    [
        ("Where(system=('{file}',))", "be in the group systemd-journal"),
        ("Where(directories=('{folder}',))", "chown the copy"),
        ("Where(files=('{file}',))", "name a *.journal file that can be read"),
    ],
)
def test_a_journal_that_this_user_may_not_read_is_an_error_and_never_an_empty_answer(
    sandbox: None,  # noqa: ARG001
    tmp_path: Path,
    where: str,
    fix: str,
) -> None:
    file = tmp_path / "system.journal"
    file.touch(mode=0)
    script = READS.format(where=where.format(file=file, folder=tmp_path))
    done = subprocess.run(
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", script],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "may not be read by this user" in done.stdout, done.stderr
    assert fix in done.stdout
