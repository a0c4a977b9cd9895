"""What slow, silent and greedy STOMP clients may cost, who may come in, and what a reload changes."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.stomp_client import StompClient, frame
from tests.support.stomp_house import StompHouse, bus, connected, hasty, stomp_house
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import ConfigInvalid
from xmppbus.inputs.stomp import StompInput
from xmppbus.web.tokens import add_token, remove_token

__all__ = ["bus", "hasty"]


# --- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("sent", [b"", b"\n\n", b"CONN", b"CONNECT\naccept-version:1.2\n"])
async def test_a_connect_that_does_not_come_ends_the_connection(
    bus: StompHouse, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of one who says nothing at all."""
    monkeypatch.setattr(limits, "STOMP_CONNECT_SECONDS", 0.2)
    async with bus.client() as client:
        client.raw(sent)
        assert (await client.error())["code"] == "timeout"
    await until(lambda: bus.status["connections"] == 0, 5, "it to be gone")
    assert bus.status["connections_late"] == 1


@pytest.mark.usefixtures("hasty")
async def test_a_frame_that_does_not_become_whole_ends_the_connection(bus: StompHouse) -> None:
    """One who is connected and says nothing may stay."""
    async with connected(bus) as silent, connected(bus) as client:
        client.raw(b"SEND\ndestination:/topic/a\n\nhalf")
        assert "NUL byte" in (await client.error())["message"]
        await silent.send("/topic/a")


@pytest.mark.usefixtures("hasty")
async def test_who_never_reads_is_cut_off_and_what_it_had_goes_to_another(bus: StompHouse) -> None:
    """A queue is not held up by one consumer for ever."""
    async with connected(bus) as stuck:
        stuck.read_no_more()
        stuck.say("SUBSCRIBE", {"id": "0", "destination": "/queue/jobs", "ack": "client", "prefetch-count": "1000"})
        count = 30
        events = [{"type": "a", "queue": "jobs", "data": f"{each} {'x' * 190_000}"} for each in range(count)]
        await bus.house.bus.accept(events)
        await until(lambda: bus.status["connections"] == 0, 20, "it to be cut off")
        async with connected(bus) as other:
            await other.subscribe("/queue/jobs", ack="client", **{"prefetch-count": "1000"})
            got = {int((await other.message()).body.split()[0]) for _ in range(count)}
            assert got == set(range(count))


async def test_heart_beats_come_to_who_wants_them(bus: StompHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longer of what one can and the other wants; nothing is asked of one who can't."""
    monkeypatch.setattr(limits, "STOMP_HEART_BEAT_MILLISECONDS", 600)
    async with bus.client() as client:
        got = await client.connect(**{"heart-beat": "0,100"})
        assert got["heart-beat"] == "600,600"
        async with asyncio.timeout(20):
            assert await client.reader.readexactly(3) == b"\n\n\n"


async def test_who_has_promised_heart_beats_and_sends_none_is_gone(
    bus: StompHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has lost its power says no goodbye."""
    monkeypatch.setattr(limits, "STOMP_HEART_BEAT_MILLISECONDS", 100)
    async with connected(bus, **{"heart-beat": "100,0"}) as client:
        assert "heart-beat" in (await client.error())["message"]


async def test_a_client_without_heart_beats_may_be_silent(bus: StompHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has been idle for very long, with nothing to wait for."""
    async with connected(bus) as waiting:
        await waiting.subscribe("/topic/#")
        monkeypatch.setattr(limits, "STOMP_IDLE_SECONDS", 0.3)
        async with connected(bus) as idle:
            assert (await idle.error())["code"] == "timeout"
        await waiting.send("/topic/a")


@pytest.mark.parametrize("given", ["x", "1", "1,-1", "1,2,3", "1.5,2"])
async def test_heart_beats_that_are_no_numbers_are_refused(bus: StompHouse, given: str) -> None:
    """With an example."""
    async with bus.client() as client:
        assert "10000,10000" in (await client.connect(**{"heart-beat": given}))["message"]


DESTINATION = {"destination": "/topic/a"}


# --- bounds -----------------------------------------------------------------------------------------------------------


async def test_who_does_nothing_gives_his_place_to_who_comes(bus: StompHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who have not said CONNECT first, then those who do nothing; whoever is subscribed keeps his."""
    monkeypatch.setattr(limits, "STOMP_CONNECTIONS_PER_ADDRESS", 4)
    async with connected(bus) as subscribed, connected(bus) as idle, bus.client() as half, bus.client() as silent:
        await subscribed.subscribe("/topic/#")
        half.raw(b"CONN")
        await until(lambda: bus.status["connections"] == 4, 5, "all of them")
        async with AsyncExitStack() as stack:
            for other in (half, silent, idle):
                busy = await stack.enter_async_context(connected(bus))
                await busy.subscribe("/topic/#")
                assert (await other.error())["code"] == "too-many-requests"
            async with bus.client() as late:
                assert (await late.error())["code"] == "too-many-requests"
            await busy.send("/topic/a")
            await subscribed.message()
        assert bus.status["connections_refused"] == 4


async def test_all_addresses_together_have_a_bound_too(bus: StompHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own beside it."""
    monkeypatch.setattr(limits, "STOMP_CONNECTIONS_PER_ADDRESS", 1)
    async with bus.client(source="127.0.0.2") as other:
        await other.connect()
        async with connected(bus) as first, connected(bus):
            assert (await first.error())["code"] == "too-many-requests"
        await other.send("/topic/a")


@pytest.mark.parametrize(
    ("limit", "most", "sent"),
    [
        ("STOMP_SUBSCRIPTIONS", 2, [("SUBSCRIBE", {"id": n, "destination": "/topic/a"}) for n in range(3)]),
        ("STOMP_TRANSACTIONS", 2, [("BEGIN", {"transaction": n}) for n in range(3)]),
        (
            "STOMP_TRANSACTION_BYTES",
            300,
            [("BEGIN", {"transaction": 1}), *[("SEND", {**DESTINATION, "transaction": 1, "key": "k" * 90})] * 3],
        ),
    ],
)
async def test_what_a_connection_may_hold_is_bounded(
    bus: StompHouse, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, sent: list[tuple[str, dict[str, Any]]]
) -> None:
    """Subscriptions, transactions, and what is in them."""
    monkeypatch.setattr(limits, limit, most)
    async with connected(bus) as client:
        for command, headers in sent[:-1]:
            await client.done(command, headers)
        client.say(*sent[-1])
        assert (await client.error())["code"] in ("too-many-requests", "payload-too-big")


async def test_unfinished_frames_share_a_bound(bus: StompHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What many slow senders cost in memory; it is given back."""
    monkeypatch.setattr(limits, "STOMP_HELD_BYTES", 300_000)
    async with connected(bus) as first:
        async with connected(bus) as second:
            for client in (first, second):
                client.raw(b"SEND\ndestination:/topic/a\nreceipt:1\ncontent-length:180000\n\n" + b"x" * 179_000)
                await client.writer.drain()
            assert (await second.error())["code"] == "too-many-requests"
        first.raw(b"x" * 1_000 + b"\0")
        assert (await first.get())["receipt-id"] == "1"


async def test_one_who_sends_without_end_is_read_no_faster_than_events_are_kept(
    bus: StompHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of it is kept, in order."""
    monkeypatch.setattr(limits, "STOMP_AHEAD_BYTES", 10_000)
    async with connected(bus) as client:
        client.raw(frame("SEND", {"destination": "/topic/a"}, b"x" * 5_000) * 200)
        await client.send("/topic/last")
    assert (await bus.house.journal.status()).entries == 201


# --- who may come in --------------------------------------------------------------------------------------------------


async def test_a_token_says_what_may_be_sent_and_read(tmp_path: Path) -> None:
    """It is the passcode, or an Authorization header; a queue counts by its name."""
    tokens = tmp_path / "tokens"
    token = add_token(tokens, "site", ["publish:user.#", "publish:jobs", "read:user.signup", "read:jobs"])
    async with stomp_house(tmp_path, tokens_file="tokens") as bus:

        async def answer(command: str, **headers: str) -> str:
            async with bus.client() as client:
                got = await client.connect(login="site", passcode=token)
                assert got.command == "CONNECTED", got
                got = await client.ask(command, headers)
                return got.headers.get("code", "yes")

        async with bus.client() as client:
            assert (await client.connect(Authorization=f"Bearer {token}")).command == "CONNECTED"
            await client.subscribe("/topic/#")
            for type_ in ("user.gone", "user.signup"):
                await client.send(f"/topic/{type_}")
            assert (await client.message())["destination"] == "/topic/user.signup"
        for wrong in ({}, {"passcode": "guess"}, {"passcode": f"{token}x"}, {"authorization": f"Basic {token}"}):
            async with bus.client() as client:
                client.say("CONNECT", {"accept-version": "1.2", **wrong})
                assert (await client.error())["code"] == "not-authorized"
        assert await answer("SEND", destination="/topic/user.signup") == "yes"
        assert await answer("SEND", destination="/queue/jobs") == "yes"
        assert await answer("SEND", destination="/topic/disk.full") == "forbidden"
        assert await answer("SEND", destination="/queue/other") == "forbidden"
        assert await answer("SEND", destination="/queue/jobs", type="disk.full") == "forbidden"
        assert await answer("SUBSCRIBE", id="0", destination="/queue/jobs") == "yes"
        assert await answer("SUBSCRIBE", id="0", destination="/queue/other") == "forbidden"
        assert await answer("SUBSCRIBE", id="0", destination="/topic/disk.full") == "forbidden"


async def test_a_token_that_is_taken_out_ends_its_connections(tmp_path: Path) -> None:
    """Within two seconds; the tokens are HTTP's where no others are named."""
    tokens = tmp_path / "tokens"
    token = add_token(tokens, "site", ["publish:#"])
    http = {"http": {"listen": "127.0.0.1:0", "tokens_file": "tokens"}}
    async with stomp_house(tmp_path, http) as bus, bus.client() as client:
        await client.connect(passcode=token)
        remove_token(tokens, "site")
        assert (await client.error())["code"] == "not-authorized"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"listen": "0.0.0.0:0"}, "tokens are needed"),
        ({"listen": "here"}, "an address and a port"),
        ({"listen": "192.0.2.1:0", "tokens_file": "tokens"}, "ip address"),
        ({"key_file": "key.pem"}, "needs the certificate"),
        ({"certificate_file": "missing.pem"}, "can't be used for TLS"),
        ({"tokens_file": "missing"}, "xmppbus token add"),
        ({"listen": 61613}, "Expected `str`"),
        ({"prot": 1}, "`prot`"),
    ],
)
async def test_options_that_can_not_be_used_are_said_before_anything_begins(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    """With what to do about it."""
    add_token(tmp_path / "tokens", "site", ["publish:#"])
    with pytest.raises((ConfigInvalid, ExceptionGroup)) as caught:
        async with stomp_house(tmp_path, **options):
            pass
    error = caught.value.exceptions[0] if isinstance(caught.value, ExceptionGroup) else caught.value
    assert isinstance(error, ConfigInvalid)
    assert said in str(error)


async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """And who has it is not disturbed."""
    (tmp_path / "second").mkdir()
    async with stomp_house(tmp_path) as bus:
        with pytest.raises(ExceptionGroup) as caught:
            async with stomp_house(tmp_path / "second", listen=f"127.0.0.1:{bus.port}"):
                pass
        assert "taken by another program" in str(caught.value.exceptions[0])
        async with connected(bus) as client:
            await client.send("/topic/a")


async def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    """And nothing else."""
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    made = [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    await asyncio.to_thread(subprocess.run, made, cwd=tmp_path, check=True, capture_output=True)
    async with stomp_house(tmp_path, certificate_file="cert.pem", key_file="key.pem") as bus:
        assert bus.status["address"].startswith("stomp+ssl://")
        trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        async with bus.client(tls=trusted) as client:
            await client.connect()
            await client.subscribe("/topic/#")
            await client.send("/topic/a", b"x" * 150_000)
            assert len((await client.message()).body) == 150_000
            client.say("SEND")
            assert (await client.get()).command == "ERROR"
        async with bus.client() as plain:
            plain.raw(frame("CONNECT"))
            with pytest.raises((EOFError, ConnectionError)):
                await plain.get()


# --- a reload ---------------------------------------------------------------------------------------------------------


async def test_other_options_are_taken_on_the_same_port(bus: StompHouse) -> None:
    """Whoever is connected is told to come again."""
    port = bus.port
    token = add_token(bus.file.parent / "tokens", "site", ["publish:#"])
    async with connected(bus) as client:
        options = {"stomp": {"listen": "127.0.0.1:0", "tokens_file": str(bus.file.parent / "tokens")}}
        reloading = asyncio.create_task(bus.reload({"inputs": options}))
        assert (await client.error())["code"] == "closing"
        await reloading
    assert bus.port == port
    async with StompClient(port) as client:
        assert (await client.connect(passcode=token)).command == "CONNECTED"


async def test_one_that_is_switched_off_gives_its_port_back(bus: StompHouse) -> None:
    """And one that crashed opens it again."""
    port = bus.port
    assert isinstance(bus.house.inputs["stomp"], StompInput)
    await bus.reload({"inputs": {}})
    await bus.reload({"inputs": {"stomp": {"listen": f"127.0.0.1:{port}"}}})
    async with connected(bus) as client:
        assert json.loads((await client.send("/topic/a")).body or b"1") == 1
