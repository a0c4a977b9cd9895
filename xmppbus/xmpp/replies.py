"""What an IQ came to: its result, a stanza error read from the raw XML, or no answer at all."""

from __future__ import annotations

import enum
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus.errors import BusError, Condition, condition

STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"


class Unanswered(enum.Enum):
    """Why an IQ has no answer; what it asked for may have been done all the same."""

    DISCONNECTED = "not-connected"
    TIMEOUT = "timeout"


class ErrorReply(NamedTuple):
    """A stanza error (RFC 6120 §8.3): the defined condition, the application's own beside it, and its text."""

    name: str
    specific: str
    text: str
    feature: str = ""  # which one is not supported (XEP-0060 §6.1.3 and others)

    @property
    def condition(self) -> Condition:
        """The house's reading of it."""
        return condition(self.name, self.specific)

    def __str__(self) -> str:
        words = self.specific or self.name
        return f"{words}: {self.text}" if self.text else words


class NoAnswer(BusError):
    """An IQ was not answered: the connection was lost, or its time was up."""

    def __init__(self, why: Unanswered) -> None:
        super().__init__(why.value)
        self.why = why


class ErrorAnswer(BusError):
    """An IQ was answered with an error."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def local_name(element: Element) -> str:
    """The tag without its namespace."""
    tag: str = element.tag
    return tag.rpartition("}")[2]


def error_of(stanza: Element) -> ErrorReply:
    """The error of a stanza with `type="error"`, whatever the namespace of its stream."""
    error = next((child for child in stanza if local_name(child) == "error"), None)
    return ErrorReply("undefined-condition", "", "") if error is None else _conditions(error, STANZAS)


def stream_error_of(error: Element) -> ErrorReply:
    """A stream error (RFC 6120 §4.9)."""
    return _conditions(error, STREAMS)


def _conditions(error: Element, namespace: str) -> ErrorReply:
    name, specific, text, feature = "undefined-condition", "", "", ""
    for child in error:
        if child.tag == f"{{{namespace}}}text":
            text = (child.text or "").strip()
        elif child.tag.startswith(f"{{{namespace}}}"):
            name = local_name(child)
        else:
            specific, feature = local_name(child), child.get("feature", "")
    return ErrorReply(name, specific, text, feature)
