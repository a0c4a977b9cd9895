"""The commands of the bot. Each is declared once, and registers as a stranger's plugin would."""

from xmppbus.bot.commands import (
    about,
    acknowledging,
    dead,
    listening,
    looking,
    owning,
    plotting,
    publishing,
    quieting,
    rooms,
    standing,
)
from xmppbus.plugins import Registry

# `help` lists them in this order: what is wanted first comes first.
_PARTS = (about, listening, looking, plotting, acknowledging, quieting, standing, publishing, dead, owning, rooms)


def register(registry: Registry) -> None:
    """Offer all of them."""
    for part in _PARTS:
        part.register(registry)
