"""A VPC in moto's EC2 with a pair of routers: what the tests of this room look at.

vpc ─┬─ public-a   nat-a    pins 8.8.4.4 to nat-c      private-a  0.0.0.0/0 to nat-a
     └─ public-c   nat-c    pins 8.8.8.8 to nat-a      private-c  0.0.0.0/0 to nat-c
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from msgspec import Struct

from nathb.core.model import Group, Node, Route

ANYWHERE = "0.0.0.0/0"
HEARTBEATS = {"nat-a": "8.8.8.8", "nat-c": "8.8.4.4"}


class World(Struct, frozen=True):
    ec2: Any
    vpc: str
    subnets: dict[str, str]
    instances: dict[str, str]
    enis: dict[str, str]
    public: dict[str, str]
    private: dict[str, str]

    @property
    def group(self) -> Group:
        return Group(
            name="tokyo",
            nodes=tuple(
                Node(
                    name=name,
                    heartbeat=(HEARTBEATS[name],),
                    routes=(Route(self.private[name], ANYWHERE),),
                    instance=self.instances[name],
                )
                for name in HEARTBEATS
            ),
            uplink=("1.1.1.1",),
        )

    def point(self, table: str, destination: str, **target: str) -> None:
        self.ec2.replace_route(RouteTableId=table, DestinationCidrBlock=destination, **target)


class DisruptedZone:
    """EC2 as `ec2` is, but for DescribeInstances while the zone of these instances is disrupted.

    A call that names one of them fails, and so does one that names none.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
    """

    def __init__(self, ec2: Any, affected: set[str], status: int, code: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self._ec2 = ec2
        self._affected = affected
        self._answer: Any = {
            "Error": {"Code": code, "Message": "An internal error has occurred"},
            "ResponseMetadata": {"RequestId": "req-no", "HTTPStatusCode": status},
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ec2, name)

    def describe_instances(self, **request: Any) -> Any:
        self.asked.append(request)
        named = set(request.get("InstanceIds", ()))
        if self._affected and (not named or named & self._affected):
            raise ClientError(self._answer, "DescribeInstances")
        return self._ec2.describe_instances(**request)


def build(ec2: Any) -> World:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = {
        name: ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]
        for number, name in enumerate(HEARTBEATS)
    }
    machines = {name: launch(ec2, name, subnets[name]) for name in HEARTBEATS}
    world = World(
        ec2=ec2,
        vpc=vpc,
        subnets=subnets,
        instances={name: one["InstanceId"] for name, one in machines.items()},
        enis={
            name: one["NetworkInterfaces"][0]["NetworkInterfaceId"]
            for name, one in machines.items()
        },
        public={name: table(ec2, vpc) for name in HEARTBEATS},
        private={name: table(ec2, vpc) for name in HEARTBEATS},
    )
    for name, peer in (("nat-a", "nat-c"), ("nat-c", "nat-a")):
        ec2.associate_route_table(RouteTableId=world.public[name], SubnetId=subnets[name])
        route(ec2, world.public[name], f"{HEARTBEATS[peer]}/32", world.enis[peer])
        route(ec2, world.private[name], ANYWHERE, world.enis[name])
    return world


def launch(ec2: Any, name: str, subnet: str) -> Any:
    """Run one instance tagged with its name."""
    return ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
    )["Instances"][0]


def table(ec2: Any, vpc: str) -> str:
    made = ec2.create_route_table(VpcId=vpc)
    return str(made["RouteTable"]["RouteTableId"])


def route(ec2: Any, table: str, destination: str, eni: str) -> None:
    family = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
    ec2.create_route(RouteTableId=table, NetworkInterfaceId=eni, **{family: destination})
