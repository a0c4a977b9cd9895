"""The texts that people read, in English here and in other languages where somebody has translated the catalogue.

A text is written `_("...")`, so that `python -m tests.reference` finds it and puts it into `locale/xmppbus.pot`; a
translation is `locale/LANGUAGE/LC_MESSAGES/xmppbus.mo`. Which one is used is a matter of who is being answered: the
conversation says so once (`speaking`), and all that is made for the answer follows. What nobody has asked for is said
in the bot's own language (`bot.language`), which the house speaks from the beginning.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

DOMAIN = "xmppbus"
LOCALE = Path(__file__).parent / "locale"

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_ENGLISH = gettext.NullTranslations()
_language: ContextVar[gettext.NullTranslations] = ContextVar("language", default=_ENGLISH)


def _(text: str) -> str:
    """The text in the language of whoever is being answered."""
    return _language.get().gettext(text)


def several(one: str, many: str, number: int) -> str:
    """The one or the other form, as the language wants it for that number."""
    return _language.get().ngettext(one, many, number)


def mark(text: str) -> str:
    """A text that is looked up later, when it is said: the help of a command, which is declared before anybody asks."""
    return text


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Say what follows in a language (RFC 5646, as `xml:lang` gives it); where there is no such translation, in the one
    that was spoken before. So it is with English: servers stamp it on what a client says without naming a language."""
    token = _language.set(_translations(language.lower(), str(LOCALE)) or _language.get())
    try:
        yield
    finally:
        _language.reset(token)


@lru_cache(maxsize=64)
def _translations(language: str, locale: str) -> gettext.NullTranslations | None:
    # Only what looks like a language: it is put into a file's name.
    if not _TAG.fullmatch(language):
        return None
    first, *more = re.split("[-_]", language)
    names = ["_".join([first, *(each.upper() if len(each) == 2 else each for each in more)]), first]
    found = gettext.find(DOMAIN, locale, names)
    return gettext.translation(DOMAIN, locale, names) if found else None
