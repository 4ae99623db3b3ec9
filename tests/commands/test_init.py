"""`nathb init`: what it says while it asks, and what it writes, or leaves as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nathb import config
from nathb.cli import main
from tests.aws.conftest import moto_client, world  # noqa: F401  fixtures
from tests.aws.world import World, launch

Init = Callable[..., int]


@pytest.fixture
def init(world: World, monkeypatch: pytest.MonkeyPatch) -> Init:  # noqa: F811
    """Run `nathb init` for the pair of moto's VPC."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", world.ec2.meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", world.ec2.meta.region_name)

    def run(*arguments: str, called: Sequence[str] = ()) -> int:
        return main(["init", *(called or world.instances.values()), *arguments])

    return run


def test_it_says_which_region_it_asks_and_where_that_comes_from(
    init: Init,
    capsys: pytest.CaptureFixture[str],
    world: World,  # noqa: F811
) -> None:
    assert init() == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "nathb init: looking for the region: in the environment, the AWS profile, the instance "
        "metadata",
        "nathb init: asking EC2 in eu-west-1 (from AWS_REGION in the environment) about "
        + ", ".join(world.instances.values()),
    ]
    assert shown.out.startswith("# Drafted from what EC2 shows.")


def test_without_a_region_it_says_how_to_give_one_in_words_of_its_own(
    init: Init, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
    assert init() == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("nathb init: looking for the region: ")
    assert said[-1].endswith("; elsewhere, pass --region REGION, or set AWS_REGION")
    assert "--node" not in said[-1]


def test_an_instance_that_is_elsewhere_is_answered_with_the_region_that_was_asked(
    init: Init, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init("--region", "us-east-1") == 2
    assert "in us-east-1 (from --region); correct it, or" in capsys.readouterr().err


# --- heartbeats ---------------------------------------------------------------------------------


def test_check_has_nothing_to_say_against_the_heartbeats_that_init_proposes(
    init: Init,
    capsys: pytest.CaptureFixture[str],
    world: World,  # noqa: F811
) -> None:
    for name, peer in (("nat-a", "8.8.4.4/32"), ("nat-c", "8.8.8.8/32")):
        world.ec2.delete_route(RouteTableId=world.public[name], DestinationCidrBlock=peer)
    assert init() == 0
    group = config.parse(capsys.readouterr().out, "tokyo.yaml")
    assert len({node.heartbeat for node in group.nodes}) == len(group.nodes)
    assert config.find_warnings(group) == ()


# --- --write ------------------------------------------------------------------------------------


def test_a_draft_that_is_complete_is_written_for_all_to_read(
    init: Init, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "etc" / "tokyo.yaml"
    before = os.umask(0o077)
    try:
        assert init("--write", str(path)) == 0
    finally:
        os.umask(before)
    assert capsys.readouterr().out == f"{path}: written; read it, then: nathb check tokyo\n"
    assert [node.name for node in config.load(path).nodes] == ["nat-a", "nat-c"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert [file.name for file in path.parent.iterdir()] == ["tokyo.yaml"]

    assert init("--write", str(path)) == 0
    assert "is as drafted already" in capsys.readouterr().out


def test_an_init_that_fails_leaves_the_file_as_it_was(
    init: Init, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "tokyo.yaml"
    path.write_text("precious\n")
    assert init("--write", str(path), "--force", called=("nat-x", "nat-y")) == 2
    assert "nat-x: EC2 shows no instance" in capsys.readouterr().err
    assert path.read_text() == "precious\n"


def test_a_draft_that_lacks_routes_is_not_written(
    init: Init,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    world: World,  # noqa: F811
) -> None:
    path = tmp_path / "tokyo.yaml"
    new = [launch(world.ec2, "new", world.subnets["nat-a"])["InstanceId"] for _ in range(2)]
    assert init("--write", str(path), called=new) == 1
    said = capsys.readouterr().err
    assert f"{path} was not written, because the draft is not complete" in said
    assert "nothing to guard" in said
    assert f"print it with `nathb init {' '.join(new)}`" in said
    assert not path.exists()


def test_a_file_that_differs_is_replaced_only_with_force(
    init: Init, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "tokyo.yaml"
    path.write_text("# mine\n")
    assert init("--write", str(path)) == 1
    assert f"{path} exists and differs from the draft" in capsys.readouterr().err
    assert path.read_text() == "# mine\n"
    assert init("--write", str(path), "--force") == 0
    assert config.load(path).name == "tokyo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--force",), "--force replaces a file, and there is none without --write"),
        (("--write", "to kyo"), "--write to kyo: 'to kyo' cannot name a group"),
    ],
)
def test_what_cannot_be_written_is_refused_before_ec2_is_asked(
    init: Init, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert init(*arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "asking" not in said


def test_a_file_that_cannot_be_written_is_78_and_says_why(
    init: Init, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert init("--write", str(tmp_path / "absent" / "absent" / "tokyo.yaml")) == 78
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err
    (tmp_path / "tokyo.yaml").mkdir()
    assert init("--write", str(tmp_path / "tokyo.yaml")) == 78
    assert "cannot be read (Is a directory)" in capsys.readouterr().err
