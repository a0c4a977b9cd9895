"""The drill: a backup under load, the machine is lost, and another one goes on from the backup."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from tests.chaos.subscriber import Subscriber
from tests.support.daemon import Daemon
from tests.support.oracle import event_in
from tests.support.raw import Notification
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits

SECONDS = 60.0
NODE = {"max_items": 64, "access_model": "open"}
BATCH = 5


class Load:
    """Numbered events in small batches until it is told to stop; what was accepted, by item id."""

    def __init__(self, daemon: Daemon, node: str, first: int = 0) -> None:
        self._daemon = daemon
        self._node = node
        self._number = first
        self.accepted: dict[str, str] = {}

    async def send(self, count: int) -> None:
        """A batch, and its answers."""
        names = [str(self._number + index) for index in range(count)]
        self._number += count
        batch = [{"specversion": "1.0", "type": self._node, "source": "drill", "id": name} for name in names]
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        status, body = await self._daemon.request("POST", "/v1/events", json.dumps(batch), headers)
        assert status == 202, body
        answers = json.loads(body)
        self.accepted |= {answer["id"]: name for answer, name in zip(answers, names, strict=True)}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.send(BATCH)
            await asyncio.sleep(0.02)  # as much as the slower server can take


async def test_a_machine_is_lost_and_another_goes_on_from_the_backup(server: Server, tmp_path: Path, node: str) -> None:
    """What was accepted before the backup is there and delivered; what comes twice has the same id; order holds."""
    first = Daemon(tmp_path / "first", server, node=NODE)
    backup = tmp_path / "backup.db"
    async with first:
        load = Load(first, node)
        await load.send(1)
        await first.until_nothing_waits(SECONDS)
        async with Subscriber(server, [node]) as subscriber:
            await load.send(50)
            before = dict(load.accepted)
            loading = asyncio.create_task(load.run())
            made = (await first.command("backup", str(backup), "--json")).json
            await until(lambda: len(load.accepted) > made["entries"] + 20, SECONDS, "more to be accepted")
            loading.cancel()
            await asyncio.wait([loading])
            first.kill()
            second = Daemon(tmp_path / "second", server, node=NODE)
            await second.command("restore", str(backup))
            async with second:
                await second.until_nothing_waits(SECONDS)
                again = Load(second, node, 1_000_000)
                await again.send(3)
                await second.until_nothing_waits(SECONDS)
                journal = (await second.status())["journal"]
                for name in before.values():
                    assert await second.fetched("drill", name), f"{name} was accepted before the backup"
                assert journal["dead"] == 0
                assert journal["newest"] > limits.RESTORE_GAP
            newest = [*again.accepted][-1]
            await until(
                lambda: newest in {each.item_id for each in subscriber.notifications}, SECONDS, "the last notification"
            )
            told = [each for each in subscriber.notifications if each.node == node]
    judge(load, again, set(before), told, made["waiting"])


def judge(load: Load, again: Load, before: set[str], told: list[Notification], waited: int) -> None:
    """What the subscriber was told against what was accepted; `waited` deliveries were still open in the backup."""
    names = {each.item_id: str(event_in(each.payload)["id"]) for each in told}
    first = next(iter(load.accepted))  # it was there before the subscriber
    assert names.keys() >= (before - {first}) | again.accepted.keys()
    unknown = names.keys() - load.accepted.keys() - again.accepted.keys()
    assert len(unknown) <= BATCH, "only the batch whose yes was lost with the machine"
    assert {(each.item_id, event_in(each.payload)["id"]) for each in told} == set(names.items()), "twice, but the same"
    repeated = [id_ for id_, times in Counter(each.item_id for each in told).items() if times > 1]
    assert len(repeated) <= waited, "only what waited in the backup can come again"
    numbers = [int(name) for name in names.values()]  # by when each was told first
    assert numbers == sorted(numbers)
