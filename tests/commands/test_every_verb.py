"""What every verb that asks EC2 has in common: what goes wrong is one clear error, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.scripted import Server, error, serving
from tests.commands.test_command_line import EXAMPLE, nathb

FILE = str(EXAMPLE)
INSTANCE = "i-0123456789abcdef0"
VERBS: dict[str, tuple[str, ...]] = {
    "init": ("init", INSTANCE, "i-0123456789abcdef1"),
    "check": ("check", FILE, "--aws"),
    "status": ("status", FILE),
    "plan": ("plan", FILE),
    "apply": ("apply", FILE, "--yes"),
    "replace": ("replace", FILE, "nat-a", INSTANCE, "--yes"),
    "drain": ("drain", FILE, "nat-a"),
    "undrain": ("undrain", FILE, "nat-a"),
    "pause": ("pause", FILE),
    "resume": ("resume", FILE),
}
NOWHERE = {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9"}
NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[Server]:
    """An EC2 that allows nobody anything."""
    with serving() as server:
        yield server


@pytest.mark.parametrize("verb", VERBS)
def test_ec2_that_cannot_be_reached_is_said_with_where_to_look(verb: str) -> None:
    done = nathb(*VERBS[verb], **NOWHERE)
    assert done.returncode == 1
    assert "Could not connect to the endpoint URL" in done.stdout + done.stderr
    assert "check this node's DNS, clock and route" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_credentials_that_are_not_there_are_said_with_where_they_come_from(verb: str) -> None:
    done = nathb(*VERBS[verb], **NOWHERE, **NOBODY)
    assert done.returncode == 1
    assert "Unable to locate credentials" in done.stdout + done.stderr
    assert "instance profile" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_permission_that_is_missing_is_named(verb: str, refusing: Server) -> None:
    refusing.will(*[error(403, "UnauthorizedOperation", "You are not authorized")] * 20)
    done = nathb(*VERBS[verb], AWS_ENDPOINT_URL_EC2=refusing.url)
    assert done.returncode == 1
    assert "allow ec2:Describe" in done.stdout + done.stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "init"])
def test_a_file_that_is_not_there_is_78(verb: str) -> None:
    name, _, *rest = VERBS[verb]
    done = nathb(name, "no-such-group", *rest)
    if verb == "status":  # which asks the daemon first, and then says both
        assert done.returncode == 1
    else:
        assert done.returncode == 78
    assert "/etc/nathb/no-such-group.yaml: there is no such file" in done.stderr


@pytest.mark.parametrize("verb", ["apply", "replace"])
def test_what_changes_something_as_json_has_nobody_to_ask(verb: str) -> None:
    done = nathb(*[one for one in VERBS[verb] if one != "--yes"], "--json")
    assert done.returncode == 2
    assert "there is nobody to ask" in done.stderr


def test_a_file_that_this_user_may_not_write_is_said_before_ec2_is_changed(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "tokyo.yaml"
    done = nathb("replace", str(absent), "nat-a", INSTANCE, "--yes")
    assert done.returncode == 78
    assert str(absent) in done.stderr


def test_the_schema_of_status_is_a_json_schema_of_its_snapshot() -> None:
    schema = json.loads(nathb("status", FILE, "--schema").stdout)
    assert {"uplink", "peers", "rulings", "view"} <= schema["$defs"]["Snapshot"][
        "properties"
    ].keys()
    closed = [name for name, one in schema["$defs"].items() if "additionalProperties" in one]
    assert closed == [], "later versions add fields"
