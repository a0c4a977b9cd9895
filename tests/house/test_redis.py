"""docs/howto/redis.md with Debian's Redis: streams by a consumer group, through kills of both sides; channels."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.daemon import Daemon, program
from tests.support.pages import ROOT, blocks
from tests.support.redis_server import RedisServer, redis_server
from tests.support.waiting import until
from tests.support.without_extra import program_without
from xmppbus.inputs.redis_options import RedisInputOptions, server_of
from xmppbus.inputs.redis_streams import RedisInput
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result

PAGE = ROOT / "docs/howto/redis.md"
WAIT = 30.0
ENTRIES = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests of this file, which use streams of their own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@contextlib.asynccontextmanager
async def client(server: RedisServer, **more: Any) -> AsyncIterator[Redis]:
    """Another program."""
    one = Redis(port=server.port, **more)
    try:
        yield one
    finally:
        await one.aclose()


def reading(server: RedisServer, **options: Any) -> dict[str, Any]:
    """A config."""
    return {"inputs": {"redis": {"url": server.url, **options}}}


async def until_up(daemon: Daemon) -> None:
    """It is connected and reads."""

    async def up() -> bool:
        return bool((await daemon.status())["inputs"]["redis"]["state"] == "up")

    await until(up, WAIT, "Redis to be read", poll=0.1)


async def events_of(daemon: Daemon, pattern: str, count: int) -> list[dict[str, Any]]:
    """So many events of the journal, once they are there."""
    done = await daemon.run("listen", pattern, "--since", "all", "-n", str(count), "--json", timeout=WAIT)
    assert done.code == 0, f"{done}\n{daemon.log()[-3000:]}"
    return [json.loads(line)["event"] for line in done.out.splitlines()]


async def test_the_lines_of_its_page_make_events(server: RedisServer, tmp_path: Path) -> None:
    """Each config of docs/howto/redis.md with the lines below it; the one with a socket and a user as it stands."""
    configs = [yaml.safe_load(text) for language, text in blocks(PAGE) if language == "yaml"]
    lines = [text for language, text in blocks(PAGE) if language == "sh"]
    add, get, publish = (text.replace("redis-cli", f"redis-cli -p {server.port}") for text in lines)
    config = configs[0]
    config["inputs"]["redis/channels"] = configs[1]["inputs"]["redis"]
    config["inputs"]["redis/socket"] = configs[2]["inputs"]["redis"]
    for each in config["inputs"].values():
        each["url"] = each["url"].replace(":6379", f":{server.port}")
        each["url"] = each["url"].replace("/run/redis/redis-server.sock", str(server.socket))
    daemon = Daemon(tmp_path / "bus", config=config)
    (daemon.directory / "password").write_text("opensesame\n")
    rights = (
        "+ping +select +client|setname +xgroup +xreadgroup +xack +xautoclaim +xadd +multi +exec +subscribe +psubscribe"
    )
    assert rights in PAGE.read_text()
    async with client(server, db=2) as other:
        command: Any = other.execute_command
        await command("ACL", "SETUSER", "xmppbus", "on", ">opensesame", "~*", "&*", *rights.split())
        async with daemon:

            async def all_up() -> bool:
                return {
                    each["state"] for name, each in (await daemon.status())["inputs"].items() if "redis" in name
                } == {"up"}

            await until(all_up, WAIT, "all three to be up")
            await daemon.shell(add)
            (event,) = await events_of(daemon, "job.#", 1)
            assert (event["summary"], event["severity"]) == ("the backup took 40 minutes", "notice")
            assert (event["data"], event["source"]) == ({"minutes": "40"}, "redis:jobs")
            assert "the backup took 40 minutes" in await daemon.shell(get)
            await daemon.shell(publish)
            (event,) = await events_of(daemon, "alerts.disk", 1)
            assert event["data"] == {"used": 93}
            await other.xadd("jobs", {"type": "socket.job", "summary": "over the socket"})
            (event,) = await events_of(daemon, "socket.job", 1)
            assert event["summary"] == "over the socket"
            assert "opensesame" not in daemon.log()


async def test_kills_of_redis_and_of_the_daemon_lose_nothing_and_make_nothing_twice(
    server: RedisServer, tmp_path: Path
) -> None:
    """Every entry that Redis has said yes to is one event, and nothing is left pending."""
    daemon = Daemon(tmp_path / "bus", config=reading(server, streams=["kills"], batch=7))
    added: list[str] = []
    async with daemon:
        await until_up(daemon)
        adding = asyncio.create_task(_add(server, added))
        for turn in range(1, 3):
            await until(lambda turn=turn: len(added) >= turn * ENTRIES // 3, WAIT, "some entries")  # type: ignore[misc]  # a loop's variable
            if turn % 2:
                daemon.kill()
                await daemon.start()
            else:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
        await adding
        async with client(server) as other:

            async def settled() -> bool:
                (group,) = await other.xinfo_groups("kills")
                return bool(group["pending"] == 0 and group["lag"] == 0)

            await until(settled, WAIT, "nothing to be left", poll=0.1)
        done = await daemon.command("get", "kills", "-n", "2000", "--json")
    found = Counter(json.loads(line)["event"]["id"] for line in done.out.splitlines())
    assert set(found) >= set(added)
    assert max(found.values()) == 1
    assert len(added) == ENTRIES


async def _add(server: RedisServer, added: list[str]) -> None:
    """Entries one after the other; what was not answered is added once more, as another entry."""

    async def done() -> bool:
        with contextlib.suppress(RedisError, OSError):
            async with client(server) as other:
                while len(added) < ENTRIES:
                    entry: Any = await other.xadd("kills", {"summary": str(len(added))})
                    added.append(entry.decode())
        return len(added) >= ENTRIES

    await until(done, 2 * WAIT, "all entries", poll=0.1)


async def test_what_can_not_be_an_event_is_kept_in_a_stream_of_dead_letters(
    server: RedisServer, tmp_path: Path
) -> None:
    """With the reason; its neighbours are events. What an earlier self, or another consumer, left is taken over."""
    async with client(server) as other:
        await other.xgroup_create("left", "xmppbus", id="0", mkstream=True)
        for number in range(3):
            await other.xadd("left", {"summary": str(number)})
        await other.xreadgroup("xmppbus", "an earlier self", {"left": ">"}, count=2)
        await other.xadd("left", {"severity": "loud", "text": "x"})
        await other.xadd("left", {b"summary": b"\xff"})
        await other.xadd("left", {"event": "{"})
        options = {"streams": ["left"], "channels": ["said"], "claim_seconds": 1, "type": "left.over"}
        daemon = Daemon(tmp_path / "bus", config=reading(server, **options))
        async with daemon:
            assert {each["summary"] for each in await events_of(daemon, "left.over", 3)} == {"0", "1", "2"}

            async def buried() -> bool:
                return await other.xlen("left.dead") == 3

            await until(buried, WAIT, "the dead letters")
            found: Any = await other.xrange("left.dead")
            letters = [fields for _, fields in found]
            assert [fields.get(b"severity") for fields in letters] == [b"loud", None, None]
            assert b"'loud' is not one of debug" in letters[0][b"xmppbus-reason"]
            assert (await other.xpending("left", "xmppbus"))["pending"] == 0
            # A server that has lost everything is begun with anew.
            await other.flushall()
            await other.xadd("left", {"summary": "after"})
            assert (await events_of(daemon, "left.over", 4))[-1]["summary"] == "after"
            await until_up(daemon)
            assert await other.publish("said", b"by channel") == 1
            assert (await events_of(daemon, "left.over", 5))[-1]["data"] == "by channel"


async def test_an_entry_that_was_deleted_before_it_was_taken_makes_no_event(
    server: RedisServer, tmp_path: Path
) -> None:
    """Redis still lists it as ours, without a word of what it was; that it is lost is counted and said."""
    async with client(server) as other:
        await other.xgroup_create("trimmed", "xmppbus", id="0", mkstream=True)
        first: Any = await other.xadd("trimmed", {"summary": "0"})
        await other.xadd("trimmed", {"summary": "1"})
        await other.xreadgroup("xmppbus", "we", {"trimmed": ">"})
        await other.xdel("trimmed", first)
        daemon = Daemon(tmp_path / "bus", config=reading(server, streams=["trimmed"], consumer="we", type="left.over"))
        async with daemon:

            async def settled() -> bool:
                return bool((await other.xpending("trimmed", "xmppbus"))["pending"] == 0)

            await until(settled, WAIT, "the pending entries to be settled")
            status = (await daemon.status())["inputs"]["redis"]
            assert (status["accepted"], status["lost"]) == (1, 1)
            assert "summary" in (await events_of(daemon, "#", 1))[0]
            assert f"the entry {first.decode()} of the stream trimmed was deleted before" in daemon.log()


async def test_an_entry_that_is_deleted_while_it_is_pending_makes_no_event(server: RedisServer) -> None:
    """Redis has only its id then; it is settled like its neighbours."""
    accepted: list[Any] = []

    async def accept(sent: Any, *, time: str = "") -> Any:
        accepted.extend(sent)
        return [Accepted(Result.NEW, time, 1, 1) for _ in sent]

    options = RedisInputOptions(url=server.url, streams=["gone"], consumer="we")
    reader = RedisInput(server_of(options, {}), options)
    async with client(server) as other:
        await other.xgroup_create("gone", "xmppbus", id="0", mkstream=True)
        first: Any = await other.xadd("gone", {"summary": "0"})
        await other.xadd("gone", {"summary": "1"})
        await other.xreadgroup("xmppbus", "we", {"gone": ">"})
        await other.xdel("gone", first)
        entries = await reader._next(other, "gone", pending=True)
        assert len(entries) == 2
        assert await reader._take(other, "gone", entries, accept)
        assert [each["summary"] for each in accepted] == ["1"]
        assert (await other.xpending("gone", "xmppbus"))["pending"] == 0


async def test_why_redis_can_not_be_used_is_said_in_plain_words(server: RedisServer, tmp_path: Path) -> None:
    """A wrong password, a key that is no stream, a port where nobody is."""
    (tmp_path / "password").write_text("not the password\n")
    secret = {"user": "nobody", "password_file": str(tmp_path / "password")}
    config = reading(server, streams=["plain"])
    config["inputs"]["redis/password"] = {"url": server.url, "streams": ["x"], **secret}
    config["inputs"]["redis/gone"] = {"url": f"unix://{tmp_path}/nobody.sock", "streams": ["x"]}
    said = {"redis": "plain: WRONGTYPE", "redis/password": "it refuses the user `nobody`", "redis/gone": "nobody.sock"}
    async with client(server) as other:
        await other.set("plain", "text")
    async with Daemon(tmp_path / "bus", config=config) as daemon:

        async def told() -> bool:
            status = (await daemon.status())["inputs"]
            return all(words in status[name]["reason"] for name, words in said.items())

        await until(told, WAIT, "all reasons")
        assert "not the password" not in daemon.log()
        assert "Traceback" not in daemon.log()


async def test_without_the_extras_the_line_that_installs_them_is_said(tmp_path: Path) -> None:
    """And nobody who does not use them needs them; a URL with a password in it is refused, and not repeated."""
    daemon = Daemon(tmp_path / "bus")
    daemon.program = program_without(tmp_path / "venv", ("aio-pika", "aiormq", "pamqp", "redis"))
    async with daemon:
        assert (await daemon.status())["state"] == "up"
    for name, options in (("amqp", {"queues": ["q"]}), ("redis", {"streams": ["s"]})):
        daemon.configure(None, config={"inputs": {name: options}})
        assert await _refused(daemon) == 78
        assert f"pip install 'xmppbus[{name}]'" in daemon.log()
    daemon.program = (program(),)
    daemon.configure(None, config={"inputs": {"redis": {"url": "redis://:opensesame@127.0.0.1", "streams": ["s"]}}})
    assert await _refused(daemon) == 78
    assert "name that in `password_file`" in daemon.log()
    assert "opensesame" not in daemon.log()


async def _refused(daemon: Daemon) -> int:
    """The exit code of a daemon that does not start."""
    daemon.spawn()
    assert daemon.process
    return await asyncio.to_thread(daemon.process.wait, WAIT)
