"""What other programs rely on, as texts: one function for each recording."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from nathb import __version__, cli
from nathb.aws import tags
from nathb.commands import explain, history
from nathb.config import learn_schema
from nathb.config import schema as file_schema
from nathb.config.route_match import KEYS as MATCH_KEYS
from nathb.core.events import TRANSITIONS, EventKind
from nathb.core.model import Group, Learn, Metrics, Node, Notify, Timers
from nathb.core.replay import Round
from nathb.core.snapshot import schema
from nathb.core.timeline import Occurrence
from nathb.daemon import notifier
from nathb.host import status_file
from nathb.host.journal_schema import ENTRIES, LOST, lost_record, notice, record
from nathb.host.metrics import figures
from nathb.provision import steps
from nathb.ui import group_file
from nathb.ui.variables import JOURNAL, LEAVE
from tests.contracts.recorded import round_named
from tests.contracts.stories import events
from tests.host.samples import SNAPSHOT, TOOK
from tests.sim.pair import A, C, pair

ROOT = Path(__file__).parents[2]
AT = 1795186800.0


# --- the command line ---------------------------------------------------------------------------


def help_texts() -> str:
    """`nathb --help` and that of each verb, on a screen so wide that nothing is wrapped.

    Columns are where each version of Python has them, so two blanks stand for any number.
    """
    shown = "\n".join(f"$ {one.prog} --help\n{one.format_help()}" for one in _parsers())
    on_one_line = re.sub(r"\n {8,}", "  ", shown)
    return re.sub(r"(?<=\S) {2,}", "  ", on_one_line)


def _parsers() -> Iterator[argparse.ArgumentParser]:
    top = cli.parser()
    yield top
    for action in top._actions:  # there is no other way to the verbs
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


# --- JSON ---------------------------------------------------------------------------------------


def status_schema() -> str:
    """`nathb status --schema`, without descriptions, which are prose."""
    return json.dumps(_without_prose(schema()), indent=2) + "\n"


def _without_prose(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_prose(one) for one in value]
    if not isinstance(value, dict):
        return value
    prose = "description" if isinstance(value.get("description"), str) else None
    return {key: _without_prose(one) for key, one in value.items() if key != prose}


def history_json() -> str:
    """`nathb history --all --json` of a takeover."""
    return "\n".join(history.as_json(_takeover())) + "\n"


def explain_json() -> str:
    """`nathb explain --json` of a takeover."""
    happened = _takeover()
    shown = explain.as_json(explain.explain(happened, len(happened) - 1, 1))
    return _versionless(shown) + "\n"


def _takeover() -> tuple[Occurrence, ...]:
    """A takeover as an agent tells it, with the rounds of a recorded one: their clock stands."""
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    down, took = world.host(A).journal.events
    told = (
        replace(down, trace=round_named("R3 verdict")),
        replace(took, trace=round_named("R3 take")),
    )
    one = Occurrence(at=AT, monotonic=175.0, boot="boot", node=A, version="1.2.3")
    return tuple(replace(one, event=event) for event in told)


def _versionless(text: str) -> str:
    return text.replace(f'"{__version__}"', '"VERSION"')


# --- the journal, hooks, metrics ----------------------------------------------------------------


def journal_fields() -> str:
    """For each kind of event: its identifier, its priority, and its fields; [FIELD] sometimes."""
    told: dict[EventKind, list[set[str]]] = {}
    always = {"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER"}
    always |= {"NATHB_VERSION", "NATHB_GROUP", "NATHB_NODE", "NATHB_EVENT"}
    for event in events():
        fields = {name for name, _ in record(event, "tokyo", A).fields}
        assert always <= fields
        told.setdefault(event.kind, []).append(fields - always)
    lines = [f"# every entry: {' '.join(sorted(always))}"]
    for kind, entry in ENTRIES.items():
        mentioned, certain = set.union(*told[kind]), set.intersection(*told[kind])
        words = [one if one in certain else f"[{one}]" for one in sorted(mentioned)]
        lines.append(f"{entry.message_id} {entry.level.value} {kind.value}: {' '.join(words)}")
    lost = {name for name, _ in lost_record(1, "tokyo", A).fields} - always
    lines.append(f"{LOST.message_id} {LOST.level.value} -: {' '.join(sorted(lost))}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def hook_environment() -> str:
    """What a hook finds in its environment, and the transitions it is told of."""
    at = datetime(2026, 11, 21, tzinfo=UTC)
    found = notice(TOOK, "tokyo", A, at) | {"NATHB_VERSION": "VERSION"}
    lines = [f"{name}={value}" for name, value in sorted(found.items())]
    kinds = " ".join(sorted(kind.value for kind in TRANSITIONS))
    return "\n".join([*lines, "", f"# told of: {kinds}"]) + "\n"


def metric_names() -> str:
    """What Prometheus finds: names, types and labels; without help texts, which are prose."""
    registry = CollectorRegistry()
    registry.register(_Shown())
    shown = generate_latest(registry).decode().splitlines()
    return "\n".join(line for line in shown if not line.startswith("# HELP")) + "\n"


class _Shown(Collector):
    def collect(self) -> Iterator[Any]:
        return figures(SNAPSHOT, SNAPSHOT.at)


# --- names --------------------------------------------------------------------------------------


def names() -> str:
    """Tags, units, identifiers of the catalog, paths, environment variables, exit codes."""
    catalog = (ROOT / "systemd/nathb.catalog").read_text()
    shipped = sorted(file.name for file in (ROOT / "systemd").iterdir() if file.suffix)
    sections = {
        "tags": [tags.DRAIN_TAG, steps.FILE_TAG, tags.PAUSE_TAG, tags.REVERT_TAG],
        "units and catalog": shipped,
        "identifiers in the catalog": sorted(re.findall("^-- ([0-9a-f]{32})$", catalog, re.M)),
        "paths": [
            f"{group_file.locate('NAME')}",
            f"{group_file.DIRECTORY / notifier.HOOKS}",
            f"{status_file.default_path('NAME', {})}",
            f"{status_file.dry_run_path('NAME', {})}",
        ],
        "environment variables": [f"{one.name}={one.value}" for one in (LEAVE, JOURNAL)],
        "exit codes": [
            "0 good",
            f"{cli.EX_NO} the answer is no",
            f"{cli.EX_USAGE} usage",
            f"{cli.EX_CONFIG} bad file",
            f"{cli.EX_INTERRUPTED} interrupted",
        ],
    }
    parts = ("\n".join([f"# {name}", *lines]) for name, lines in sections.items())
    return "\n\n".join(parts) + "\n"


def file_keys() -> str:
    """The keys of the file, each with the default that the model gives it."""
    blocks: dict[str, tuple[type[Any], Any]] = {
        "": (Group, file_schema.SETTINGS),
        "check.": (Timers, file_schema.CHECK),
        "notify.": (Notify, file_schema.NOTIFY),
        "metrics.": (Metrics, file_schema.METRICS),
    }
    lines = [
        f"{block}{key} = {_default(model, key)}"
        for block, (model, known) in blocks.items()
        for key in known
    ]
    lines += [f"learn.{key}" for key in learn_schema.REQUIRED]
    lines += [f"learn.{key} = {_default(Learn, key)}" for key in learn_schema.SETTINGS]
    lines += [f"nodes.NAME.{key}" for key in Node.__struct_fields__ if key not in {"name", "found"}]
    lines += [f"nodes.NAME.routes[].{key}" for key in MATCH_KEYS]
    return "\n".join([*lines, "uplink", "check_command"]) + "\n"


def trace_fields() -> str:
    """What a recorded round may hold: each field with its type, and what it is when left out."""
    return "\n".join(_fields(msgspec.inspect.type_info(Round), "")) + "\n"


def _fields(shape: Any, path: str) -> Iterator[str]:
    """Yield `path: type = default` of each field below a type; [] is each item, {} each value."""
    if isinstance(shape, msgspec.inspect.StructType):
        for field in shape.fields:
            name = f"{path}.{field.encode_name}".removeprefix(".")
            default = "" if field.required else f" = {_default(shape.cls, field.name)}"
            yield f"{name}: {_kind(field.type)}{default}"
            yield from _fields(field.type, name)
    elif isinstance(shape, msgspec.inspect.UnionType):
        for one in shape.types:
            yield from _fields(one, path)
    elif isinstance(shape, msgspec.inspect.DictType):
        yield from _fields(shape.value_type, path + "{}")
    elif isinstance(shape, msgspec.inspect.VarTupleType):
        yield from _fields(shape.item_type, path + "[]")


def _kind(shape: Any) -> str:
    if isinstance(shape, msgspec.inspect.UnionType):
        return " or ".join(_kind(one) for one in shape.types)
    if isinstance(shape, msgspec.inspect.EnumType):
        return " | ".join(str(one.value) for one in shape.cls)
    if isinstance(shape, msgspec.inspect.VarTupleType | msgspec.inspect.FrozenSetType):
        return f"list of {_kind(shape.item_type)}"
    if isinstance(shape, msgspec.inspect.TupleType):
        return "list: " + ", ".join(_kind(one) for one in shape.item_types)
    name = type(shape).__name__.removesuffix("Type").lower()
    return {"none": "null", "dict": "map"}.get(name, name)


def _default(model: type[Any], name: str) -> str:
    field = next(one for one in msgspec.structs.fields(model) if one.name == name)
    given = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return msgspec.json.encode(given).decode()


TEXTS: dict[str, Callable[[], str]] = {
    "help.txt": help_texts,
    "status.schema.json": status_schema,
    "history.json": history_json,
    "explain.json": explain_json,
    "journal.txt": journal_fields,
    "hooks.txt": hook_environment,
    "metrics.txt": metric_names,
    "names.txt": names,
    "file-keys.txt": file_keys,
    "trace-fields.txt": trace_fields,
}
"""What makes each recording anew, by the name of its file."""
