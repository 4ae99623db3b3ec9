"""`check --prove`: what it shows of an EC2 that behaves and of some that do not, and leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from nathb.aws.reader import Reader
from nathb.core.errors import Finding, Level
from nathb.core.model import Route
from nathb.provision.inventory import survey
from nathb.provision.proof import DESTINATION, MOVES, STEPS, Proof
from tests.aws.conftest import Time
from tests.aws.world import World, route


class Corrected:
    """moto's EC2 that takes a dry run for one; the lab's has the same correction on the wire.

    What a test changes of it: `lag`, reads that show the state before the last write; `refused`,
    calls by name with the error that they end in; `before`, what is called before a write.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lag = 0
        self.refused: dict[str, str] = {}
        self.before: Callable[[str], None] = lambda _name: None
        self.written: list[str] = []
        self._shown: Any = None
        self._stale = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_route_tables(self, **request: Any) -> Any:
        self._stale -= 1
        if self._stale >= 0:
            return self._shown
        return self._client.describe_route_tables(**request)

    def create_route(self, **request: Any) -> Any:
        return self._write("create_route", request)

    def replace_route(self, **request: Any) -> Any:
        return self._write("replace_route", request)

    def delete_route(self, **request: Any) -> Any:
        return self._write("delete_route", request)

    def _write(self, name: str, request: dict[str, Any]) -> Any:
        self.before(name)
        code = "DryRunOperation" if request.pop("DryRun", False) else self.refused.get(name, "")
        if code:
            action = "".join(word.capitalize() for word in name.split("_"))
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, action)
        self.written.append(name)
        table = [request["RouteTableId"]]
        shown = self._client.describe_route_tables(RouteTableIds=table)
        answer = getattr(self._client, name)(**request)
        self._shown, self._stale = shown, self.lag
        return answer


@pytest.fixture
def ec2(world: World) -> Corrected:
    return Corrected(world.ec2)


@pytest.fixture
def prove(world: World, ec2: Corrected, time: Time) -> Callable[..., list[Finding]]:
    def prove(client: Any = ec2) -> list[Finding]:
        seen = survey(Reader(world.ec2), world.group)
        return list(Proof(client, seen, time.clock, time.sleep).findings())

    return prove


Prove = Callable[..., list[Finding]]


def left(world: World) -> list[str]:
    """The proof's routes that are in the guarded tables."""
    tables = world.ec2.describe_route_tables(RouteTableIds=list(world.private.values()))
    routes = [one for table in tables["RouteTables"] for one in table["Routes"]]
    found = [one.get("DestinationCidrBlock", "") for one in routes]
    return [one for one in found if one.startswith("192.0.2.")]


def level_of(found: list[Finding], step: str) -> Level:
    (one,) = [one for one in found if one.subject == f"proof {step}"]
    return one.level


def test_each_step_is_shown_in_order_on_a_route_that_is_gone_afterwards(
    world: World, ec2: Corrected, prove: Prove
) -> None:
    found = prove()
    subjects = list(dict.fromkeys(one.subject for one in found))
    assert subjects == [f"proof {name}" for name in STEPS]
    # moto shows the interface alone, which the code can do with
    assert [one.subject for one in found if one.level is not Level.GOOD] == ["proof both-ids"]
    assert ec2.written == ["create_route", *["replace_route"] * (MOVES + 1), "delete_route",
                           "replace_route"]  # fmt: skip
    assert left(world) == []


def test_the_guarded_routes_are_as_they_were(world: World, prove: Prove) -> None:
    before = survey(Reader(world.ec2), world.group)
    prove()
    assert survey(Reader(world.ec2), world.group) == before


def test_an_ec2_that_carries_out_a_dry_run_is_found_out_and_nothing_is_left(
    world: World, prove: Prove
) -> None:
    found = prove(world.ec2)  # as moto does
    assert [one.text for one in found if one.level is Level.BAD] == [
        "CreateRoute with DryRun was carried out"
    ]
    assert left(world) == []


@pytest.mark.parametrize(("reads", "level"), [(20, Level.GOOD), (120, Level.BAD)])
def test_reads_that_lag_longer_than_settle_are_bad_with_the_settle_that_is_needed(
    ec2: Corrected, prove: Prove, reads: int, level: Level
) -> None:
    ec2.lag = reads
    found = [one for one in prove() if one.subject == "proof replace"]
    assert found[1].level is level
    assert ("set `settle:` in the file to more than 12s" in found[1].fix) is (level is Level.BAD)
    assert f"showed it {reads / 10:.0f}" in found[1].text.replace(".0 s", " s")


@pytest.mark.parametrize("name", ["create_route", "replace_route"])
def test_a_call_that_is_denied_is_bad_with_the_policy_that_allows_it_and_leaves_nothing(
    world: World, ec2: Corrected, prove: Prove, name: str
) -> None:
    ec2.refused = {name: "UnauthorizedOperation"}
    found = prove()
    (denied,) = [one for one in found if one.level is Level.BAD]
    assert found[-1].text.endswith("of the proof is removed")
    assert denied.fix == "nathb iam-policy tokyo --features prove"
    assert left(world) == []


def test_a_route_that_cannot_be_removed_is_told_with_the_command_and_removed_by_the_next_proof(
    world: World, ec2: Corrected, prove: Prove
) -> None:
    ec2.refused = {"delete_route": "UnauthorizedOperation"}
    last = prove()[-1]
    assert (last.level, left(world)) == (Level.BAD, [DESTINATION])
    table = world.private["nat-a"]
    assert last.fix == (
        f"aws ec2 delete-route --route-table-id {table} --destination-cidr-block {DESTINATION}"
    )
    ec2.refused = {}
    again = prove()
    assert again[0].text == f"{Route(table, DESTINATION)}, of an earlier run, was removed"
    assert level_of(again, "delete") is Level.GOOD
    assert left(world) == []


def test_a_left_over_in_any_guarded_table_is_removed_and_one_that_stays_ends_the_proof(
    world: World, ec2: Corrected, prove: Prove
) -> None:
    other = world.private["nat-c"]
    route(world.ec2, other, DESTINATION, world.enis["nat-a"])
    ec2.refused = {"delete_route": "UnauthorizedOperation"}
    (stays,) = prove()
    assert (stays.level, ec2.written) == (Level.BAD, [])
    assert f"--route-table-id {other} " in stays.fix
    ec2.refused = {}
    assert prove()[0].text == f"{Route(other, DESTINATION)}, of an earlier run, was removed"
    assert left(world) == []


def test_a_route_of_someone_else_with_that_destination_is_left_alone_and_told(
    world: World, ec2: Corrected, prove: Prove
) -> None:
    interface = world.ec2.create_network_interface(SubnetId=world.subnets["nat-a"])
    other = interface["NetworkInterface"]["NetworkInterfaceId"]
    route(world.ec2, world.private["nat-a"], DESTINATION, other)
    (found,) = prove()
    assert "someone else made it, left as it is" in found.text
    assert (ec2.written, left(world)) == ([], [DESTINATION])


def test_a_destination_that_the_file_guards_is_not_touched(
    world: World, ec2: Corrected, time: Time
) -> None:
    mine = Route(world.private["nat-a"], DESTINATION)
    first, second = world.group.nodes
    group = replace(world.group, nodes=(replace(first, routes=(*first.routes, mine)), second))
    found = list(Proof(ec2, survey(Reader(world.ec2), group), time.clock, time.sleep).findings())
    assert [one.level for one in found] == [Level.BAD]
    assert ec2.written == []


@pytest.mark.parametrize("moment", [0, 1, 2, MOVES + 1, MOVES + 3])
def test_ctrl_c_during_any_write_leaves_no_route_and_says_so(
    world: World, ec2: Corrected, time: Time, moment: int
) -> None:
    def interrupt(name: str) -> None:
        if name != "delete_route" and len(ec2.written) == moment:
            raise KeyboardInterrupt

    ec2.before = interrupt
    proof = Proof(ec2, survey(Reader(world.ec2), world.group), time.clock, time.sleep)
    with pytest.raises(KeyboardInterrupt):
        list(proof.findings())
    assert left(world) == []
    removed = f"the route {world.private['nat-a']} {DESTINATION} of the proof is removed"
    assert proof.stays == removed


def test_whoever_stops_reading_the_findings_leaves_no_route(
    world: World, ec2: Corrected, time: Time
) -> None:
    proof = Proof(ec2, survey(Reader(world.ec2), world.group), time.clock, time.sleep)
    with closing(proof.findings()) as findings:
        for one in findings:
            if one.subject == "proof dry-run":
                assert left(world) == [DESTINATION]
                break
    assert left(world) == []
