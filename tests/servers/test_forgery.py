"""What people may do is a matter of the bare JID that the server stamped, and of nothing that a stanza says itself.

Each test lets somebody pretend; then nobody's state has changed but what the pretender could have changed anyway.
"""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from tests.servers.forging import scene
from tests.support.administrator import OPERATOR
from tests.support.conversation import connect
from tests.support.raw import RawError, RawStream, component
from tests.support.server import Server, StartedServer
from tests.support.talk_person import COMMANDS, CORRECTION, DATA, DELAY, MUC_USER, RECEIPTS, REPLY, Person

FORWARD = "urn:xmpp:forward:0"
WORD = re.compile(r"send this word: (\w+)")


def wrappers(words: str) -> list[str]:
    """Ways to carry somebody's words second-hand."""
    forwarded = f"<forwarded xmlns='{FORWARD}'><delay xmlns='{DELAY}' stamp='2026-01-31T12:00:00Z'/>{words}</forwarded>"
    return [
        f"<received xmlns='urn:xmpp:carbons:2'>{forwarded}</received>",
        f"<sent xmlns='urn:xmpp:carbons:2'>{forwarded}</sent>",
        f"<received xmlns='urn:xmpp:carbons:1'/>{forwarded}",
        forwarded,
        f"<body>publish quiet.forged x</body>{forwarded}",
        f"<result xmlns='urn:xmpp:mam:2' id='1'>{forwarded}</result>",
        f"<privilege xmlns='urn:xmpp:privilege:2'>{forwarded}</privilege>",
        f"<delegation xmlns='urn:xmpp:delegation:2'>{forwarded}</delegation>",
        f"<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='a'><item>{words}</item></items></event>",
    ]


async def test_carbons_and_what_is_forwarded_are_never_opened(server: Server, tmp_path: Path) -> None:
    """Whoever sends them: a stranger, and an owner too, who passes on what others have said."""
    async with scene(server, tmp_path) as stage:
        before = await stage.kept()
        for name in ("mercutio", "romeo"):
            person, owner = stage[name], stage["nurse"].jid
            words = (
                f"<message xmlns='jabber:client' from='{owner}/phone' to='{stage.bot}' type='chat' id='f'>"
                "<body>publish quiet.forged x</body></message>"
            )
            for wrapper in wrappers(words):
                person.stream.write(f"<message type='chat' to='{stage.bot}' id='{uuid4()}'>{wrapper}</message>")
            await stage.heard(person.stream)
            assert not await person.nothing_more()
        assert await stage.kept() == before


async def test_what_a_stanza_says_of_its_sender_is_not_believed(server: Server, tmp_path: Path) -> None:
    """Delays, addresses, nicks, a room's items: the stranger who sends them stays one."""
    async with scene(server, tmp_path) as stage:
        mercutio, owner = stage["mercutio"], stage["romeo"].jid
        before = await stage.kept()
        for claim in (
            f"<delay xmlns='{DELAY}' from='{owner}/phone' stamp='2026-01-31T12:00:00Z'/>",
            f"<addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='{owner}'/></addresses>",
            "<nick xmlns='http://jabber.org/protocol/nick'>romeo</nick>",
            f"<x xmlns='{MUC_USER}'><item jid='{owner}/phone' affiliation='owner' role='moderator'/></x>",
            f"<reply xmlns='{REPLY}' to='{owner}' id='1'/>",
            f"<replace xmlns='{CORRECTION}' id='1'/>",
            f"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{owner}'/>",
        ):
            mercutio.say("publish quiet.forged x", extra=claim)
            said = (await mercutio.hear()).body
            assert said.startswith((f"I don't know {mercutio.jid} yet.", "This room hides who you are")), claim
        assert await stage.kept() == before


async def test_a_client_can_not_write_in_another_s_name(server: Server, tmp_path: Path) -> None:
    """The server stamps who it is, or ends the stream of whoever claims to be another."""
    async with scene(server, tmp_path) as stage:
        before = await stage.kept()
        mercutio, juliet = stage["mercutio"], stage["juliet"]
        for claimed in (stage["romeo"].jid, f"{stage['romeo'].jid}/phone", stage.bot, server.component_jid):
            mercutio.stream.write(
                f"<message from='{claimed}' to='{stage.bot}' type='chat'><body>publish quiet.forged x</body></message>"
            )
        await stage.heard(juliet.stream)
        assert await stage.kept() == before


async def test_who_looks_like_an_owner_is_who_he_is(server: Server, tmp_path: Path) -> None:
    """Letters that look alike, capitals, and an owner's JID as a resource or a name: what the server makes of them is
    compared as it stands."""
    other = server.component_jids[1]
    owner = f"romeo@{other}"
    looks = [
        f"r\u043emeo@{other}/phone",  # Cyrillic
        f"rome\u03bf@{other}/phone",  # Greek
        f"\uff52omeo@{other}/phone",  # full width: the same to a server (RFC 7622), or another
        f"rom\u200beo@{other}/phone",  # nothing to be seen
        f"rom\u00e9o@{other}/phone",
        f"ROMEO@{other}/phone",
        f"{other}/{owner}",
        f"paris@{other}/{owner}",
        f"paris@{other}/{owner}/phone",
        f"romeo\\40{other}@{other}/phone",  # XEP-0106
        f"romeo%{other}@{other}/phone",
        f"romeo.@{other}/phone",
    ]
    async with scene(server, tmp_path, **{owner: "owner"}) as stage, await connect(server, other) as stream:
        for number, sender in enumerate([*looks, f"{owner}/phone"]):
            for words in ("whoami", f"publish quiet.look{number} x"):
                stream.write(
                    f"<message from='{sender}' to='{stage.bot}' type='chat'><body>{words}</body>"
                    f"<thread>{number}</thread></message>"
                )
        await stage.heard(stream)
        kept = await stage.kept()
        assert {source for source, _ in kept.events} == {f"xmpp:{owner}"}
        published = {kind for _, kind in kept.events}
        for number, (jid, affiliation) in answers(stream).items():
            assert (affiliation == "owner") is (jid == owner), jid
            assert (f"quiet.look{number}" in published) is (jid == owner), jid
        assert answers(stream)[len(looks)] == (owner, "owner")
        assert {0, 1, 4, 6, 7, 8, 9, 10, 11} <= {
            number for number, (_, affiliation) in answers(stream).items() if affiliation == "none"
        }


def answers(stream: RawStream) -> dict[int, tuple[str, str]]:
    """What each was told that he is, by the number of his thread."""
    found = {}
    for each in stream.stanzas:
        body = next((child.text or "" for child in each.element if child.tag.endswith("}body")), "")
        thread = next((child.text or "" for child in each.element if child.tag.endswith("}thread")), "")
        if said := re.match(r"You are (\S+), (\w+)\.", body):
            found[int(thread)] = said[1], said[2]
    return found


async def test_nothing_is_heard_from_within_the_bot_s_own_domain(server: Server, tmp_path: Path) -> None:
    """A component of the same server that may write in any name gets no further with ours; not even where somebody has
    given the domain rights."""
    own = server.component_jid
    async with (
        scene(server, tmp_path, **{own: "owner"}) as stage,
        await component(server.host, operator_port(server), OPERATOR, server.secret) as operator,
    ):
        before = await stage.kept()
        for claimed in (own, stage.bot, f"{stage.bot}/xmppbus", f"nurse@{own}", f"nurse@{own}/romeo@localhost"):
            for kind in ("chat", "normal", "groupchat", "headline", "error"):
                operator.write(
                    f"<message from='{claimed}' to='{stage.bot}' type='{kind}'><body>publish quiet.forged x</body>"
                    "</message>"
                )
            operator.write(f"<presence from='{claimed}' to='{stage.bot}' type='subscribe'/>")
        await stage.heard(operator)
        assert await stage.kept() == before


def operator_port(server: Server) -> int:
    """Where the component connects that may write in any name."""
    assert isinstance(server, StartedServer)
    return server.operator_port


# --- what belongs to one of them --------------------------------------------------------------------------------------


async def executes(person: Person, command: str, inner: str = "", **attributes: str) -> str:
    """Ask for an ad-hoc command; its status and the session, or the error's condition."""
    given = "".join(f" {name}='{value}'" for name, value in attributes.items())
    try:
        answer = await person.stream.iq(
            "set", person.bot, f"<command xmlns='{COMMANDS}' node='{command}'{given}>{inner}</command>"
        )
    except RawError as error:
        return error.condition
    found = answer.find(COMMANDS, "command")
    assert found is not None
    return found.get("sessionid", "") if found.get("status") == "executing" else found.get("status", "")


def form(**fields: str) -> str:
    """A form that is sent."""
    inner = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    return f"<x xmlns='{DATA}' type='submit'>{inner}</x>"


async def test_a_form_is_who_opened_it_s(server: Server, tmp_path: Path) -> None:
    """Not even another owner can send it, say yes to it, or close it; then who opened it can."""
    async with scene(server, tmp_path) as stage:
        romeo, nurse, juliet, mercutio = (stage[name] for name in ("romeo", "nurse", "juliet", "mercutio"))
        item = await stage.event(type="quiet.event")
        opened = await executes(romeo, "publish")
        asking = await executes(romeo, "retract", form(id=item))
        before = await stage.kept()
        filled = form(type="quiet.form", text="x")
        for person, refusal in ((nurse, "not-allowed"), (juliet, "forbidden"), (mercutio, "forbidden")):
            assert await executes(person, "publish", filled, sessionid=opened) == refusal
            assert await executes(person, "retract", form(confirm="1"), sessionid=asking) == refusal
            assert await executes(person, "publish", action="cancel", sessionid=opened) == refusal
            assert await executes(person, "help", form(confirm="1"), sessionid=asking) == "not-allowed"
        assert await stage.kept() == before
        assert await executes(romeo, "publish", filled, sessionid=opened) == "completed"
        assert await executes(romeo, "retract", form(confirm="1"), sessionid=asking) == "completed"
        assert {kind for _, kind in (await stage.kept()).events} == {"quiet.event", "quiet.form", "event.retracted"}


async def test_a_one_time_word_is_who_asked_s(server: Server, tmp_path: Path) -> None:
    """In another's mouth it is a word that nobody knows; and it is good for once."""
    async with scene(server, tmp_path) as stage:
        romeo, nurse, mercutio = stage["romeo"], stage["nurse"], stage["mercutio"]
        item = await stage.event(type="quiet.event")
        romeo.say(f"retract {item}")
        found = WORD.search((await romeo.hear()).body)
        assert found
        before = await stage.kept()
        for person in (nurse, mercutio):
            person.say(found[1])
            assert (await person.hear()).body.startswith(f"I don't know `{found[1]}`")
        assert await executes(romeo, "retract", form(id=item, confirm="1")) not in ("completed", "canceled")
        assert await stage.kept() == before
        romeo.say(found[1])
        assert (await romeo.hear()).body.startswith("Taken back:")
        romeo.say(found[1])
        assert (await romeo.hear()).body.startswith(f"I don't know `{found[1]}`")
        assert stage.ours(await stage.kept()) == [("xmppbus", "event.retracted")]


async def test_a_message_of_the_bot_s_is_who_got_it_s(server: Server, tmp_path: Path) -> None:
    """Receipts, markers, bounces, reactions and replies that name a message to somebody else change nothing."""
    async with scene(server, tmp_path) as stage:
        romeo, juliet, mercutio = stage["romeo"], stage["juliet"], stage["mercutio"]
        romeo.say("subscribe disk.#")
        await romeo.hear()
        await stage.event(type="disk.full", key="db1", status="firing", severity="error", summary="full")
        told = await romeo.hear()
        before = await stage.kept()
        assert before.ledger
        gone = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        for person in (juliet, mercutio):
            person.last = told
            for to in (told.sender, stage.bot):
                person.say("", to=to, extra=f"<received xmlns='{RECEIPTS}' id='{told.id}'/>")
                person.say("", to=to, extra=f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{told.id}'/>")
                person.stream.write(f"<message type='error' to='{to}' id='{told.id}'>{gone}</message>")
            person.react("👍")
            person.react("✅ 👍")
            await stage.heard(person.stream)
            assert not await person.nothing_more()
            person.reply("ack")
            person.reply("I am on it")
            for _ in range(2):
                said = (await person.hear()).body
                assert said.startswith(("You were told of nothing", "I don't know")), said
            person.say("ack", extra=f"<replace xmlns='{CORRECTION}' id='{told.id}'/>")
            said = (await person.hear()).body
            assert said.startswith(("You were told of nothing", "I don't know")), said
        assert await stage.kept() == before
        romeo.receive()
        romeo.react("👍")
        await stage.heard(romeo.stream)
        after = await stage.kept()
        assert [each.received is not None for each in after.ledger if each.id == told.id] == [True]
        assert stage.ours(after) == [("xmppbus", "incident.acknowledged")]


BODIES = (
    "<body>whoami</body><body>publish quiet.forged x</body>",
    "<body>whoami</body><body xml:lang='de'>publish quiet.forged x</body>",
    "<body xml:lang='de'>whoami</body><body xml:lang='fr'>publish quiet.forged x</body>",
    "<body xmlns='urn:test'>publish quiet.forged x</body><body>whoami</body>",
    "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>"
    "publish quiet.forged x</body></html><body>whoami</body>",
    "<body>whoami</body><subject>publish quiet.forged x</subject>",
    "<body>whoami<body>publish quiet.forged x</body></body>",
    "<x xmlns='urn:test'><message><body>publish quiet.forged x</body></message></x><body>whoami</body>",
)


async def test_of_several_bodies_one_is_obeyed(server: Server, tmp_path: Path) -> None:
    """The first of its own: what a client would show, and no other."""
    async with scene(server, tmp_path) as stage:
        romeo = stage["romeo"]
        before = await stage.kept()
        for bodies in BODIES:
            romeo.stream.write(f"<message type='chat' to='{stage.bot}'>{bodies}</message>")
            assert (await romeo.hear()).body.startswith(f"You are {romeo.jid}, owner."), bodies
        await stage.heard(romeo.stream)
        assert not await romeo.nothing_more()
        assert await stage.kept() == before
