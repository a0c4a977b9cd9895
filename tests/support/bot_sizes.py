"""A house with a bot in a process of its own, that says how much it holds.

`python -m tests.support.bot_sizes CONFIG STATE NAME=NUMBER...` opens it with those limits, prints `up`, and answers
each line of standard input with one line of JSON: `sizes` with the resident memory, the bytes of the journal, and how
much is in every container of every object of the product; `event TYPE` once everybody has been told of one; `rooms`
once the bot is in all of them; `status`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import sys
from collections import Counter, deque
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.waiting import until
from xmppbus import app, limits
from xmppbus.config import load
from xmppbus.house import House

CONTAINERS = (dict, list, set, deque)


def containers() -> dict[str, int]:
    """`Class.attribute` to how much is in there, of all objects of the class; and how many objects of each class."""
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        if not str(kind.__module__).startswith("xmppbus."):
            continue
        found[kind.__qualname__] += 1
        for name, value in attributes(each):
            if isinstance(value, CONTAINERS):
                found[f"{kind.__qualname__}.{name}"] += len(value)
    found["tasks"] = len(asyncio.all_tasks())
    return dict(found)


def attributes(of: object) -> list[tuple[str, Any]]:
    """Of an instance, slots included."""
    slots = [name for kind in type(of).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(of, "__dict__", {}).items(), *((name, getattr(of, name, None)) for name in slots)]


def resident_bytes() -> int:
    """What the process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def answer(house: House, line: str) -> Any:
    """What a line asks for."""
    if line == "status":
        return await house.status()
    if line == "rooms":
        rooms = house.rooms
        assert rooms is not None
        await until(lambda: not rooms.status()["not_in"], 60, "the bot to be in its rooms", poll=0.05)
        return rooms.status()["rooms"]
    if line.startswith("event "):
        await house.bus.accept([{"id": uuid4().hex, "type": line.split()[1], "summary": "for everybody"}])

        async def everybody_is_told() -> bool:
            return not any(each.waiting for each in await house.journal.places() if each.output in ("people", "chat"))

        await until(everybody_is_told, 60, "everybody to be told", poll=0.05)
        return "told"
    gc.collect()
    journal = house.config.journal_path
    files = (journal, journal.with_name(journal.name + "-wal"))
    return {
        "resident": resident_bytes(),
        "journal": sum(each.stat().st_size for each in files if each.exists()),
        "holds": containers(),
    }


async def main(config_file: Path, state: Path) -> None:
    """Until standard input ends."""
    config = load(config_file, {"XMPPBUS_STATE": str(state)})
    stopping = asyncio.Event()
    started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(app.live(config, app.offered(config), stopping, started.set_result))
    house = await started
    assert house.xmpp is not None
    await house.xmpp.ready()
    print("up", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await answer(house, line.strip())), flush=True)
    stopping.set()
    await life


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    for given in sys.argv[3:]:
        limit, _, number = given.partition("=")
        setattr(limits, limit, int(number))
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
