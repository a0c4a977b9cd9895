"""Drawers: what parts of the house keep beside events is on disk, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.stores.sqlite import SqliteJournal

TEXT = 'a "quoted"\r\n\x00 Straße \U0001f600'


async def test_what_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    """Whatever JSON can say, in drawers that don't know of one another."""
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        await journal.kept.keep("queues", "mails", {"pattern": "user.#", "text": TEXT, "list": [1, None, 2.5]})
        await journal.kept.keep("queues", "mails", {"pattern": "disk.#", "text": TEXT})
        await journal.kept.keep("queues", TEXT, [])
        await journal.kept.keep("follow", "mails", 7)
        assert await journal.kept.drop("queues", TEXT)
        assert not await journal.kept.drop("queues", "nobody")
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        assert await journal.kept.all("queues") == {"mails": {"pattern": "disk.#", "text": TEXT}}
        assert await journal.kept.all("follow") == {"mails": 7}
        assert await journal.kept.all("nothing") == {}


async def test_a_drawer_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is in it, and of each; what is there already can always be changed."""
    monkeypatch.setattr(limits, "KEPT_IN_A_DRAWER", 2)
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        for name in ("a", "b"):
            await journal.kept.keep("queues", name, 1)
        with pytest.raises(Refused, match="2 queues are all that there may be") as refused:
            await journal.kept.keep("queues", "c", 1)
        assert refused.value.code is Code.TOO_MANY
        await journal.kept.keep("queues", "b", 2)
        await journal.kept.keep("follow", "c", 1)
        with pytest.raises(Refused) as refused:
            await journal.kept.keep("queues", "b", "x" * limits.KEPT_CHARACTERS)
        assert refused.value.code is Code.TOO_BIG
        assert await journal.kept.all("queues") == {"a": 1, "b": 2}
