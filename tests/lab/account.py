"""The operator builds the VPC, through the same API that everyone uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nathb.aws.routes import family, host_route
from tests.lab.plan import EVERYWHERE, EVERYWHERE6, VPC, Instance, Plan, Role


@dataclass(frozen=True)
class Ids:
    """The ids EC2 gave to one instance."""

    instance: str
    eni: str


@dataclass(frozen=True)
class Account:
    """What was built: the ids of instances, of route tables (by subnet name), gateway and VPC.

    The route table of the gateway is `tables["igw"]`, if there is one; `prefix_list` is empty if
    the plan has no prefixes.
    """

    instances: dict[str, Ids]
    tables: dict[str, str]
    gateway: str
    vpc: str
    prefix_list: str = ""


def operator_client(port: int, region: str) -> Any:
    """A boto3 EC2 client for the test process, at the server's loopback port."""
    import boto3  # noqa: PLC0415  # a tenth of a second that sets up while the fork server warms
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "ec2",
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="operator",
        aws_secret_access_key="operator",
        config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}),
    )


def build_account(ec2: Any, plan: Plan) -> Account:
    """A VPC as `plan` has it, all routes at home and all pins in place."""
    vpc = ec2.create_vpc(CidrBlock=str(VPC))["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    _admit_clients(ec2, vpc)
    instances, tables = {}, {}
    for one in plan.instances:
        subnet = ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=str(one.subnet.cidr),
            AvailabilityZone=f"{plan.region}{one.zone}",
        )["Subnet"]["SubnetId"]
        tables[one.subnet.name] = (
            _main_table(ec2, vpc)
            if one.subnet.name == plan.on_main_table
            else _table(ec2, vpc, SubnetId=subnet)
        )
        instances[one.name] = launch(ec2, one, subnet)
    if any(zone.ingress for zone in plan.zones):
        tables["igw"] = _table(ec2, vpc, GatewayId=gateway)
    account = Account(instances, tables, gateway, vpc, _prefix_list(ec2, plan))
    for zone in plan.zones:
        public, private = tables[zone.nat.subnet.name], tables[zone.app.subnet.name]
        _route(ec2, public, EVERYWHERE, GatewayId=gateway)
        for peer in plan.peers(zone):
            eni = instances[peer.nat.name].eni
            _route(ec2, public, host_route(str(peer.heartbeat)), NetworkInterfaceId=eni)
        if plan.ipv6:
            _route(ec2, public, EVERYWHERE6, GatewayId=gateway)
        eni = instances[zone.nat.name].eni
        for destination in (*plan.destinations, *filter(None, [account.prefix_list])):
            _route(ec2, private, destination, NetworkInterfaceId=eni)
        if zone.ingress:
            _route(ec2, tables["igw"], str(zone.app.subnet.cidr), NetworkInterfaceId=eni)
    return account


def launch(ec2: Any, instance: Instance, subnet_id: str) -> Ids:
    """Run one instance where the plan has it; a NAT's source/dest check is off from the start."""
    launched = ec2.run_instances(
        ImageId="ami-12345678",
        InstanceType="t4g.nano",
        MinCount=1,
        MaxCount=1,
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet_id,
                "PrivateIpAddress": str(instance.address),
                "DeleteOnTermination": True,  # as EC2 has it by default, and moto does not
            }
        ],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": instance.name}]}
        ],
    )["Instances"][0]
    ids = Ids(launched["InstanceId"], launched["NetworkInterfaces"][0]["NetworkInterfaceId"])
    if instance.role is Role.NAT:
        ec2.modify_instance_attribute(InstanceId=ids.instance, SourceDestCheck={"Value": False})
    return ids


def _admit_clients(ec2: Any, vpc: str) -> None:
    """Open the VPC's own security group, which every instance is in, to all clients of the VPC."""
    [group] = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
        "SecurityGroups"
    ]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": str(VPC)}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[everything])


def _table(ec2: Any, vpc: str, **steered: str) -> str:
    """A new route table, and what goes by it."""
    table = str(ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"])
    ec2.associate_route_table(RouteTableId=table, **steered)
    return table


def _main_table(ec2: Any, vpc: str) -> str:
    mine = [
        {"Name": "vpc-id", "Values": [vpc]},
        {"Name": "association.main", "Values": ["true"]},
    ]
    return str(ec2.describe_route_tables(Filters=mine)["RouteTables"][0]["RouteTableId"])


def _prefix_list(ec2: Any, plan: Plan) -> str:
    if not plan.prefixes:
        return ""
    made = ec2.create_managed_prefix_list(
        PrefixListName="partners",
        AddressFamily="IPv4",
        MaxEntries=len(plan.prefixes),
        Entries=[{"Cidr": block} for block in plan.prefixes],
    )
    return str(made["PrefixList"]["PrefixListId"])


def _route(ec2: Any, table: str, destination: str, **target: str) -> None:
    ec2.create_route(RouteTableId=table, **{family(destination): destination}, **target)
