"""T14 and T15: who is refused does not storm, says why in plain words, and leaves alone what is another's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

from tests.chaos.scene import times
from tests.support.daemon import Daemon
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import until

EXIT_TRY_AGAIN = 75
WATCHED_SECONDS = times(20, 60)
MOST_ATTEMPTS_A_MINUTE = 12


async def test_a_second_daemon_on_the_same_journal_is_refused_at_once(tmp_path: Path) -> None:
    """Exit 75 and a sentence; the first one goes on."""
    async with Daemon(tmp_path / "bus") as first:
        second = Daemon(tmp_path / "other", config={"journal": {"path": str(first.journal)}})
        begun = monotonic()
        done = await second.run("serve", "--config", str(second.config_file))
        print(f"refused after {monotonic() - begun:.3f} s: {done.err.strip()}")
        assert done.code == EXIT_TRY_AGAIN
        assert str(first.journal) in done.err
        assert "Traceback" not in done.err
        assert (await first.command("publish", "still.alive", "yes")).code == 0


async def test_a_second_daemon_on_the_same_socket_is_refused_at_once(tmp_path: Path) -> None:
    """Even with a journal of its own."""
    async with Daemon(tmp_path / "bus") as first:
        second = Daemon(tmp_path / "other")
        second.environment["XMPPBUS_SOCKET"] = str(first.socket)
        done = await second.run("serve", "--config", str(second.config_file))
        assert done.code == EXIT_TRY_AGAIN
        assert "Traceback" not in done.err
        assert (await first.command("publish", "still.alive", "yes")).code == 0


async def test_a_wrong_secret_does_not_storm_and_is_said_in_plain_words(
    prosody: Server, ejabberd: Server, tmp_path: Path
) -> None:
    """At most 12 attempts a minute, whatever the dice say; events are accepted meanwhile."""
    async with asyncio.TaskGroup() as group:
        for server in (prosody, ejabberd):
            group.create_task(watch_attempts(server, tmp_path / server.name))


async def watch_attempts(server: Server, directory: Path) -> None:
    """Count connections for a while."""
    async with Proxy(server.component_port) as proxy:
        begun = monotonic()
        async with Daemon(directory, server, port=proxy.port, secret="not the secret") as daemon:

            async def said_why() -> bool:
                xmpp = (await daemon.status())["xmpp"]
                return xmpp["state"] != "up" and "secret" in str(xmpp.get("reason", ""))

            await until(said_why, 15, "status to say that the secret is wrong")
            assert "secret" in (await daemon.command("status")).out
            assert (await daemon.command("publish", "kept.meanwhile", "text")).code == 0
            await until(lambda: monotonic() - begun > WATCHED_SECONDS, WATCHED_SECONDS + 1, "the time to pass")
            status = await daemon.status()
            print(f"{server.name}: {proxy.connections} attempts in {WATCHED_SECONDS} s: {status['xmpp']['reason']}")
            assert proxy.connections <= 1 + MOST_ATTEMPTS_A_MINUTE * WATCHED_SECONDS / 60
            assert status["state"] == "down"
            assert status["accepting"]
            assert "not the secret" not in daemon.log()
