"""A process of few rights that checks the addresses given and prints as JSON what it heard."""

from __future__ import annotations

import json
import sys

from nathb.core.errors import BlindError
from nathb.net.icmp import IcmpWire
from tests.net.loopback import listen


def main(addresses: list[str]) -> None:
    asked: dict[int, str] = {}
    blind: list[str] = []
    with IcmpWire() as wire:
        for address in addresses:
            try:
                asked[wire.send(address)] = address
            except BlindError as error:
                blind.append(str(error))
        heard = listen(wire, lambda tickets: len(tickets) == len(asked))
        report = {"heard": [asked[ticket] for ticket in heard], "blind": blind}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
