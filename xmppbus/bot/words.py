"""From a line that somebody typed to a command and its values, or to a sentence that says how to mend it. Pure.

Commands are the same in any case, with a slash, with the configured prefix, or bare; phones write a capital at the
beginning, a full stop at the end, and quotes that are round.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from xmppbus.bot.command import Argument, Command, Kind, Unusable
from xmppbus.bot.reading import READERS
from xmppbus.people.catalogue import _

_QUOTED = re.compile(r"""(?:"([^"]*)"|'([^']*)'|[“”„]([^“”„]*)[“”]|«([^»]*)»)(?=\s|$)""")
_SHOWN = 40  # characters of a wrong word that are repeated in a sentence
_MARKS = ".,!?;:…"
_WAYS = {"digest": "digest 15m", "quiet": "quiet 22:00-07:00"}  # words of `subscribe` that look like commands


class Said(NamedTuple):
    """What somebody wants."""

    command: Command
    values: dict[str, Any]


def read(line: str, commands: Mapping[str, Command], prefix: str = "") -> Said:
    """The command of a line, with its values. Raises `Unusable`."""
    word, rest = split(without_prefix(line, prefix))
    command = find(word, commands)
    if command is None:
        raise Unusable(_("I don't know `{word}`").format(word=short(word)) + _instead(word, commands))
    return Said(command, values_of(command, rest))


def without_prefix(line: str, prefix: str) -> str:
    """The line without the slash or the prefix before its command."""
    line = line.strip()
    for each in (prefix, "/"):
        if each and line.startswith(each):
            return line[len(each) :].lstrip()
    return line


def split(line: str) -> tuple[str, str]:
    """The first word, and what follows it."""
    word, _blank, rest = line.partition(" ") if " " in line.split("\n", 1)[0] else line.partition("\n")
    return word, rest.strip()


def find(word: str, commands: Mapping[str, Command]) -> Command | None:
    """The command of that name, or with that alias."""
    for name in (word.casefold(), word.casefold().rstrip(_MARKS)):
        if name in commands:
            return commands[name]
        for command in commands.values():
            if name and name in command.aliases:
                return command
    return None


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`; did you mean ...?` where something is near, else nothing."""
    near = difflib.get_close_matches(word.casefold()[:_SHOWN], sorted(known), n=1, cutoff=0.6)
    return _("; did you mean `{word}`?").format(word=near[0]) if near else ""


def short(word: str) -> str:
    """A word that is repeated to who typed it: its beginning, on one line."""
    word = " ".join(word.split())
    return word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"


def values_of(command: Command, rest: str) -> dict[str, Any]:
    """The values of what follows the command's name. Raises `Unusable`."""
    try:
        return fill(command.arguments, rest.strip())
    except Unusable as error:
        raise Unusable(str(error) + usage(command)) from None


def usage(command: Command) -> str:
    """How the command is written, after a sentence that says what is wrong."""
    example = command.example or command.name
    return "\n" + _("For example: `{example}`; more: `help {name}`").format(example=example, name=command.name)


def value_of(argument: Argument, text: str) -> Any:
    """One value, from a field of a form; None when the field is empty. Raises `Unusable`."""
    text = text.strip()
    if not text:
        if argument.required:
            raise _missing(argument)
        return None
    if argument.kind is Kind.WORD and not argument.choices:
        return text
    value, rest = _take(argument, text, is_last=True)
    if rest:
        raise _too_much(rest)
    return value


def _instead(word: str, commands: Mapping[str, Command]) -> str:
    way = _WAYS.get(word.casefold().rstrip(_MARKS))
    if way:
        return _(": it stands behind a pattern, `subscribe disk.# {way}`.").format(way=way)
    near = did_you_mean(word.rstrip(_MARKS), commands)
    return (near or ".") + " " + _("`help` lists what I understand.")


def fill(arguments: Sequence[Argument], rest: str) -> dict[str, Any]:
    """Values for all arguments. An optional one that the next word does not fit is left out, if what follows then fits;
    of two readings that fail, the one that got further says why.
    """
    if not arguments:
        if rest:
            raise _too_much(rest)
        return {}
    first, *others = arguments
    if not rest:
        if first.required:
            raise _missing(first)
        return {first.name: None, **fill(others, rest)}
    try:
        value, left = _take(first, rest, is_last=not others)
        return {first.name: value, **fill(others, left)}
    except Unusable as error:
        if first.required or not others:
            raise
        try:
            return {first.name: None, **fill(others, rest)}
        except Unusable as other:
            raise (error if error.left <= other.left else other) from None


def _take(argument: Argument, rest: str, *, is_last: bool) -> tuple[Any, str]:
    """The value of an argument at the beginning of a text that is not empty, and what follows it."""
    if argument.kind is Kind.TEXT:
        return _unquoted(rest), ""
    if argument.kind is Kind.WAY:
        word, left = rest, ""
    elif argument.kind is Kind.KEY and is_last:
        return _unquoted(rest), ""
    else:
        word, left = _next_word(rest)
    try:
        if argument.choices:
            return _choice(argument, word), left
        return READERS[argument.kind](word), left
    except Unusable as error:
        raise Unusable(str(error), error.left if argument.kind is Kind.WAY else len(rest)) from None


def _choice(argument: Argument, word: str) -> str:
    if word.casefold() in argument.choices:
        return word.casefold()
    choice = ", ".join(f"`{each}`" for each in argument.choices)
    raise Unusable(
        _("`{word}` is none of {choice}").format(word=short(word), choice=choice)
        + (did_you_mean(word, argument.choices) or ".")
    )


def _next_word(rest: str) -> tuple[str, str]:
    quoted = _QUOTED.match(rest)
    if quoted:
        return next(each for each in quoted.groups() if each is not None), rest[quoted.end() :].strip()
    word = rest.split(maxsplit=1)
    return word[0], word[1] if len(word) > 1 else ""


def _unquoted(text: str) -> str:
    """The rest of a line; quotes around all of it are not meant."""
    quoted = _QUOTED.fullmatch(text)
    return next(each for each in quoted.groups() if each is not None) if quoted else text


def _missing(argument: Argument) -> Unusable:
    return Unusable(_("{name} is missing: {help}.").format(name=argument.name.upper(), help=_(argument.help)), 0)


def _too_much(rest: str) -> Unusable:
    return Unusable(_("What is `{word}` for?").format(word=short(rest)), len(rest))
