"""Incidents on the command line of the installed program: listing, acknowledging, resolving, retracting; who may."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import pty
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.house.test_cli_roles import as_nobody
from tests.support.conversation import log_in
from tests.support.daemon import Daemon, Done, bot_without_a_server, program
from tests.support.raw import RawStream
from tests.support.server import Server
from tests.support.waiting import until

ME = getpass.getuser()
SOON = 20.0
FIRING = ("--key", "db1:/var", "--status", "firing", "--severity", "warning")


def alone(directory: Path, **config: Any) -> Daemon:
    """A daemon with a bot whose server is not there: all of this works without it."""
    return Daemon(directory, config={**bot_without_a_server(directory), **config})


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with alone(tmp_path) as started:
        yield started


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that others may enter; pytest's own is private."""
    with TemporaryDirectory(prefix="xmppbus-incidents-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def publish(daemon: Daemon, *arguments: str) -> str:
    """The item id."""
    return (await daemon.command("publish", *arguments)).out.strip()


async def listed(daemon: Daemon, *arguments: str) -> list[dict[str, Any]]:
    """`xmppbus incidents --json`."""
    done = await daemon.command("incidents", "--json", *arguments)
    return [json.loads(line) for line in done.out.splitlines()]


# --- without a bot ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [["incidents"], ["ack", "x"], ["unack"], ["resolve", "x"], ["retract", "x", "--yes"], ["subscribers"]]
)
async def test_a_bus_without_a_bot_says_how_to_get_one(tmp_path: Path, command: list[str]) -> None:
    """Exit 69, one sentence; and without any daemon, how to start it."""
    async with Daemon(tmp_path) as daemon:
        done = await daemon.run(*command)
        assert (done.code, done.out) == (69, "")
        assert "write `bot: {}`" in done.err
    done = await daemon.run(*command)
    assert done.code == 69
    assert "xmppbus serve" in done.err


async def test_show_works_without_a_bot_as_before(tmp_path: Path) -> None:
    """Nobody is told, so no message and no incident."""
    async with Daemon(tmp_path) as daemon:
        shown = await daemon.show(await publish(daemon, "disk.full", "91 %", *FIRING))
        assert (shown["messages"], shown["incident"]) == ([], None)


# --- an incident's life -----------------------------------------------------------------------------------------------


async def test_an_incident_is_listed_acknowledged_and_resolved(daemon: Daemon) -> None:
    """Each in the name of the Unix user; what was done is seen at once."""
    first = await publish(daemon, "disk.full", "/var is at 91 %", *FIRING)
    await publish(daemon, "disk.full", "/var is at 92 %", *FIRING)
    text = (await daemon.command("incidents")).out
    assert re.fullmatch(r"▲ firing +\d s  db1:/var  /var is at 92 %  ×2\n", text)
    (incident,) = await listed(daemon)
    assert (incident["status"], incident["count"], incident["episode"]) == ("firing", 2, first)

    done = await daemon.command("ack", "db1:/var")
    assert done.out == f"acknowledged  db1:/var  /var is at 92 %  ×2  by {ME}\n"
    (incident,) = await listed(daemon, "--status", "acknowledged")
    assert incident["by"] == ME
    assert await listed(daemon, "--status", "firing") == []
    assert f"acknowledged by {ME} 20" in (await daemon.command("show", first)).out
    assert (await daemon.show(first))["incident"]["by"] == ME

    assert (await daemon.command("unack", first)).out.startswith("taken back  db1:/var")
    shown = (await daemon.command("resolve", first, "--json")).json
    assert (shown["status"], shown["by"]) == ("resolved", ME)
    assert await listed(daemon) == []
    assert "nothing fires" in (await daemon.run("incidents")).err
    assert [each["key"] for each in await listed(daemon, "--status", "resolved")] == ["db1:/var"]


async def test_without_a_key_the_only_one_is_meant(daemon: Daemon) -> None:
    """Of several it is asked which; where none fires there is nothing to do."""
    done = await daemon.run("ack")
    assert (done.code, "nothing to do" in done.err) == (1, True)
    await publish(daemon, "disk.full", "91 %", *FIRING)
    await publish(daemon, "web.down", "no answer", "--key", "web1", "--status", "firing")
    done = await daemon.run("ack")
    assert done.code == 65
    assert "db1:/var" in done.err
    assert "web1" in done.err
    await daemon.command("ack", "web1")
    assert "db1:/var" in (await daemon.command("ack")).out


async def test_what_can_not_be_done_is_said_with_its_reason(daemon: Daemon) -> None:
    """1: no such thing; 65: it does not stand so."""
    plain = await publish(daemon, "user.signup", "alice")
    for which in ("nonsense", plain, "6f1f7a0e-5a0c-5d39-9a3b-0d6f5a2f6f0e"):
        assert (await daemon.run("ack", which)).code == 1
    await publish(daemon, "disk.full", "91 %", *FIRING)
    done = await daemon.run("unack", "db1:/var")
    assert (done.code, "nobody has acknowledged" in done.err) == (65, True)
    await daemon.command("resolve", "db1:/var")
    done = await daemon.run("ack", "db1:/var")
    assert (done.code, "it was resolved" in done.err) == (65, True)


async def test_an_event_of_an_earlier_episode_does_not_show_the_next_one(daemon: Daemon) -> None:
    """How its own incident ended is not kept for ever; another's is not shown in its place."""
    first = await publish(daemon, "disk.full", "91 %", *FIRING)
    await daemon.command("resolve", "db1:/var")
    assert (await daemon.show(first))["incident"]["status"] == "resolved"
    second = await publish(daemon, "disk.full", "95 %", *FIRING)
    assert (await daemon.show(first))["incident"] is None
    assert (await daemon.show(second))["incident"]["episode"] == second


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_who_may_see_events_may_acknowledge_and_only_administrators_retract(open_directory: Path) -> None:
    """And the first wins: the next is told who it was."""
    async with alone(open_directory, socket={"path": str(open_directory / "socket")}) as daemon:
        item_id = await publish(daemon, "disk.full", "91 %", *FIRING)
        for command in (["incidents"], ["ack", "db1:/var"], ["resolve", "db1:/var"]):
            refused = await as_nobody(daemon, *command)
            assert (refused.code, "listen: everyone" in refused.err) == (77, True)
        for command in (["retract", item_id, "--yes"], ["subscribers"]):
            refused = await as_nobody(daemon, *command)
            assert (refused.code, "only administrators" in refused.err) == (77, True)
        assert (await listed(daemon))[0]["status"] == "firing"
    options = {"path": str(open_directory / "socket"), "listen": "everyone"}
    async with alone(open_directory, socket=options) as daemon:
        done = await as_nobody(daemon, "ack", "db1:/var")
        assert (done.code, done.out) == (0, "acknowledged  db1:/var  91 %  by nobody\n")
        late = await daemon.run("ack", "db1:/var")
        assert (late.code, late.out) == (65, "")
        assert re.search(r"nobody was first, \d+ s ago", late.err)


# --- retracting -------------------------------------------------------------------------------------------------------


async def test_retracting_asks_first_and_scripts_say_yes(daemon: Daemon) -> None:
    """Where nobody can answer it refuses."""
    item_id = await publish(daemon, "user.signup", "alice joined")
    done = await daemon.run("retract", item_id)
    assert (done.code, "say --yes" in done.err) == (64, True)
    assert (await daemon.run("retract", "6f1f7a0e-5a0c-5d39-9a3b-0d6f5a2f6f0e", "--yes")).code == 1
    done = await answered(daemon, "n", "retract", item_id)
    assert (done.code, "nothing was retracted" in done.out) == (1, True)
    done = await answered(daemon, "y", "retract", item_id)
    assert (done.code, "alice joined" in done.out) == (0, True), done
    shown = (await daemon.command("retract", item_id, "--yes", "--json")).json
    assert (shown["id"], shown["by"]) == (item_id, ME)


async def answered(daemon: Daemon, word: str, *arguments: str) -> Done:
    """The command at a terminal where somebody answers its question with a word."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        program(), *arguments, env={**daemon.environment, "TERM": "dumb"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            text += await asyncio.wait_for(asyncio.to_thread(os.read, ours, 65536), SOON)
        except OSError:  # EIO: the other end is closed
            break
        if text.endswith(b"[y/N] "):
            os.write(ours, f"{word}\n".encode())
    os.close(ours)
    return Done(await process.wait(), text.decode(), "")


# --- with people ------------------------------------------------------------------------------------------------------


async def test_show_says_who_got_it_who_has_seen_it_and_who_acknowledged(prosody: Server, tmp_path: Path) -> None:
    """The ledger: a receipt (XEP-0184) and a marker (XEP-0333) of one person, and nothing of another."""
    romeo, juliet = f"romeo-{tmp_path.name}@localhost".lower(), f"juliet-{tmp_path.name}@localhost".lower()
    for jid in (romeo, juliet):
        await prosody.create_account(jid, "pw")
    route = {"name": "ops", "match": "disk.#", "to": [f"chat:{romeo}", f"chat:{juliet}"]}
    async with Daemon(tmp_path, prosody, config={"routes": [route]}) as daemon, await log_in(prosody, romeo) as client:
        item_id = await publish(daemon, "disk.full", "91 %", *FIRING)
        await client.until(lambda: bool(told(client)), SOON)
        sender, message_id = told(client)[0].get("from"), told(client)[0].get("id")
        for name, namespace in (("received", "urn:xmpp:receipts"), ("displayed", "urn:xmpp:chat-markers:0")):
            answer = f"<{name} xmlns='{namespace}' id='{message_id}'/>"
            client.write(f"<message to='{sender}' type='chat'>{answer}</message>")

        async def seen() -> bool:
            return any(each["displayed"] for each in (await daemon.show(item_id))["messages"])

        await until(seen, SOON, "the marker in the ledger")
        await daemon.command("ack", "db1:/var")
        shown = await daemon.show(item_id)
        by_jid = {each["jid"]: each for each in shown["messages"]}
        assert all(by_jid[romeo][each] for each in ("sent", "received", "displayed"))
        assert (bool(by_jid[juliet]["sent"]), by_jid[juliet]["received"]) == (True, None)
        status, body = await daemon.request("GET", f"/v1/events/{item_id}")
        assert (status, json.loads(body)["messages"]) == (200, shown["messages"])
        text = (await daemon.command("show", item_id)).out
        assert re.search(rf"^{romeo} +sent 20\S+ \S+  received 20\S+ \S+  seen 20", text, re.MULTILINE)
        assert re.search(rf"^{juliet} +sent 20\S+ \S+$", text, re.MULTILINE)
        assert re.search(rf"^incident db1:/var  firing since .* acknowledged by {ME} 20", text, re.MULTILINE)


async def test_subscribers_are_listed_with_what_they_want(prosody: Server, tmp_path: Path) -> None:
    """As they said it to the bot."""
    romeo = f"romeo-{tmp_path.name}@localhost".lower()
    await prosody.create_account(romeo, "pw")
    bot = {"affiliations": {romeo: "member"}}
    async with Daemon(tmp_path, prosody, config={"bot": bot}) as daemon, await log_in(prosody, romeo) as client:
        done = await daemon.command("subscribers")
        assert (done.out, "nobody subscribes" in done.err) == ("", True)
        client.write("<message to='bot@bus.localhost' type='chat'><body>subscribe disk.# warning</body></message>")

        async def subscribed() -> bool:
            return bool((await daemon.command("subscribers")).out)

        await until(subscribed, SOON, "the subscription")
        assert re.match(rf"{romeo}  disk\.#  >=warning", (await daemon.command("subscribers")).out)
        shown = (await daemon.command("subscribers", "--json")).json
        assert (shown["jid"], shown["pattern"], shown["suspended"]) == (romeo, "disk.#", "")


def told(client: RawStream) -> list[Any]:
    """What the bot has sent to it."""
    return [each for each in client.stanzas if each.name == "message" and each.get("from").startswith("bot@")]
