"""The client: its timeouts, its one attempt, its name, and where it finds region and endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
import botocore.session
import pytest

from nathb import __version__
from nathb.aws import client as room
from nathb.aws.client import make_client
from nathb.core.errors import CloudError, IdentityError
from nathb.core.model import Failure
from tests.aws.conftest import session_at
from tests.aws.scripted import Server, error, tables, text_reply

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"


def without_region(folder: Path) -> boto3.Session:
    core = botocore.session.Session(profile="default")
    (folder / "config").write_text("[default]\n")
    core.set_config_variable("config_file", str(folder / "config"))
    core.set_config_variable("region", None)
    return boto3.Session(botocore_session=core)


def test_timeouts_are_short_and_the_pool_holds_what_leaves_at_once(tmp_path: Path):
    config = make_client(session=session_at(NOWHERE, tmp_path)).meta.config
    assert (config.connect_timeout, config.read_timeout) == (
        room.CONNECT_TIMEOUT,
        room.READ_TIMEOUT,
    )
    assert config.connect_timeout + config.read_timeout <= 5
    assert config.max_pool_connections == room.POOL
    assert config.tcp_keepalive is True


def test_it_is_one_attempt_even_where_the_machines_settings_ask_for_more(
    script: Server, tmp_path: Path
):
    session = session_at(script.url, tmp_path, max_attempts=5, retry_mode="legacy")
    client = make_client(session=session)
    script.will(error(503, "Unavailable"), tables())
    with pytest.raises(client.exceptions.ClientError):
        client.describe_route_tables()
    assert len(script.asked) == 1


def test_it_says_who_it_is(script: Server, tmp_path: Path):
    script.will(tables())
    make_client(session=session_at(script.url, tmp_path)).describe_route_tables()
    assert f"nathb/{__version__}" in script.asked[0].headers["User-Agent"]


def test_the_files_region_wins_over_the_sessions(tmp_path: Path):
    client = make_client("ap-northeast-1", session=session_at(NOWHERE, tmp_path))
    assert client.meta.region_name == "ap-northeast-1"


def test_without_one_in_the_file_the_sessions_region_is_used(tmp_path: Path):
    assert (
        make_client(session=session_at(NOWHERE, tmp_path), environ={}).meta.region_name
        == "eu-west-1"
    )


def test_the_environments_region_wins_over_the_profiles(tmp_path: Path):
    session = session_at(NOWHERE, tmp_path)
    client = make_client(session=session, environ={"AWS_REGION": "eu-north-1"})
    assert client.meta.region_name == "eu-north-1"


def test_without_any_the_instance_is_asked_for_its_region(script: Server, tmp_path: Path):
    script.will(text_reply(200, "token"), text_reply(200, "us-west-2"))
    service = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": script.url}
    client = make_client(session=without_region(tmp_path), environ=service)
    assert client.meta.region_name == "us-west-2"


def test_a_region_that_nobody_knows_is_a_matter_of_identity(tmp_path: Path):
    off = {"AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.raises(IdentityError, match="region:"):
        make_client(session=without_region(tmp_path), environ=off)


@pytest.mark.parametrize(
    ("region", "endpoint", "named"),
    [("not a region!", NOWHERE, "not a region!"), ("eu-west-1", "127.0.0.1:9", "127.0.0.1:9")],
)
def test_a_region_or_endpoint_that_is_none_is_refused_by_name(
    region: str, endpoint: str, named: str, tmp_path: Path
):
    with pytest.raises(CloudError, match=named) as caught:
        make_client(region, session=session_at(endpoint, tmp_path))
    assert caught.value.failure is Failure.REFUSED


MAKE = "from nathb.aws.client import make_client; print(make_client().meta.endpoint_url)"


def made_with(folder: Path, **environment: str) -> str:
    """Make a client in a process that has this environment, and no other AWS settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    clean |= {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_EC2_METADATA_DISABLED": "true"}
    run = subprocess.run(
        [sys.executable, "-c", MAKE],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return (run.stdout or run.stderr).strip().splitlines()[-1]


def test_the_standard_environment_variables_are_honoured(tmp_path: Path):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"):
        made = made_with(tmp_path, AWS_REGION="eu-west-1", **{name: NOWHERE})
        assert made == NOWHERE, name


def test_a_profile_is_honoured_and_a_missing_one_named(tmp_path: Path):
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion = eu-west-1\nendpoint_url = {NOWHERE}\n"
    )
    assert made_with(tmp_path, AWS_PROFILE="lab") == NOWHERE
    assert "The config profile (gone) could not be found; check" in made_with(
        tmp_path, AWS_PROFILE="gone"
    )
