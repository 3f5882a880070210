"""Open311's two formats from one shape: XML as the standard draws it, JSON by its Spark rule.

A list is named by its container and its member (`service_requests` of `request`); in JSON both
names go and an array stays. None is an empty element, or null.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from litestar import Response

if TYPE_CHECKING:  # loaded with the first answer in XML
    from xml.etree.ElementTree import Element

FORMATS = {"xml": "text/xml", "json": "application/json; charset=utf-8"}
"""Litestar names the character set of text itself."""
DEFAULT = "xml"  # the one that every client of the standard reads
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Listing(NamedTuple):
    """An array: in XML `<container><member>…</member></container>`."""

    container: str
    member: str
    items: Sequence[Any]


class Thing(NamedTuple):
    """A single object: in XML `<name>…</name>`."""

    name: str
    fields: Mapping[str, Any]


def answer(body: Listing | Thing, *, as_format: str, status: int = 200) -> Response[bytes]:
    """The body in the format that was asked for."""
    content = _xml(body) if as_format == "xml" else msgspec.json.encode(_plain(body))
    return Response(content, status_code=status, media_type=FORMATS[as_format])


def errors(problems: Sequence[tuple[int, str]], *, as_format: str) -> Response[bytes]:
    """What was wrong, one entry for each; the first one's code is the HTTP status."""
    items = [{"code": code, "description": text} for code, text in problems]
    listing = Listing("errors", "error", items)
    return answer(listing, as_format=as_format, status=problems[0][0])


def _plain(value: Any) -> Any:
    if isinstance(value, Listing):
        return [_plain(item) for item in value.items]
    if isinstance(value, Thing):
        return _plain(value.fields)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _xml(body: Listing | Thing) -> bytes:
    from xml.etree import ElementTree as ET  # we only write; nothing foreign is parsed

    name = body.container if isinstance(body, Listing) else body.name
    root = ET.Element(name)
    _fill(root, body)
    written: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + written


def _fill(element: "Element", value: Any) -> None:
    from xml.etree.ElementTree import SubElement

    if isinstance(value, Listing):
        for item in value.items:
            _fill(SubElement(element, value.member), item)
    elif isinstance(value, Thing):
        _fill(element, value.fields)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _fill(SubElement(element, name), item)
    elif value is not None:
        element.text = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _NOT_IN_XML.sub("", str(value))
