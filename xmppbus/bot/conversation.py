"""From what one person says to what the bot answers. Each asker has a queue of his own, so that nobody waits for the
slow command of another; all of them are bounded, and so is how often anybody is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from xmppbus import limits
from xmppbus.bot import words
from xmppbus.bot.access import Action, Affiliation
from xmppbus.bot.command import Answer, Asker, Place, Unusable
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import is_about_incident
from xmppbus.bot.hearing import is_yes
from xmppbus.bot.pace import Pace, Speech
from xmppbus.bot.pages import cut
from xmppbus.bot.shown import as_text
from xmppbus.errors import BusError, Refused
from xmppbus.people.catalogue import _, speaking

log = logging.getLogger("xmppbus.bot")

Say = Callable[[str], None]
"""Sends one text back to where a line came from."""


class Line(NamedTuple):
    """Something that was said to the bot."""

    asker: Asker
    text: str
    say: Say
    language: str = ""  # of who says it (RFC 5646)
    show: Say | None = None  # sends the address of a picture there, which its client shows
    is_aside: bool = False  # a reaction, or a reply in a room: answered only if it is about an incident, and refused


class Conversations:
    """All of them. `hear` never waits and never raises; the answers come from tasks of the `group`."""

    def __init__(self, desk: Desk, group: asyncio.TaskGroup) -> None:
        self._desk = desk
        self._group = group
        self._pace = Pace(desk.house.clock)
        self._waiting: dict[str, deque[Line]] = {}
        self.answered = 0
        self.dropped = 0

    @property
    def talking(self) -> int:
        """How many people are being answered."""
        return len(self._waiting)

    def hear(self, line: Line) -> None:
        """Take a line. Nobody is answered who is an outcast, or to whom too much was said of late."""
        who = _counted_as(line.asker)
        if self._desk.affiliation(line.asker) is Affiliation.OUTCAST or self._pace.is_silent(who):
            self.dropped += 1
            return
        queue = self._waiting.get(who)
        if queue is None and len(self._waiting) >= limits.ANSWERS_AT_ONCE:
            self.dropped += 1
        elif queue is None:
            self._waiting[who] = deque([line])
            self._group.create_task(self._answer_all(who), name=f"answers for {who}")
        elif len(queue) < limits.ASKED_WAITING:
            queue.append(line)
        else:
            self.dropped += 1
            if all(each.text for each in queue):
                queue.append(line._replace(text=""))  # stands for all that are dropped until it is answered

    async def _answer_all(self, who: str) -> None:
        queue = self._waiting[who]
        try:
            while queue:
                line = queue[0]
                try:
                    with speaking(line.language):
                        answer = await self._answer(line)
                        self._say(who, line, answer.text)
                        if answer.picture and line.show:
                            self._say(who, line, await picture_of(answer.picture, line.show))
                finally:
                    queue.popleft()
        finally:
            del self._waiting[who]

    def _say(self, who: str, line: Line, text: str) -> None:
        if not text:
            return
        speech = self._pace.answer(who, text)
        if speech is Speech.STOP:
            text = _("I have said so much that this looks like two programs talking. I say nothing for a minute.")
            log.info("%s got too many answers, and gets none for %d s", who, limits.SILENCE_SECONDS, extra={"jid": who})
        if speech is Speech.SILENT:
            self.dropped += 1
            return
        self.answered += 1
        try:
            line.say(text)
        except BusError as error:  # the stream is down: what was asked on it is not answered on the next
            log.info("%s was not answered: %s", who, error, extra={"jid": who})

    async def _answer(self, line: Line) -> Answer:
        """As it is said."""
        if not line.text:
            return Answer(_("That was too fast for me: I have left out what you said last."))
        desk, asker = self._desk, line.asker
        try:
            async with asyncio.timeout(limits.COMMAND_SECONDS):
                answer = await (aside if line.is_aside else answer_to)(desk, asker, line.text)
        except TimeoutError:
            return Answer(_("That took too long. Try again, or ask for less."))
        except Exception:  # the bot is kept alive: one command's bug is not the others'
            log.exception("%r of %s failed", line.text[:80], asker.full or asker.jid, extra={"jid": asker.jid})
            return Answer(_("That failed, and it is not your fault: the log of the bus says why."))
        return Answer(said(desk, asker, answer), picture=answer.picture)


async def picture_of(make: Callable[[], Awaitable[str]], show: Say) -> str:
    """Show the picture that an answer promises; what is said instead where there is none."""
    try:
        async with asyncio.timeout(limits.COMMAND_SECONDS):
            show(await make())
    except TimeoutError:
        return no_picture(_("it took too long"))
    except Refused as refusal:
        return no_picture(refusal.message)
    except BusError as error:  # the stream is down: what was asked on it is not answered on the next
        log.info("a picture was not shown: %s", error)
    except Exception:  # the bot is kept alive: a picture's bug is not the others'
        log.exception("a picture failed")
        return no_picture(_("the log of the bus says why"))
    return ""


def no_picture(why: str) -> str:
    """What who expects one is told."""
    return _("There is no picture: {why}.").format(why=why.rstrip("."))


async def aside(desk: Desk, asker: Asker, text: str) -> Answer:
    """A reaction, or a reply in a room. That it was done shows in everybody's copy, so nothing is said about it."""
    if not await is_about_incident(desk, asker):
        return Answer()
    answer = await answer_to(desk, asker, text)
    return answer if answer.failed else Answer()


async def answer_to(desk: Desk, asker: Asker, text: str) -> Answer:
    """Do what a line wants: a command, or what waits for the one-time word that it is."""
    confirmed = desk.confirming.confirmed(asker.who, text)
    text = words.without_prefix(text, desk.options.prefix)
    try:
        if confirmed:
            return await confirmed()
        if words.find(words.split(text)[0], desk.commands) is None and await _acknowledges(desk, asker, text):
            text = "ack"
        return await obey(desk, asker, text)
    except Unusable as error:
        return Answer(str(error), failed=True)
    except Refused as refusal:
        return Answer(sentence(refusal), failed=True)


async def _acknowledges(desk: Desk, asker: Asker, text: str) -> bool:
    """An emoji that is a yes does, and any reply in a chat to a message about an incident."""
    return is_yes(text) or (asker.place is Place.CHAT and await is_about_incident(desk, asker))


async def obey(desk: Desk, asker: Asker, text: str) -> Answer:
    """Read a command and run it, if the asker may. Raises `Unusable` and `Refused`."""
    word, rest = words.split(text)
    command = words.find(word, desk.commands)
    if command is None:
        words.read(text, desk.commands_for(asker))  # raises, with what is near among what the asker may
    elif not desk.may(asker, command.action):
        return refused(desk, asker, command.action)
    else:
        return await command.run(desk, asker, words.values_of(command, rest))
    raise Unusable(_("I don't understand that."))


def refused(desk: Desk, asker: Asker, action: Action) -> Answer:
    """What who may not do something is told."""
    if not asker.jid:
        return Answer(_("This room hides who you are, so write to me in a chat of our own."), failed=True)
    affiliation = desk.affiliation(asker)
    if affiliation is Affiliation.NONE and desk.may(asker, Action.ASK) and action is not Action.ADMINISTER:
        return Answer(
            _("I don't know {jid} yet. An owner of this bot can let you in; `whoami` says what you may do.").format(
                jid=asker.jid
            ),
            failed=True,
        )
    return Answer(
        _("You may not do this: you are {affiliation} here. An owner of this bot can change that.").format(
            affiliation=affiliation.value
        ),
        failed=True,
    )


def said(desk: Desk, asker: Asker, answer: Answer) -> str:
    """An answer as chat text: its first page, and the one-time word if it wants one."""
    text = as_text(answer)
    if answer.is_page:
        return text
    if answer.confirm is None:
        return desk.pages.first(asker.who, text)
    word = desk.confirming.ask(asker.who, answer.confirm)
    page, rest = cut(text)  # however much it is about, the word must not be cut off
    return page + ("…" if rest else "") + "\n" + _("To do it, send this word: {word}").format(word=word)


def sentence(refusal: Refused) -> str:
    """A refusal for people."""
    text = str(refusal)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _counted_as(asker: Asker) -> str:
    """Whose queue and pace: a person's, whatever the place; where a room hides who they are, everybody's together: a
    new nick is nobody new."""
    return asker.jid or asker.room or asker.full
