"""Data forms (XEP-0004, XEP-0122, XEP-0128, XEP-0221): read whole, changed in part, sent back as they were. Pure.

What is not known here stays as it is: a field of any type keeps its values in their order, and goes back with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.xmpp.requests import DATA
from xmppbus.xmpp.services.asking import exact
from xmppbus.xmpp.stanzas import element_text

VALIDATE = "http://jabber.org/protocol/xdata-validate"
MEDIA = "urn:xmpp:media-element"
FORM_TYPE = "FORM_TYPE"
SHORT = "pubsub#"
"""May be left out before a field's name."""

BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
MANY = frozenset({"list-multi", "jid-multi", "text-multi", "hidden"})
"""Types of fields that may have several values (XEP-0004 §3.3); of `hidden` nothing is said."""


class Option(NamedTuple):
    """One of those that a list offers."""

    value: str
    label: str


class Field(NamedTuple):
    """A field as it came. `type` is empty where none is given: then it is text-single in a form (XEP-0004 §3.2)."""

    var: str
    type: str = ""
    label: str = ""
    values: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    required: bool = False
    description: str = ""
    datatype: str = ""  # XEP-0122: xs:integer...
    least: str = ""
    most: str = ""
    is_open: bool = False  # other values than the options are taken
    media: tuple[str, ...] = ()  # addresses of pictures or sounds (XEP-0221)

    @property
    def is_many(self) -> bool:
        """Whether it may have several values."""
        return self.type in MANY


class Form(NamedTuple):
    """A form, or the result of one. `items` are the rows of a table (XEP-0004 §3.4)."""

    kind: str  # form, result, submit or cancel
    title: str
    instructions: tuple[str, ...]
    fields: tuple[Field, ...]
    items: tuple[tuple[Field, ...], ...] = ()

    @property
    def form_type(self) -> str:
        """What it is about (XEP-0068)."""
        return next((each.values[0] for each in self.fields if each.var == FORM_TYPE and each.values), "")

    @property
    def settable(self) -> dict[str, Field]:
        """The fields that can have another value, by name."""
        return {each.var: each for each in self.fields if each.var and each.type != "fixed" and each.var != FORM_TYPE}


# --- in -------------------------------------------------------------------------------------------------------------


def forms_in(answer: Element) -> list[Form]:
    """The forms in an answer, in order. Raises `Refused` (payload-too-big) for one beyond the bounds."""
    return [read(each) for each in answer.iter(f"{{{DATA}}}x")]


def form_in(answer: Element) -> Form:
    """The only form in an answer, or the first. Raises `Refused` where there is none."""
    found = next(answer.iter(f"{{{DATA}}}x"), None)
    if found is None:
        raise Refused(Code.INVALID, "the service answered without a form (XEP-0004); it can't be configured like this")
    return read(found)


def read(element: Element) -> Form:
    """A form as an element. Raises `Refused` (payload-too-big) beyond the bounds, for a part of it is not the form."""
    values = sum(1 for _ in element.iter(f"{{{DATA}}}value"))
    if values > limits.FORM_VALUES or len(element) > limits.FORM_VALUES:
        raise Refused(Code.TOO_BIG, f"the form has more than {limits.FORM_VALUES} fields or values")
    return Form(
        element.get("type", ""),
        element.findtext(f"{{{DATA}}}title") or "",
        tuple(each.text or "" for each in element.findall(f"{{{DATA}}}instructions")),
        _fields(element),
        tuple(_fields(each) for each in element.findall(f"{{{DATA}}}item")),
    )


def _fields(element: Element) -> tuple[Field, ...]:
    return tuple(_field(each) for each in element.findall(f"{{{DATA}}}field"))


def _field(element: Element) -> Field:
    checked = element.find(f"{{{VALIDATE}}}validate")
    bounds = checked.find(f"{{{VALIDATE}}}range") if checked is not None else None
    return Field(
        var=element.get("var", ""),
        type=element.get("type", ""),
        label=element.get("label", ""),
        values=tuple(each.text or "" for each in element.findall(f"{{{DATA}}}value")),
        options=tuple(
            Option(each.findtext(f"{{{DATA}}}value") or "", each.get("label", ""))
            for each in element.findall(f"{{{DATA}}}option")
        ),
        required=element.find(f"{{{DATA}}}required") is not None,
        description=element.findtext(f"{{{DATA}}}desc") or "",
        datatype=checked.get("datatype", "") if checked is not None else "",
        least=bounds.get("min", "") if bounds is not None else "",
        most=bounds.get("max", "") if bounds is not None else "",
        is_open=checked is not None and checked.find(f"{{{VALIDATE}}}open") is not None,
        media=tuple((each.text or "").strip() for each in element.iter(f"{{{MEDIA}}}uri")),
    )


# --- out ------------------------------------------------------------------------------------------------------------


def submission(form: Form, changes: Mapping[str, Sequence[str]]) -> str:
    """The whole form, with other values for some fields (XEP-0004 §3.3): all its fields, in order, known here or not.

    Fields of `changes` that the form does not have go last. Raises `Refused` for a form that names a field twice.
    """
    names = [each.var for each in form.fields if each.var]
    if len(names) != len(set(names)):
        raise Refused(Code.INVALID, "the service's form names a field twice; it can't be sent back as it was")
    sent = {each.var: each.values for each in form.fields if each.var and each.type != "fixed"}
    return submitted({**sent, **{name: tuple(values) for name, values in changes.items()}})


def submitted(values: Mapping[str, Sequence[str]]) -> str:
    """Names and values as a form that is sent."""
    inner = "".join(
        f"<field var='{exact(name)}'>{''.join(f'<value>{_escaped(each)}</value>' for each in some)}</field>"
        for name, some in values.items()
    )
    return f"<x xmlns='{DATA}' type='submit'>{inner}</x>"


def _escaped(text: str) -> str:
    """For element content; a bare CR would be read as a newline (XML 1.0 §2.11)."""
    return element_text(text).replace("\r", "&#13;")


# --- as JSON --------------------------------------------------------------------------------------------------------


def form_json(form: Form) -> dict[str, Any]:
    """For programs, and for `read_json` to take back."""
    shown: dict[str, Any] = {"form_type": form.form_type, "title": form.title}
    shown["instructions"] = list(form.instructions)
    shown["fields"] = [_field_json(each) for each in form.fields if each.var != FORM_TYPE]
    if form.items:
        shown["items"] = [[_field_json(each) for each in row] for row in form.items]
    return {name: value for name, value in shown.items() if value or name == "fields"}


def _field_json(field: Field) -> dict[str, Any]:
    shown: dict[str, Any] = {"var": field.var, "type": field.type, "label": field.label, "values": list(field.values)}
    shown["options"] = [each._asdict() for each in field.options]
    shown |= {"required": field.required, "description": field.description, "datatype": field.datatype}
    shown |= {"least": field.least, "most": field.most, "open": field.is_open, "media": list(field.media)}
    return {name: value for name, value in shown.items() if value or name in ("var", "values")}


def read_json(content: Any) -> dict[str, tuple[str, ...]]:
    """Names and values: of what `form_json` made, or of a plain object such as `{"max_items": 64}`.

    Raises `Refused` with a sentence.
    """
    if isinstance(content, dict) and isinstance(content.get("fields"), list):
        found: dict[str, tuple[str, ...]] = {}
        for each in content["fields"]:
            if not isinstance(each, dict) or not isinstance(each.get("var", ""), str):
                raise Refused(Code.INVALID, "each of `fields` is an object with `var` and `values`")
            if each.get("var") and each.get("type") != "fixed":
                if each["var"] in found:
                    raise Refused(Code.INVALID, f"`fields` names {each['var']} twice")
                found[each["var"]] = _values(each["var"], each.get("values", []))
        return found
    if isinstance(content, dict):
        return {name: _values(name, value) for name, value in content.items()}
    raise Refused(Code.INVALID, "it is no JSON object; `config get --json` shows one that is taken back")


def _values(name: str, value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    found = []
    for each in given:
        if isinstance(each, bool):
            found.append("true" if each else "false")
        elif isinstance(each, (str, int)):
            found.append(str(each))
        else:
            raise Refused(Code.INVALID, f"{name}: a value is a text, a whole number, true or false")
    return tuple(found)
