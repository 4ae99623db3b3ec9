"""EC2's answers where moto's differ: errors as EC2 words them, and routes as EC2 shows them."""

from __future__ import annotations

from typing import Protocol
from xml.etree import ElementTree as Xml
from xml.sax.saxutils import escape

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"
SET, ITEM = f"{{{NAMESPACE}}}routeTableSet", f"{{{NAMESPACE}}}item"
LARGEST_PAGE = 100

Xml.register_namespace("", NAMESPACE)  # so that elements are written as EC2 writes them


class Owners(Protocol):
    """Who owns which interface, and whether a route to an instance leads anywhere."""

    def owner_of(self, eni: str) -> str | None: ...
    def eni_of(self, instance_id: str) -> str | None: ...
    def leads_somewhere(self, instance_id: str | None) -> bool: ...


def error(code: str, message: str, request_id: str) -> bytes:
    """The body of an EC2 error."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        f"</Errors><RequestID>{request_id}</RequestID></Response>"
    ).encode()


def show_targets(body: bytes, owners: Owners) -> bytes:
    """A DescribeRouteTables answer whose routes show both ids of an instance, and blackholes."""
    answer = Xml.fromstring(body)
    for route in answer.iter(ITEM):
        instance, eni = _child(route, "instanceId"), _child(route, "networkInterfaceId")
        if route.find(_tag("state")) is None or (instance is None and eni is None):
            continue
        if instance is None:
            owner = owners.owner_of(eni.text or "")
            instance = _insert(route, "instanceId", owner) if owner else None
        elif eni is None and (interface := owners.eni_of(instance.text or "")):
            _insert(route, "networkInterfaceId", interface)
        if not owners.leads_somewhere(instance.text if instance is not None else None):
            route.find(_tag("state")).text = "blackhole"
    return _write(answer)


def one_page(body: bytes, parameters: dict[str, str]) -> bytes:
    """The page of a DescribeRouteTables answer that is asked for; moto sends all at once.

    The token is the number of tables that were sent before.
    """
    answer = Xml.fromstring(body)
    listed = answer.find(SET)
    if listed is None:
        return body
    start = int(parameters.get("NextToken", 0))
    end = start + int(parameters.get("MaxResults", LARGEST_PAGE))
    if end < len(listed):
        _insert(answer, "nextToken", str(end))
    listed[:] = listed[start:end]
    return _write(answer)


def tables_in(body: bytes) -> dict[str, Xml.Element]:
    """The route tables of a DescribeRouteTables answer, by id."""
    return {
        item.findtext(_tag("routeTableId"), ""): item
        for item in Xml.fromstring(body).find(SET) or ()
    }


def with_tables(body: bytes, tables: dict[str, Xml.Element]) -> bytes:
    """A DescribeRouteTables answer in which every table is as it stands in `tables`, if it does."""
    answer = Xml.fromstring(body)
    listed = answer.find(SET)
    if listed is not None:
        listed[:] = [tables.get(one.findtext(_tag("routeTableId"), ""), one) for one in listed]
    return _write(answer)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _child(item: Xml.Element, name: str) -> Xml.Element | None:
    return item.find(_tag(name))


def _insert(item: Xml.Element, name: str, text: str) -> Xml.Element:
    element = Xml.SubElement(item, _tag(name))
    element.text = text
    return element


def _write(answer: Xml.Element) -> bytes:
    return Xml.tostring(answer, encoding="utf-8", xml_declaration=True)
