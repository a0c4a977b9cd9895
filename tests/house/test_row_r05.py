"""R5, the chat bot: talks over Jabber, from any client."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.people import answer, talking
from tests.support.server import Server


async def test_r5_a_person_asks_and_is_answered_and_two_never_see_each_others_state(
    server: Server, tmp_path: Path
) -> None:
    """Subscriptions, the rest of a long answer, and one-time words are everybody's own."""
    async with talking(server, tmp_path, "r5") as (daemon, romeo, juliet):
        assert "subscribe" in await answer(romeo, "help")
        assert "For example: `subscribe" in await answer(romeo, "help subscribe")
        assert "did you mean `subscribe`?" in await answer(juliet, "subscirbe disk.#")
        await answer(romeo, "subscribe disk.#")
        await answer(romeo, "subscribe user.#")
        assert (await answer(juliet, "subscriptions")).startswith("There is no subscription.")
        await daemon.command("publish", "disk.full", "/ is 91 % full", "--severity", "warning", "--confirm")
        assert "/ is 91 % full" in (await romeo.hear()).body
        assert await juliet.nothing_more() == []
        assert "disk.full · 1 time" in await answer(juliet, "list")
        assert "/ is 91 % full" in await answer(juliet, "last")
        assert "everything works" in await answer(juliet, "status")
        word = re.search(r"send this word: (\w+)", await answer(romeo, "unsubscribe"))
        assert word is not None
        assert f"I don't know `{word[1]}`" in await answer(juliet, word[1])
        assert "Ended" in await answer(romeo, word[1])
