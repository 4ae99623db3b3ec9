"""What the journal knows an event by: identifiers, priorities and fields.

The identifiers are the keys of `systemd/nathb.catalog` and of everybody's searches
(`journalctl MESSAGE_ID=…`), so they are frozen: a new kind gets a new one, an old one never
changes. See systemd.journal-fields(7) for the fields, syslog(3) for the levels.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from nathb import __version__
from nathb.core.events import Event, EventKind
from nathb.core.model import Route

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


class Level(IntEnum):
    """How loud an entry is, by syslog's numbers."""

    ERR = 3
    """Clients may be cut off, or would be by the next fault, until a person acts."""
    WARNING = 4
    """Traffic moved or may have to; a person should check it when there is time."""
    NOTICE = 5
    """Good news, or something that an operator asked for."""
    INFO = 6


class EntryType(Struct, frozen=True):
    """How one kind of event stands in the journal."""

    message_id: str
    level: Level


ENTRIES = {
    EventKind.STARTED: EntryType("193c96f03c08432f899b54460ac21624", Level.INFO),
    EventKind.STOPPED: EntryType("f7358a726cae4b22a5d4d71e06fa87ba", Level.INFO),
    EventKind.LEAVING: EntryType("dfde578972f34e80939d7d0d1ac46318", Level.NOTICE),
    EventKind.RELOADED: EntryType("01ebec51cb664166b1fd3fe18490dd59", Level.INFO),
    EventKind.RELOAD_REFUSED: EntryType("ce1b8f0dfd394668bca64901940ca9ce", Level.ERR),
    EventKind.TOOK: EntryType("920b5b55184f4dabb7b6c8064bb16a41", Level.WARNING),
    EventKind.RETURNED: EntryType("77fb20bea7e943cc92978477937649da", Level.NOTICE),
    EventKind.RELEASED: EntryType("ba82acdc5ef04b839c82aaedae3525ea", Level.WARNING),
    EventKind.HANDED_OVER: EntryType("d11ff9bc807b4dc8b86c24e3aa15d413", Level.NOTICE),
    EventKind.WOULD_MOVE: EntryType("806795c4371245b5b4aaeeb7aa7d12aa", Level.NOTICE),
    EventKind.MOVE_FAILED: EntryType("4f4b5d2755b1467d96795b32a6afc044", Level.ERR),
    EventKind.MOVED_BY_ANOTHER: EntryType("2e57a53d313140f0a892b67921a26d87", Level.NOTICE),
    EventKind.PEER_UP: EntryType("9a8af1c4afc647afb82867c04b74021f", Level.NOTICE),
    EventKind.PEER_DOWN: EntryType("48b9bac16f62427cb18cc72149e1cd41", Level.WARNING),
    EventKind.UPLINK_UP: EntryType("04b27f45396d47eda570b8ecd6d79842", Level.NOTICE),
    EventKind.UPLINK_DOWN: EntryType("2d7f08988fc345f097bac397f742564e", Level.ERR),
    EventKind.CONTESTED: EntryType("2222d4925e8a406480812e1a1c5d38ee", Level.ERR),
    EventKind.FOREIGN: EntryType("2e59d0e14eb6488d919413bdbef92cde", Level.WARNING),
    EventKind.ROUTE_MISSING: EntryType("360a93863bfb4f95bb55cffc5c96119f", Level.ERR),
    EventKind.ROUTE_GUARDED: EntryType("9b2c63825cc247818447bc727e8e3d35", Level.NOTICE),
    EventKind.ROUTE_FOUND: EntryType("8b9df704f5344db7b076551fdc73f0db", Level.NOTICE),
    EventKind.ROUTE_UNGUARDED: EntryType("b237237124c44a39965b4d1f870648d8", Level.WARNING),
    EventKind.DAMPED: EntryType("e09d0151ca2949bb9b3f83b5572c5645", Level.WARNING),
    EventKind.PIN_VOID: EntryType("88b0c05883fe4826a103cef5ec58ea16", Level.ERR),
    EventKind.PIN_GOOD: EntryType("8191327887e147a48e9bfee062867a09", Level.NOTICE),
    EventKind.VIEW_LOST: EntryType("6086f4ef75b44de7bb51bc12b2abc815", Level.ERR),
    EventKind.VIEW_BACK: EntryType("22da3ef35e8f453d8a8aeb7be4dc6e67", Level.NOTICE),
    EventKind.STALLED: EntryType("29f8dde3cefb4f37aac21a31122b18d5", Level.WARNING),
    EventKind.PAUSED: EntryType("fc7883a31a27497ab08ec0d31cc66190", Level.WARNING),
    EventKind.STILL_PAUSED: EntryType("2d5b9e1275ba4404be1feedb1dbbdee8", Level.WARNING),
    EventKind.RESUMED: EntryType("d4cb8c7a34484b5296be9c12dfd2e988", Level.NOTICE),
    EventKind.DRAINED: EntryType("cfa5115249844c168f8d8de41f15580b", Level.NOTICE),
    EventKind.STILL_DRAINED: EntryType("6468fcec94d14a349b478cb47fe1b189", Level.NOTICE),
    EventKind.UNDRAINED: EntryType("06b3c82b59474d8183446f0cbd1e7461", Level.NOTICE),
    EventKind.BLIND: EntryType("3242747512ef45eebe83c5b94bd8f90c", Level.ERR),
    EventKind.SIGHTED: EntryType("801cdf58920149f4b91ce80119ca5605", Level.NOTICE),
    EventKind.NAME_LOST: EntryType("048676fa33944039b502fba92717f7c3", Level.WARNING),
    EventKind.NAME_BACK: EntryType("4846ab583923457e93489da599580e0f", Level.NOTICE),
    EventKind.NEVER_ANSWERED: EntryType("3ac2d3d86d3242aa88a5914ca7a8ad05", Level.ERR),
    EventKind.PULSE_IGNORED: EntryType("8fa7587232084f558df3454f4726bec7", Level.INFO),
    EventKind.STATUS_LOST: EntryType("4e7bbd8851a5410ea89008fa6234f811", Level.WARNING),
    EventKind.HOOK_FAILED: EntryType("3cea9b33cc5e4c5fbb9c6835dd51ed4e", Level.WARNING),
    EventKind.NOTICE_FAILED: EntryType("c4f25aeab5e74b20a95ebff11e3a4838", Level.WARNING),
    EventKind.METRICS_LOST: EntryType("52a9eb59bd87486b9c34159ead22cb1d", Level.WARNING),
    EventKind.UNTOLD: EntryType("c61c1f9264b447bfa1505764f6e72bd7", Level.WARNING),
    EventKind.FILE_DIFFERS: EntryType("041ed0b17cb64a118d15e7cbe3811744", Level.WARNING),
    EventKind.FILE_SAME: EntryType("681a5aec4eb847c3aece7600a3e022cc", Level.INFO),
    EventKind.LEARNED: EntryType("82afc2b8881945d7b2a889de5414df7b", Level.NOTICE),
    EventKind.WITHDRAWN: EntryType("e3ca0ff85f2848ae910881ca759430a1", Level.NOTICE),
    EventKind.LEARN_WOULD: EntryType("17625a08f502435e9fb1affb254eb87c", Level.NOTICE),
    EventKind.LEARN_REFUSED: EntryType("012fa96de0bf466f960899ed649f61f3", Level.WARNING),
    EventKind.LEARN_FAILED: EntryType("f85ac46ccba4440987cafaaf1207073d", Level.ERR),
    EventKind.LEARN_BLIND: EntryType("9aa47cc26d944790a66e6a9494a6bae9", Level.WARNING),
    EventKind.LEARN_SIGHTED: EntryType("ddd59f5c39d94f8abb3da0b28b28d0ae", Level.NOTICE),
}

KINDS = {entry.message_id: kind for kind, entry in ENTRIES.items()}

LOST = EntryType("d3d282ddb66541358cd7f2fb383f3aa8", Level.WARNING)
"""The journal's own kind: events that could not be logged, as a number."""


class Record(Struct, frozen=True):
    """One entry ready to be written: a level and a sentence for people, fields for machines."""

    level: Level
    sentence: str
    fields: tuple[tuple[str, str], ...]


def record(event: Event, group: str, node: str) -> Record:
    """Turn an event into an entry; nothing that EC2 or a file put into it breaks the line."""
    fields = {
        "NATHB_GROUP": group,
        "NATHB_NODE": node,
        "NATHB_EVENT": event.kind.value,
        "NATHB_ROUTE_TABLE": event.route.table if event.route else "",
        "NATHB_DESTINATION": event.route.destination if event.route else "",
        "NATHB_FROM": event.source,
        "NATHB_TO": event.target,
        "NATHB_REASON": one_line(event.reason),
        "NATHB_RULE": event.rule,
        "NATHB_DETECT_MS": "" if event.detect_ms is None else str(event.detect_ms),
        "NATHB_API_MS": "" if event.api_ms is None else str(event.api_ms),
        "NATHB_ERROR": one_line(event.error),
        "AWS_REQUEST_ID": event.request_id,
        "NATHB_TRACE": event.trace,
    }
    return _record(ENTRIES[event.kind], event.message, fields)


def notice(event: Event, group: str, node: str, at: datetime) -> dict[str, str]:
    """Turn an event into what hooks and notifications get, by the names that the journal uses.

    The trace is left out: it may be longer than an environment takes, and the journal has it.
    """
    fields = dict(record(event, group, node).fields)
    del fields["SYSLOG_IDENTIFIER"]
    fields.pop("NATHB_TRACE", None)
    return fields | {"NATHB_TIME": at.isoformat(timespec="milliseconds")}


def event(fields: Mapping[str, str]) -> Event | None:
    """Turn an entry's fields back into the event; None for an identifier that is no event's.

    Whoever may write to the journal may have written this, so nothing in it is trusted to be there.
    """
    kind = KINDS.get(fields.get("MESSAGE_ID", ""))
    if kind is None:
        return None
    table, destination = (fields.get(f"NATHB_{name}") for name in ("ROUTE_TABLE", "DESTINATION"))
    return Event(
        kind=kind,
        message=one_line(fields.get("MESSAGE", "")),
        route=Route(one_line(table), one_line(destination)) if table and destination else None,
        source=one_line(fields.get("NATHB_FROM", "")),
        target=one_line(fields.get("NATHB_TO", "")),
        reason=one_line(fields.get("NATHB_REASON", "")),
        rule=one_line(fields.get("NATHB_RULE", "")),
        detect_ms=_whole(fields.get("NATHB_DETECT_MS")),
        api_ms=_whole(fields.get("NATHB_API_MS")),
        request_id=one_line(fields.get("AWS_REQUEST_ID", "")),
        error=one_line(fields.get("NATHB_ERROR", "")),
        trace=fields.get("NATHB_TRACE", ""),
    )


def lost_record(lost: int, group: str, node: str) -> Record:
    """Return the entry for that many events, one or more, that happened but were never written."""
    events = "1 event was" if lost == 1 else f"{lost} events were"
    fields = {
        "NATHB_GROUP": group,
        "NATHB_NODE": node,
        "NATHB_EVENT": "events-lost",
        "NATHB_LOST": str(lost),
    }
    return _record(LOST, f"{events} lost: the journal did not accept them in time", fields)


def _record(entry: EntryType, message: str, fields: dict[str, str]) -> Record:
    sentence = one_line(message)
    always = {
        "MESSAGE": sentence,
        "MESSAGE_ID": entry.message_id,
        "PRIORITY": str(entry.level.value),
        "SYSLOG_IDENTIFIER": "nathb",
        "NATHB_VERSION": __version__,
    }
    given = ((name, value) for name, value in fields.items() if value)
    return Record(entry.level, sentence, (*always.items(), *given))


def one_line(text: str) -> str:
    """Keep text that others wrote to one printable line: no line breaks, no terminal escapes."""
    return " ".join("".join(_printable(text)).split())


def _printable(text: str) -> Iterator[str]:
    return (character if character.isprintable() else " " for character in text)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
