"""What a command is given: the house, who may do what, and the registered commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from xmppbus.bot.access import Action, Affiliation, Affiliations, affiliations_of, may
from xmppbus.bot.command import Asker, Command, Place, commands_of
from xmppbus.bot.confirming import Confirming
from xmppbus.bot.pages import Pages
from xmppbus.house import House, acting_of, people_of
from xmppbus.interfaces import Accept
from xmppbus.options import BotOptions
from xmppbus.people.acting import Acting
from xmppbus.people.audience import Audience
from xmppbus.people.store import People
from xmppbus.people.texts import moment_text


@dataclass
class Desk:
    """Shared by all commands. What belongs to one asker is in `pages` and `confirming`, by `asker.who`."""

    house: House
    accept: Accept  # the one way in
    options: BotOptions
    commands: Mapping[str, Command]
    affiliations: Affiliations
    pages: Pages
    confirming: Confirming
    zone: tzinfo

    def take(self, options: BotOptions) -> None:
        """Go by these options from now on."""
        self.options, self.zone = options, ZoneInfo(options.time_zone)
        self.affiliations.take(affiliations_of(options))

    @property
    def people(self) -> People:
        """What is kept of people."""
        return people_of(self.house)

    @property
    def audience(self) -> Audience:
        """Who wants to hear what."""
        assert self.house.audience is not None, "there is a bot"  # noqa: S101  # for the type checker
        return self.house.audience

    @property
    def acting(self) -> Acting:
        """Acknowledges, resolves and retracts for people, at every door the same."""
        return acting_of(self.house)

    def now(self) -> datetime:
        """The house's clock, in UTC."""
        return self.house.clock()

    def affiliation(self, asker: Asker) -> Affiliation:
        """What the asker is to the bot."""
        return self.affiliations.of(asker.jid, asker.room, asker.in_room)

    def may(self, asker: Asker, action: Action) -> bool:
        """Whether the asker may do that."""
        return may(self.affiliation(asker), action)

    def commands_for(self, asker: Asker) -> dict[str, Command]:
        """What the asker may say, by name."""
        affiliation = self.affiliation(asker)
        return {name: command for name, command in self.commands.items() if may(affiliation, command.action)}

    def clock_time(self, moment: datetime) -> str:
        """A moment for people, in the bot's zone: the time alone when it is today's, else with its day."""
        return moment_text(moment, self.zone, self.now())


def open_desk(house: House, accept: Accept, options: BotOptions) -> Desk:
    """The desk of a house with a bot. Raises `PluginInvalid`."""
    return Desk(
        house=house,
        accept=accept,
        options=options,
        commands=commands_of(house.registry),
        affiliations=affiliations_of(options),
        pages=Pages(house.clock),
        confirming=Confirming(house.clock),
        zone=ZoneInfo(options.time_zone),
    )


def is_public(asker: Asker) -> bool:
    """Whether everybody in a room reads the answer."""
    return asker.place is Place.ROOM
