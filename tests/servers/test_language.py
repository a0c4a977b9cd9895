"""A bot whose own language is not English says in it what nobody has asked for, and answers in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.talk_script import read
from tests.support.talk_stage import Stage
from tests.support.translation import translate
from xmppbus.people import catalogue

TEXTS = {
    "firing": "brennt",
    "acknowledged": "übernommen",
    "acknowledged by {by} {time}": "übernommen von {by} um {time}",
    "You get {words} from now on.": "Du bekommst ab jetzt {words}.",
    "`unsubscribe {pattern}` ends it.": "`unsubscribe {pattern}` beendet das.",
    "Acknowledged: {what}": "Übernommen: {what}",
}
CONVERSATION = """\
Bot: {"affiliations": {"{romeo}": owner}, "language": "de-AT"}

romeo says: subscribe disk.#
bot answers romeo: Du bekommst ab jetzt `disk.#`. `unsubscribe disk.#` beendet das.
event: disk.full "/ ist voll" severity=error key=db1:/ status=firing
bot says to romeo:
    ✖ *brennt* / ist voll
    disk.full · stage · db1:/
romeo says: ack
bot answers romeo: Übernommen: / ist voll · db1:/
bot corrects for romeo:
    ✖ *übernommen* / ist voll
    übernommen von {romeo} um 12:00
    disk.full · stage · db1:/
"""


async def test_events_and_answers_are_in_the_bots_own_language(
    prosody: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a translation as somebody would make it."""
    monkeypatch.setattr(catalogue, "LOCALE", tmp_path / "locale")
    translate(catalogue.LOCALE, "de", TEXTS, {})
    script = tmp_path / "german.txt"
    script.write_text(CONVERSATION)
    await Stage(prosody, read(script), tmp_path).perform()
