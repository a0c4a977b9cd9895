"""What happens in rooms on the stage of a conversation: the bot comes and goes, its host puts it out, all hear it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AsyncExitStack

import yaml

from tests.support.raw import account
from tests.support.room_owner import RoomOwner
from tests.support.server import Server
from tests.support.talk_person import Person, Said
from tests.support.talk_script import Script, Step, pattern_of
from tests.support.waiting import until
from xmppbus.house import House
from xmppbus.xmpp.standing import State


class RoomSteps(ABC):
    """The steps of a stage that are about rooms."""

    server: Server
    script: Script
    house: House
    people: dict[str, Person]
    known: dict[str, str]
    _mark: str
    _originals: dict[str, set[str]]
    _host: RoomOwner | None = None

    @abstractmethod
    def _expect(self, step: Step, said: Said) -> None: ...

    @abstractmethod
    def _compare(self, expected: str, text: str) -> None: ...

    def _rooms(self) -> set[str]:
        text = yaml.safe_dump(self.script.bot) + yaml.safe_dump(self.script.routes)
        named = {each.partition("}")[0] for each in text.split("{room_")[1:]}
        return named | {*self.script.rooms} | {step.where for step in self.script.steps if step.where}

    def _room(self, name: str) -> str:
        return f"{name}-{self._mark}@rooms.{self.server.domain}"

    async def _open_rooms(self, stack: AsyncExitStack) -> None:
        """Make those of the script; somebody owns them who does not speak."""
        server, jid = self.server, f"host.{self._mark}@{self.server.domain}"
        await server.create_account(jid, "password")
        stream = await stack.enter_async_context(await account(server.host, server.c2s_port, jid, "password"))
        self._host = RoomOwner(stream, "host")
        for name, options in self.script.rooms.items():
            await self._host.join(self._room(name))
            await self._host.configure(self._room(name), **options)

    async def _bot_joins(self, step: Step, _: str) -> None:
        await self._until_in(step, "in it", lambda state: state is State.IN)

    async def _bot_leaves(self, step: Step, _: str) -> None:
        await self._until_in(step, "gone", lambda state: state is None)

    async def _bot_is_put_out(self, step: Step, _: str) -> None:
        await self._until_in(step, "put out", lambda state: state not in (State.IN, State.JOINING, State.WAITING))

    async def _until_in(self, step: Step, what: str, is_so: Callable[[State | None], bool]) -> None:
        rooms, room = self.house.rooms, self._room(step.where)
        assert rooms is not None

        def stands() -> bool:
            standing = rooms.standing(room)
            return is_so(standing and standing.state)

        await until(stands, timeout=15, what=f"the bot to be {what}, not {rooms.standing(room)}")

    @property
    def _owner(self) -> RoomOwner:
        assert self._host is not None, "nobody hosts rooms here: name them below `Rooms:`"
        return self._host

    async def _host_does(self, step: Step, text: str) -> None:
        room, bot = self._room(step.where), self.known["bot"]
        if text == "kicks":
            await self._owner.give(room, nick="bot", role="none")
        else:
            await self._owner.give(room, jid=bot, affiliation="outcast" if text == "bans" else "member")

    async def _host_destroys(self, step: Step, _: str) -> None:
        await self._owner.destroy(self._room(step.where))

    async def _invites(self, step: Step, text: str) -> None:
        person, room = self.people[step.who], self._room(step.where)
        if text:
            person.invite_directly(room)
        else:
            person.invite(room)

    async def _declined(self, step: Step, _: str) -> None:
        self._compare(step.text, await self.people[step.who].declined())

    async def _all_hear_in(self, step: Step, _: str) -> None:
        self._expect(step, await self._everybody_in(step, "message"))

    async def _all_corrected_in(self, step: Step, _: str) -> None:
        said = await self._everybody_in(step, "correction")
        assert said.replaces in self._originals.get(step.where, set()), "it corrects a message that was never heard"
        self._compare(step.text, said.body)

    async def _all_retracted_in(self, step: Step, _: str) -> None:
        self._compare(step.text, (await self._everybody_in(step, "retraction")).body)

    async def _everybody_in(self, step: Step, sort: str) -> Said:
        """What everybody in a room hears is the same. An answer and what it leads to may come in either order."""
        room, like = self._room(step.where), pattern_of(step.text, self.known)
        heard = [await person.hear(room, sort, like) for person in self.people.values() if person.is_in(room)]
        assert heard, f"nobody is in {step.where}"
        assert len({(each.id, each.body) for each in heard}) == 1, heard
        return heard[0]
