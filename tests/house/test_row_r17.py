"""R17, Switchboard: shell scripts send their result to XMPP; here `publish` from a pipe."""

from __future__ import annotations

from pathlib import Path

from tests.house.subscribers import readers
from tests.support.daemon import Daemon
from tests.support.server import Server


async def test_r17_the_output_of_make_goes_through_a_pipe_to_the_subscribers(server: Server, tmp_path: Path) -> None:
    """`make deploy 2>&1 | xmppbus publish deploy.log`: one event with all of it."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command("publish", "deploy.log", "the first one makes the node", "--confirm")
        async with readers(server, "deploy.log") as both:
            line = "(echo building; echo 'installed 3 files' >&2; echo done) 2>&1"
            item_id = (await daemon.shell(f"{line} | xmppbus publish deploy.log --severity notice")).strip()
            event = await both.until_seen(item_id, timeout=10)
        assert event["data"] == "building\ninstalled 3 files\ndone\n"
        assert event["severity"] == "notice"


async def test_r17_a_long_pipe_becomes_an_event_a_line_in_order(server: Server, tmp_path: Path) -> None:
    """`seq 200 | xmppbus publish log.lines --lines`, and each is on its way while the pipe is open."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command("publish", "log.lines", "the first one makes the node", "--confirm")
        async with readers(server, "log.lines") as both:
            ids = (await daemon.shell("seq 200 | xmppbus publish log.lines --lines --output id")).split()
            await both.until_seen(ids[-1], timeout=20)
            for found in (both.expat, both.slixmpp):
                assert [item_id for item_id, _ in found] == ids
                assert [event["data"] for _, event in found] == [str(number) for number in range(1, 201)]


async def test_r17_a_script_knows_by_the_exit_code_what_became_of_its_event(server: Server, tmp_path: Path) -> None:
    """0 delivered, 64 usage, 65 bad event, 75 try again."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        assert (await daemon.run("publish", "deploy.done", "yes", "--confirm")).code == 0
        assert (await daemon.run("publish")).code == 64
        assert (await daemon.run("publish", "not a type", "text")).code == 65
        daemon.kill()
        spooled = await daemon.run("publish", "deploy.done", "later")
        assert spooled.code == 0
        assert "no daemon" in spooled.err
        await daemon.start()
        await daemon.until_nothing_waits(20)
        assert (await daemon.show(spooled.out.strip()))["deliveries"][0]["state"] == "delivered"
