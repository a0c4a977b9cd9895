"""The HTTP door with a real journal and folded incidents behind it, in this process, for tests that need no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.folding import folding
from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.config.ways import kind_of
from xmppbus.displays import open_displays
from xmppbus.house import House
from xmppbus.inputs import events, webhooks
from xmppbus.interfaces import Input
from xmppbus.plugins import Registry
from xmppbus.plugins import load as load_plugins
from xmppbus.route import PEOPLE_ROUTE, Address, Match, Route, Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.web import Web
from xmppbus.xmpp.stanzas import check_size


def moment() -> datetime:
    """Always the same."""
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Door:
    """The open door. Its routes take the types under `user` and `test`, to the node of the type."""

    web: Web
    bus: Bus
    journal: SqliteJournal
    input: Input
    house: House

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return self.web.address


@asynccontextmanager
async def open_door(
    directory: Path,
    *,
    most_bytes: int = 2**30,
    people: bool = False,
    inputs: Mapping[str, Any] | None = None,
    **http: Any,
) -> AsyncIterator[Door]:
    """Open it on a free port; `http` are options of the listener, `inputs` those of webhooks. JSON is YAML, so the
    config is written as JSON.

    With `people` every event is folded into its incident as well.
    """
    file = directory / "xmppbus.yaml"
    file.write_text(json.dumps({"http": {"listen": "127.0.0.1:0", **http}, "inputs": dict(inputs or {})}))
    config = load(file, {"XMPPBUS_STATE": str(directory)})
    assert config.options.http is not None
    registry = Registry()
    events.register(registry)
    webhooks.register(registry)
    load_plugins(registry, [])
    found = [Route(name, Match(f"{name}.#"), (), (Address("pubsub"),)) for name in ("user", "test")]
    routes = Routes([*found, PEOPLE_ROUTE] if people else found)
    async with SqliteJournal(directory / "journal.db", most_bytes=most_bytes, clock=moment) as journal:
        bus = Bus(journal, routes, source="house", check_size=check_size, clock=moment)
        house = House(config, moment, moment(), journal, registry, bus)
        web = house.web = Web(config.options.http, house.health)
        built = registry.inputs["events"](house, {})
        for name in {**(inputs or {}), "webhooks": {}}:
            house.inputs[name] = registry.inputs[kind_of(name)](house, config.way("inputs", name, registry))
        async with AsyncExitStack() as stack:
            if people:
                folds, _ = await stack.enter_async_context(folding(journal, routes, moment))
                house.people, house.outputs["people"] = journal.people, folds
            displays = open_displays(house)
            await stack.enter_async_context(web)
            await stack.enter_async_context(displays)
            yield Door(web, bus, journal, built, house)
