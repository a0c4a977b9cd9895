"""The HTTP door with a real journal behind it, in this process, for tests that need no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.house import House
from xmppbus.inputs import events
from xmppbus.interfaces import Input
from xmppbus.plugins import Registry
from xmppbus.route import Address, Match, Route, Routes
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

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return self.web.address


@asynccontextmanager
async def open_door(directory: Path, *, most_bytes: int = 2**30, **http: Any) -> AsyncIterator[Door]:
    """Open it on a free port; `http` are options of the listener. JSON is YAML, so the config is written as JSON."""
    file = directory / "xmppbus.yaml"
    file.write_text(json.dumps({"http": {"listen": "127.0.0.1:0", **http}}))
    config = load(file, {"XMPPBUS_STATE": str(directory)})
    assert config.options.http is not None
    registry = Registry()
    events.register(registry)
    routes = Routes([Route(name, Match(f"{name}.#"), (), (Address("pubsub"),)) for name in ("user", "test")])
    async with SqliteJournal(directory / "journal.db", most_bytes=most_bytes, clock=moment) as journal:
        bus = Bus(journal, routes, source="house", check_size=check_size, clock=moment)
        house = House(config, moment, moment(), journal, registry, bus)
        web = house.web = Web(config.options.http, house.health)
        built = registry.inputs["events"](house, {})
        async with web:
            yield Door(web, bus, journal, built)
