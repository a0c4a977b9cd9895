"""Everything that shows events over HTTP: streams, pages, boards, pictures."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xmppbus.displays.hub import Hub
    from xmppbus.house import House
    from xmppbus.web.tokens import Token


def open_displays(house: House) -> Hub:
    """Add every route that shows events to the house's listener, before that opens.

    What is returned is open for as long as the listener is: streams end before it closes.
    """
    from xmppbus.displays.boards import Boards
    from xmppbus.displays.health import Health
    from xmppbus.displays.hub import Hub
    from xmppbus.displays.pages import Pages
    from xmppbus.displays.plot import Plots
    from xmppbus.displays.session import Session
    from xmppbus.displays.stream import Identity, Stream

    web = house.web
    if web is None:
        raise ValueError("displays need a listener")

    def holds(token: Token | None) -> bool:
        return web.guard.holds(token)  # a new config may bring another guard

    hub = Hub(house.journal, holds)
    program = program_version()
    identity = Identity(lambda: program, lambda: config_version(house))
    Stream(web, hub, house.journal, house.clock, identity)
    Session(web)
    pages = Pages(web)
    Boards(house, web, identity)
    web.route("GET", "/display/{name}", pages.page("display.html"))
    Health(house, web)
    Plots(house, web)
    shown = config_version(house)

    def tell() -> None:
        nonlocal shown
        if config_version(house) != shown:
            shown = config_version(house)
            hub.tell("config", {"config": shown})

    house.on_reload.append(tell)
    return hub


def program_version() -> str:
    """Of the program and of the files that it serves, so that a page knows whether it is still the right one."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.name.encode() + path.read_bytes())
    return f"{version('xmppbus')}+{digest.hexdigest()[:8]}"


def config_version(house: House) -> str:
    """Of the boards that the config describes."""
    import msgspec

    return hashlib.sha256(msgspec.json.encode(house.options.displays)).hexdigest()[:16]
