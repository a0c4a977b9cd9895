"""What becomes of events: --confirm, status, show, dead and replay, on real servers and with an output that refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.server import Server
from tests.support.waiting import until

PICKY = """
import pathlib
from xmppbus.journal import DELIVERED, Outcome, Verdict

class Picky:
    '''Refuses what says `bad`, until there is a file `mild`; is stopped at the place `closed`.'''
    def __init__(self, mild): self.mild = pathlib.Path(mild)
    async def __aenter__(self): return self
    async def __aexit__(self, *exc): pass
    async def ready(self): pass
    def status(self): return {"state": "up"}
    async def deliver_run(self, place, deliveries):
        for each in deliveries:
            if place.startswith("closed"):
                yield Outcome(Verdict.STOPPED, "forbidden", "not on this node")
            elif "bad" in str(each.event.get("data")) and not self.mild.exists():
                yield Outcome(Verdict.DEAD, "payload-too-big", "this is too much for us")
            else:
                yield DELIVERED

def register(registry):
    registry.output("picky", lambda house, options: Picky(options["mild"]))
"""


def fits(text: str, columns: int) -> bool:
    """Whether it has no longer line, but for the tests' own long paths."""
    return all(len(line) <= columns for line in text.splitlines() if "/pytest-" not in line)


@pytest.fixture
async def picky(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A bus whose only output refuses some events."""
    plugin = tmp_path / "picky.py"
    plugin.write_text(PICKY)
    config: dict[str, Any] = {
        "plugins": [str(plugin)],
        "outputs": {"picky": {"mild": str(tmp_path / "mild")}},
        "routes": [{"name": "all", "match": "#", "to": ["picky"]}],
    }
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        yield daemon


async def test_confirm_waits_for_the_yes_of_the_node_s_server(server: Server, node: str, tmp_path: Path) -> None:
    """When it exits with 0, the item is on the node."""
    async with Daemon(tmp_path, server) as daemon:
        published = await daemon.command("publish", node, "text", "--confirm")
        (fate,) = (await daemon.show(published.out.strip()))["deliveries"]
        assert (fate["output"], fate["place"], fate["state"]) == ("pubsub", node, "delivered")
        lines = await daemon.command("publish", node, "--lines", "--confirm", input=b"one\ntwo\nthree\n")
        for item_id in lines.out.split():
            assert (await daemon.show(item_id))["deliveries"][0]["state"] == "delivered"


async def test_confirm_gives_up_when_the_server_is_away_and_the_event_is_kept(tmp_path: Path, prosody: Server) -> None:
    """Exit 75, with the item id."""
    async with Daemon(tmp_path, prosody, port=1) as daemon:
        done = await daemon.run("publish", "user.signup", "x", "--confirm", "--timeout", "0.3")
        assert done.code == 75
        assert "not confirmed within 0.3 s" in done.err
        status = await daemon.status()
        assert status["state"] == "down"
        assert status["journal"]["waiting"] == 1
        assert (await daemon.show(done.out.strip()))["deliveries"][0]["state"] == "waiting"
        text = (await daemon.command("status")).out
        assert "down" in text
        assert "1 waiting at 1 places" in text
        assert fits(text, 80)


async def test_confirm_of_what_goes_to_no_node_says_so(picky: Daemon) -> None:
    """Exit 69: nobody could ever say yes."""
    done = await picky.run("publish", "t", "x", "--confirm")
    assert done.code == 69
    assert "goes to no node" in done.err


async def dead(daemon: Daemon, count: int) -> None:
    async def there() -> bool:
        return bool((await daemon.status())["journal"]["dead"] == count)

    await until(there, 10, f"{count} dead deliveries")


async def test_dead_deliveries_are_listed_shown_retried_and_dropped(picky: Daemon) -> None:
    """With the reason; a retry may end otherwise."""
    for index in range(3):
        await picky.command("publish", f"user.n{index}", f"bad {index}")
    await picky.command("publish", "user.fine", "good")
    await dead(picky, 3)
    listed = (await picky.command("dead", "list")).out.splitlines()
    assert len(listed) == 3
    assert "picky:user.n2  payload-too-big" in listed[0]
    found = [json.loads(line) for line in (await picky.command("dead", "list", "user.n1", "--json")).out.splitlines()]
    assert [each["entry"]["event"]["data"] for each in found] == ["bad 1"]
    number = str(found[0]["delivery"])
    assert "this is too much for us" in (await picky.command("dead", "show", number)).out
    assert (await picky.command("dead", "drop", number)).out == "1 dropped\n"
    assert (await picky.run("dead", "show", number)).code == 1
    (picky.directory.parent / "mild").touch()
    assert (await picky.command("dead", "retry", "--match", "user.n0")).out == "1 put back to waiting\n"
    await dead(picky, 1)
    assert (await picky.command("dead", "retry", "--all")).out == "1 put back to waiting\n"
    await dead(picky, 0)
    await picky.until_nothing_waits(10)


@pytest.mark.parametrize("command", [["retry"], ["drop"], ["drop", "--all", "1"], ["retry", "--all", "--match", "#"]])
async def test_what_is_decided_about_is_said_exactly(picky: Daemon, command: list[str]) -> None:
    """A forgotten pattern is not all."""
    done = await picky.run("dead", *command)
    assert done.code == 64
    assert "Say which" in done.err


async def test_replay_delivers_again_what_matches(picky: Daemon) -> None:
    """After a dry run that changes nothing."""
    await picky.command("publish", "user.a", "--lines", input=b"text\n" * 1500)
    await picky.command("publish", "other", "x")
    await picky.until_nothing_waits(20)
    dry = (await picky.command("replay", "user.#", "--since", "all", "--dry-run", "--json")).json
    assert dry == {"entries": 1500, "again": 1500, "made": 0, "dry_run": True}
    assert (await picky.status())["journal"]["waiting"] == 0
    done = await picky.command("replay", "user.#", "--since", "500", "--until", "1000")
    assert done.out == "500 events: 500 deliveries put back to waiting, 0 new\n"
    await picky.until_nothing_waits(20)


async def test_status_tells_where_it_is_stopped_and_what_to_do(picky: Daemon) -> None:
    """And the rest goes on."""
    await picky.command("publish", "closed.node", "x")
    await picky.command("publish", "open.node", "x")

    async def stopped() -> bool:
        return bool((await picky.status())["stopped"])

    await until(stopped, 10, "the place to be stopped")
    text = (await picky.command("status")).out
    assert "picky:closed.node: forbidden, 1 waiting" in text
    assert "not on this node" in text
    assert "xmppbus check" in text
    assert fits(text, 80)


async def test_show_tells_the_fate_of_each_delivery(picky: Daemon) -> None:
    """By item id, or by the sender's own name."""
    await picky.command("publish", "t", "a bad one", "--id", "17", "--source", "db1", "--data", "used=91")
    await dead(picky, 1)
    text = (await picky.command("show", "17", "--source", "db1")).out
    assert "a bad one" in text
    assert "data.used        91" in text
    assert "dead       picky:t  payload-too-big" in text
    assert "this is too much for us" in text


async def test_an_expired_confirm_does_not_disturb_others(picky: Daemon) -> None:
    """Twenty at once, each with its own answer."""
    done = await asyncio.gather(*(picky.run("publish", "t", str(each), "--confirm") for each in range(20)))
    assert {each.code for each in done} == {69}
