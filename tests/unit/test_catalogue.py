"""What people read can be translated: looked up by who is being answered, in the language of their client."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.reference import catalogue_page
from tests.support.bot_desk import MEMBER, scene
from tests.support.translation import translate
from xmppbus.people import catalogue
from xmppbus.people.catalogue import _, several, speaking

GERMAN = {
    "No incident is open.": "Nichts ist offen.",
    "I know no incident `{key}`": "Ich kenne kein Ereignis `{key}`",
    "Take it back": "Nimm es zurück",
}
PAGES = {("… {count} more line: `more`", "… {count} more lines: `more`"): "… noch eine Zeile\n… noch {count} Zeilen"}


@pytest.fixture(autouse=True)
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A translation into German is there."""
    monkeypatch.setattr(catalogue, "LOCALE", tmp_path / "locale")
    translate(catalogue.LOCALE, "de", GERMAN, PAGES)


async def test_who_writes_in_a_language_is_answered_in_it(tmp_path: Path) -> None:
    """What is not translated is said in English, in the same answer."""
    async with scene(tmp_path) as bot:
        with speaking("de"):
            assert await bot.says(MEMBER, "incidents") == "Nichts ist offen."
            answer = await bot.says(MEMBER, "ack db1")
        assert answer.startswith("Ich kenne kein Ereignis `db1`")
        assert "`incidents` lists those that are open." in answer
        assert await bot.says(MEMBER, "incidents") == "No incident is open."


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("de", "Nichts ist offen."),
        ("DE-AT", "Nichts ist offen."),
        ("fr", "No incident is open."),
        ("", "No incident is open."),
    ],
)
def test_a_region_falls_back_to_its_language_and_that_to_english(tag: str, said: str) -> None:
    """RFC 4647 §3.4."""
    with speaking(tag):
        assert _("No incident is open.") == said


def test_the_bots_own_language_is_spoken_where_there_is_no_other() -> None:
    """`bot.language`: to clients that say none, or one that nobody has translated to; a server makes none into `en`."""
    with speaking("de"):
        for tag in ("", "fr", "en", "en-GB"):
            with speaking(tag):
                assert _("No incident is open.") == "Nichts ist offen."


@pytest.mark.parametrize("tag", ["../de", "de/../de", "de\0", "d", "x" * 4_000, "de." * 40])
def test_what_is_no_language_is_never_looked_for(tag: str) -> None:
    """It comes from anybody, and would be the name of a file."""
    with speaking(tag):
        assert _("No incident is open.") == "No incident is open."


def test_a_number_has_the_form_that_the_language_gives_it() -> None:
    """As many as it has."""
    (forms,) = PAGES
    with speaking("de"):
        assert several(*forms, 1) == "… noch eine Zeile"
        assert several(*forms, 3).format(count=3) == "… noch 3 Zeilen"
    assert several(*forms, 1).format(count=1) == "… 1 more line: `more`"


def test_no_text_of_the_catalogue_is_in_it_twice() -> None:
    """Once alone and once with a number would be two for a translator, and one for gettext."""
    found = [text.one for text in catalogue_page.texts()]
    assert len(found) == len(set(found))


def test_what_is_filled_in_has_a_name_in_every_text() -> None:
    """`{}` could not be moved within a sentence; both forms of a number know the same names."""
    for text in catalogue_page.texts():
        for each in filter(None, text):
            assert "{}" not in each, each
        if text.many:
            assert names(text.one) <= names(text.many)


def names(text: str) -> set[str]:
    """What is filled into it."""
    return set(re.findall(r"\{(\w+)\}", text))
