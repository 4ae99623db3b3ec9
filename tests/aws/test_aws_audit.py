"""Misconfigurations, one by one: each is found, its fix is named, and the fix makes it good."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec import Struct
from msgspec.structs import replace

from nathb.aws.reader import Reader
from nathb.core.errors import Finding, Level
from nathb.core.model import Group, Route
from nathb.provision.audit import inspect_nodes, inspect_routes
from nathb.provision.inventory import survey
from nathb.provision.permissions import inspect_permissions
from nathb.provision.steps import FILE_TAG, carry_out, plan
from tests.aws.world import ANYWHERE, World, launch, route, table

DIGEST = "0123456789abcdef"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Site(Struct):
    """A world and the file that somebody wrote for it."""

    world: World
    group: Group
    notes: dict[str, str] = {}
    """What a test's break leaves for its fix."""

    @property
    def ec2(self) -> Any:
        return self.world.ec2

    def found(self) -> list[Finding]:
        seen = survey(Reader(self.ec2), self.group)
        planned = plan(seen, DIGEST)
        permissions = inspect_permissions(self.ec2, seen)
        return [*inspect_nodes(seen, planned), *inspect_routes(seen, planned, NOON), *permissions]

    def wrong(self) -> list[Finding]:
        return [one for one in self.found() if one.level is not Level.GOOD]

    def apply(self, adopted: frozenset[Route] = frozenset()) -> None:
        for step in plan(survey(Reader(self.ec2), self.group), DIGEST, adopted).steps:
            carry_out(self.ec2, step)

    def edit(self, node: str, **changes: Any) -> None:
        """Change what the file says of a node."""
        nodes = [replace(n, **changes) if n.name == node else n for n in self.group.nodes]
        self.group = replace(self.group, nodes=tuple(nodes))

    def fix(self, command: str) -> None:
        """Do what the fix says."""
        words = shlex.split(command.rpartition(": ")[2])
        if words[:2] == ["nathb", "apply"]:
            self.apply(frozenset(self.group.routes() if "--adopt" in words else ()))
        else:
            assert words[:2] == ["aws", "ec2"], command
            self.aws(words[2], words[3:])

    def aws(self, verb: str, options: list[str]) -> None:
        """Carry out a command line of the AWS CLI's."""
        call = getattr(self.ec2, verb.replace("-", "_"))
        operation = self.ec2.meta.method_to_api_mapping[verb.replace("-", "_")]
        members = self.ec2.meta.service_model.operation_model(operation).input_shape.members
        request: dict[str, Any] = {}
        for option, value in zip(options[::2], options[1::2], strict=True):
            name = next(one for one in members if _dashed(one) == option.removeprefix("--"))
            meant = self.notes.get(value, value)
            request[name] = [meant] if members[name].type_name == "list" else meant
        call(**request)


def _dashed(name: str) -> str:
    """NetworkInterfaceId as the CLI spells it: network-interface-id."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


@pytest.fixture
def site(world: World) -> Site:
    """A pair about which there is nothing to say."""
    ec2 = world.ec2
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=world.vpc)
    made = Site(world, world.group, {"igw-…": gateway})
    for name in world.public:
        ec2.create_route(
            RouteTableId=world.public[name],
            DestinationCidrBlock=ANYWHERE,
            GatewayId=gateway,
        )
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.associate_address(AllocationId=address, NetworkInterfaceId=world.enis[name])
    made.apply()
    return made


def test_of_a_pair_that_is_well_everything_is_good_but_its_zones(site: Site) -> None:
    # moto may put subnets that name no zone into one
    unproven = "names no `source`: its heartbeats prove forwarding of its peers, not masquerade"
    others = [one.text for one in site.wrong() if one.text != unproven]
    assert [one for one in others if "several nodes are in the zone" not in one] == []
    assert len(others) < len(site.wrong())
    assert len(site.found()) >= 12


# --- what can go wrong --------------------------------------------------------------------------


def pin_missing(site: Site) -> None:
    site.ec2.delete_route(
        RouteTableId=site.world.public["nat-a"], DestinationCidrBlock="8.8.4.4/32"
    )


def pin_elsewhere(site: Site) -> None:
    own = site.world.enis["nat-a"]
    site.world.point(site.world.public["nat-a"], "8.8.4.4/32", NetworkInterfaceId=own)


def check_on(site: Site) -> None:
    site.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=site.world.enis["nat-c"], SourceDestCheck={"Value": True}
    )


def route_missing(site: Site) -> None:
    site.ec2.delete_route(RouteTableId=site.world.private["nat-c"], DestinationCidrBlock=ANYWHERE)


def route_outside(site: Site) -> None:
    site.world.point(site.world.private["nat-c"], ANYWHERE, GatewayId=site.notes["igw-…"])


def stopped(site: Site) -> None:
    site.ec2.stop_instances(InstanceIds=[site.world.instances["nat-c"]])


def no_public_address(site: Site) -> None:
    listed = site.ec2.describe_addresses()["Addresses"]
    eni = site.world.enis["nat-a"]
    mine = next(one for one in listed if one.get("NetworkInterfaceId") == eni)
    site.ec2.disassociate_address(AssociationId=mine["AssociationId"])
    site.notes["eipalloc-…"] = mine["AllocationId"]


def no_way_out(site: Site) -> None:
    site.ec2.delete_route(RouteTableId=site.world.public["nat-a"], DestinationCidrBlock=ANYWHERE)


def foreign_source(site: Site) -> None:
    site.edit("nat-a", source="10.0.0.99")


def another_file(site: Site) -> None:
    site.ec2.create_tags(
        Resources=[site.world.private["nat-a"]],
        Tags=[{"Key": FILE_TAG, "Value": "fedcba9876543210"}],
    )


def never_applied(site: Site) -> None:
    for name in site.world.private.values():
        site.ec2.delete_tags(Resources=[name], Tags=[{"Key": FILE_TAG}])


MENDED_BY_COMMAND: dict[str, tuple[Callable[[Site], None], Level, str]] = {
    "a pin is missing": (pin_missing, Level.BAD, "the pin is missing"),
    "a pin leads elsewhere": (pin_elsewhere, Level.BAD, "the pin leads to eni-"),
    "a source/dest check is on": (check_on, Level.BAD, "source/dest check is on"),
    "a guarded route is missing": (route_missing, Level.BAD, "the route is missing"),
    "a guarded route leads outside": (route_outside, Level.BAD, "outside the group"),
    "an instance is stopped": (stopped, Level.BAD, "is stopped"),
    "no public address": (no_public_address, Level.WARNING, "has no public address"),
    "no default route of its own": (no_way_out, Level.BAD, "its uplink is dead"),
    "the source is not its own": (foreign_source, Level.BAD, "is no address of its interface"),
    "another file was applied": (another_file, Level.WARNING, "another file was applied last"),
    "no file was applied": (never_applied, Level.WARNING, "no file was applied yet"),
}


def told(site: Site, words: str) -> Finding:
    return next(one for one in site.wrong() if words in one.text)


@pytest.mark.parametrize("what", MENDED_BY_COMMAND)
def test_what_a_command_fixes_is_found_with_that_command(site: Site, what: str) -> None:
    breaks, level, words = MENDED_BY_COMMAND[what]
    before = site.wrong()
    breaks(site)
    finding = told(site, words)
    assert finding.level is level
    site.fix(finding.fix)
    assert [one for one in site.wrong() if one not in before] == []


# --- what takes an edit of the file, or a decision ----------------------------------------------


def fixed(site: Site, breaks: Callable[[], None], words: str, fixes: Callable[[], None]) -> str:
    """Break it, find it, fix it, find nothing more; return the fix that was named."""
    before = site.wrong()
    breaks()
    finding = told(site, words)
    fixes()
    assert site.wrong() == before
    return finding.fix


def test_an_instance_that_is_gone_is_found_with_how_to_replace_it(site: Site) -> None:
    old = site.world.instances["nat-a"]
    fix = fixed(
        site,
        lambda: site.edit("nat-a", instance="i-0123456789abcdef0"),
        "EC2 shows no instance i-0123456789abcdef0",
        lambda: site.edit("nat-a", instance=old),
    )
    assert fix == "nathb replace tokyo nat-a i-NEW"


def test_where_no_instance_is_shown_the_region_that_was_asked_is_to_be_corrected(
    site: Site,
) -> None:
    site.edit("nat-a", instance="i-0123456789abcdef0")
    site.edit("nat-c", instance="i-0123456789abcdef1")
    found = told(site, "EC2 shows no instance i-0123456789abcdef1 in eu-west-1 (from ")
    assert found.fix == "correct the region; if it is right: nathb replace tokyo nat-c i-NEW"


def test_a_node_that_no_instance_matches_is_found_with_how_to_start_one(site: Site) -> None:
    name = f"nobody-{site.world.vpc}"
    before = site.wrong()
    site.edit("nat-a", instance="", match=(("tag:Name", name),))
    assert "with the tags of its `match`" in told(site, "EC2 shows no instance").fix
    made = launch(site.ec2, name, site.world.subnets["nat-a"])
    eni = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    address = site.ec2.allocate_address(Domain="vpc")["AllocationId"]
    site.ec2.associate_address(AllocationId=address, NetworkInterfaceId=eni)
    site.apply(frozenset(site.group.routes()))
    assert site.wrong() == before


def test_an_eni_of_another_instance_is_found(site: Site) -> None:
    fix = fixed(
        site,
        lambda: site.edit("nat-a", eni="eni-0123456789abcdef0"),
        "its `eni` eni-0123456789abcdef0 is not one of its own",
        lambda: site.edit("nat-a", eni=""),
    )
    assert "correct `eni:` in the file" in fix


def test_a_source_with_a_public_address_is_found(site: Site) -> None:
    listed = site.ec2.describe_instances(InstanceIds=[site.world.instances["nat-a"]])
    own = listed["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
    fix = fixed(
        site,
        lambda: site.edit("nat-a", source=own),
        "so it proves no masquerade",
        lambda: site.edit("nat-a", source=""),
    )
    assert "without a public one" in fix


def test_a_table_that_does_not_exist_is_found(site: Site) -> None:
    good = site.group.nodes[0].routes
    fix = fixed(
        site,
        lambda: site.edit("nat-a", routes=(*good, Route("rtb-0123456789abcdef0", ANYWHERE))),
        "EC2 shows no such table in eu-west-1 (from ",
        lambda: site.edit("nat-a", routes=good),
    )
    assert fix == "correct it, or the region, in the file"


def test_a_guarded_table_that_steers_a_node_itself_is_found(site: Site) -> None:
    good = site.group.nodes[0].routes
    fix = fixed(
        site,
        lambda: site.edit("nat-a", routes=(Route(site.world.public["nat-a"], ANYWHERE),)),
        "whose packets would loop",
        lambda: site.edit("nat-a", routes=good),
    )
    assert "private subnets' tables only" in fix


def associate(site: Site, node: str, to: str) -> None:
    """Let a node's own subnet be steered by another table."""
    listed = site.ec2.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [site.world.subnets[node]]}]
    )
    found = listed["RouteTables"][0]["Associations"]
    mine = next(one for one in found if one.get("SubnetId") == site.world.subnets[node])
    site.ec2.replace_route_table_association(
        AssociationId=mine["RouteTableAssociationId"], RouteTableId=to
    )


def test_two_public_subnets_with_one_table_are_found(site: Site) -> None:
    fix = fixed(
        site,
        lambda: associate(site, "nat-c", site.world.public["nat-a"]),
        "is steered by the same table as",
        lambda: associate(site, "nat-c", site.world.public["nat-c"]),
    )
    assert "a table of its own" in fix


def test_a_node_whose_own_packets_are_sent_to_a_node_is_found(site: Site) -> None:
    elsewhere = table(site.ec2, site.world.vpc)

    def breaks() -> None:
        route(site.ec2, elsewhere, ANYWHERE, site.world.enis["nat-c"])
        associate(site, "nat-a", elsewhere)

    def fixes() -> None:
        associate(site, "nat-a", site.world.public["nat-a"])
        site.ec2.delete_route(RouteTableId=elsewhere, DestinationCidrBlock=ANYWHERE)

    fix = fixed(site, breaks, "its own packets are sent to nat-c", fixes)
    assert "whose default route is a gateway" in fix


def test_a_route_to_a_node_that_nobody_guards_is_found(site: Site) -> None:
    stray = table(site.ec2, site.world.vpc)
    before = site.wrong()
    route(site.ec2, stray, "10.9.0.0/16", site.world.enis["nat-a"])
    finding = told(site, "no node moves it when nat-a dies")
    assert finding.fix == "add it to the routes of nat-a in the file"
    site.edit("nat-a", routes=(*site.group.nodes[0].routes, Route(stray, "10.9.0.0/16")))
    site.apply()
    assert site.wrong() == before


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("nathb:drain", "nat-a", "nathb undrain tokyo nat-a"),
        ("nathb:drain", "nat-c, nat-a", "nathb undrain tokyo nat-a && nathb undrain tokyo nat-c"),
        ("nathb:drain", "nat-z", "aws ec2 delete-tags --resources rtb-"),
        ("nathb:pause", "until 2026-11-21T12:00:01Z", "nathb resume tokyo"),
        ("nathb:revert", "on", "aws ec2 delete-tags --resources rtb-"),
    ],
)
def test_a_tag_that_somebody_forgot_is_found(site: Site, key: str, value: str, fix: str) -> None:
    where = site.world.private["nat-a"]
    named = fixed(
        site,
        lambda: site.ec2.create_tags(Resources=[where], Tags=[{"Key": key, "Value": value}]),
        f"carries the tag {key}",
        lambda: site.ec2.delete_tags(Resources=[where], Tags=[{"Key": key}]),
    )
    assert named.startswith(fix)


def test_a_pause_that_has_ended_by_itself_is_no_finding(site: Site) -> None:
    before, value = site.wrong(), "until 2026-11-21T12:00:00Z"
    site.ec2.create_tags(
        Resources=[site.world.private["nat-a"]], Tags=[{"Key": "nathb:pause", "Value": value}]
    )
    assert site.wrong() == before


@pytest.mark.parametrize(
    ("action", "key", "level", "fix"),
    [
        ("ReplaceRoute", "", Level.BAD, "nathb iam-policy tokyo"),
        ("CreateTags", "nathb:file", Level.WARNING, "nathb iam-policy tokyo --features apply"),
        ("CreateTags", "nathb:drain", Level.WARNING, "nathb iam-policy tokyo --features drain"),
    ],
)
def test_a_permission_that_is_missing_is_found(
    site: Site, action: str, key: str, level: Level, fix: str
) -> None:
    before = site.wrong()

    def refuse(params: Any, **_: Any) -> None:
        if params["body"].get("Tag.1.Key", "") == key:
            answer = {"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}
            raise ClientError(answer, action)

    site.ec2.meta.events.register(f"before-call.ec2.{action}", refuse)
    finding = told(site, "this role may not")
    site.ec2.meta.events.unregister(f"before-call.ec2.{action}", refuse)
    assert (finding.level, finding.fix) == (level, fix)
    assert site.wrong() == before
