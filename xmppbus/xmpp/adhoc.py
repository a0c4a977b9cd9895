"""Ad-hoc commands (XEP-0050) with data forms (XEP-0004) as XML, in and out. Pure; what a command does is elsewhere.

One step: a form, and its answer; a second form only asks whether that is meant. A request is read from an element, and
every answer is the inner XML of an IQ; texts of any kind are escaped and cleaned here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.messages import LANGUAGE, body_text, quoted
from xmppbus.xmpp.requests import DATA, DISCO_INFO, DISCO_ITEMS
from xmppbus.xmpp.stanzas import element_text

COMMANDS = "http://jabber.org/protocol/commands"
FEATURES = (COMMANDS, DATA)
"""What disco says of us for what is here."""

_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


class Doing(enum.StrEnum):
    """What a request wants of a command (XEP-0050 §3.4)."""

    EXECUTE = "execute"
    CANCEL = "cancel"
    PREV = "prev"
    NEXT = "next"
    COMPLETE = "complete"


class FieldKind(enum.StrEnum):
    """How a field is filled in (XEP-0004 §3.3)."""

    TEXT = "text-single"
    LINES = "text-multi"
    CHOICE = "list-single"
    JID = "jid-single"
    YES_OR_NO = "boolean"
    FIXED = "fixed"


class Field(NamedTuple):
    """A field of a form. `choice` is pairs of value and label, for a list."""

    name: str
    kind: FieldKind
    label: str
    required: bool = False
    value: str = ""
    choice: tuple[tuple[str, str], ...] = ()


class Form(NamedTuple):
    """A form to fill in."""

    title: str
    instructions: str
    fields: tuple[Field, ...]


class Reported(NamedTuple):
    """A table (XEP-0004 §3.4). Columns are pairs of name and label."""

    title: str
    columns: tuple[tuple[str, str], ...]
    rows: Sequence[Sequence[str]]


class Note(NamedTuple):
    """A sentence beside or instead of a form; `severity` is info, warn or error (§4.3)."""

    text: str
    severity: str = "info"


class Request(NamedTuple):
    """A request that was sent to a command. `values` is None where no form came with it."""

    node: str
    doing: Doing
    session: str = ""
    values: Mapping[str, str] | None = None
    language: str = ""


class Mistaken(Exception):
    """A request that gets an error: a condition (RFC 6120 §8.3.3), and the command's own (XEP-0050 §4.4)."""

    def __init__(self, condition: str, specific: str = "", text: str = "") -> None:
        super().__init__(specific or condition)
        self.condition = condition
        self.specific = specific
        self.text = text


_KINDS = {"bad-request": "modify", "forbidden": "auth", "not-allowed": "cancel", "item-not-found": "cancel",
          "policy-violation": "wait", "internal-server-error": "cancel"}  # fmt: skip


# --- in -------------------------------------------------------------------------------------------------------------


def asked_of(iq: Element) -> str:
    """What an IQ asks of commands: `items`, `info` or `execute`; empty when it is about something else."""
    child = next(iter(iq), None)
    if child is None:
        return ""
    if child.tag == f"{{{COMMANDS}}}command":
        return "execute" if iq.get("type") == "set" else ""
    if iq.get("type") != "get" or not child.get("node"):
        return ""
    if child.tag == f"{{{DISCO_ITEMS}}}query":
        return "items"
    return "info" if child.tag == f"{{{DISCO_INFO}}}query" else ""


def node_of(iq: Element) -> str:
    """The node that a disco request is about."""
    child = next(iter(iq), None)
    return "" if child is None else child.get("node", "")


def read(iq: Element) -> Request:
    """A request to execute a command. Raises `Mistaken`."""
    command = iq[0]
    try:
        doing = Doing(command.get("action", "execute"))
    except ValueError:
        raise Mistaken("bad-request", "malformed-action") from None
    form = command.find(f"{{{DATA}}}x")
    if form is not None and form.get("type") not in ("submit", "cancel"):
        raise Mistaken("bad-request", "bad-payload", "the form should be of type submit")
    if form is not None and form.get("type") == "cancel":
        form, doing = None, Doing.CANCEL
    language = command.get(LANGUAGE) or iq.get(LANGUAGE) or ""
    session = command.get("sessionid", "")
    return Request(command.get("node", ""), doing, session, None if form is None else _values(form), language)


def _values(form: Element) -> dict[str, str]:
    """The fields by name; the values of one that has several are its lines."""
    found: dict[str, str] = {}
    left = limits.HEARD_CHARACTERS
    for field in form.findall(f"{{{DATA}}}field"):
        text = "\n".join(value.text or "" for value in field.findall(f"{{{DATA}}}value"))
        left -= len(text)
        if left < 0 or len(found) >= limits.FORM_FIELDS:
            raise Mistaken("bad-request", "bad-payload", "the form is too long")
        if field.get("var"):
            found[field.get("var", "")] = text
    return found


# --- out ------------------------------------------------------------------------------------------------------------


def items(own: str, commands: Iterable[tuple[str, str]]) -> str:
    """The list of commands (§2.2), as pairs of node and name."""
    inner = "".join(
        f"<item jid='{quoted(own)}' node='{quoted(node)}' name='{_line(name)}'/>" for node, name in commands
    )
    return f"<query xmlns='{DISCO_ITEMS}' node='{COMMANDS}'>{inner}</query>"


def info(node: str, name: str) -> str:
    """What a command is (§2.3), or, for the node of all of them, their list."""
    kind = "command-list" if node == COMMANDS else "command-node"
    features = "".join(f"<feature var='{each}'/>" for each in FEATURES)
    identity = f"<identity category='automation' type='{kind}' name='{_line(name)}'/>"
    return f"<query xmlns='{DISCO_INFO}' node='{quoted(node)}'>{identity}{features}</query>"


def executing(node: str, session: str, form: Form, note: Note | None = None) -> str:
    """A form that waits to be filled in; sending it is the last step."""
    inner = f"<actions execute='complete'><complete/></actions>{_form(form)}{_note(note)}"
    return _command(node, session, "executing", inner)


def completed(node: str, session: str, *, text: str = "", failed: bool = False, table: Reported | None = None) -> str:
    """What came of it: a sentence as a note, several lines as a form that is only read, rows as a table.

    COMPAT(profanity 0.13.1): it takes a note for a format of printf, and an event's `%n` ends it; so with a `%` it is a
    form. The test is `test_profanity_survives_a_sentence_that_looks_like_a_format`.
    """
    is_note = text and "%" not in text and (failed or "\n" not in text)
    note = Note(text, "error" if failed else "info") if is_note else None
    lines = "" if note else text
    result = _result(lines, table) if lines or table else ""
    return _command(node, session, "completed", result + _note(note))


def cancelled(node: str, session: str) -> str:
    """Nothing was done."""
    return _command(node, session, "canceled", "")


def error(mistaken: Mistaken) -> str:
    """The `<error/>` of an answer."""
    specific = f"<{mistaken.specific} xmlns='{COMMANDS}'/>" if mistaken.specific else ""
    text = f"<text xmlns='{_STANZAS}'>{element_text(body_text(mistaken.text))}</text>" if mistaken.text else ""
    kind = _KINDS.get(mistaken.condition, "cancel")
    return f"<error type='{kind}'><{mistaken.condition} xmlns='{_STANZAS}'/>{text}{specific}</error>"


def reply(iq: Element, inner: str, *, failed: bool = False, sender: str = "") -> bytes:
    """The whole IQ, to whom has asked, in the name of `sender`, or of the JID that was asked."""
    own, asker = sender or iq.get("to", ""), iq.get("from", "")
    addresses = (f" from='{quoted(own)}'" if own else "") + (f" to='{quoted(asker)}'" if asker else "")
    kind = "error" if failed else "result"
    return f"<iq type='{kind}' id='{quoted(iq.get('id', ''))}'{addresses}>{inner}</iq>".encode()


def _command(node: str, session: str, status: str, inner: str) -> str:
    return (
        f"<command xmlns='{COMMANDS}' node='{quoted(node)}' sessionid='{quoted(session)}' status='{status}'>"
        f"{inner}</command>"
    )


def _note(note: Note | None) -> str:
    return f"<note type='{note.severity}'>{element_text(body_text(note.text))}</note>" if note and note.text else ""


def _form(form: Form) -> str:
    fields = "".join(_field(each) for each in form.fields)
    return f"<x xmlns='{DATA}' type='form'>{_title(form.title)}{_said('instructions', form.instructions)}{fields}</x>"


def _field(field: Field) -> str:
    lines = field.value.split("\n") if field.kind is FieldKind.LINES else [field.value]
    values = "".join(_said("value", line) for line in lines) if field.value else ""
    options = "".join(
        f"<option label='{_line(label)}'><value>{element_text(body_text(value))}</value></option>"
        for value, label in field.choice
    )
    required = "<required/>" if field.required else ""
    name = f" var='{quoted(field.name)}'" if field.name else ""
    label = f" label='{_line(field.label)}'" if field.label else ""
    return f"<field{name} type='{field.kind}'{label}>{required}{values}{options}</field>"


def _result(lines: str, table: Reported | None) -> str:
    inner = _title(table.title) if table else ""
    if lines:
        # Not beside a table in one form: clients show either its fields or its rows.
        if table:
            inner += "".join(_said("instructions", line) for line in lines.split("\n"))
        else:
            values = "".join(f"<value>{element_text(body_text(line))}</value>" for line in lines.split("\n"))
            inner += f"<field var='answer' type='text-multi'>{values}</field>"
    if table:
        columns = "".join(
            f"<field var='{quoted(name)}' label='{_line(label)}' type='text-single'/>" for name, label in table.columns
        )
        inner += f"<reported>{columns}</reported>" + "".join(_item(table, row) for row in table.rows)
    return f"<x xmlns='{DATA}' type='result'>{inner}</x>"


def _item(table: Reported, row: Sequence[str]) -> str:
    cells = "".join(
        f"<field var='{quoted(name)}'><value>{element_text(body_text(cell))}</value></field>"
        for (name, _label), cell in zip(table.columns, row, strict=True)
    )
    return f"<item>{cells}</item>"


def _title(text: str) -> str:
    return _said("title", text)


def _said(element: str, text: str) -> str:
    return f"<{element}>{element_text(body_text(text))}</{element}>" if text else ""


def _line(text: str) -> str:
    return quoted(" ".join(body_text(text).split()))
