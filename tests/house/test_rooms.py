"""Rooms and the installed program: told there, put out, let in again, and asked in for good over a `kill -9`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.talking import bare, person
from tests.support.daemon import Daemon
from tests.support.room_owner import RoomOwner
from tests.support.server import Server
from tests.support.waiting import until

SOON = 15.0


async def room_status(daemon: Daemon) -> Any:
    """What `status --json` says of rooms."""
    return (await daemon.command("status", "--json")).json["outputs"]["room"]


async def until_in(daemon: Daemon, rooms: int = 1) -> None:
    """Wait until the bot is in so many."""

    async def is_in() -> bool:
        return bool((await room_status(daemon))["states"] == {"in": rooms})

    await until(is_in, SOON, f"the bot to be in {rooms} rooms")


async def test_status_says_from_which_room_the_bot_is_banned(server: Server, tmp_path: Path) -> None:
    """As JSON and in words, with what waits for it; told to try again when it is let in, it delivers."""
    async with await person(server, "host") as stream:
        host, me, bot = RoomOwner(stream), bare(stream), f"bot@{server.component_jid}"
        room = await host.make("ops", whois="anyone")
        config = {
            "bot": {"affiliations": {me: "owner"}, "rooms": [{"jid": room}]},
            "routes": [{"name": "ops", "match": "disk.#", "to": [f"room:{room}"]}],
        }
        async with Daemon(tmp_path / "bus", server, config=config) as daemon:
            await until_in(daemon)
            await host.give(room, jid=bot, affiliation="outcast")

            async def is_banned() -> bool:
                return bool((await room_status(daemon))["states"] == {"banned": 1})

            await until(is_banned, SOON, "the ban to be in the status")
            (out,) = (await room_status(daemon))["not_in"]
            assert (out["room"], out["state"]) == (room, "banned")
            assert "by the test" in out["reason"]
            assert out["seconds"] > 60  # slowly: nobody wants it there

            await daemon.command("publish", "disk.full", "/ is full")

            async def is_stopped() -> bool:
                stopped = (await daemon.command("status", "--json")).json["stopped"]
                return [(each["place"], each["condition"]) for each in stopped] == [(room, "banned")]

            await until(is_stopped, SOON, "the room's place to be stopped")
            said = " ".join((await daemon.command("status")).out.split())
            assert f"room {room}, state banned, reason we were banned" in said

            await host.give(room, jid=bot, affiliation="member")
            stream.write(f"<message to='{bot}' type='chat'><body>join {room}</body></message>")
            await stream.until(lambda: any("is full" in each for each in host.bodies(room)), SOON)
            await until_in(daemon)


async def test_a_room_that_it_was_asked_into_is_known_after_a_kill(server: Server, tmp_path: Path) -> None:
    """So is what it hears of, and how: what was held for it comes once."""
    async with await person(server, "host") as stream:
        host, me, bot = RoomOwner(stream), bare(stream), f"bot@{server.component_jid}"
        room = await host.make("ops", whois="anyone")
        async with Daemon(tmp_path / "bus", server, config={"bot": {"affiliations": {me: "owner"}}}) as daemon:
            await until(lambda: f"{server.component_jid} is up" in daemon.log(), SOON, "a session")
            host.invite(room, bot)
            await until_in(daemon)
            host.say(room, "!subscribe disk.#")
            await stream.until(lambda: any("This room gets" in each for each in host.bodies(room)), SOON)
            daemon.kill()
            await daemon.start()
            await daemon.command("publish", "disk.full", "/ is full")
            await until_in(daemon)
            await stream.until(lambda: any("is full" in each for each in host.bodies(room)), SOON)
            assert sum("is full" in each for each in host.bodies(room)) == 1
