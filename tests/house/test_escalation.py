"""Escalation of the installed program: over kills and restarts, and until somebody has it."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from tests.house.test_incidents_cli import FIRING, SOON, alone, publish
from tests.support.conversation import log_in
from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.raw import RawStream
from tests.support.server import Server
from tests.support.waiting import until

ROMEO, JULIET, BOSS = (f"chat:{name}@localhost" for name in ("romeo", "juliet", "boss"))


def route(first: str = "1s", second: str = "1s", **more: Any) -> dict[str, Any]:
    """To Romeo; then to Juliet; then to the boss."""
    steps = [{"after": first, "to": [JULIET], **more}, {"after": second, "to": [BOSS]}]
    return {"name": "ops", "match": "disk.#", "to": [ROMEO], "escalate": steps}


async def called(daemon: Daemon, item_id: str) -> list[str]:
    """Who was called, in order; each at most once."""
    found = [f"{each['output']}:{each['place']}" for each in (await daemon.show(item_id))["deliveries"]]
    return [each for each in found if each.startswith("chat:")]


async def until_called(daemon: Daemon, item_id: str, *expected: str) -> None:
    """Until these were, whoever is called next."""

    async def done() -> bool:
        return (await called(daemon, item_id))[: len(expected)] == list(expected)

    await until(done, SOON, f"{item_id} to have gone to {', '.join(expected)}")


async def test_a_chain_survives_kill_9_and_no_step_is_taken_twice(tmp_path: Path) -> None:
    """Killed right after the yes, and after each step. No server is needed for it."""
    daemon = alone(tmp_path, routes=[route()])
    try:
        await daemon.start()
        item_id = await publish(daemon, "disk.full", "91 %", *FIRING)
        for expected in ([ROMEO, JULIET], [ROMEO, JULIET, BOSS]):
            daemon.kill()
            await daemon.start()
            await until_called(daemon, item_id, *expected)
        daemon.kill()
        await daemon.start()
        assert (await daemon.status())["outputs"]["escalation"] == {
            "state": "up",
            "chains": 0,
            "next": None,
            "waiting": 0,
        }
        assert await called(daemon, item_id) == [ROMEO, JULIET, BOSS]
    finally:
        await daemon.stop()


async def test_an_acknowledgement_stops_it_also_when_it_was_the_last_thing_before_a_kill(tmp_path: Path) -> None:
    """The step becomes due while nobody is there; what was accepted before counts."""
    daemon = alone(tmp_path, routes=[route()])
    try:
        await daemon.start()
        acknowledged = await publish(daemon, "disk.full", "91 %", *FIRING)
        other = await publish(daemon, "disk.full", "91 %", *FIRING[2:], "--key", "db2:/var")
        await daemon.command("ack", "db1:/var")
        daemon.kill()
        await daemon.start()
        await until_called(daemon, other, ROMEO, JULIET, BOSS)
        assert await called(daemon, acknowledged) == [ROMEO]
    finally:
        await daemon.stop()


async def test_a_chain_of_a_route_that_escalates_no_longer_ends(tmp_path: Path) -> None:
    """Also when no route does: else it would keep its event in the journal for ever."""
    daemon = alone(tmp_path, routes=[route("1h")])
    async with daemon:
        await publish(daemon, "disk.full", "91 %", *FIRING)

        async def chains(number: int) -> bool:
            found: int = (await daemon.status())["outputs"]["escalation"]["chains"]
            return found == number

        await until(partial(chains, 1), SOON, "a chain to begin")
        await daemon.stop()
        daemon.configure(None, config=bot_without_a_server(tmp_path))
        await daemon.start()
        await until(partial(chains, 0), SOON, "the chain to end")


async def test_the_next_one_is_called_until_somebody_acknowledges(prosody: Server, tmp_path: Path) -> None:
    """Juliet gets it when Romeo says nothing; when she has acknowledged it the boss is left alone."""
    people = [f"{name}-{tmp_path.name}@localhost".lower() for name in ("romeo", "juliet", "boss")]
    for jid in people:
        await prosody.create_account(jid, "pw")
    first, *others = [f"chat:{jid}" for jid in people]
    steps = [{"after": "1s", "to": [each]} for each in others]
    config = {"routes": [{"name": "ops", "match": "disk.#", "to": [first], "escalate": steps}]}
    async with Daemon(tmp_path, prosody, config=config) as daemon:
        romeo, juliet, boss = [await log_in(prosody, jid) for jid in people]
        try:
            item_id = await publish(daemon, "disk.full", "91 %", *FIRING)
            await juliet.until(lambda: "91 %" in bodies(juliet), SOON)
            assert bodies(juliet).splitlines()[1] == "escalated: nobody acknowledged within 1 s"
            assert "escalated" not in bodies(romeo)
            await asyncio.to_thread(daemon.request_now, "POST", "/v1/incidents/db1%3A%2Fvar/ack", '{"by": "juliet"}')
            await romeo.until(lambda: "acknowledged by juliet" in bodies(romeo), SOON)
            await publish(daemon, "disk.full", "nobody cares", *FIRING[2:], "--key", "db2:/var")
            await boss.until(lambda: "nobody cares" in bodies(boss), SOON)  # later than the first would have gone on
            assert await called(daemon, item_id) == [first, others[0]]
            assert "91 %" not in bodies(boss)
            status, body = await daemon.request("GET", "/v1/incidents/db1%3A%2Fvar")
            assert (status, json.loads(body)["by"]) == (200, "juliet")
        finally:
            for stream in (romeo, juliet, boss):
                await stream.close()


async def test_who_was_told_before_is_called_with_a_message_of_its_own(prosody: Server, tmp_path: Path) -> None:
    """A correction of what they have would not ring."""
    juliet = f"juliet-{tmp_path.name}@localhost".lower()
    await prosody.create_account(juliet, "pw")
    routes = [
        {"name": "all", "match": "disk.#", "to": [f"chat:{juliet}"]},
        {"name": "ops", "match": "disk.#", "to": [ROMEO], "escalate": [{"after": "1s", "to": [f"chat:{juliet}"]}]},
    ]
    async with (
        Daemon(tmp_path, prosody, config={"routes": routes}) as daemon,
        await log_in(prosody, juliet) as client,
    ):
        await publish(daemon, "disk.full", "91 %", *FIRING)
        await client.until(lambda: "escalated" in bodies(client), SOON)
        said = [each for each in client.stanzas if each.name == "message" and each.get("from").startswith("bot@")]
        assert "escalated" not in (said[0].element.findtext("{jabber:client}body") or "")
        called = next(each for each in said if "escalated" in (each.element.findtext("{jabber:client}body") or ""))
        assert called.find("urn:xmpp:message-correct:0", "replace") is None


def bodies(of: RawStream) -> str:
    """All that the bot has said to somebody."""
    messages = [each for each in of.stanzas if each.name == "message" and each.get("from").startswith("bot@")]
    return "\n".join(each.element.findtext("{jabber:client}body") or "" for each in messages)
