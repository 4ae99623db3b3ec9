"""FRR, as Debian has it: a router with BGP on each NAT, and one at the far site of their tunnels.

zebra and bgpd are run by hand, each in its network namespace and with a /run of its own, so that
they and vtysh find one another where they always do. No init and no user is needed: the group that
may talk to them is root's here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.tunnels import FAR_SITE, Tunnels

DAEMONS = Path("/usr/lib/frr")
AS_ROOT = ("-u", "root", "-g", "root", "-P", "0")
GROUPS = "root:x:0:\nfrrvty:x:0:root\n"


def bgp_is_up(tunnels: Tunnels, node: str) -> list[str]:
    """The command that ends well while a NAT's BGP session stands."""
    show = f"show bgp neighbors {tunnels.far_end(node)} json"
    return ["sh", "-c", f"vtysh -c '{show}' | grep -q '\"bgpState\":\"Established\"'"]


def start_bgp(lab: Lab, tunnels: Tunnels) -> None:
    """Let each NAT learn the way to the far site by a BGP session through its tunnel."""
    if not (DAEMONS / "bgpd").exists():
        pytest.fail("FRR is missing: run tests/prepare_frr", pytrace=False)
    nats = [nat.name for nat in lab.plan.nats]
    for number, node in enumerate(nats):
        _start(lab, node, 65001 + number, {tunnels.far_end(node): 65000}, zebra=True)
    neighbours = {tunnels.near_end(node): 65001 + number for number, node in enumerate(nats)}
    _start(lab, "internet", 65000, neighbours, announce=FAR_SITE)


def _start(
    lab: Lab,
    host: str,
    number: int,
    neighbours: dict[str, int],
    *,
    announce: str = "",
    zebra: bool = False,
) -> None:
    folder = lab.directory / f"frr-{host}"
    folder.mkdir()
    (folder / "group").write_text(GROUPS)
    (folder / "zebra.conf").touch()
    lines = [f"router bgp {number}", " bgp router-id " + min(neighbours)]
    lines += [" no bgp ebgp-requires-policy", " no bgp network import-check", " timers bgp 1 3"]
    for address, other in neighbours.items():
        lines += [f" neighbor {address} remote-as {other}", f" neighbor {address} timers connect 1"]
        lines += [f" neighbor {address} advertisement-interval 0"]
    lines += [f" network {announce}"] if announce else []
    (folder / "bgpd.conf").write_text("\n".join(lines) + "\n")
    bgpd = _line("bgpd", f"{folder}/bgpd.conf", *(() if zebra else ("--no_zebra",)))
    steps = ["mkdir -p /run/frr", f"mount -n --bind {folder}/group /etc/group"]
    steps += [_line("zebra", f"{folder}/zebra.conf") + " &"] if zebra else []
    lab.start(host, ["sh", "-ec", "\n".join([*steps, f"exec {bgpd}"])])


def _line(daemon: str, file: str, *more: str) -> str:
    return " ".join([str(DAEMONS / daemon), *AS_ROOT, "-f", file, *more])
