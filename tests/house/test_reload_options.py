"""Every option that a reload takes, by its name: what holds an option has the new one afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import ssl
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import yaml
from msgspec.structs import replace

from tests.support.daemon import bot_without_a_server
from tests.support.http_listener import healthy
from tests.support.waiting import until
from xmppbus import app
from xmppbus.bot.desk import Desk
from xmppbus.config import load
from xmppbus.errors import ConfigInvalid
from xmppbus.event import Event
from xmppbus.house import House
from xmppbus.options import HttpOptions
from xmppbus.outputs.chat import Chat
from xmppbus.running.difference import TAKEN
from xmppbus.web import Web
from xmppbus.web.tokens import add_token
from xmppbus.xmpp.nodes import profile_of

OWNER, OTHER = "romeo@example.org", "juliet@example.org"


class Living(NamedTuple):
    """A house and its directory; `config` is what its file says."""

    house: House
    directory: Path
    config: dict[str, Any]

    async def reload(self) -> Any:
        """Write the config down and have it taken."""
        (self.directory / "xmppbus.yaml").write_text(yaml.safe_dump(self.config))
        assert self.house.reload
        return await self.house.reload()


def set_option(config: dict[str, Any], name: str, value: object) -> None:
    """`journal.keep.days` in a config."""
    *parts, last = name.split(".")
    for part in parts:
        config = config.setdefault(part, {})
    config[last] = value


@asynccontextmanager
async def living(directory: Path) -> AsyncIterator[Living]:
    """With a bot, TLS and tokens; its server is not there."""
    config: dict[str, Any] = copy.deepcopy(bot_without_a_server(directory))
    for name in ("a", "b"):
        certificate(directory, name)
    add_token(directory / "tokens", "first", ["publish:#"])
    add_token(directory / "others", "second", ["publish:#"])
    config["http"] = {
        "listen": "127.0.0.1:0",
        "tokens_file": "tokens",
        "certificate_file": "a.pem",
        "key_file": "a.key",
    }
    config["socket"] = {"path": str(directory / "socket")}
    file = directory / "xmppbus.yaml"
    file.write_text(yaml.safe_dump(config))
    found = load(file, {"XMPPBUS_STATE": str(directory)})
    stopping = asyncio.Event()
    started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(app.live(found, app.offered(found), stopping, started.set_result))
    await asyncio.wait((started, life), return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await life
    try:
        yield Living(started.result(), directory, config)
    finally:
        stopping.set()
        await life


def certificate(directory: Path, name: str) -> None:
    """For localhost, with a key of its own."""
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
    subprocess.run(["openssl", "req", "-x509", *options, *files], cwd=directory, check=True, capture_output=True)


def event(kind: str = "a.b") -> Event:
    """Some event."""
    return Event({"type": kind, "source": "here", "id": "1", "time": "2026-01-01T00:00:00Z"})


def desk(it: Living) -> Desk:
    """What the bot's commands are given."""
    found = cast("Any", it.house.inputs["bot"])._desk
    assert isinstance(found, Desk)
    return found


async def asked(it: Living, method: str, path: str, times: int = 1) -> list[int]:
    """The status of requests with the second file's token."""
    web = it.house.web
    assert web
    port = int(web.address.rpartition(":")[2])
    headers = {"Authorization": f"Bearer {(it.directory / 'token').read_text()}"}

    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE

    def ask() -> list[int]:
        connection = HTTPSConnection("127.0.0.1", port, timeout=10, context=anybody)
        found = []
        with contextlib.closing(connection):
            for _ in range(times):
                connection.request(method, path, b"{}" if method == "POST" else None, headers)
                answer = connection.getresponse()
                answer.read()
                found.append(answer.status)
        return found

    return await asyncio.to_thread(ask)


async def knows_token(it: Living) -> bool:
    """The event is none, so it is refused; but not at the door."""
    return await asked(it, "POST", "/v1/events") != [401]


async def is_slowed(it: Living) -> bool:
    """More than a second's worth at once."""
    return 429 in await asked(it, "GET", "/health", 20)


async def shows_second(it: Living) -> bool:
    """Whether a new connection is shown the second certificate."""
    assert it.house.web
    address = "127.0.0.1", int(it.house.web.address.rpartition(":")[2])
    shown = await asyncio.to_thread(ssl.get_server_certificate, address)
    return shown == (it.directory / "b.pem").read_text()


def routed(it: Living) -> bool:
    """Whether an event goes where the new route says."""
    return ("pubsub", "elsewhere") in [tuple(each) for each in it.house.bus.routes.route(event())]


NEW: Mapping[str, tuple[object, Callable[[Living], object]]] = {
    "nodes": (
        [{"match": "a.#", "max_items": 7}],
        lambda it: profile_of(cast("Any", it.house.outputs["pubsub"])._nodes.profiles, "a.b").max_items == 7,
    ),
    "routes": ([{"name": "new", "to": ["pubsub:elsewhere"]}], routed),
    "displays": (
        [{"name": "lobby", "panels": [{"kind": "feed", "match": "#", "at": [1, 1, 2, 2]}]}],
        lambda it: [each.name for each in it.house.options.displays] == ["lobby"],
    ),
    "inputs": ({"spool": {}}, lambda it: "spool" in it.house.options.inputs),
    "outputs": ({"pubsub": {}}, lambda it: "pubsub" in it.house.options.outputs),
    "source": ("elsewhere", lambda it: it.house.bus.source == "elsewhere"),
    "xmpp.secret_file": ("other", lambda it: cast("Any", it.house.xmpp)._address.secret == "another"),
    "bot.title": ("Ops", lambda it: it.house.talk is not None and it.house.talk.profile.title == "Ops"),
    "bot.avatar_file": (
        "avatar.png",
        lambda it: it.house.talk is not None and it.house.talk.profile.avatar.width == 1,
    ),
    "bot.affiliations": (
        {OWNER: "owner", OTHER: "publisher"},
        lambda it: (
            desk(it).affiliations.of(OTHER) == "publisher"
            and (".owners" in [route.name for route in it.house.bus.routes])
            and it.house.talk is not None
            and it.house.talk.may_know(OTHER)
        ),
    ),
    "bot.strangers": ("queued", lambda it: desk(it).options.strangers == "queued"),
    "bot.prefix": ("?", lambda it: desk(it).options.prefix == "?"),
    "bot.time_zone": (
        "Europe/Rome",
        lambda it: (
            desk(it).clock_time(datetime(2020, 7, 1, tzinfo=UTC)).endswith("02:00")
            and str(cast("Chat", it.house.outputs["chat"]).zone) == "Europe/Rome"
        ),
    ),
    "bot.rooms": (
        [{"jid": "ops@muc.example.org", "nick": "me"}],
        lambda it: it.house.rooms is not None and it.house.rooms.is_room("ops@muc.example.org"),
    ),
    "bot.messages_per_minute": (
        1,
        lambda it: (
            it.house.budget is not None
            and it.house.budget.take(OWNER, it.house.clock())
            and not it.house.budget.take(OWNER, it.house.clock())
        ),
    ),
    "http.tokens_file": ("others", knows_token),
    "http.certificate_file": ("b.pem", shows_second),
    "http.key_file": ("b.key", shows_second),
    "http.requests_per_second": (3, is_slowed),
    "journal.keep.days": (3, lambda it: cast("Any", it.house.journal).keep_days == 3),
    "journal.keep.gib": (1, lambda it: cast("Any", it.house.journal).most_bytes == 2**30),
    "socket.group": (
        "daemon",
        lambda it: (it.directory / "socket").stat().st_gid != 0 and (it.directory / "socket").group() == "daemon",
    ),
    "socket.publish": (
        "admins",
        lambda it: stat.S_IMODE((it.directory / "socket").stat().st_mode) == 0o660,
    ),
    "socket.listen": ("everyone", lambda it: it.house.options.socket.listen == "everyone"),
}
"""What each is set to, and how one sees that it holds."""

WITH: Mapping[str, Mapping[str, object]] = {
    "http.certificate_file": {"http.key_file": "b.key"},
    "http.key_file": {"http.certificate_file": "b.pem"},
}
"""Options that make sense together only."""


def test_every_option_that_is_taken_has_a_test() -> None:
    """Whoever adds one says here how one sees that it holds."""
    assert NEW.keys() == TAKEN


async def test_each_option_holds_after_a_reload(tmp_path: Path) -> None:
    """One after the other, in one house: each is not so before, and is so afterwards; nothing needs a restart."""
    (tmp_path / "other").write_text("another\n")
    (tmp_path / "avatar.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1" * 2 + b"\0" * 8)
    async with living(tmp_path) as it:
        (tmp_path / "token").write_text(add_token(tmp_path / "others", "third", ["publish:#"]))
        await until(lambda: cast("Any", it.house.inputs["bot"])._desk is not None, 5, "the bot to be there")
        for name, (value, holds) in NEW.items():
            before = copy.deepcopy(it.config)
            if name not in ("inputs", "outputs", "bot.messages_per_minute"):
                assert not await seen(holds(it)), f"{name} is so before"
            for each, given in {name: value, **WITH.get(name, {})}.items():
                set_option(it.config, each, given)
            found = await it.reload()
            assert (name in found.taken, found.restart) == (True, ()), name
            assert await seen(holds(it)), f"{name} does not hold"
            it.config.clear()
            it.config.update(before)
            assert name in (await it.reload()).taken


async def test_whoever_leaves_leaves_no_half_of_it(tmp_path: Path) -> None:
    """The command's client may be interrupted."""
    async with living(tmp_path) as it:
        told: list[str] = []

        def note() -> None:
            told.append(it.house.options.source or "")

        def fail() -> None:
            raise RuntimeError("a listener's bug")

        it.house.on_reload += [fail, note]
        set_option(it.config, "source", "elsewhere")
        interrupted = asyncio.create_task(it.reload())
        await asyncio.sleep(0)
        interrupted.cancel()
        await until(lambda: told, 5, "the config to hold")
        assert told == ["elsewhere"]
        assert it.house.bus.source == "elsewhere"
        assert (await it.reload()).taken == ()
        assert it.house.reload
        await cast("Any", it.house.reload).close()
        with pytest.raises(ConfigInvalid, match="is stopping"):
            await it.reload()


async def seen(found: object) -> bool:
    """Some can be looked at, some have to be asked."""
    return bool(await found) if isinstance(found, Awaitable) else bool(found)


async def test_a_certificate_that_goes_bad_at_the_last_moment_changes_nothing(tmp_path: Path) -> None:
    """Not the tokens without the certificate: all of the new config holds, or the old one."""
    certificate(tmp_path, "a")
    add_token(tmp_path / "tokens", "first", ["publish:#"])
    options = HttpOptions(
        listen="127.0.0.1:0", certificate_file=str(tmp_path / "a.pem"), key_file=str(tmp_path / "a.key")
    )
    web = Web(options, healthy)
    before = web.guard
    take = web.prepare(replace(options, tokens_file=str(tmp_path / "tokens")))
    (tmp_path / "a.pem").write_text("none")
    with pytest.raises(ssl.SSLError):
        take()
    assert web.guard is before
    assert not web.needs_token
