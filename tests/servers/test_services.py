"""An account that is logged in for one command or one script: what it can ask, say and tell, on real servers."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.support.conversation import connect, log_in
from tests.support.false_service import false_service
from tests.support.ports import free_port
from tests.support.raw_pubsub import create_node, publish, set_affiliation
from tests.support.raw_xml import Stanza
from tests.support.room_owner import RoomOwner
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.options import XmppOptions
from xmppbus.script import Account, Service
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.connection import Address, Connection, Ended
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer
from xmppbus.xmpp.services import disco, pep, rosters
from xmppbus.xmpp.services.asking import Through

READER, STRANGER = "reader@localhost", "stranger@localhost"
PAYLOAD = "<note xmlns='urn:example:note'>small</note>"
ITEMS = "http://jabber.org/protocol/disco#items"
INFO = "http://jabber.org/protocol/disco#info"


def account(server: Server, jid: str = READER, **changes: str) -> Account:
    given = {"password": server.accounts.get(jid, ""), "ca_file": str(server.certificate), **changes}
    return Account(jid, given["password"], host=server.host, port=server.c2s_port, ca_file=given["ca_file"])


async def test_an_account_tells_its_mood_and_tune_and_takes_them_back(server: Server) -> None:
    """XEP-0107 and XEP-0118, on its own PEP; who reads it understands it."""
    async with account(server) as romeo:

        async def told(kind: pep.Kind) -> dict[str, str]:
            items = (await Service(romeo, romeo.jid).items(kind.node, last=1)).items
            return pep.read(items[-1].payload)

        for kind, content, expected in (
            (pep.MOOD, pep.mood("happy", "a < b & c"), {"mood": "happy", "text": "a < b & c"}),
            (pep.ACTIVITY, pep.activity("working/coding"), {"activity": "working/coding"}),
            (pep.TUNE, pep.payload(pep.TUNE, {"artist": "Yes", "rating": "8"}), {"artist": "Yes", "rating": "8"}),
            (
                pep.LOCATION,
                pep.payload(pep.LOCATION, {"lat": "45.44", "lon": "10.99"}),
                {"lat": "45.44", "lon": "10.99"},
            ),
            (pep.NICK, pep.nick("Romeo\x1b[31m"), {"nick": "Romeo"}),
        ):
            await romeo.ask("set", romeo.jid, pep.publish(kind, content))
            assert await told(kind) == expected
        await romeo.ask("set", romeo.jid, pep.publish(pep.MOOD, pep.mood()))
        assert await told(pep.MOOD) == {}


async def test_a_roster_is_read_and_changed(server: Server) -> None:
    """Names and groups with anything in them; taken out, somebody is gone."""
    async with account(server) as romeo:
        await romeo.ask("set", romeo.jid, rosters.added(STRANGER, "S & 'T'", ["Work <1>"]))
        (found,) = rosters.read(await romeo.ask("get", romeo.jid, rosters.request()))
        assert found == rosters.Person(STRANGER, "S & 'T'", "none", False, ("Work <1>",))
        await romeo.ask("set", romeo.jid, rosters.removed(STRANGER))
        assert rosters.read(await romeo.ask("get", romeo.jid, rosters.request())) == []


async def test_a_message_arrives_as_typed_and_one_that_comes_back_is_said(server: Server) -> None:
    """Nothing in it moves a cursor or ends the stream; nobody is told that it arrived when it did not."""
    async with account(server) as romeo, await log_in(server, "listener@localhost") as listener:
        made = await romeo.message("listener@localhost", "two\nlines \x1b[31mred\x07 \u202e<b>")

        def bodies() -> list[str]:
            found = [each.element for each in listener.stanzas if each.get("id") == made]
            return [each.findtext("{jabber:client}body") or "" for each in found]

        await until(bodies, 5, "the message")
        assert bodies() == ["two\nlines red <b>"]
        with pytest.raises(Refused, match=r"did not get it \(service-unavailable") as caught:
            await romeo.message("nobody.at.all@localhost", "hello")
        assert caught.value.code is Code.NOT_FOUND


async def test_a_room_hears_one_message_and_who_is_not_let_in_is_told(server: Server, node: str) -> None:
    """The account comes, says it, and goes; a room that is not there is not made."""
    async with account(server) as romeo, await log_in(server, STRANGER) as client:
        with pytest.raises(Refused, match="there is no such room"):
            await romeo.say(f"{node}@rooms.localhost", "anybody?")
        room = await RoomOwner(client).make()
        await romeo.say(room, "hello, room")

        def heard() -> bool:
            return any(each.element.findtext("{*}body") == "hello, room" for each in client.stanzas)

        await until(heard, 10, "the message in the room")


async def test_items_come_in_pages_where_the_service_has_pages(
    server: Server, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XEP-0059: all of them, each once, in order; a service without pages (Prosody) gives all at once."""
    monkeypatch.setattr(limits, "PAGE_ITEMS", 3)
    async with await connect(server) as owner, account(server) as romeo:
        await create_node(owner, server.pubsub_service, node, {"access_model": "open", "max_items": "20"})
        ids = [f"i{number}" for number in range(8)]
        for item_id in ids:
            await publish(owner, server.pubsub_service, node, item_id, PAYLOAD)
        service = Service(romeo, server.pubsub_service)
        found = await service.items(node)
        assert [each.item_id for each in found.items] == ids
        assert not found.more
        assert [each.item_id for each in (await service.items(node, last=2)).items] == ids[-2:]
        assert [each.item_id for each in (await service.items(node, ids=["i3"])).items] == ["i3"]
        monkeypatch.setattr(limits, "SERVICE_ITEMS", 5)
        some = await service.items(node)
        assert len(some.items) == 5
        assert some.more, "more than the bound is said"


async def test_who_owns_a_node_configures_it_with_an_account(server: Server, node: str) -> None:
    """From Python, as the commands do."""
    async with await connect(server) as owner, account(server) as romeo:
        await create_node(owner, server.pubsub_service, node, {"access_model": "open"})
        service = Service(romeo, server.pubsub_service)
        with pytest.raises(ErrorAnswer, match="forbidden"):
            await service.config(node)
        await set_affiliation(owner, server.pubsub_service, node, READER, "owner")
        changes, ignored = await service.configure(node, {"max_items": ["9"]})
        assert changes == {"pubsub#max_items": ("9",)}
        assert ignored == []
        assert (await service.config(node)).settable["pubsub#max_items"].values == ("9",)
        assert node in [each.node for each in (await service.nodes()).items]
        await service.delete(node)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"password": "wrong"}, Code.FORBIDDEN, "does not take the password of reader@localhost"),
        ({"ca_file": ""}, Code.FORBIDDEN, "can't be trusted"),
    ],
)
async def test_a_log_in_that_fails_says_why(prosody: Server, changes: dict[str, str], code: Code, words: str) -> None:
    """A wrong password, a certificate that nobody signed: in words, and the password in none of them."""
    with pytest.raises(Refused) as caught:
        await account(prosody, **changes).__aenter__()
    assert caught.value.code is code
    assert words in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_without_a_host_the_domain_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """DNS names the places, and each is tried; a domain that is nowhere is said to be."""
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(Refused) as caught:
        await Account("romeo@nowhere.invalid", "secret").__aenter__()
    assert "nothing takes clients at nowhere.invalid" in str(caught.value)
    connection = Connection(Address("romeo@localhost", "x", "", 0, False, "r"), lambda _: False)
    seen: list[str] = []
    connection._stream.add_event_handler("connection_failed", lambda reason: seen.append(str(reason)))
    connection._stream.default_port = 9  # nobody's
    with pytest.raises(Ended) as ended:
        await connection.open()
    await connection.close()
    assert ended.value.condition == "unreachable"
    assert seen, "it was tried"


def test_what_is_no_account_is_refused(tmp_path: Path) -> None:
    """Before anybody is asked."""
    assert tmp_path
    for jid in ("localhost", "a@b@c", "a b@c", ""):
        with pytest.raises(Refused):
            Account(jid, "secret")


async def test_a_service_that_never_answers_does_not_hold_us(prosody: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`limits.IQ_SECONDS`, and a tree goes on without it."""
    monkeypatch.setattr(limits, "IQ_SECONDS", 0.3)
    async with false_service(prosody, lambda _: None) as jid, account(prosody) as romeo:
        with pytest.raises(NoAnswer, match="timeout"):
            await disco.ask_info(romeo, jid)
        monkeypatch.setattr(limits, "IQ_SECONDS", 20.0)
        assert (await disco.ask_info(romeo, prosody.pubsub_service)).has("pubsub", "service")


async def test_a_service_below_which_it_stands_itself_ends(prosody: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place once, so deep, many and long: `limits.TREE_DEPTH`, `TREE_PLACES`, `TREE_AT_ONCE`, `TREE_SECONDS`."""
    asked: list[str] = []

    def endless(request: Stanza) -> str:
        query = request.element[0]
        asked.append(query.get("node", ""))
        if query.tag == f"{{{INFO}}}query":
            return f"<query xmlns='{INFO}'><identity category='x' type='y'/></query>"
        here = request.get("to")
        below = "".join(f"<item jid='{here}' node='n{len(asked)}-{number}'/>" for number in range(3))
        return f"<query xmlns='{ITEMS}'><item jid='{here}'/>{below}<item/><item jid='{here}' node='same'/></query>"

    def size(leaf: disco.Leaf) -> int:
        return 1 + sum(size(each) for each in leaf.children)

    def depth(leaf: disco.Leaf) -> int:
        return 1 + max((depth(each) for each in leaf.children), default=0)

    async with false_service(prosody, endless) as jid, account(prosody) as romeo:
        asking = [0, 0]  # now, and at most so far
        ask = romeo.ask

        async def counted(kind: str, to: str, inner: str) -> Element:
            asking[0] += 1
            asking[1] = max(asking)
            try:
                return await ask(kind, to, inner)
            finally:
                asking[0] -= 1

        monkeypatch.setattr(romeo, "ask", counted)
        monkeypatch.setattr(limits, "TREE_AT_ONCE", 2)
        monkeypatch.setattr(limits, "TREE_PLACES", 30)
        monkeypatch.setattr(limits, "TREE_DEPTH", 3)
        found = await disco.tree(romeo, jid, depth=99)
        assert depth(found) <= 4
        assert size(found) <= 30
        assert len(asked) <= 2 * 30
        assert asking == [0, 2]
        monkeypatch.setattr(limits, "TREE_SECONDS", -1.0)
        assert (await disco.tree(romeo, jid, depth=1)).more


async def test_an_address_that_no_server_takes_is_not_asked(prosody: Server) -> None:
    """A service may name what it likes below itself; the stream is everybody's, and goes on."""

    def names_a_long_one(request: Stanza) -> str:
        if request.element[0].tag == f"{{{INFO}}}query":
            return f"<query xmlns='{INFO}'><identity category='x' type='y'/></query>"
        return f"<query xmlns='{ITEMS}'><item jid='{'&apos;' * 50_000}@localhost'/></query>"

    async with false_service(prosody, names_a_long_one) as jid, account(prosody) as romeo:
        found = await disco.tree(romeo, jid, depth=2)
        assert "no server takes it" in str(found.children[0].problem)
        assert (await disco.ask_info(romeo, jid)).has("x", "y")


async def test_pages_that_never_end_are_left(prosody: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`limits.PAGES`; and one that comes again is the last."""
    pages: list[str] = []

    def paging(_: Stanza) -> str:
        pages.append("page")
        last = "same" if is_same else str(len(pages))
        rsm = f"<set xmlns='http://jabber.org/protocol/rsm'><last>{last}</last><count>999999</count></set>"
        return f"<query xmlns='{ITEMS}'><item jid='j' node='n{len(pages)}'/>{rsm}</query>"

    async with false_service(prosody, paging) as jid, account(prosody) as romeo:
        monkeypatch.setattr(limits, "PAGES", 5)
        is_same = False
        found = await disco.ask_items(romeo, jid)
        assert len(pages) == 5
        assert found.more
        is_same = True
        pages.clear()
        assert not (await disco.ask_items(romeo, jid)).more
        assert len(pages) == 2


async def test_a_daemon_without_a_session_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """`limits.SESSION_SECONDS`: it may have begun just now; then why there is none."""
    monkeypatch.setattr(limits, "SESSION_SECONDS", 2.0)
    options = XmppOptions(component="bus.localhost", port=free_port(), pubsub_service="pubsub.localhost")
    async with Stream(options, "secret", dice=lambda: 0.5) as stream:
        with pytest.raises(Refused, match="no session with its server: no connection") as caught:
            await Through.ready(stream)
    assert caught.value.answer.exit == 75


async def test_the_end_of_the_connection_ends_what_waits(prosody: Server) -> None:
    """Nobody waits for an answer that can't come."""
    async with false_service(prosody, lambda _: None) as jid, account(prosody) as romeo:
        asking = asyncio.create_task(disco.ask_info(romeo, jid))
        await romeo.arrived()
        assert romeo._connection is not None
        romeo._connection.end("closed", "for the test")
        with pytest.raises(NoAnswer, match="not-connected"):
            await asking
