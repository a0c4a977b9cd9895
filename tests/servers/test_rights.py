"""Every command of the bot, by everybody, wherever it can be given: who may is answered and it is done, who may not is
refused and nothing is done, and an outcast is not answered at all.

What is expected is a table of the tests' own (`tests.support.rights`); the first test holds the product's against it.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.living_house import living
from tests.support.raw import RawError, RawStream
from tests.support.rights import ACTIONS, AFFILIATIONS, REFUSALS, RIGHTS, Traces, expected, leaves_a_trace
from tests.support.server import Server
from tests.support.talk_person import COMMANDS, DATA, Person
from xmppbus import app, limits
from xmppbus.bot.access import ALLOWED, Action, Affiliation
from xmppbus.bot.command import commands_of
from xmppbus.config import load
from xmppbus.house import House

Cell = tuple[str, str]
"""A command, and somebody's affiliation."""


def test_the_tables_are_the_same(tmp_path: Path) -> None:
    """What everybody may, of every action; and which action every command is."""
    assert {action.value: {each.value for each in who} for action, who in ALLOWED.items()} == RIGHTS
    assert {each.value for each in Action} == set(RIGHTS)
    assert [each.value for each in Affiliation] == list(AFFILIATIONS)
    (tmp_path / "xmppbus.yaml").write_text("http: null\n")
    registry = app.offered(load(tmp_path / "xmppbus.yaml", {"XMPPBUS_STATE": str(tmp_path)}))
    assert {name: each.action.value for name, each in commands_of(registry).items()} == ACTIONS


class Everybody:
    """A house, and one person of each affiliation with a client."""

    def __init__(self, house: House, traces: Traces, people: Mapping[str, Person]) -> None:
        self.house = house
        self.traces = traces
        self.people = people


@asynccontextmanager
async def everybody(server: Server, directory: Path) -> AsyncIterator[Everybody]:
    """Logged in; the bot knows all but one of them."""
    mark = uuid4().hex[:8]
    people = {
        each: Person(server, f"{each}.{mark}@{server.domain}", "pw", f"bot@{server.component_jid}")
        for each in AFFILIATIONS
    }
    affiliations = {person.jid: each for each, person in people.items() if each != "none"}
    async with living(server, directory, {"affiliations": affiliations}) as house:
        for person in people.values():
            await server.create_account(person.jid, "pw")
            await person.log_in()
        traces = Traces(house, "")
        traces.item = await traces.event()
        try:
            yield Everybody(house, traces, people)
        finally:
            for person in people.values():
                await person.leave()


@pytest.fixture(autouse=True)
def _nobody_is_told_to_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same refusal thirty times in a second is what this is about."""
    for pace in ("ANSWERS_PER_MINUTE", "SAME_ANSWERS_PER_MINUTE"):
        monkeypatch.setattr(limits, pace, 10_000)


def typed(command: str, fields: Mapping[str, str]) -> str:
    """A command with its arguments, as it is written."""
    return shlex.join([command, *fields.values()]).replace("'", '"')


def verdict(text: str) -> str:
    """What an answer in words says."""
    return "refused" if REFUSALS.search(text) else "done"


async def test_every_command_by_everybody_in_a_chat(server: Server, tmp_path: Path) -> None:
    """Typed to the bot."""
    wrong: dict[Cell, object] = {}
    async with everybody(server, tmp_path) as scene:

        async def row(affiliation: str, person: Person) -> None:
            for command in ACTIONS:
                mark = uuid4().hex
                person.say(typed(command, await scene.traces.prepare(command, mark, person.jid)))
                if affiliation == "outcast":
                    await refused_by_all(person)
                    said = "silent"
                else:
                    said = verdict((await person.hear()).body)
                note(wrong, (command, affiliation), said, await scene.traces.done(command, mark, person.jid))
                await scene.traces.clean(person.jid)
            left = await person.nothing_more()
            assert not left, left

        await asyncio.gather(*(row(*each) for each in scene.people.items()))
    assert not wrong


async def test_every_command_by_everybody_as_a_form(server: Server, tmp_path: Path) -> None:
    """Ad-hoc commands: what is not even listed is not done either when it is asked for by name."""
    wrong: dict[Cell, object] = {}
    async with everybody(server, tmp_path) as scene:

        async def row(affiliation: str, person: Person) -> None:
            may = {each for each in ACTIONS if expected(each, affiliation) == "done" and each != "more"}
            assert await commands_listed(person) == may, affiliation
            for command in ACTIONS:
                mark = uuid4().hex
                said = await executed(person, command, await scene.traces.prepare(command, mark, person.jid))
                if command == "more" and affiliation != "outcast":  # it is for chats alone
                    assert said == "item-not-found"
                else:
                    note(wrong, (command, affiliation), said, await scene.traces.done(command, mark, person.jid))
                await scene.traces.clean(person.jid)

        await asyncio.gather(*(row(*each) for each in scene.people.items()))
    assert not wrong


async def test_how_things_stand_is_in_the_presence_for_who_may_read_it(server: Server, tmp_path: Path) -> None:
    """A stranger who adds the bot sees that it is there; an outcast not even that."""
    async with everybody(server, tmp_path) as scene:
        readers = [person for name, person in scene.people.items() if name in RIGHTS["read"]]
        for person in scene.people.values():
            person.add()
        for person in readers:
            await person.status_like(re.compile("all is well"))
        stranger, outcast = scene.people["none"], scene.people["outcast"]
        await stranger.stream.until(lambda: is_there(stranger.stream, stranger.bot))
        for person in (stranger, outcast):
            await person.nothing_more()
            assert not person.statuses
        assert not is_there(outcast.stream, outcast.bot)


def is_there(stream: RawStream, jid: str) -> bool:
    """Whether somebody's client has an available presence of a JID."""
    return any(
        each.name == "presence" and each.get("from").startswith(f"{jid}/") and not each.get("type")
        for each in stream.stanzas
    )


def note(wrong: dict[Cell, object], cell: Cell, said: str, done: bool | None) -> None:
    """Keep what is not as it should be: what was said, and whether something was done."""
    command, affiliation = cell
    may_be_done = None if done is None else leaves_a_trace(command, affiliation)
    if (said, done) != (expected(command, affiliation), may_be_done):
        wrong[cell] = {"said": said, "done": done}


async def refused_by_all(person: Person) -> None:
    """The server works a stream in order: what was written before this has been heard by the bot."""
    with pytest.raises(RawError, match="service-unavailable"):
        await person.stream.iq("get", person.bot, "<ping xmlns='urn:xmpp:ping'/>")


async def commands_listed(person: Person) -> set[str]:
    """The commands that the bot tells somebody of (XEP-0050 §2.2)."""
    query = f"<query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/>"
    try:
        answer = await person.stream.iq("get", person.bot, query)
    except RawError:
        return set()
    return {each.get("node", "") for each in answer.element.iter("{http://jabber.org/protocol/disco#items}item")}


async def executed(person: Person, command: str, fields: Mapping[str, str], to: str = "") -> str:
    """`done`, `refused`, `silent`, or the condition of another error; the form is sent along at once."""
    inner = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    form = f"<x xmlns='{DATA}' type='submit'>{inner}</x>"
    try:
        await person.stream.iq(
            "set", to or person.bot, f"<command xmlns='{COMMANDS}' node='{command}'>{form}</command>"
        )
    except RawError as error:
        return {"forbidden": "refused", "service-unavailable": "silent"}.get(error.condition, error.condition)
    return "done"
