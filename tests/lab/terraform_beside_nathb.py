"""Terraform itself beside nathb, on the lab's EC2: `make terraform`, and no part of `make test`.

It takes `terraform` on the PATH, and the AWS provider in the folder that TERRAFORM_MIRROR names
(https://developer.hashicorp.com/terraform/cli/config/config-file, filesystem_mirror): the lab has
no way to a registry.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.pair import Pair
from tests.lab.test_nathb_and_operators import ask

MAIN = Path(__file__).parent / "terraform" / "main.tf"
IGNORE_TAGS = """
  ignore_tags {
    key_prefixes = ["nathb:"]
  }
"""
IGNORE_CHANGES = """
  lifecycle {
    ignore_changes = [network_interface_id]
  }
"""


class Terraform:
    """One folder with a configuration and its state."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._folder = folder
        tables = {name.removeprefix("private-"): table for name, table in lab.tables.items()
                  if name.startswith("private-")}  # fmt: skip
        listed = lab.ec2.describe_route_tables(RouteTableIds=list(tables.values()))["RouteTables"]
        vpc = {one["RouteTableId"]: one["VpcId"] for one in listed}
        variables = {
            "endpoint": lab.ec2.meta.endpoint_url,
            "region": lab.plan.region,
            "tables": {
                zone: {"id": table, "vpc": vpc[table], "home": lab.instances[f"nat-{zone}"].eni}
                for zone, table in tables.items()
            },
        }
        (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
        mirror = os.environ["TERRAFORM_MIRROR"]
        cli = folder / "cli.tfrc"
        cli.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        )
        self._env = os.environ | {"TF_CLI_CONFIG_FILE": str(cli), "CHECKPOINT_DISABLE": "1"}
        self.configure(careful=False)
        self("init")

    def configure(self, *, careful: bool) -> None:
        """Write the configuration, with what nathb's documents advise or without it."""
        text = MAIN.read_text()
        text = text.replace("  #IGNORE_TAGS\n", IGNORE_TAGS if careful else "")
        text = text.replace("  #IGNORE_CHANGES\n", IGNORE_CHANGES if careful else "")
        (self._folder / "main.tf").write_text(text)

    def __call__(self, *words: str) -> str:
        """Run a command; return what it printed."""
        done = subprocess.run(
            ["terraform", *words, "-input=false", "-no-color"],
            cwd=self._folder, env=self._env, capture_output=True, text=True, timeout=240.0,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self) -> str:
        return self("apply", "-auto-approve")


@pytest.fixture
def terraform(lab: Lab, tmp_path: Path) -> Terraform:
    return Terraform(lab, tmp_path)


@pytest.mark.timeout(900)
def test_an_apply_in_the_middle_of_a_failover_moves_the_route_back_unless_that_is_ignored(
    lab: Lab, terraform: Terraform
) -> None:
    terraform.configure(careful=True)
    terraform.apply()
    pair = Pair(lab, refresh="1s", settle="2s", preempt_delay="2s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=20.0)

    assert "No changes" in terraform.apply()
    assert lab.holder("c") == "nat-a"

    terraform.configure(careful=False)
    assert "0 added, 1 changed, 0 destroyed" in terraform.apply()
    pair.wait_holder("c", "nat-a", within=60.0)
    (undone,) = lab.calls(caller="operator", action="ReplaceRoute")
    take, again = lab.writes()
    assert take.at < undone.at
    assert again.at - undone.at >= 15.0, "R7: someone else undid it, and the holder is DOWN"
    print(f"Terraform moved the route back; nat-a took it again {again.at - undone.at:.0f} s later")


@pytest.mark.timeout(900)
def test_an_apply_ends_a_drain_unless_nathbs_tags_are_ignored(
    lab: Lab, terraform: Terraform
) -> None:
    terraform.configure(careful=True)
    terraform.apply()
    pair = Pair(lab, refresh="1s", settle="2s", preempt_delay="2s").settle()
    assert ask(lab, "nat-a", "drain", "nat-a").returncode == 0

    assert "No changes" in terraform.apply()
    assert drained(lab) == "nat-a"
    assert lab.holder("a") == "nat-c"

    terraform.configure(careful=False)
    assert "0 added, 3 changed, 0 destroyed" in terraform.apply()
    assert drained(lab) is None
    pair.wait_holder("a", "nat-a", within=30.0)


def drained(lab: Lab) -> Any:
    ids = [lab.tables["private-a"]]
    (table,) = lab.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"]
    return {tag["Key"]: tag["Value"] for tag in table["Tags"]}.get("nathb:drain")
