"""The journal: what an event becomes, its two ways out, and a real journald."""

from __future__ import annotations

import os
import socket
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from nathb import __version__
from nathb.core.events import Event, EventKind
from nathb.host.journal import Journal
from nathb.host.journal_schema import ENTRIES, LOST, Level, lost_record, one_line, record
from tests.host.journald import PATIENCE, Journald
from tests.host.samples import TOOK, numbered

# --- what an event becomes ------------------------------------------------------------------------

IDS = [entry.message_id for entry in (*ENTRIES.values(), LOST)]


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.value)
def test_every_kind_of_event_has_an_entry(kind: EventKind) -> None:
    assert kind in ENTRIES


def test_no_two_kinds_share_an_identifier() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("message_id", IDS)
def test_identifiers_are_128_bits_in_lower_case_hex(message_id: str) -> None:
    assert len(message_id) == 32
    assert set(message_id) <= set(string.digits + "abcdef")


def test_an_event_fills_all_fields() -> None:
    assert dict(record(TOOK, "tokyo", "nat-a").fields) == {
        "MESSAGE": TOOK.message,
        "MESSAGE_ID": "920b5b55184f4dabb7b6c8064bb16a41",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "nathb",
        "NATHB_VERSION": __version__,
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
        "AWS_REQUEST_ID": "59dbff89-35bd-4eac-99ed-be587EXAMPLE",
        "NATHB_TRACE": '{"known":{}}',
    }


def test_what_an_event_does_not_say_is_no_field() -> None:
    fields = dict(record(Event(kind=EventKind.STARTED, message="up"), "tokyo", "nat-a").fields)
    assert set(fields) == {
        "MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "NATHB_VERSION",
        "NATHB_GROUP", "NATHB_NODE", "NATHB_EVENT",
    }  # fmt: skip


def test_what_ec2_says_stays_on_one_line_of_sentence_and_reason() -> None:
    hostile = "no:\n<3>kernel: panic\r\n\x1b[2J\u2028done"
    fields = dict(record(replace(TOOK, message=hostile, reason=hostile), "tokyo", "nat-a").fields)
    assert fields["MESSAGE"] == fields["NATHB_REASON"] == "no: <3>kernel: panic [2J done"


def test_one_line_leaves_honest_text_alone() -> None:
    honest = "took rtb-1 ::/0 from nat-c: 3 of 3, «東京» (6 ms)"
    assert one_line(honest) == honest


@pytest.mark.parametrize(("lost", "words"), [(1, "1 event was lost"), (20, "20 events were lost")])
def test_lost_events_are_owned_up_to_as_a_number(lost: int, words: str) -> None:
    told = lost_record(lost, "tokyo", "nat-a")
    fields = dict(told.fields)
    assert told.sentence.startswith(words)
    assert fields["NATHB_LOST"] == str(lost)
    assert (fields["MESSAGE_ID"], told.level) == (LOST.message_id, Level.WARNING)


# --- its two ways out, on sockets, pipes and terminals of the test's own --------------------------

SECONDS_TO_CLOSE = 20.0
MORE_THAN_A_SOCKET_HOLDS = 2000
"""Datagrams: net.unix.max_dgram_qlen is 512 at most where systemd sets it."""
NOON = datetime(2031, 2, 3, 12, 0, 0, 5_000, tzinfo=UTC)
STAMP = "2031-02-03T12:00:00.005+00:00"
NOBODY_READS = """
import sys
from nathb.core.events import Event, EventKind
from nathb.host.journal import Journal
journal = Journal("tokyo", "nat-a", environ={})
for _ in range(3):
    journal.emit(Event(kind=EventKind.STARTED, message="x" * 100_000))
print(journal.close(timeout=0.1))
"""


def parse(datagram: bytes) -> dict[str, str]:
    """Read the native protocol, as journald does."""
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, plain, value = line.partition(b"=")
        if not plain:
            size = int.from_bytes(datagram[:8], "little")
            value, newline = datagram[8 : 8 + size], datagram[8 + size : 9 + size]
            assert newline == b"\n"
            datagram = datagram[9 + size :]
        fields[name.decode()] = value.decode()
    return fields


class Stage:
    """A stderr that is a pipe, a socket where journald would listen, and a journal between."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "socket")
        self.reading, self.stderr = os.pipe()
        self.journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.journald.settimeout(SECONDS_TO_CLOSE)

    def listen(self) -> None:
        self.journald.bind(self.address)

    def journal(
        self, *, under_journald: bool, backlog: int = 1000, to_socket: bool = False
    ) -> Journal:
        stat = os.fstat(self.stderr)
        stream = f"{stat.st_dev}:{stat.st_ino}" if under_journald else "8:4711"
        return Journal(
            "tokyo",
            "nat-a",
            environ={"JOURNAL_STREAM": stream},
            stderr=self.stderr,
            address=self.address,
            now=lambda: NOON,
            backlog=backlog,
            to_socket=to_socket,
        )

    def received(self) -> dict[str, str]:
        return parse(self.journald.recv(1 << 20))

    def printed(self) -> str:
        """Return all that went to stderr, which ends here."""
        os.close(self.stderr)
        with os.fdopen(self.reading) as file:
            return file.read()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    with made.journald:
        yield made


def test_journald_gets_the_fields_and_stderr_nothing(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=True)
    journal.emit(TOOK)
    fields = stage.received()
    assert journal.close(SECONDS_TO_CLOSE)
    assert (fields["MESSAGE"], fields["NATHB_RULE"]) == (TOOK.message, "R3")
    assert stage.printed() == ""


def test_a_field_of_several_lines_arrives_whole(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=True)
    journal.emit(replace(TOOK, trace="one\nNATHB_RULE=R9\n\nfour"))
    fields = stage.received()
    assert fields["NATHB_TRACE"] == "one\nNATHB_RULE=R9\n\nfour"
    assert fields["NATHB_RULE"] == "R3"


def test_text_that_is_no_unicode_breaks_nothing(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=True)
    journal.emit(replace(TOOK, source="nat-\udcff"))
    assert stage.received()["NATHB_FROM"] == "nat-?"


def test_a_stderr_that_is_not_journald_s_gets_stamped_lines(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=False)
    journal.emit(numbered(1))
    journal.emit(Event(kind=EventKind.MOVE_FAILED, message="no\n<0>reply"))
    assert journal.close(SECONDS_TO_CLOSE)
    assert stage.printed() == f"{STAMP} event 1\n{STAMP} no <0>reply\n"


def test_without_journald_s_socket_stderr_gets_the_sentence_and_its_level(stage: Stage) -> None:
    journal = stage.journal(under_journald=True)
    journal.emit(TOOK)
    assert journal.close(SECONDS_TO_CLOSE)
    assert stage.printed() == f"<4>{TOOK.message}\n"


def test_a_journald_that_comes_back_is_used_again(stage: Stage) -> None:
    journal = stage.journal(under_journald=True)
    stage.listen()
    journal.emit(numbered(1))
    assert stage.received()["MESSAGE"] == "event 1"
    os.unlink(stage.address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.settimeout(SECONDS_TO_CLOSE)
        again.bind(stage.address)
        journal.emit(numbered(2))
        assert parse(again.recv(1 << 20))["MESSAGE"] == "event 2"


def test_to_the_socket_an_entry_goes_there_wherever_stderr_leads(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=False, to_socket=True)
    journal.emit(numbered(1))
    assert stage.received()["MESSAGE"] == "event 1"
    stage.journald.close()
    journal.emit(numbered(2))
    assert journal.close(SECONDS_TO_CLOSE)
    assert stage.printed() == f"{STAMP} event 2\n"


def test_a_terminal_shows_the_level_too() -> None:
    terminal, stderr = os.openpty()
    journal = Journal("tokyo", "nat-a", environ={}, stderr=stderr, now=lambda: NOON)
    journal.emit(Event(kind=EventKind.MOVE_FAILED, message="no reply"))
    assert journal.close(SECONDS_TO_CLOSE)
    assert os.read(terminal, 1000).decode().rstrip() == f"{STAMP} err     no reply"
    os.close(terminal)
    os.close(stderr)


def test_the_stamp_is_that_of_the_telling_in_local_time_with_its_offset(stage: Stage) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    journal = Journal("tokyo", "nat-a", environ={}, stderr=stage.stderr)
    journal.emit(numbered(1))
    assert journal.close(SECONDS_TO_CLOSE)
    stamp = datetime.fromisoformat(stage.printed().split(" ")[0])
    assert before <= stamp <= datetime.now(UTC)


@pytest.mark.timeout(60)
def test_a_journald_that_does_not_read_holds_nobody_up_and_losses_are_told(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=True, backlog=50)
    for number in range(MORE_THAN_A_SOCKET_HOLDS):
        journal.emit(numbered(number))
    seen, lost = [], 0
    while len(seen) + lost < MORE_THAN_A_SOCKET_HOLDS:
        fields = stage.received()
        if "NATHB_LOST" in fields:
            lost += int(fields["NATHB_LOST"])
        else:
            seen.append(int(fields["MESSAGE"].removeprefix("event ")))
    assert lost > 0
    assert seen == sorted(seen)
    assert journal.close(SECONDS_TO_CLOSE)


@pytest.mark.timeout(60)
def test_closing_gives_up_on_a_journald_that_does_not_read(stage: Stage) -> None:
    stage.listen()
    journal = stage.journal(under_journald=True, backlog=MORE_THAN_A_SOCKET_HOLDS)
    for number in range(MORE_THAN_A_SOCKET_HOLDS):
        journal.emit(numbered(number))
    assert not journal.close(timeout=0.05)


@pytest.mark.timeout(60)
def test_a_process_ends_though_nobody_reads_its_stderr() -> None:
    reading, stderr = os.pipe()
    child = subprocess.run(
        [sys.executable, "-c", NOBODY_READS],
        stderr=stderr, stdout=subprocess.PIPE, text=True, timeout=SECONDS_TO_CLOSE, check=True,
    )  # fmt: skip
    assert child.stdout == "False\n"
    os.close(reading)
    os.close(stderr)


@pytest.mark.parametrize("path", ["/dev/full", "/dev/null"])
def test_a_stderr_that_takes_nothing_raises_nothing(path: str) -> None:
    stderr = os.open(path, os.O_RDONLY if path == "/dev/null" else os.O_WRONLY)
    journal = Journal("tokyo", "nat-a", environ={}, stderr=stderr)
    journal.emit(numbered(1))
    assert not journal.close(SECONDS_TO_CLOSE), "what was lost was told as written"
    os.close(stderr)


def test_a_closed_stderr_raises_nothing() -> None:
    closed = 1_000_000
    journal = Journal("tokyo", "nat-a", environ={"JOURNAL_STREAM": "1:1"}, stderr=closed)
    journal.emit(numbered(1))
    assert not journal.close(SECONDS_TO_CLOSE)


# --- a real journald ------------------------------------------------------------------------------


@pytest.mark.lab
def test_a_takeover_is_found_by_its_identifier_with_every_field(
    journald: Journald, journal_for: Callable[[Journald], Journal]
) -> None:
    journal = journal_for(journald)
    journal.emit(numbered(1))
    journal.emit(TOOK)
    assert journal.close(PATIENCE)
    [entry] = journald.entries("MESSAGE_ID=920b5b55184f4dabb7b6c8064bb16a41")
    assert entry["MESSAGE"] == TOOK.message
    assert entry["PRIORITY"] == "4"
    assert entry["NATHB_ROUTE_TABLE"] == "rtb-0bee8f2dc00000003"
    assert entry["NATHB_DETECT_MS"] == "3400"
    assert entry["_TRANSPORT"] == "journal"


@pytest.mark.lab
def test_a_round_too_large_for_a_datagram_arrives_whole(
    journald: Journald, journal_for: Callable[[Journald], Journal]
) -> None:
    journal = journal_for(journald)
    trace = "0123456789" * 50_000
    journal.emit(replace(TOOK, trace=trace))
    assert journal.close(PATIENCE)
    [entry] = journald.entries()
    assert entry["NATHB_TRACE"] == trace


@pytest.mark.timeout(120)
@pytest.mark.lab
@pytest.mark.clock
def test_a_frozen_journald_holds_nobody_up_and_gets_the_count_when_it_thaws(
    journald: Journald, journal_for: Callable[[Journald], Journal]
) -> None:
    journal = journal_for(journald)
    journald.freeze()
    for number in range(5000):
        journal.emit(numbered(number))
    journald.thaw()
    assert journal.close(PATIENCE)
    *told, last = journald.entries()
    assert last["MESSAGE_ID"] == LOST.message_id
    assert len(told) + int(last["NATHB_LOST"]) == 5000
