"""The stream: it comes up, says how it is, and nothing that a server or a network does brings it down for good."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tests.servers.outputs import account_options, options, stream
from tests.support.conversation import PING, connect, log_in, refusal
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.options import XmppOptions
from xmppbus.xmpp.component import State, Stream
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer

DISCO_INFO = "http://jabber.org/protocol/disco#info"
SOON = 10.0


@asynccontextmanager
async def up(server: Server, **changed: Any) -> AsyncIterator[Stream]:
    """A stream in session."""
    async with stream(server, **changed) as found:
        await asyncio.wait_for(found.ready(), SOON)
        yield found


async def test_it_comes_up_and_says_so(server: Server) -> None:
    """State, addresses and counts are in `status`."""
    async with up(server) as found:
        status = found.status()
        assert (status["state"], status["reason"], status["jid"]) == ("up", "", "bus.localhost")
        assert (status["host"], status["port"], status["sessions"]) == (server.host, server.component_port, 1)
    assert found.status()["state"] == "closed"


async def test_closing_leaves_nothing_behind(server: Server) -> None:
    """No task, and the server takes the next connection at once."""
    before = asyncio.all_tasks()
    for _ in range(3):
        async with up(server):
            pass
    await until(lambda: asyncio.all_tasks() <= before, SOON, "the last task")


async def test_closing_ends_an_attempt(own_server: ServerFactory) -> None:
    """Also one to a server that never answers."""
    server = await own_server("prosody")
    async with Proxy(server.component_port) as proxy:
        proxy.to_bus.black_hole = True
        async with stream(server, port=proxy.port) as found:
            await until(lambda: proxy.open, SOON, "the connection")
            begun = time.monotonic()
        assert time.monotonic() - begun < limits.CLOSE_SECONDS + 2
        assert found.state is State.CLOSED


async def test_an_iq_is_answered_with_its_result_or_its_condition(server: Server) -> None:
    """The condition is read from the XML, whatever the stream's namespace."""
    async with up(server) as found:
        await found.ask("get", found.service, f"<query xmlns='{DISCO_INFO}'/>")
        with pytest.raises(ErrorAnswer) as caught:
            await found.ask("get", found.service, f"<query xmlns='{DISCO_INFO}' node='nowhere'/>")
        assert caught.value.reply.name == "item-not-found"


async def test_we_say_who_we_are_and_refuse_what_we_do_not_do(server: Server) -> None:
    """disco#info, ping and version are answered; the rest is service-unavailable."""
    async with up(server), await log_in(server, "reader@localhost") as reader:
        to = server.component_jid
        answer = await reader.iq("get", to, f"<query xmlns='{DISCO_INFO}'/>")
        identity = answer.element[0][0]
        assert (identity.get("category"), identity.get("name")) == ("component", "xmppbus")
        await reader.iq("get", to, PING)
        await reader.iq("get", to, "<query xmlns='jabber:iq:version'/>")
        assert await refusal(reader.iq("get", to, "<query xmlns='jabber:iq:roster'/>")) == "service-unavailable"
        assert await refusal(reader.iq("set", to, PING)) == "service-unavailable"


async def test_an_error_is_never_answered(server: Server) -> None:
    """Nor does anything odd that somebody sends harm the stream."""
    async with up(server) as found, await log_in(server, "reader@localhost") as reader:
        to = server.component_jid
        reader.write(f"<message to='{to}' type='error'><body>x</body></message>")
        reader.write(f"<iq to='{to}' type='result' id='nobody-asked'/>")
        reader.write(f"<presence to='{to}'/><presence to='{to}' type='subscribe'/>")
        reader.write(f"<message to='{to}'><holder xmlns='urn:xmppbus:holder' name='x' since='1' round='1'/></message>")
        await reader.iq("get", to, PING)
        assert not [each for each in reader.stanzas if each.get("from").startswith(to) and each.name == "message"]
        assert found.session == 1


async def test_nobody_else_answers_in_the_services_place(server: Server) -> None:
    """A result counts only when it comes from whom we asked."""
    async with up(server) as found, await log_in(server, "reader@localhost") as reader:
        asked = asyncio.create_task(found.ask("get", reader.jid, "<query xmlns='urn:example:slow'/>"))
        found.pipeline._prefix = "guessed"
        forged = found.pipeline.new_id()
        task = asyncio.create_task(found.pipeline.ask(forged, b" ", found.service))
        await asyncio.wait([asked])
        reader.write(f"<iq to='{server.component_jid}' type='result' id='{forged}'/>")
        await reader.iq("get", server.component_jid, PING)
        assert not task.done()
        task.cancel()


async def test_a_lost_connection_leaves_nothing_unanswered(own_server: ServerFactory, server_name: str) -> None:
    """What is in flight is unanswered at once, and the stream comes back by itself."""
    server = await own_server(server_name)
    async with Proxy(server.component_port) as proxy, up(server, port=proxy.port) as found:
        proxy.to_bus.black_hole = True
        asked = asyncio.create_task(found.ask("get", found.service, f"<query xmlns='{DISCO_INFO}'/>"))
        await until(lambda: found.pipeline.in_flight, SOON, "the request")
        begun = time.monotonic()
        proxy.reset()
        with pytest.raises(NoAnswer):
            await asked
        assert time.monotonic() - begun < 2
        proxy.heal()
        await until(lambda: found.session == 2, SOON, "the second session")


async def test_nothing_is_sent_while_there_is_no_session(own_server: ServerFactory) -> None:
    """The journal is the only queue."""
    server = await own_server("prosody")
    async with up(server) as found:
        server.kill()
        await until(lambda: not found.session, SOON, "the end of the session")
        with pytest.raises(NoAnswer):
            await found.ask("get", found.service, f"<query xmlns='{DISCO_INFO}'/>")


async def test_it_is_back_within_two_seconds_of_the_port_opening(own_server: ServerFactory, server_name: str) -> None:
    """However often the server was away, however short the sessions were, and with the unluckiest dice."""
    server = await own_server(server_name)
    async with Stream(options(server), server.secret, dice=lambda: 0.99) as found:
        await asyncio.wait_for(found.ready(), SOON)
        for restart in range(1, 4):
            server.kill()
            await until(lambda: not found.session, SOON, "the end of the session")
            await server.start()
            begun = time.monotonic()
            await until(partial(is_in_session, found, restart + 1), SOON, "the next session")
            assert time.monotonic() - begun < limits.UNREACHABLE_MOST_SECONDS + 1.5


def is_in_session(found: Stream, number: int) -> bool:
    """Whether that session, or a later one, is up."""
    return found.session >= number


async def test_a_server_that_is_not_there_is_said_in_plain_words() -> None:
    """With the address."""
    async with Stream(options_of_nobody(), "x", dice=lambda: 0.5) as found:
        await until(lambda: found.state is State.BACKOFF, SOON, "the failure")
        assert found.status()["reason"].startswith("no connection to the server")


async def test_a_server_that_stays_away_is_said_once_and_since_when(caplog: pytest.LogCaptureFixture) -> None:
    """The log of a night without it is a line, not thousands; and status says for how long it has been so."""
    caplog.set_level(logging.INFO, "xmppbus.xmpp")
    async with Stream(options_of_nobody(), "x", dice=lambda: 0.5) as found:
        since = found.status()["since"]
        await until(lambda: found.status()["attempts"] >= 3, SOON, "two failures")
        assert found.status()["since"] == since
        assert [record.levelname for record in caplog.records] == ["WARNING"]


def options_of_nobody() -> XmppOptions:
    """Where nobody listens."""
    return XmppOptions(component="bus.localhost", host="127.0.0.1", port=free_port())


async def test_a_wrong_secret_is_a_slow_state_of_its_own(server: Server) -> None:
    """At most twelve attempts a minute: five seconds between two, even with the luckiest dice."""
    async with Stream(options(server), "wrong", dice=lambda: 0.0) as found:
        await until(lambda: found.state is State.REFUSED, SOON, "the refusal")
        assert "does not take our secret" in found.status()["reason"]
        first = time.monotonic()
        await until(lambda: found.status()["attempts"] == 2, SOON, "the second attempt")
        assert time.monotonic() - first > limits.REFUSED_SECONDS - 0.5
    assert 60 / limits.REFUSED_SECONDS <= 12


async def test_an_unknown_component_is_refused_too(server: Server) -> None:
    """The servers differ in what they call it."""
    async with stream(server, component="nobody.localhost") as found:
        await until(lambda: found.state is State.REFUSED, SOON, "the refusal")


async def test_prosody_refuses_a_second_holder(prosody: Server) -> None:
    """It says who is in the way, and goes on trying."""
    async with await connect(prosody), stream(prosody) as found:
        await until(lambda: found.state is State.CONFLICT, SOON, "the conflict")
        assert found.status()["reason"].startswith("another connection holds our address")


async def test_the_younger_of_two_holders_steps_down_on_ejabberd(ejabberd: Server) -> None:
    """The server would share the traffic out; the older goes on."""
    async with up(ejabberd) as older, stream(ejabberd) as younger:
        await until(lambda: younger.state is State.SPLIT, 60, "the younger to step down")
        assert "older holder" in younger.status()["reason"]
        assert older.session == 1
    assert limits.SPLIT_SECONDS + limits.SPLIT_DEADLINE_SECONDS < 60


async def test_another_program_on_our_address_is_noticed_on_ejabberd(ejabberd: Server) -> None:
    """It knows no nonces, but ours are missing."""
    async with await connect(ejabberd), stream(ejabberd) as found:
        await until(lambda: "went elsewhere" in found.status()["reason"], SOON, "the warning")


async def test_a_black_hole_is_noticed_within_thirty_seconds(own_server: ServerFactory) -> None:
    """The connection is open, and nothing ever comes."""
    server = await own_server("prosody")
    async with Proxy(server.component_port) as proxy, up(server, port=proxy.port) as found:
        proxy.to_server.black_hole = proxy.to_bus.black_hole = True
        begun = time.monotonic()
        await until(lambda: not found.session, 30, "the end of the session")
        assert time.monotonic() - begun < 30
        assert "the connection is dead" in found.status()["reason"]


async def test_garbage_from_the_server_ends_the_session_only(own_server: ServerFactory, server_name: str) -> None:
    """The next one is fine."""
    server = await own_server(server_name)
    async with Proxy(server.component_port) as proxy, up(server, port=proxy.port) as found:
        proxy.to_bus.garbage = b"\x00<"
        asked = asyncio.create_task(found.ask("get", found.service, f"<query xmlns='{DISCO_INFO}'/>"))
        with pytest.raises(NoAnswer):
            await asked
        await until(lambda: found.status()["sessions"] == 2 and found.session, SOON, "the second session")


async def test_an_account_logs_in_over_verified_tls(server: Server) -> None:
    """And is told what it can't do."""
    async with Stream(account_options(server), server.accounts["listener@localhost"], dice=lambda: 0.5) as found:
        await asyncio.wait_for(found.ready(), SOON)
        assert found.status()["jid"] == "listener@localhost/xmppbus"
        assert "slow it down" in found.status()["limits"]
        await found.ask("get", found.service, f"<query xmlns='{DISCO_INFO}'/>")


async def test_an_account_does_not_trust_a_strangers_certificate(server: Server) -> None:
    """Nor sends its password there."""
    trusting_nobody = account_options(server, ca_file=None)
    async with Stream(trusting_nobody, server.accounts["listener@localhost"], dice=lambda: 0.5) as found:
        await until(lambda: found.state is State.REFUSED, SOON, "the refusal")
        assert "certificate" in found.status()["reason"]


async def test_an_account_with_a_wrong_password_is_refused(server: Server) -> None:
    """In plain words, and slowly."""
    async with Stream(account_options(server), "wrong", dice=lambda: 0.0) as found:
        await until(lambda: found.state is State.REFUSED, SOON, "the refusal")
        assert "does not take our secret" in found.status()["reason"]


async def test_no_secret_and_no_event_is_in_the_logs(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """slixmpp's DEBUG would print the handshake and every stanza."""
    caplog.set_level(logging.DEBUG)
    password = server.accounts["listener@localhost"]
    async with up(server) as found:
        with pytest.raises(ErrorAnswer):
            await found.ask("set", found.service, "<query xmlns='urn:canary:in-a-stanza'/>")
    async with Stream(account_options(server), password, dice=lambda: 0.5) as found:
        await asyncio.wait_for(found.ready(), SOON)
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "<handshake ...>" in logged
    assert server.secret not in logged
    assert password not in logged
    assert "canary" not in logged


@pytest.mark.parametrize("check", ["_ping", "_keep_checking_split"])
async def test_a_check_that_fails_is_said_and_ends_the_session(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, check: str
) -> None:
    """It does not leave a session behind that nobody watches."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Stream, check, broken)
        async with stream(server) as found:
            await until(lambda: "ZeroDivisionError" in found.status()["reason"], SOON, "the end of the session")
            patch.undo()
            await asyncio.wait_for(found.ready(), SOON)
    assert "a check of the stream failed" in caplog.text
