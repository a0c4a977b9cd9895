"""Rooms on real servers: in, out, back again, and who is who in them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.servers.outputs import SOON
from tests.servers.rooming import BOT, roaming
from tests.servers.talking import bare, new_account, person
from tests.support.administrator import ROOMS
from tests.support.conversation import log_in
from tests.support.room_owner import MUC_USER, RoomOwner
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.options import RoomOptions
from xmppbus.xmpp import muc
from xmppbus.xmpp.standing import State


@pytest_asyncio.fixture
async def owner(server: Server) -> AsyncIterator[RoomOwner]:
    """Somebody who makes rooms."""
    async with await person(server, "owner") as stream:
        yield RoomOwner(stream)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes takes tenths of seconds."""
    for name in ("SOON_SECONDS", "SOON_MOST_SECONDS", "KICKED_SECONDS", "REFUSED_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(limits, f"ROOM_{name}", 0.2)


# --- in -------------------------------------------------------------------------------------------------------------


async def test_it_enters_the_rooms_of_the_config_and_of_routes(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """Under its name, or the one that the config gives it there; and it leaves when it ends."""
    ops, dev = await owner.make("ops"), await owner.make("dev")
    async with roaming(server, tmp_path, RoomOptions(jid=ops, nick="watcher"), named=[dev]) as bot:
        await bot.until(ops, State.IN)
        await bot.until(dev, State.IN)
        assert (bot.rooms.nick(ops), bot.rooms.nick(dev)) == ("watcher", "bot")
        assert bot.rooms.is_room(ops)
        assert not bot.rooms.is_room(f"other@{ROOMS}")
        assert bot.rooms.status()["states"] == {"in": 2}
        await owner.stream.until(lambda: owner.sees(ops, "watcher") and owner.sees(dev, "bot"))
    await owner.stream.until(lambda: not owner.sees(ops, "watcher") and not owner.sees(dev, "bot"))


async def test_an_account_enters_rooms_too(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """Client mode."""
    ops = await owner.make("ops")
    jid = await new_account(server, "client")
    async with roaming(server, tmp_path, ops, account=jid) as bot:
        await bot.until(ops, State.IN)
        await owner.stream.until(lambda: owner.sees(ops, "bot"))
        assert (await bot.rooms.join(ops)).state is State.IN


async def test_another_with_its_nick_makes_it_take_another(server: Server, tmp_path: Path) -> None:
    """Said in `status`."""
    async with await person(server) as stream:
        other = RoomOwner(stream, "bot")
        ops = await other.make("ops")
        async with roaming(server, tmp_path, ops) as bot:
            await bot.until(ops, State.IN)
            assert bot.rooms.nick(ops) == "bot_"
            assert bot.rooms.status()["renamed"] == {ops: "bot_"}


@pytest.mark.usefixtures("impatient")
async def test_a_password_comes_from_its_file(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """A wrong one is said in plain words; once the file is right it gets in."""
    ops = await owner.make("ops", passwordprotectedroom="1", roomsecret="open sesame")
    (tmp_path / "password").write_text("wrong\n")
    async with roaming(server, tmp_path, RoomOptions(jid=ops, password_file=str(tmp_path / "password"))) as bot:
        assert "password" in await bot.until(ops, State.PASSWORD)
        (tmp_path / "password").write_text("open sesame\n")
        await bot.until(ops, State.IN)


async def test_a_room_that_is_not_there_is_made_and_given_to_the_owners(server: Server, tmp_path: Path) -> None:
    """Others can enter it; it is hidden, stays, and shows who is who."""
    async with await person(server) as stream:
        owner = RoomOwner(stream)
        ops = f"new-{bare(stream).partition('@')[0]}@{ROOMS}"
        async with roaming(server, tmp_path, ops, owners=[bare(stream)]) as bot:
            await bot.until(ops, State.IN)
            await owner.join(ops)
            own = owner.presences(ops, "owner")[-1].find(MUC_USER, "item")
            assert own is not None
            assert own.get("affiliation") == "owner"
            await until(lambda: bot.rooms.occupant(ops, "owner"), SOON, "the occupant")
            assert bot.rooms.occupant(ops, "owner") == ("owner", bare(stream), "owner", "moderator")


async def test_a_hundred_rooms_are_entered_a_few_at_a_time(server: Server, tmp_path: Path) -> None:
    """No more joins are on their way than the limit says."""
    names = [f"many{number}-{tmp_path.name.replace('_', '-').lower()}@{ROOMS}" for number in range(100)]
    most = 0
    async with roaming(server, tmp_path, *names) as bot:

        def entered() -> bool:
            nonlocal most
            states = [bot.state(name) for name in names]
            most = max(most, states.count(State.JOINING))
            return set(states) == {State.IN}

        await until(entered, 30, "all rooms")
        assert 0 < most <= limits.ROOM_JOINS_AT_ONCE


# --- who is who -----------------------------------------------------------------------------------------------------


async def test_real_jids_are_known_where_the_room_shows_them(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """A nick says nothing; what a room hides is nobody's."""
    open_room, hidden = await owner.make(whois="anyone"), await owner.make(whois="moderators")
    async with roaming(server, tmp_path, open_room, hidden) as bot:
        await bot.until(open_room, State.IN)
        await bot.until(hidden, State.IN)
        assert bot.rooms.occupant(open_room, "owner") == ("owner", bare(owner.stream), "owner", "moderator")
        assert bot.rooms.occupant(hidden, "owner") == ("owner", "", "owner", "moderator")
        assert bot.rooms.occupant(open_room, "nobody") is None
        owner.leave(open_room)
        await until(lambda: bot.rooms.occupant(open_room, "owner") is None, SOON, "the owner is gone")


async def test_a_room_that_begins_to_show_or_hide_real_jids_is_noticed(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """What was shown before is forgotten when it is hidden."""
    ops = await owner.make(whois="moderators")
    async with roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)

        def jid() -> str | None:
            found = bot.rooms.occupant(ops, "owner")
            return found and found.jid

        await owner.configure(ops, whois="anyone")
        await until(lambda: jid() == bare(owner.stream), SOON, "the real JID")
        await owner.configure(ops, whois="moderators")
        await until(lambda: jid() == "", SOON, "no real JID")


async def test_an_admin_of_a_room_that_hides_real_jids_sees_them(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """So people have their rights there, though nobody else learns who they are."""
    hidden = await owner.make(whois="moderators")
    await owner.give(hidden, jid=BOT, affiliation="admin")
    async with roaming(server, tmp_path, hidden) as bot:
        await bot.until(hidden, State.IN)
        assert bot.rooms.occupant(hidden, "owner") == ("owner", bare(owner.stream), "owner", "moderator")


async def test_a_nick_that_changes_hands_is_another_person(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """Whoever takes the owner's nick is not the owner."""
    ops = await owner.make(whois="anyone")
    async with await person(server) as stream, roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)
        owner.stream.write(f"<presence to='{ops}/other'/>")
        await until(lambda: bot.rooms.occupant(ops, "other"), SOON, "the other nick")
        await RoomOwner(stream, "owner").join(ops)
        await until(lambda: bot.rooms.occupant(ops, "owner"), SOON, "the new occupant")
        found = bot.rooms.occupant(ops, "owner")
        assert found is not None
        assert (found.jid, found.affiliation) == (bare(stream), "none")


# --- out, and back --------------------------------------------------------------------------------------------------


async def test_kicked_it_comes_back_slowly(
    server: Server, owner: RoomOwner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who did it and why is said; it does not come back at once."""
    monkeypatch.setattr(limits, "ROOM_KICKED_SECONDS", 1.0)
    ops = await owner.make()
    async with roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)
        await owner.give(ops, nick="bot", role="none")
        assert "by the test" in await bot.until(ops, State.KICKED)
        (shown,) = bot.rooms.status()["not_in"]
        assert (shown["room"], shown["state"]) == (ops, "kicked")
        await bot.until(ops, State.IN)


@pytest.mark.usefixtures("impatient")
async def test_banned_it_asks_again_until_it_is_let_in(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """Both what it was told when it was put out, and what it is told at the door."""
    ops = await owner.make()
    async with roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)
        await owner.give(ops, jid=BOT, affiliation="outcast")
        assert "banned" in await bot.until(ops, State.BANNED)
        await until(lambda: bot.rooms._rooms[ops].attempts >= 2, SOON, "another attempt")
        assert "banned" in await bot.until(ops, State.BANNED)
        await owner.give(ops, jid=BOT, affiliation="none")
        await bot.until(ops, State.IN)


async def test_a_destroyed_room_is_said_with_the_place_where_it_goes_on(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """Nobody is followed without being asked."""
    ops, other = await owner.make(), await owner.make()
    async with roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)
        await owner.destroy(ops, other)
        words = await bot.until(ops, State.DESTROYED)
        assert "by the test" in words
        assert other in words


@pytest.mark.usefixtures("impatient")
async def test_a_room_for_members_lets_it_in_once_it_is_one(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """At the door, and when the membership is taken away."""
    ops = await owner.make(membersonly="1")
    async with roaming(server, tmp_path, ops) as bot:
        assert "members" in await bot.until(ops, State.MEMBERS_ONLY)
        await owner.give(ops, jid=BOT, affiliation="member")
        await bot.until(ops, State.IN)
        await owner.give(ops, jid=BOT, affiliation="none")
        assert "members" in await bot.until(ops, State.MEMBERS_ONLY)


@pytest.mark.usefixtures("impatient")
async def test_a_service_that_is_not_there_is_tried_again(server: Server, tmp_path: Path) -> None:
    """The words say that there may be none."""
    nowhere = "ops@nowhere.localhost"
    async with roaming(server, tmp_path, nowhere) as bot:
        await until(lambda: bot.rooms._rooms[nowhere].attempts >= 2, SOON, "another attempt")
        standing = bot.rooms.standing(nowhere)
        assert standing is not None
        assert "service" in standing.words


async def test_after_a_restart_of_the_server_it_is_in_its_rooms_again(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """In all of them, and knows who is there."""
    server = await own_server(server_name)
    rooms = [f"room{number}@{ROOMS}" for number in range(3)]
    async with roaming(server, tmp_path, *rooms) as bot:
        for room in rooms:
            await bot.until(room, State.IN)
        first = bot.talk.session
        await server.stop()
        await until(lambda: not bot.talk.session, SOON, "the end of the session")
        assert {bot.state(room) for room in rooms} == {State.WAITING}
        await server.start()
        await until(lambda: bot.talk.session > first, 30, "the next session")
        for room in rooms:
            await bot.until(room, State.IN)
        async with await log_in(server, "reader@localhost") as stream:
            reader = RoomOwner(stream, "reader")
            await reader.join(rooms[0])
            await until(lambda: bot.rooms.occupant(rooms[0], "reader"), SOON, "the reader")


@pytest.mark.usefixtures("impatient")
async def test_a_room_that_has_silently_lost_us_is_noticed(
    server: Server, owner: RoomOwner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By asking it whether it still has us (XEP-0410); nothing else says so."""
    monkeypatch.setattr(limits, "ROOM_PING_SECONDS", 0.3)
    ops = await owner.make()
    async with roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)
        own = bot.rooms._rooms[ops]
        before = own.pings
        await until(lambda: own.pings >= before + 2, SOON, "two pings")
        assert bot.state(ops) is State.IN
        assert not owner.presences(ops, "bot")[-1].get("type")
        # What comes back of our leaving is not heard, as if the room's service had been restarted.
        bot.stream.hooks.presences.remove(bot.rooms._presence)
        bot.talk.send(muc.leave(ops, "bot", sender=bot.talk.full()))
        await owner.stream.until(lambda: not owner.sees(ops, "bot"))
        await bot.talk.fence(bot.talk.session)
        bot.stream.hooks.presences.append(bot.rooms._presence)
        await owner.stream.until(lambda: owner.sees(ops, "bot"))
        await bot.until(ops, State.IN)


# --- invitations ----------------------------------------------------------------------------------------------------


async def test_an_owner_invites_it_for_good(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """It comes in with the password of the invitation, and is there after a restart until it is told to leave."""
    ops = await owner.make(passwordprotectedroom="1", roomsecret="sesame", whois="anyone")
    async with roaming(server, tmp_path, owners=[bare(owner.stream)]) as bot:
        owner.invite(ops, BOT, "sesame")
        await until(lambda: bot.state(ops) is State.IN, SOON, "the room")
    async with roaming(server, tmp_path) as bot:
        await bot.until(ops, State.IN)
        assert await bot.rooms.leave(ops)
        assert not bot.rooms.is_room(ops)
        await owner.stream.until(lambda: not owner.sees(ops, "bot"))
    async with roaming(server, tmp_path) as bot:
        assert not bot.rooms.is_room(ops)


async def test_a_direct_invitation_is_as_good(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """XEP-0249."""
    ops = await owner.make()
    async with roaming(server, tmp_path, owners=[bare(owner.stream)]) as bot:
        owner.invite_directly(ops, BOT)
        await until(lambda: bot.state(ops) is State.IN, SOON, "the room")


async def test_a_strangers_invitation_is_declined_with_a_reason(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """Mediated or direct."""
    ops = await owner.make(whois="anyone")
    async with roaming(server, tmp_path, owners=["romeo@localhost"]) as bot:
        owner.invite(ops, BOT)
        await owner.stream.until(lambda: bool(owner.declined(ops)))
        assert "owners" in owner.declined(ops)[0]
        owner.invite_directly(ops, BOT)
        await owner.stream.until(
            lambda: any("owners" in (each.element.findtext("{*}body") or "") for each in owner.stream.stanzas)
        )
        assert not bot.rooms.is_room(ops)


async def test_an_invitation_from_nobody_is_declined(prosody: Server, tmp_path: Path) -> None:
    """Prosody hides who invites into a room that hides who is who: that may be anybody."""
    async with await person(prosody) as stream, roaming(prosody, tmp_path, owners=[bare(stream)]) as bot:
        owner = RoomOwner(stream)
        ops = await owner.make(whois="moderators")
        owner.invite(ops, BOT)
        await stream.until(lambda: bool(owner.declined(ops)))
        assert "direct invitation" in owner.declined(ops)[0]
        assert not bot.rooms.is_room(ops)


async def test_too_many_invitations_are_not_even_declined(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """So many a minute; the others are counted."""
    ops = await owner.make()
    async with roaming(server, tmp_path, owners=["romeo@localhost"]) as bot:
        for _ in range(limits.INVITATIONS_PER_MINUTE + 3):
            owner.invite(ops, BOT)
        await until(lambda: bot.rooms.invitations.ignored == 3, SOON, "those that are too many")
        await owner.stream.until(lambda: len(owner.declined(ops)) == limits.INVITATIONS_PER_MINUTE)


async def test_a_room_of_the_config_is_left_by_the_config_only(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """And there may be so many rooms, not more."""
    ops = await owner.make()
    async with roaming(server, tmp_path, ops) as bot:
        await bot.until(ops, State.IN)
        with pytest.raises(Refused, match="config"):
            await bot.rooms.leave(ops)
        with pytest.raises(ValueError, match="not a room"):
            await bot.rooms.join("localhost")
        assert not await bot.rooms.leave(f"another@{ROOMS}")


async def test_one_that_asked_it_in_hears_at_once_how_it_went(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """`join` returns with what came of the first attempt."""
    ops, closed = await owner.make(), await owner.make(membersonly="1")
    async with roaming(server, tmp_path) as bot:
        assert (await asyncio.wait_for(bot.rooms.join(ops), SOON)).state is State.IN
        assert (await asyncio.wait_for(bot.rooms.join(closed), SOON)).state is State.MEMBERS_ONLY
