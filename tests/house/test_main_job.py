"""The main job: published in a shell, kept on disk, on the node, in the hands of whoever subscribed."""

from __future__ import annotations

from pathlib import Path

from tests.house.subscribers import kept, readers
from tests.support.daemon import Daemon
from tests.support.server import Server, ServerFactory

NODE = "user.signup"
MAKE_THE_NODE = ("publish", NODE, "the first one makes the node", "--confirm")


async def test_what_a_shell_publishes_is_seen_by_a_subscriber(server: Server, tmp_path: Path) -> None:
    """Read by slixmpp and by raw expat, on Prosody and on ejabberd."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command(*MAKE_THE_NODE)
        async with readers(server, NODE) as both:
            item_id = (await daemon.shell(f"printf 'alice joined' | xmppbus publish {NODE}")).strip()
            event = await both.until_seen(item_id, timeout=10)
        assert event["type"] == NODE
        assert event["data"] == "alice joined"
        (delivery,) = (await daemon.show(item_id))["deliveries"]
        assert (delivery["output"], delivery["place"], delivery["state"]) == ("pubsub", NODE, "delivered")


async def test_confirm_returns_when_the_server_has_said_yes(server: Server, tmp_path: Path) -> None:
    """Then the item is on the node, for whoever asks."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command(*MAKE_THE_NODE)
        async with readers(server, NODE) as both:
            out = await daemon.shell(f"printf 'bob joined' | xmppbus publish {NODE} --confirm --timeout 10")
            assert (await daemon.show(out.strip()))["deliveries"][0]["state"] == "delivered"
            assert (await both.until_seen(out.strip(), timeout=10))["data"] == "bob joined"


async def test_every_text_arrives_as_it_was_sent(server: Server, tmp_path: Path) -> None:
    """Byte for byte: quotes, markup, colours of a terminal, carriage returns, other alphabets."""
    texts = [
        "<b>&amp;</b> ]]>",
        "\x1b[31mred\x1b[0m",
        "a\r\nb\tc",
        "日本語 🚀 ünï",
        "'\"`$(id)",
        " spaces ",
        "\x00\x07\ufffe",
    ]
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command(*MAKE_THE_NODE)
        async with readers(server, NODE) as both:
            for text in texts:
                item_id = (await daemon.command("publish", NODE, "-", input=text.encode())).out.strip()
                assert (await both.until_seen(item_id, timeout=10))["data"] == text


async def test_the_server_may_be_killed_in_the_middle(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """`publish` says yes while it is dead; when it is back the subscribers have every event, once and in order."""
    server = await own_server(server_name)
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command(*MAKE_THE_NODE)
        async with readers(server, NODE) as both:
            item_id = (await daemon.shell(f"printf 'before' | xmppbus publish {NODE} --confirm")).strip()
            await both.until_seen(item_id, timeout=10)
        if server_name == "ejabberd":
            await server.stop()  # a kill makes it forget what it said in the last 2 s, subscriptions among it
        else:
            server.kill()
        sent = [(await daemon.shell(f"printf '{n}' | xmppbus publish {NODE}")).strip() for n in range(10)]
        await server.start()
        await daemon.until_nothing_waits(30)
        sent.append((await daemon.shell(f"printf 'after' | xmppbus publish {NODE} --confirm")).strip())
        shown = [await daemon.show(each) for each in sent]
        assert [each["deliveries"][0]["state"] for each in shown] == ["delivered"] * len(sent)
        items = await kept(server, NODE)
        assert items[-len(sent) :] == sent
        assert len(set(items)) == len(items) == len(sent) + 2


async def test_the_daemon_may_be_killed_in_the_middle(server: Server, tmp_path: Path) -> None:
    """What it had said yes to, and what was published while it was dead, reaches the subscribers."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command(*MAKE_THE_NODE)
        async with readers(server, NODE) as both:
            sent = [(await daemon.shell(f"printf 'before' | xmppbus publish {NODE}")).strip()]
            daemon.kill()
            sent.append((await daemon.shell(f"printf 'meanwhile' | xmppbus publish {NODE}")).strip())
            await daemon.start()
            sent.append((await daemon.shell(f"printf 'after' | xmppbus publish {NODE}")).strip())
            events = [await both.until_seen(item_id, timeout=30) for item_id in sent]
            assert [event["data"] for event in events] == ["before", "meanwhile", "after"]
            for found in (both.expat, both.slixmpp):
                assert sorted(item_id for item_id, _ in found) == sorted(sent), "each of them once"
