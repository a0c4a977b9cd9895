"""The bot's contacts: who sees it, and whom it sees, as a component and as an account."""

import asyncio
from pathlib import Path

import pytest

from tests.servers.talking import (
    BOT,
    bare,
    befriend,
    child,
    listener,
    messages,
    new_account,
    person,
    presences,
    shown,
    talking,
    texts,
)
from tests.support.conversation import PING, log_in, refusal
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.options import BotOptions
from xmppbus.people.model import Mute, Person
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.presence import Presence
from xmppbus.xmpp.talk import Talk

SOON = 10.0


async def settled(of: RawStream) -> None:
    """Whatever the bot has to say to what somebody wrote, it has said."""
    await of.iq("get", BOT, PING)


async def test_whoever_adds_the_bot_sees_it_and_is_asked_back_once(server: Server, tmp_path: Path) -> None:
    """Subscribed, its presence with the status text, and a wish of its own; both are kept in the journal."""
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        talk.said("3 firing")
        await befriend(romeo)
        await romeo.until(lambda: bool(presences(romeo)), SOON)
        assert texts(presences(romeo)) == ["3 firing"]
        assert presences(romeo)[0].get("from") == f"{BOT}/xmppbus"
        await shown(talk, romeo, "available")
        romeo.write(f"<presence to='{BOT}' type='subscribe'/>")
        await settled(romeo)
        roster = await romeo.iq("get", "", "<query xmlns='jabber:iq:roster'/>")
        items = roster.element.iter("{jabber:iq:roster}item")
        assert [each.get("subscription") for each in items if each.get("jid") == BOT] == ["both"]
        assert len(presences(romeo, "subscribe")) == 1
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        assert await journal.people.persons() == [Person(jid=bare(romeo), sees_us=True, shows_us=True)]


async def test_whoever_removes_the_bot_is_forgotten(server: Server, tmp_path: Path) -> None:
    """It is told nothing more, and is unknown; what else is kept of it stays."""
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        await befriend(romeo)
        await shown(talk, romeo, "available")
        await talk.contacts._persons.alter(bare(romeo), mutes=(Mute(pattern="user.#"),))
        remove = f"<query xmlns='jabber:iq:roster'><item jid='{BOT}' subscription='remove'/></query>"
        await romeo.iq("set", "", remove)
        await shown(talk, romeo, "unknown")
        await until(lambda: talk.status()["contacts"] == 0, SOON, "no contact")
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        assert await journal.people.persons() == [Person(jid=bare(romeo), mutes=(Mute(pattern="user.#"),))]


async def test_who_is_not_dealt_with_is_not_answered(server: Server, tmp_path: Path) -> None:
    """An outcast gets no presence, no answer to a probe, no receipt; its requests are refused without a word."""

    def cast_out(talk: Talk) -> None:
        talk.may_subscribe = lambda jid: not jid.startswith("outcast")

    async with talking(server, tmp_path, prepare=cast_out) as talk, await person(server, "outcast") as outcast:
        outcast.write(f"<presence to='{BOT}' type='subscribe'/><presence to='{BOT}' type='probe'/>")
        outcast.write(
            f"<message to='{BOT}' id='m' type='chat'><body>x</body><request xmlns='urn:xmpp:receipts'/></message>"
        )
        assert await refusal(outcast.iq("get", BOT, PING)) == "service-unavailable"
        assert not [each for each in outcast.stanzas if each.get("from").startswith(BOT)]
        assert talk.status()["contacts"] == 0


async def test_presence_is_that_of_the_best_resource(server: Server, tmp_path: Path) -> None:
    """The highest priority; whoever leaves is offline; everybody is told of each change once."""
    heard: list[tuple[str, Presence]] = []
    async with (
        talking(
            server, tmp_path, prepare=lambda talk: talk.on_presence.append(lambda *what: heard.append(what))
        ) as talk,
        await person(server) as romeo,
    ):
        await befriend(romeo)
        await shown(talk, romeo, "available")
        romeo.write("<presence><show>dnd</show><status>in a play</status><priority>5</priority></presence>")
        await shown(talk, romeo, "dnd")
        assert talk.presence_of(bare(romeo)).status == "in a play"
        romeo.write("<presence type='unavailable'/>")
        await shown(talk, romeo, "offline")
        romeo.write("<presence><show>away</show></presence>")
        await shown(talk, romeo, "away")
        assert [(jid, each.show) for jid, each in heard] == [
            (bare(romeo), "available"), (bare(romeo), "dnd"), (bare(romeo), "offline"), (bare(romeo), "away"),
        ]  # fmt: skip
        assert talk.presence_of("nobody@localhost").show == "unknown"


async def test_nobody_puts_himself_before_our_eyes(server: Server, tmp_path: Path) -> None:
    """Presence of whom we never asked for it is not kept."""
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        romeo.write(f"<presence to='{BOT}' type='subscribed'/><presence to='{BOT}'/>")
        await settled(romeo)
        assert talk.presence_of(bare(romeo)).show == "unknown"
        assert talk.status()["contacts"] == 0


async def test_after_a_restart_it_is_there_again_and_knows_who_is(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both sides: who saw it leave sees it come back; who is there and who is not is known again.

    Prosody answers a probe for somebody who is not there, ejabberd says nothing.
    """
    monkeypatch.setattr(limits, "PROBE_SECONDS", 0.5)
    async with await person(server) as romeo:
        async with await person(server) as juliet, talking(server, tmp_path) as talk:
            for each in (romeo, juliet):
                await befriend(each)
                await shown(talk, each, "available")
        await romeo.until(lambda: bool(presences(romeo, "unavailable")), SOON)
        romeo.stanzas.clear()
        async with talking(server, tmp_path) as talk:
            await romeo.until(lambda: bool(presences(romeo)), SOON)
            await shown(talk, romeo, "available")
            await shown(talk, juliet, "offline")


async def test_after_a_restart_of_the_server_it_announces_itself_again(
    own_server: ServerFactory, server_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People who come back see it, and it sees them."""
    monkeypatch.setattr(limits, "PROBE_SECONDS", 0.5)
    server = await own_server(server_name)
    async with talking(server, tmp_path) as talk:
        async with await person(server) as romeo:
            await befriend(romeo)
            await shown(talk, romeo, "available")
            session = talk.session
            await server.restart()
        # Before it knows of the break, while it is away, or when it is back already and has asked.
        assert talk.presence_of(bare(romeo)).show in ("available", "unknown", "offline", "awaited")
        await until(lambda: talk.session > session, 20, "the next session")
        await shown(talk, romeo, "offline")
        async with await log_in(server, bare(romeo)) as again:
            await again.until(lambda: bool(presences(again)), SOON)
            await shown(talk, again, "available")


async def test_whoever_is_subscribed_and_not_known_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    """A journal was lost: servers probe for their subscribers, and their contact lists stay as they are."""
    async with await person(server) as romeo:
        async with talking(server, tmp_path / "a") as talk:
            await befriend(romeo)
            await shown(talk, romeo, "available")
        romeo.stanzas.clear()
        async with talking(server, tmp_path / "b") as talk:
            romeo.write("<presence type='unavailable'/><presence/>")
            await romeo.until(lambda: bool(presences(romeo)), SOON)
            assert talk.status()["contacts"] == 1


async def test_the_status_text_goes_out_when_it_changes_but_not_often(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one at once, then the last one of a while."""
    monkeypatch.setattr(limits, "STATUS_SECONDS", 0.5)
    async with talking(server, tmp_path) as talk, await person(server) as romeo:
        await befriend(romeo)
        await shown(talk, romeo, "available")
        for number in range(20):
            talk.said(f"{number} firing", "dnd" if number else "")
            await asyncio.sleep(0)
        await romeo.until(lambda: "19 firing" in texts(presences(romeo)), SOON)
        seen = [text for text in texts(presences(romeo)) if text]
        assert seen in (["0 firing", "19 firing"], ["19 firing"])
        assert texts(presences(romeo), "show")[-1] == "dnd"


# --- an account -------------------------------------------------------------------------------------------------------


async def test_an_account_is_a_bot_too(server: Server, tmp_path: Path) -> None:
    """Its server keeps the roster; messages come to it, and it is asked and asks back in the same way."""
    jid = await new_account(server, "bot")
    async with await person(server) as romeo:
        heard: list[Heard] = []
        async with talking(server, tmp_path, account=jid, prepare=listener(heard)) as talk:
            assert (talk.jid, talk.full("abc"), talk.is_component) == (jid, "", False)
            talk.said("all quiet")
            await befriend(romeo, jid)
            await shown(talk, romeo, "available")
            await romeo.until(lambda: "all quiet" in texts(presences(romeo, "", jid)), SOON)
            ask = "<body>help</body><request xmlns='urn:xmpp:receipts'/>"
            romeo.write(f"<message to='{jid}' type='chat' id='m'>{ask}</message>")
            await romeo.until(lambda: bool(messages(romeo, jid)), SOON)
            assert [(each.body, each.sender) for each in heard] == [("help", romeo.jid)]
            assert child(messages(romeo, jid)[0], "received") is not None
            await asyncio.wait_for(talk.fence(talk.session), SOON)
            await asyncio.wait_for(talk.fence(talk.send(b"<message to='x@localhost'/>")), SOON)
        romeo.stanzas.clear()
        async with talking(server, tmp_path, account=jid, bot=BotOptions(title="the bus")) as talk:
            await shown(talk, romeo, "available")
            vcard = await romeo.iq("get", f"{jid}/xmppbus", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
            identity = child(vcard, "identity")
            assert identity is not None
            assert (identity.get("type"), identity.get("name")) == ("bot", "the bus")


async def test_an_account_declines_who_may_not_know_how_things_stand(server: Server, tmp_path: Path) -> None:
    """Its server tells all its contacts the same."""
    jid = await new_account(server, "bot")
    async with await person(server) as romeo, await person(server) as juliet:

        def prepare(talk: Talk) -> None:
            talk.may_know = lambda who: who == bare(juliet)

        async with talking(server, tmp_path, account=jid, prepare=prepare) as talk:
            talk.said("3 firing")
            await romeo.iq("get", "", "<query xmlns='jabber:iq:roster'/>")  # whoever has not asked is told nothing
            romeo.write(f"<presence to='{jid}' type='subscribe'/>")
            await romeo.until(lambda: bool(presences(romeo, "unsubscribed", jid)), SOON)
            await befriend(juliet, jid)
            await juliet.until(lambda: "3 firing" in texts(presences(juliet, "", jid)), SOON)
            assert not presences(romeo, "", jid)
