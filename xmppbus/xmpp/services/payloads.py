"""What is on a node, made readable: an event of ours, an Atom entry, or XML as text. Pure."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.render import plain
from xmppbus.xmpp.stanzas import ATOM, attribute, element_text, event_of

_XML = "http://www.w3.org/XML/1998/namespace"


class Entry(NamedTuple):
    """What people read of an Atom entry (RFC 4287)."""

    title: str
    updated: str
    author: str


def event_in(payload: Element | None) -> Event | None:
    """The event that a payload carries, if it is one of ours."""
    if payload is None:
        return None
    wrapped = Element("item")
    wrapped.append(payload)
    try:
        return event_of(wrapped).event
    except (Refused, ValueError, TypeError):
        return None  # somebody else's


def entry_in(payload: Element | None) -> Entry | None:
    """Title, date and author of an Atom entry."""
    if payload is None or payload.tag != f"{{{ATOM}}}entry":
        return None

    def text(path: str) -> str:
        return " ".join(plain(payload.findtext(path) or "").split())[: limits.SUMMARY_CHARACTERS]

    title = text(f"{{{ATOM}}}title") or text(f"{{{ATOM}}}summary")
    return Entry(title, text(f"{{{ATOM}}}updated"), text(f"{{{ATOM}}}author/{{{ATOM}}}name"))


def is_deep(element: Element) -> bool:
    """Whether it is nested deeper than anything that is meant to be read; found without recursion."""
    level = deque([element])
    for _ in range(limits.DATA_DEPTH):
        below = deque(child for each in level for child in each)
        if not below:
            return False
        level = below
    return True


def xml_text(element: Element | None, *, indented: bool = False) -> str:
    """An element as XML, with default namespaces instead of prefixes; empty for none, and for what is nested too deep.

    Indented only where that changes no text: an element with words in it keeps its lines.
    """
    if element is None or is_deep(element):
        return ""
    return _written(element, "", "" if indented else None)


def _written(element: Element, around: str, indent: str | None) -> str:
    space, _, name = element.tag.rpartition("}") if "}" in element.tag else ("", "", element.tag)
    space = space.removeprefix("{")
    parts = [f"<{name}"]
    if space != around:
        parts.append(f' xmlns="{attribute(space)}"')
    prefixes: dict[str, str] = {}
    for key, value in element.attrib.items():
        parts.append(f' {_attribute_name(key, prefixes)}="{_attribute_value(value)}"')
    parts += [f' xmlns:{prefix}="{attribute(uri)}"' for uri, prefix in prefixes.items()]
    children = list(element)
    text = element.text or ""
    if not children and not text:
        return "".join(parts) + "/>"
    parts.append(">")
    has_words = bool(text.strip()) or any((each.tail or "").strip() for each in children)
    deeper = None if indent is None or has_words or not children else indent + "  "
    parts.append("" if deeper is not None else _text(text))
    for child in children:
        parts.append(f"\n{deeper}" if deeper is not None else "")
        parts.append(_written(child, space, deeper))
        parts.append("" if deeper is not None else _text(child.tail or ""))
    parts.append(f"\n{indent}" if deeper is not None else "")
    return "".join(parts) + f"</{name}>"


def _attribute_name(key: str, prefixes: dict[str, str]) -> str:
    if "}" not in key:
        return key
    space, _, name = key[1:].partition("}")
    if space == _XML:
        return f"xml:{name}"
    return f"{prefixes.setdefault(space, f'ns{len(prefixes)}')}:{name}"


def _attribute_value(value: str) -> str:
    return attribute(value).replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def _text(text: str) -> str:
    return element_text(text).replace("\r", "&#13;")
