"""A command as a form to fill in, and what was filled in as its values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xmppbus.bot.command import Argument, Command, Kind, Table, Unusable
from xmppbus.bot.words import value_of
from xmppbus.fields import SEVERITIES
from xmppbus.people.catalogue import _
from xmppbus.xmpp.adhoc import Field, FieldKind, Form, Mistaken, Reported

_KINDS = {Kind.TEXT: FieldKind.LINES, Kind.JID: FieldKind.JID, Kind.SEVERITY: FieldKind.CHOICE}
CONFIRM = "confirm"
NOT_GIVEN = "-"
"""What stands for nothing in a list that may be left alone. COMPAT(profanity 0.13.1): it crashes at an option whose
value is empty, and shows no options where none is chosen. The test is `test_profanity_shows_a_list_of_choices`."""


def form_of(command: Command, filled: Mapping[str, str] | None = None) -> Form:
    """The form of a command; `filled` is what somebody has filled in already."""
    given = filled or {}
    fields = tuple(_field(argument, given.get(argument.name, "")) for argument in command.arguments)
    return Form(command.name, _(command.help), fields)


def confirming_form(command: Command, text: str) -> Form:
    """Asks whether that is meant."""
    field = Field(CONFIRM, FieldKind.YES_OR_NO, _("Yes, do it"), required=True, value="0")
    return Form(command.name, text, (field,))


def is_confirmed(values: Mapping[str, str]) -> bool:
    """Whether it is (XEP-0004 §3.3: a boolean is 1 or true)."""
    return values.get(CONFIRM, "").strip() in ("1", "true")


def values_from(command: Command, filled: Mapping[str, str]) -> dict[str, Any]:
    """The values of a form that was sent. Raises `Mistaken` for another form, and `Unusable` for a wrong value."""
    for argument in command.arguments:
        if argument.required and not _filled(filled, argument).strip():
            raise Mistaken("bad-request", "bad-payload", _("{name} is missing").format(name=argument.name))
    found = {}
    for argument in command.arguments:
        try:
            found[argument.name] = value_of(argument, _filled(filled, argument))
        except Unusable as error:
            raise Unusable(f"{argument.name}: {error}") from None
    return found


def _filled(values: Mapping[str, str], argument: Argument) -> str:
    """The text of a field; empty when nothing was chosen or written."""
    text = values.get(argument.name, "")
    return "" if text == NOT_GIVEN and _choice(argument) else text


def reported(command: Command, table: Table) -> Reported:
    """A table for a form."""
    columns = tuple((f"column{number}", name) for number, name in enumerate(table.columns, start=1))
    return Reported(command.name, columns, table.rows)


def _choice(argument: Argument) -> tuple[str, ...]:
    """What there is to choose from; nothing where anything may be written."""
    return tuple(argument.choices) or (tuple(SEVERITIES) if argument.kind is Kind.SEVERITY else ())


def _field(argument: Argument, value: str) -> Field:
    choice = tuple((each, each) for each in _choice(argument))
    if choice and not argument.required:
        choice, value = ((NOT_GIVEN, "—"), *choice), value or NOT_GIVEN
    kind = FieldKind.CHOICE if choice else _KINDS.get(argument.kind, FieldKind.TEXT)
    return Field(argument.name, kind, _(argument.help), argument.required, value, choice)
