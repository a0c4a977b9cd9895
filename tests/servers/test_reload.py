"""A new config on a real server: nodes are looked at again, rooms are left and joined, people see the new name."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from tests.support.administrator import ROOMS
from tests.support.living_house import living
from tests.support.raw import component
from tests.support.raw_pubsub import node_configuration
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.house import House
from xmppbus.xmpp.standing import State

SOON = 15.0


async def reload(house: House, directory: Path, **changes: Any) -> Any:
    """Change parts of the config, and have it taken."""
    path = directory / "xmppbus.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    assert house.reload
    return await house.reload()


async def accepted(house: House, node: str) -> None:
    """An event of that type, and until nothing waits any more."""
    await house.bus.accept([{"type": node, "data": "text"}])

    async def is_done() -> bool:
        return (await house.journal.status()).waiting == 0

    await until(is_done, SOON, "the event to be delivered")


async def test_nodes_that_are_there_get_the_new_profile(server: Server, node: str, tmp_path: Path) -> None:
    """With the next event, and not at all where that would delete items."""
    async with living(server, tmp_path, {}) as house:
        await accepted(house, node)
        await reload(house, tmp_path, nodes=[{"match": node, "access_model": "open", "max_items": 5}])
        await accepted(house, node)
        assert house.outputs["pubsub"].status()["state"] == "up"
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as stream:
        found = await node_configuration(stream, server.pubsub_service, node)
    assert found["pubsub#access_model"] == "open"
    assert found["pubsub#max_items"] != "5"


async def test_rooms_are_left_and_joined_and_the_bot_has_its_new_name(server: Server, tmp_path: Path) -> None:
    """The room that is in both configs notices nothing."""
    kept, left, joined = (f"r{uuid4().hex}@{ROOMS}" for _ in range(3))
    bot: dict[str, Any] = {"rooms": [{"jid": kept}, {"jid": left}]}
    async with living(server, tmp_path, bot) as house:
        assert house.rooms
        assert house.talk
        rooms = house.rooms

        def is_in(room: str) -> bool:
            standing = rooms.standing(room)
            return standing is not None and standing.state is State.IN

        await until(lambda: is_in(kept) and is_in(left), SOON, "the bot to be in both rooms")
        before = rooms._rooms[kept]
        found = await reload(
            house, tmp_path, bot={"title": "Ops", "rooms": [{"jid": kept}, {"jid": joined, "nick": "x"}]}
        )
        assert found.taken == ("bot.title", "bot.rooms")
        assert not rooms.is_room(left)
        await until(lambda: is_in(joined), SOON, "the bot to be in the new room")
        assert rooms.nick(joined) == "x"
        assert is_in(kept)
        assert rooms._rooms[kept] is before
        assert house.talk.profile.title == "Ops"
