"""What a command is given: the house, who may do what, and the registered commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from xmppbus.house import House
from xmppbus.interfaces import Accept

if TYPE_CHECKING:
    from xmppbus.bot.access import Affiliation
    from xmppbus.bot.command import Asker, Command


@dataclass
class Desk:
    """Shared by all commands. Nothing in it belongs to one asker."""

    house: House
    accept: Accept  # the one way in
    commands: Mapping[str, Command]
    zone: tzinfo

    def now(self) -> datetime:
        """The house's clock, in UTC."""
        return self.house.clock()

    def affiliation(self, asker: Asker) -> Affiliation:
        """What the asker is to the bot."""
        raise NotImplementedError(asker)
