"""The stage of a conversation: the house in this process, with a clock that the text sets, and its people."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.support.server import Server
from tests.support.talk_person import COMMANDS, DATA, Person, Said
from tests.support.talk_rooms import RoomSteps
from tests.support.talk_script import Script, Step, filled, pattern_of
from tests.support.waiting import until
from xmppbus import app
from xmppbus.config import load
from xmppbus.errors import Refused
from xmppbus.house import House
from xmppbus.outputs.escalation import Escalations
from xmppbus.people.durations import duration
from xmppbus.route import Target

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Clock:
    """The house's clock: it stands until a text says otherwise."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        """The same for what waits for so many seconds."""
        return self.moment.timestamp()


class Stage(RoomSteps):
    """Performs the steps of one script on one server."""

    def __init__(self, server: Server, script: Script, directory: Path) -> None:
        self.server = server
        self.script = script
        self.directory = directory
        self.clock = Clock()
        self.house: House
        self.people: dict[str, Person] = {}
        self.known: dict[str, str] = {}
        self._mark = uuid.uuid4().hex[:8]
        self._originals: dict[str, set[str]] = {}  # ids of messages, by whom or which room they were said to
        self._stopping = asyncio.Event()
        self._living: asyncio.Task[None] | None = None

    async def perform(self) -> None:
        """From the first step to the last; a failure names its line."""
        if self.script.starts:
            self.clock.moment = datetime.fromisoformat(self.script.starts).replace(tzinfo=UTC)
        async with self._set():
            for step in self.script.steps:
                try:
                    await self._do(step)
                except (AssertionError, TimeoutError, Refused, ValueError) as error:
                    raise AssertionError(f"line {step.line}, {step.who} {step.kind}: {error}") from error

    # --- the set ---

    @contextlib.asynccontextmanager
    async def _set(self) -> AsyncIterator[None]:
        names = sorted({step.who for step in self.script.steps if step.who})
        domain = self.server.domain
        self.known = {name: f"{name}.{self._mark}@{domain}" for name in names}
        self.known |= {"domain": domain, "bot": f"bot@{self.server.component_jid}"}
        self.known |= {f"room_{name}": self._room(name) for name in self._rooms()}
        for name in names:
            await self.server.create_account(self.known[name], "password")
            person = self.people[name] = Person(self.server, self.known[name], "password", self.known["bot"])
            await person.log_in()
        async with contextlib.AsyncExitStack() as stack:
            if self.script.rooms:
                await self._open_rooms(stack)
            await self._open()
            try:
                yield
            finally:
                await self._close()
                for person in self.people.values():
                    await person.leave()

    async def _open(self) -> None:
        config = load(self._config(), self._environment)
        registry = app.offered(config)
        self._stopping = asyncio.Event()
        started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
        self._living = asyncio.create_task(
            app.live(config, registry, self._stopping, started.set_result, clock=self.clock, ticks=self.clock.seconds)
        )
        await asyncio.wait((started, self._living), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await self._living
        self.house = started.result()
        assert self.house.xmpp is not None
        await asyncio.wait_for(self.house.xmpp.ready(), 15)

    @property
    def _environment(self) -> dict[str, str]:
        """Everything of this house's own: others may run on this machine."""
        return {"XMPPBUS_STATE": str(self.directory), "XMPPBUS_SOCKET": str(self.directory / "bus.sock")}

    async def _close(self) -> None:
        self._stopping.set()
        if self._living is not None:
            await self._living

    def _config(self) -> Path:
        bot = yaml.safe_load(filled(yaml.safe_dump(self.script.bot), self.known))
        routes = yaml.safe_load(filled(yaml.safe_dump(self.script.routes), self.known))
        (self.directory / "secret").write_text(self.server.secret)
        config: dict[str, Any] = {
            "xmpp": {
                "component": self.server.component_jid,
                "port": self.server.component_port,
                "secret_file": "secret",
                "pubsub_service": self.server.pubsub_service,
            },
            "http": None,
            "source": "stage",
            "bot": bot,
            "routes": routes,
        }
        path = self.directory / "xmppbus.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    # --- the steps ---

    async def _do(self, step: Step) -> None:
        action = getattr(self, "_" + step.kind.replace(" ", "_"))
        await action(step, filled(step.text, self.known))

    def _person(self, step: Step) -> Person:
        return self.people[step.who]

    async def _says(self, step: Step, text: str) -> None:
        self._person(step).say(text)

    async def _says_in(self, step: Step, text: str) -> None:
        self._person(step).say(text, to=self._room(step.where), kind="groupchat")

    async def _whispers(self, step: Step, text: str) -> None:
        self._person(step).say(text, to=f"{self._room(step.where)}/bot")

    async def _replies(self, step: Step, text: str) -> None:
        self._person(step).reply(text)

    async def _replies_in(self, step: Step, text: str) -> None:
        self._person(step).reply(text, self._room(step.where))

    async def _reacts(self, step: Step, text: str) -> None:
        self._person(step).react(text)

    async def _reacts_in(self, step: Step, text: str) -> None:
        self._person(step).react(text, self._room(step.where))

    async def _receives(self, step: Step, _: str) -> None:
        self._person(step).receive()
        await self._until_in_the_ledger(step, "received")

    async def _sees(self, step: Step, _: str) -> None:
        self._person(step).see()
        await self._until_in_the_ledger(step, "displayed")

    async def _until_in_the_ledger(self, step: Step, field: str) -> None:
        people, last = self.house.people, self._person(step).last
        assert people is not None
        assert last is not None

        async def written() -> bool:
            message = await people.message(last.id)
            return message is not None and getattr(message, field) is not None

        await until(written, timeout=15, what=f"the ledger to say that it was {field}")

    async def _is(self, step: Step, text: str) -> None:
        person = self._person(step)
        person.be(text)
        talk = self.house.talk
        assert talk is not None
        await until(
            lambda: talk.presence_of(person.jid).show in (text, "unknown"), timeout=15, what="the presence to arrive"
        )

    async def _leaves(self, step: Step, _: str) -> None:
        await self._person(step).leave()

    async def _logs_in(self, step: Step, _: str) -> None:
        await self._person(step).log_in()

    async def _joins(self, step: Step, text: str) -> None:
        await self._person(step).join(self._room(step.where), text)

    async def _adds(self, step: Step, _: str) -> None:
        self._person(step).add()

    async def _runs(self, step: Step, text: str) -> None:
        node, *fields = shlex.split(text)
        await self._person(step).run(node, dict(each.split("=", 1) for each in fields))

    async def _event(self, _: Step, text: str) -> None:
        kind, summary, *rest = shlex.split(text)
        fields: dict[str, Any] = dict(each.split("=", 1) for each in rest)
        if "data" in fields:
            fields["data"] = msgspec.json.decode(fields["data"])
        fields.setdefault("id", str(uuid.uuid4()))
        (answer,) = await self.house.bus.accept([{"type": kind, "summary": summary, **fields}])
        if isinstance(answer, Refused):
            raise answer
        self.known["item"] = answer.item_id

    async def _clock_shows(self, _: Step, text: str) -> None:
        self.clock.moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        await self._time_has_passed()

    async def _clock_goes_on(self, _: Step, text: str) -> None:
        await self._settled()
        self.clock.moment += duration(text) or timedelta()
        await self._time_has_passed()

    async def _time_has_passed(self) -> None:
        """What sleeps until a moment looks at the clock."""
        people = self.house.people
        assert people is not None
        for jid in [*(person.jid for person in self.people.values()), *map(self._room, self._rooms())]:
            people.wake(Target("digest", jid))
        escalation = self.house.outputs.get("escalation")
        if isinstance(escalation, Escalations):
            await escalation.look()

    async def _restart(self, _: Step, __: str) -> None:
        await self._settled()
        await self._close()
        await self._open()

    # --- what is heard ---

    async def _hears(self, step: Step, _: str) -> None:
        self._expect(step, await self._person(step).hear())

    async def _is_whispered(self, step: Step, _: str) -> None:
        said = await self._person(step).hear()
        assert said.sender == f"{self._room(step.where)}/bot", f"it is not a whisper in the room: {said}"
        self._expect(step, said)

    def _expect(self, step: Step, said: Said) -> None:
        self._originals.setdefault(step.who or step.where, set()).add(said.id)
        self._compare(step.text, said.body)

    async def _corrected(self, step: Step, _: str) -> None:
        said = await self._person(step).hear(sort="correction")
        assert said.replaces in self._originals.get(step.who, set()), "it corrects a message that was never heard"
        self._compare(step.text, said.body)

    async def _retracted(self, step: Step, _: str) -> None:
        said = await self._person(step).hear(sort="retraction")
        assert said.retracts in self._originals.get(step.who, set()), f"no retraction of a message of theirs: {said}"
        self._compare(step.text, said.body)

    async def _hears_nothing(self, step: Step, _: str) -> None:
        await self._settled()
        left = await self._person(step).nothing_more()
        assert not left, f"the bot said {[each.body for each in left]}"

    async def _status(self, step: Step, _: str) -> None:
        text = await self._person(step).status_like(pattern_of(step.text, self.known))
        self._compare(step.text, text)

    async def _completed(self, step: Step, _: str) -> None:
        answer = self._person(step).answer
        assert answer is not None
        assert answer.get("type") == "result", answer.condition()
        command = answer.find(COMMANDS, "command")
        assert command is not None
        assert command.get("status") == "completed"
        self._compare(step.text, _text_of(answer))

    async def _refused(self, step: Step, _: str) -> None:
        answer = self._person(step).answer
        assert answer is not None
        self._compare(step.text, answer.condition() or _text_of(answer))

    def _compare(self, expected: str, text: str) -> None:
        found = pattern_of(expected, self.known).match(text)
        assert found, f"\nexpected: {filled(expected, self.known)!r}\nheard:    {text!r}"
        self.known |= found.groupdict()

    async def _settled(self) -> None:
        """Nothing is on its way to people any more, but what is held."""

        async def calm() -> bool:
            places = await self.house.journal.places()
            return not [
                each
                for each in places
                if each.output in ("people", "chat", "room", "digest", "escalation", "pubsub")
                and each.waiting
                and not (each.stop and each.stop.condition == "held")
            ]

        await until(calm, what="everything to be delivered", timeout=15)


def _text_of(answer: Any) -> str:
    """Notes and forms of a completed command as text: a row a line."""
    lines = [each.text or "" for each in answer.element.iter(f"{{{COMMANDS}}}note")]
    for form in answer.element.iter(f"{{{DATA}}}x"):
        lines += [each.text or "" for each in form.iter(f"{{{DATA}}}instructions")]
        for item in form.iter(f"{{{DATA}}}item"):
            lines.append(" | ".join(each.text or "" for each in item.iter(f"{{{DATA}}}value")))
        lines += [
            value.text or ""
            for field in form.findall(f"{{{DATA}}}field")
            for value in field.findall(f"{{{DATA}}}value")
            if field.get("var") != "FORM_TYPE"
        ]
    return "\n".join(lines)
