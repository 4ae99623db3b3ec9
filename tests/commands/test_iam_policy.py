"""`nathb iam-policy`: for a file, before there is one, and for everybody else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nathb.cli import main
from nathb.provision.iam import first_policy, service_control_policy
from tests.aws.conftest import moto_client, world  # noqa: F401  fixtures
from tests.aws.world import World

FILE = """
{region}
uplink: [1.1.1.1, 9.9.9.9]
nodes:
  nat-a: {{instance: i-0a9b954b0c0ffee01, heartbeat: 199.7.83.42, routes: [{first}]}}
  nat-c: {{instance: i-0c24460a0c0ffee02, heartbeat: 193.0.14.129, routes: [{second}]}}
"""
TABLES = ("rtb-0b8e8f2da00000001", "rtb-0bee8f2dc00000003")
ROLE = "arn:aws:iam::123456789012:role/nathb"

Print = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No region, no credentials and no EC2 from this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Print:
    """What it prints for a file of this region with these tables; `tokyo` stands for the file."""

    def run(
        *arguments: str, region: str = "region: ap-northeast-1", tables: tuple[str, str] = TABLES
    ) -> dict[str, Any]:
        path = tmp_path / "tokyo.yaml"
        path.write_text(FILE.format(region=region, first=tables[0], second=tables[1]))
        typed = [str(path) if one == "tokyo" else one for one in arguments]
        assert main(["iam-policy", *typed]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["iam-policy", *arguments])
    shown = capsys.readouterr()
    assert shown.out == ""
    return code, shown.err


def conditions(document: dict[str, Any]) -> set[str]:
    return {vpc for one in document["Statement"] for vpc in _vpcs(one.get("Condition", {}))}


def _vpcs(condition: dict[str, Any]) -> list[str]:
    return list(condition.get("ArnLike", {}).get("ec2:Vpc", []))


def test_apply_is_limited_to_the_vpc_of_the_guarded_tables_as_ec2_shows_it(
    printed: Print,
    world: World,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", world.ec2.meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    tables = (world.private["nat-a"], world.private["nat-c"])
    region = f"region: {world.ec2.meta.region_name}"
    document = printed("tokyo", "--features", "apply", region=region, tables=tables)
    assert conditions(document) == {f"arn:aws:ec2:eu-west-1:*:vpc/{world.vpc}"}


def test_a_vpc_that_is_named_is_taken_without_asking(printed: Print) -> None:
    document = printed("tokyo", "--features", "apply", "--vpc", "vpc-0a", "--account", "1" * 12)
    assert conditions(document) == {f"arn:aws:ec2:ap-northeast-1:{'1' * 12}:vpc/vpc-0a"}
    assert conditions(printed("tokyo", "--features", "apply", "--vpc", "*")) == set()
    assert conditions(printed("tokyo", "--features", "drain")) == set()


def test_a_vpc_that_nobody_knows_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokyo.yaml"
    path.write_text(FILE.format(region="region: eu-west-1", first=TABLES[0], second=TABLES[1]))
    code, said = refused(capsys, str(path), "--features", "apply")
    assert code == 1
    assert "--features apply: the VPC is not known: DescribeRouteTables" in said
    assert said.endswith("; name the VPC with --vpc vpc-…, or take --vpc '*' for every one\n")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov"), ("ap-northeast-1", "aws")],
)
def test_a_file_without_a_region_has_the_partition_of_the_environment(
    region: str, partition: str, printed: Print, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    document = printed("tokyo", region="")
    assert document["Statement"][1]["Resource"] == [
        f"arn:{partition}:ec2:*:*:route-table/{table}" for table in TABLES
    ]
    assert printed("tokyo", region=f"region: {region}")["Statement"][1]["Resource"][0].startswith(
        f"arn:{partition}:ec2:{region}:"
    )


def test_where_no_region_is_known_the_policy_is_for_every_partition(
    printed: Print, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = printed("tokyo", region="")
    assert document["Statement"][1]["Resource"][0].startswith("arn:*:ec2:*:*:")
    assert main(["iam-policy", str(tmp_path / "tokyo.yaml")]) == 0
    said = capsys.readouterr().err
    assert "the ARNs are for every partition, because the region is not known" in said


def test_without_a_file_it_prints_what_the_first_hour_needs_and_how_to_narrow_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["iam-policy", "--init"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == first_policy()
    assert (
        "replace it with what `nathb iam-policy NAME --features apply,check,drain` prints"
        in shown.err
    )


def test_the_scp_names_the_roles_that_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iam-policy", "--scp", f"{ROLE}, arn:aws:iam::*:role/ops-*"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == service_control_policy([ROLE, "arn:aws:iam::*:role/ops-*"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "iam-policy: name a group, or add --init"),
        (["tokyo", "--init"], "--init: is about no file, so NAME means nothing"),
        (["--init", "--features", "drain"], "so --features means nothing"),
        (["--scp", ROLE, "--vpc", "vpc-1"], "so --vpc means nothing"),
        (["--scp", "admin"], "--scp admin: is not the ARN of a role"),
        (["--scp", ""], "--scp: name the roles"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_does(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(capsys, *arguments)
    assert code == 2
    assert words in said


def test_a_vpc_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tokyo.yaml"
    path.write_text(FILE.format(region="region: eu-west-1", first=TABLES[0], second=TABLES[1]))
    code, said = refused(capsys, str(path), "--vpc", "10.0.0.0/16")
    assert (code, said) == (
        2,
        "nathb: --vpc 10.0.0.0/16: is no VPC; give its id, vpc-…, or '*' for every one\n",
    )


def test_the_policy_of_learned_routes_comes_with_the_file_and_is_refused_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokyo.yaml"
    text = FILE.format(region="region: eu-west-1", first=TABLES[0], second=TABLES[1])
    path.write_text(text)
    code, said = refused(capsys, str(path), "--features", "learn")
    assert (code, said) == (
        2,
        "nathb: --features learn: the file has no `learn`, so leave it out\n",
    )
    path.write_text(f"{text}\nlearn: {{from: /run/p, into: {TABLES[0]}, allow: 10.8.0.0/13}}\n")
    for arguments in ([], ["--features", "learn"]):
        assert main(["iam-policy", str(path), *arguments]) == 0
        statements = json.loads(capsys.readouterr().out)["Statement"]
        assert [one["Sid"] for one in statements] == ["NathbRead", "NathbMove", "NathbLearn"]
