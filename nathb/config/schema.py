"""Values to a Group: which keys there are, what each takes, and how they must agree.

Key names are the model's field names; defaults are the model's too. How a value is read, whatever
its key, is said in `config.value_reader`.
"""

from __future__ import annotations

from typing import Any

from nathb.config import learn_schema, values
from nathb.config.programs import read_command
from nathb.config.route_match import read_match
from nathb.config.value_reader import Reader, ValueReader, meant_keys
from nathb.config.values import Count, Duration, Parser
from nathb.config.yaml_reader import Mapping, Mistakes, Sequence, Value, describe
from nathb.core.model import Group, Metrics, Node, Notify, Route, RouteMatch, Timers, Uplink
from nathb.core.text import host_of

# --- plain keys ---------------------------------------------------------------------------------

FLOOD = "the hosts that answer would treat the checks as a flood"

CHECK: dict[str, Parser] = {
    "interval": Duration(0.05, FLOOD, 300, "a broken path could go unnoticed for that long"),
    "fast_interval": Duration(0.02, FLOOD, 300, "a suspect peer must be checked fast"),
    "command_timeout": Duration(
        0.1,
        "to start a program takes longer",
        30,
        "a takeover would wait that long for a program that does not end",
    ),
    "timeout": Duration(
        0.02,
        "replies from the internet take longer",
        10,
        "a takeover would wait that long for a reply that does not come",
    ),
    "fall": Count(20, "more misses only delay the takeover"),
    "rise": Count(20, "more replies only delay the return"),
    "pulse": Duration(
        0.1,
        "a busy peer would be suspect all the time",
        10,
        "it would not speed up detection; write off to send none",
        can_be_off=True,
    ),
}

SETTINGS: dict[str, Parser] = {
    "region": values.parse_region,
    "preempt": values.parse_preempt,
    "preempt_delay": Duration(0, "", 86400, "write preempt: manual to return by hand"),
    "refresh": Duration(
        1,
        "EC2 throttles an account whose nodes describe more often",
        300,
        "what operators ask for would be noticed too late",
    ),
    "view_max_age": Duration(
        1,
        "one lost DescribeRouteTables would block a takeover",
        3600,
        "someone else may have moved routes since then",
    ),
    "settle": Duration(
        1,
        "EC2 may still show the old route after a write",
        300,
        "a move by someone else would be mistaken for old data",
    ),
    "contest_hold": Duration(
        10,
        "two nodes that disagree would move the route back and forth",
        7200,
        "a route could stay on a dead node for that long",
    ),
}

NOTIFY: dict[str, Parser] = {"sns": values.parse_topic, "kms": values.parse_key}

METRICS: dict[str, Parser] = {"textfile": values.parse_textfile, "listen": values.parse_listen}

REQUIRED = {
    "uplink": "write addresses that show whether this node's own path to the internet is up",
    "nodes": "write at least two, because they watch each other",
    "heartbeat": "write the internet address that the other nodes ping through this one",
    "table": "write the route table's id, rtb-…",
}

DISTINCT = {
    "uplink": "write it once",
    "heartbeat": "a pin leads to one node, so choose another address",
    "route": "a route has one home",
    "found": "a route has one home",
    "instance": "each node needs its own instance",
    "match": "each node needs its own instance",
    "eni": "each node needs its own interface",
    "source": "each node needs its own address",
}

# --- the file -----------------------------------------------------------------------------------


def read(top: Mapping, mistakes: Mistakes) -> dict[str, Any]:
    """Read the top level: what Group takes, by name, as far as it is free of mistakes."""
    required, distinct = REQUIRED | learn_schema.REQUIRED, DISTINCT | learn_schema.DISTINCT
    return _GroupReader(mistakes, required, distinct).top(top)


class _GroupReader(ValueReader):
    """Walks the values of one file."""

    def top(self, top: Mapping) -> dict[str, Any]:
        readers: dict[str, Reader] = {
            "uplink": self._uplink(),
            "check_command": lambda value: read_command(self, value),
            "nodes": self._nodes,
            "check": self._check,
        }
        readers |= {key: self.single(parse) for key, parse in SETTINGS.items()}
        readers |= {
            "notify": self._block(NOTIFY, Notify, "sns: arn:aws:sns:REGION:ACCOUNT:NAME"),
            "metrics": self._block(METRICS, Metrics, "listen: 127.0.0.1:9477"),
            "learn": lambda value: learn_schema.read(self, value),
        }
        is_own = _has_own_uplinks(top.entries.get("nodes"))
        found = self.keys(top, readers, required=("nodes",) if is_own else ("uplink", "nodes"))
        if is_own:
            found.setdefault("uplink", ())
        self.compare(top, found, "refresh", "view_max_age", Group)
        self._compare_uplinks()
        return found

    def _check(self, value: Value) -> Timers | None:
        block = self.mapping(value, "keys such as interval: 30s")
        if block is None:
            return None
        found = self.keys(block, {key: self.single(parse) for key, parse in CHECK.items()})
        self.compare(block, found, "fast_interval", "interval", Timers)
        return Timers(**found)

    def _block(self, parsers: dict[str, Parser], model: type[Any], needs: str) -> Reader:
        """Make the reader of a block of plain keys that need not agree."""
        readers = {key: self.single(parse) for key, parse in parsers.items()}

        def read(value: Value) -> Any:
            block = self.mapping(value, needs)
            return None if block is None else model(**self.keys(block, readers))

        return read

    # --- nodes --------------------------------------------------------------------------------

    def _nodes(self, value: Value) -> tuple[Node, ...] | None:
        block = self.mapping(value, "a name for each node, with its keys below")
        if block is None:
            return None
        for name in block.entries:
            self.is_valid_key(values.parse_node_name, name, block)
        if block.written < 2:
            text = "a group needs at least two nodes, because they watch each other; write another"
            self.mistakes.add(block, text)
        complete = len(block.entries) == block.written > 0
        if complete and not any(map(_may_have_routes, block.entries.values())):
            text = (
                "no node has a route, so there is nothing to guard; write routes for at least one"
            )
            self.mistakes.add(block, text)
        return tuple(
            node
            for name, entry in block.entries.items()
            if (node := self._node(name, entry)) is not None
        )

    def _node(self, name: str, value: Value) -> Node | None:
        block = self.mapping(value, "the keys instance and heartbeat below it")
        if block is None:
            return None
        readers: dict[str, Reader] = {
            "instance": self.distinct("instance", values.INSTANCE_ID),
            "match": self._match,
            "eni": self.distinct("eni", values.ENI_ID),
            "source": self.distinct("source", values.parse_source),
            "heartbeat": self.one_or_more(
                self.distinct("heartbeat", values.parse_heartbeat, same=host_of)
            ),
            "routes": self.one_or_more(self._route, can_be_empty=True),
            "uplink": self._uplink(name),
            "interface": self.single(values.parse_interface),
            "check_command": lambda value: read_command(self, value),
        }
        found = self.keys(block, readers, required=("heartbeat",))
        ways = {"instance", "match"}
        if ways <= block.entries.keys():
            text = "both instance and match say which instance this node is; keep one"
            self.mistakes.add(block, text)
        if not ways & meant_keys(block, readers):
            text = "neither instance nor match says which instance this node is; write one"
            self.mistakes.add(block, text)
        routes = found.pop("routes", ())
        return Node(
            name,
            **({"heartbeat": ()} | found),
            routes=tuple(one for one in routes if isinstance(one, Route)),
            found=tuple(one for one in routes if isinstance(one, RouteMatch)),
        )

    def _match(self, value: Value) -> tuple[tuple[str, str], ...] | None:
        block = self.mapping(value, 'tags such as {"tag:Name": nat-a}')
        if block is None:
            return None
        if not block.written:
            self.mistakes.add(block, 'no tag to match; write one such as {"tag:Name": nat-a}')
        pairs = []
        for key, entry in block.entries.items():
            text = self.single(values.parse_tag_value)(entry)
            if self.is_valid_key(values.parse_tag_key, key, block) and text is not None:
                pairs.append((key, text))
        if len(pairs) == block.written > 0:
            self.refuse_second("match", frozenset(pairs), "the same match", block)
        return tuple(pairs)

    def _route(self, value: Value) -> Route | RouteMatch | None:
        if isinstance(value, Mapping) and "match" in value.entries:
            return read_match(self, value)
        if isinstance(value, Mapping):
            readers = {
                "table": self.single(values.TABLE_ID),
                "destination": self.single(values.parse_destination),
            }
            found = self.keys(value, readers, required=("table",))
            if found.keys() != meant_keys(value, readers) | {"table"}:
                return None
            route = Route(**({"destination": values.DEFAULT_DESTINATION} | found))
        else:
            table = self.single(values.TABLE_ID)(value)
            if table is None:
                return None
            route = Route(table, values.DEFAULT_DESTINATION)
        self.refuse_second("route", route, str(route), value)
        return route

    def _uplink(self, node: str = "") -> Reader:
        """Make the reader of an uplink, of a node or of the group: a flat list, or one of lists."""
        one = self.distinct("uplink", values.parse_uplink, same=lambda found: (node, found))
        part = self.one_or_more(one)

        def read(value: Value) -> Uplink | None:
            parts = value.items if isinstance(value, Sequence) else ()
            if not any(isinstance(item, Sequence) for item in parts):
                flat: tuple[str, ...] | None = part(value)
                return flat
            found = [part(item) for item in parts if isinstance(item, Sequence)]
            for item in parts:
                if not isinstance(item, Sequence):
                    text = (
                        f"{describe(item)} stands beside lists; write it as a list of its own, or "
                        "write one flat list without lists in it"
                    )
                    self.mistakes.add(item, text)
            return tuple(found)

        return read

    def _compare_uplinks(self) -> None:
        """No heartbeat is an uplink: its pin would take the uplink's checks to a peer.

        An uplink of the node's own, too, unless the heartbeat is its own: it pins that nowhere.
        """
        for (key, thing), uplink in self.first.items():
            if key != "uplink" or not isinstance(thing, tuple):
                continue
            node, address = thing
            value = self.first.get(("heartbeat", address))
            own = value and node and value.path.startswith(f"nodes.{node}.heartbeat")
            if value is not None and not own:
                text = (
                    f"{address} is also an uplink, line {uplink.line}, but its pin takes the other "
                    "nodes' checks through this one; choose another address"
                )
                self.mistakes.add(value, text)


def _has_own_uplinks(nodes: Value | None) -> bool:
    """Whether each node has an uplink of its own, so that the group's would be that of none."""
    entries = nodes.entries.values() if isinstance(nodes, Mapping) else ()
    return bool(entries) and all(
        isinstance(node, Mapping) and "uplink" in node.entries for node in entries
    )


def _may_have_routes(node: Value) -> bool:
    """Whether a node has routes, or may have had some before a mistake."""
    if not isinstance(node, Mapping):
        return True
    match node.entries.get("routes"):
        case None:
            return "routes" in meant_keys(node, ["routes"])
        case Sequence(items=items):
            return bool(items)
        case _:
            return True
