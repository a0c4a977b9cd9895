"""What is wanted of a form's fields, against what the form says that it takes; and what became of it. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from xmppbus.errors import Code, Refused
from xmppbus.people.addresses import bare_jid
from xmppbus.render import plain
from xmppbus.xmpp.services.forms import BOOLEANS, SHORT, Field, Form

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_INTEGERS = (
    "xs:integer",
    "xs:int",
    "xs:long",
    "xs:short",
    "xs:byte",
    "xs:nonNegativeInteger",
    "xs:positiveInteger",
    "pubsub:integer-or-max",
)
_SHOWN_OPTIONS = 12


class Ignored(NamedTuple):
    """A field that has not the value that the service said yes to."""

    var: str
    wanted: tuple[str, ...]
    found: tuple[str, ...] | None  # None: the form has no such field


def field_named(form: Form, name: str) -> Field:
    """A field by its name, or its name without `pubsub#` or whatever stands before a `#`. Raises `Refused`."""
    known = form.settable
    if found := known.get(name) or known.get(SHORT + name):
        return found
    near = [each for each in known.values() if each.var.rpartition("#")[2] == name]
    if len(near) == 1:
        return near[0]
    raise Refused(Code.INVALID, f"the form has no field {plain(name)!r}{_did_you_mean(name, known)}")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    short = {var.removeprefix(SHORT): var for var in known}
    near = difflib.get_close_matches(name.removeprefix(SHORT), short, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {plain(near[0])}?"
    return "; `config get` shows those it has"


def checked(form: Form, wanted: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """What is wanted, by the fields' full names, as the service spells it. Raises `Refused` for what it can't take."""
    found: dict[str, tuple[str, ...]] = {}
    for name, values in wanted.items():
        field = field_named(form, name)
        if field.var in found:
            raise Refused(Code.INVALID, f"{plain(field.var)} is given twice")
        unchanged = tuple(values) == field.values
        found[field.var] = field.values if unchanged else check(field, values)
    return found


def check(field: Field, values: Sequence[str]) -> tuple[str, ...]:
    """The values as the service spells them. Raises `Refused`."""
    name = plain(field.var)
    if len(values) > 1 and not field.is_many:
        raise Refused(Code.INVALID, f"{name} takes one value, not {len(values)}")
    if not values and field.required:
        raise Refused(Code.INVALID, f"{name} is required, it can't be empty")
    return tuple(_one(field, name, each) for each in values)


def _one(field: Field, name: str, value: str) -> str:
    if _FORBIDDEN.search(value):
        raise Refused(Code.INVALID, f"{name}: it has a character that XML forbids")
    if field.type == "boolean":
        return _boolean(field, name, value)
    if field.type in ("jid-single", "jid-multi"):
        _check_jid(name, value)
    if field.type in ("list-single", "list-multi") and field.options and not field.is_open:
        _check_option(field, name, value)
    if "\n" in value and field.type in ("", "text-single", "text-private", "list-single"):
        raise Refused(Code.INVALID, f"{name} takes one line")
    if field.datatype in _INTEGERS and field.type not in ("list-single", "list-multi"):
        _check_number(field, name, value)
    return value


def _boolean(field: Field, name: str, value: str) -> str:
    """Spelled as the form spells its own."""
    lower = value.strip().lower()
    if lower not in (*_TRUE, *_FALSE):
        raise Refused(Code.INVALID, f"{name} is true or false, not {plain(value)!r}")
    words = field.values[:1] in (("true",), ("false",))
    if lower in _TRUE:
        return "true" if words else "1"
    return "false" if words else "0"


def _check_jid(name: str, value: str) -> None:
    try:
        bare_jid(value)
    except ValueError as error:
        raise Refused(Code.INVALID, f"{name}: {error}") from None


def _check_option(field: Field, name: str, value: str) -> None:
    options = [each.value for each in field.options]
    if value in options:
        return
    near = difflib.get_close_matches(value, options, n=1, cutoff=0.6)
    if near:
        raise Refused(Code.INVALID, f"{name} does not take {plain(value)!r}; did you mean {plain(near[0])}?")
    shown = ", ".join(plain(each) for each in options[:_SHOWN_OPTIONS]) + ("..." if options[_SHOWN_OPTIONS:] else "")
    raise Refused(Code.INVALID, f"{name} does not take {plain(value)!r}; it is one of: {shown}")


def _check_number(field: Field, name: str, value: str) -> None:
    if value == "max":  # XEP-0060 §16.4.4, whatever the form says of its type
        return
    if not _INTEGER.fullmatch(value.strip()):
        raise Refused(Code.INVALID, f"{name} is a whole number, not {plain(value)!r}")
    if _INTEGER.fullmatch(field.least) and int(value) < int(field.least):
        raise Refused(Code.INVALID, f"{name} is at least {field.least} here, not {plain(value)}")
    if _INTEGER.fullmatch(field.most) and int(value) > int(field.most):
        raise Refused(Code.INVALID, f"{name} is at most {field.most} here, not {plain(value)}")


def ignored(wanted: Mapping[str, Sequence[str]], after: Form) -> list[Ignored]:
    """What a service answered yes to, and did not do: what was wanted, compared with the form that was read back."""
    now = {each.var: each for each in after.fields}
    found = []
    for name, values in wanted.items():
        field = now.get(name)
        if field is None:
            found.append(Ignored(name, tuple(values), None))
        elif not same(field, values):
            found.append(Ignored(name, tuple(values), field.values))
    return found


def same(field: Field, values: Sequence[str]) -> bool:
    """Whether a field has these values, however it spells or orders them."""
    if field.type == "boolean":
        return [BOOLEANS.get(each) for each in field.values] == [BOOLEANS.get(each) for each in values]
    if field.type in ("list-multi", "jid-multi"):
        return sorted(field.values) == sorted(values)
    # Nothing and an empty text are one: services write an empty field in both ways.
    return tuple(each for each in field.values if each) == tuple(each for each in values if each)
