"""EC2 as these tests meet it: moto's over HTTP, and a scripted one for what moto never does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

import boto3
import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud
from tests.aws.scripted import Server, serving
from tests.aws.world import World, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 240.0
"""Seconds for an answer of moto's."""
READ_TIMEOUT = 1.5
"""Seconds; a hang in the script costs a test this much, twice for a read."""


def session_at(endpoint: str, folder: Path, **settings: Any) -> boto3.Session:
    """Return a session that has its endpoint and keys from itself, not from this machine."""
    config = folder / "config"
    config.write_text(f"[default]\nregion = eu-west-1\nendpoint_url = {endpoint}\n")
    core = botocore.session.Session(profile="default")
    core.set_config_variable("config_file", str(config))
    core.set_config_variable("credentials_file", str(folder / "none"))
    for name, value in settings.items():
        core.set_config_variable(name, value)
    core.set_credentials("AKIDEXAMPLE", "no secret")
    return boto3.Session(botocore_session=core)


class Time:
    """A clock and a sleep that agree with each other and take no time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(scope="session")
def moto_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = session_at(f"http://{host}:{port}", tmp_path_factory.mktemp("moto"))
    # moto's first answer imports what it takes, which a busy machine takes long over.
    client = make_client(session=session, read_timeout=PATIENCE, call_timeout=PATIENCE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # a second each time it is emptied
        yield client
    client.close()
    server.stop()


@pytest.fixture
def world(moto_client: Any) -> World:
    """A world alone in its EC2: what is described costs time, the more the more there is."""
    empty = Request(f"{moto_client.meta.endpoint_url}/moto-api/reset", method="POST")
    build_opener(ProxyHandler({})).open(empty, timeout=60.0).close()
    return build(moto_client)


@pytest.fixture
def cloud(world: World, time: Time) -> Cloud:
    return Cloud(world.ec2, world.group, time.clock, sleep=time.sleep)


@pytest.fixture
def calls(moto_client: Any) -> Iterator[list[str]]:
    """Names of the calls that leave for moto from now on."""
    seen: list[str] = []

    def note(request: Any, event_name: str, **_: Any) -> None:  # noqa: ARG001
        seen.append(event_name.rsplit(".", 1)[-1])

    moto_client.meta.events.register("before-send.ec2", note)
    yield seen
    moto_client.meta.events.unregister("before-send.ec2", note)


@pytest.fixture(scope="session")
def _script() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def script(_script: Server) -> Server:
    """The scripted server with an empty script."""
    _script.will()
    return _script


@pytest.fixture(scope="session")
def script_client(_script: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    session = session_at(_script.url, tmp_path_factory.mktemp("script"))
    client = make_client(session=session, connect_timeout=1.0, read_timeout=READ_TIMEOUT)
    yield client
    client.close()


@pytest.fixture
def scripted_cloud(script_client: Any, time: Time) -> Callable[..., Cloud]:
    """Make a Cloud for a group, on the scripted server."""

    def make(group: Any) -> Cloud:
        return Cloud(script_client, group, time.clock, sleep=time.sleep, draw=lambda: 0.5)

    return make
