"""R17, Switchboard: its disco, roster and pubsub verbs, with an account and no daemon; pubsub and disco are row R18."""

from __future__ import annotations

import json
from pathlib import Path

from tests.house.test_row_r18 import login
from tests.support.daemon import Daemon
from tests.support.server import Server


async def test_r17_contacts_moods_and_messages_from_a_script(server: Server, tmp_path: Path) -> None:
    """`roster`, `pep` and `message` with an account and no daemon; from Python they are `xmppbus.script.Account`."""
    away = Daemon(tmp_path)
    reader = login(away, server)
    await away.command("roster", "add", "juliet@localhost", "--name", "Juliet", "--group", "Verona", *reader)
    (line,) = (await away.command("roster", "--json", *reader)).out.splitlines()
    assert {"jid": "juliet@localhost", "name": "Juliet", "groups": ["Verona"]}.items() <= json.loads(line).items()
    await away.command("roster", "remove", "juliet@localhost", "--yes", *reader)
    assert (await away.command("roster", *reader)).out == ""
    await away.command("pep", "mood", "happy", "It works.", *reader)
    told = (await away.command("pep", "get", "reader@localhost", "mood", "--json", *reader)).json
    assert told["mood"] == {"mood": "happy", "text": "It works."}
    await away.command("pep", "mood", "--clear", *reader)
    assert (await away.run("pep", "get", "", "mood", *reader)).code == 1
    assert (await away.run("message", "nobody.there@localhost", "hello", *reader)).code == 1
