"""Ad-hoc commands (XEP-0050): the same commands as in a chat, as forms. Whoever asks sees, and may do, the same."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.bot import forms
from xmppbus.bot.access import Affiliation
from xmppbus.bot.command import Answer, Asker, Command, Unusable
from xmppbus.bot.confirming import Work
from xmppbus.bot.conversation import picture_of, refused, sentence
from xmppbus.bot.desk import Desk
from xmppbus.bot.remembering import Remembered
from xmppbus.bot.shown import as_text
from xmppbus.errors import Refused
from xmppbus.people.catalogue import _, speaking
from xmppbus.xmpp import adhoc
from xmppbus.xmpp.adhoc import Doing, Mistaken, Request
from xmppbus.xmpp.messages import LANGUAGE

log = logging.getLogger("xmppbus.bot")

_AT_ONCE_OF_ONE = 4


class _Open(NamedTuple):
    """A form that waits for its answer; `work` is what it asks about, when it only asks whether that is meant."""

    command: Command
    work: Work | None = None


class Invocations:
    """Answers the requests that are about commands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._forms: Remembered[dict[str, _Open]] = Remembered(
            desk.house.clock, limits.REMEMBERED_SECONDS, limits.FORMS
        )
        self._busy: Counter[tuple[str, str, str]] = Counter()

    def answer(self, iq: Element, asker: Asker, own: str) -> bytes | Awaitable[bytes] | None:
        """The answer to a request, or None if it is about something else. `own` is the JID that commands are at."""
        about = adhoc.asked_of(iq)
        if not about or self._desk.affiliation(asker) is Affiliation.OUTCAST:
            return None
        if about == "execute":
            return self._execute(iq, asker)
        node = adhoc.node_of(iq)
        commands = self._commands(asker)
        with speaking(iq.get(LANGUAGE, "")):
            if node == adhoc.COMMANDS:
                if about == "items":
                    return adhoc.reply(iq, adhoc.items(own, [(each.name, _title(each)) for each in commands.values()]))
                return adhoc.reply(iq, adhoc.info(node, _("Commands")))
            if about == "info" and node in commands:
                return adhoc.reply(iq, adhoc.info(node, _title(commands[node])))
        return None

    def _commands(self, asker: Asker) -> Mapping[str, Command]:
        found = self._desk.commands_for(asker)
        return {name: command for name, command in found.items() if not command.said_only}

    async def _execute(self, iq: Element, asker: Asker) -> bytes:
        """The whole answer; never raises."""
        if self._busy[asker.who] >= _AT_ONCE_OF_ONE or self._busy.total() >= limits.ANSWERS_AT_ONCE:
            return _failed(iq, Mistaken("policy-violation", text=_("One after the other, please.")))
        self._busy[asker.who] += 1
        try:
            async with asyncio.timeout(limits.COMMAND_SECONDS):
                request = adhoc.read(iq)
                with speaking(request.language):
                    return adhoc.reply(iq, await self._do(request, asker))
        except Mistaken as mistaken:
            return _failed(iq, mistaken)
        except TimeoutError:
            return _failed(iq, Mistaken("policy-violation", text=_("That took too long. Try again, or ask for less.")))
        except Exception:  # the bot is kept alive: one command's bug is not the others'
            log.exception("an ad-hoc command of %s failed", asker.full, extra={"jid": asker.jid})
            return _failed(iq, Mistaken("internal-server-error"))
        finally:
            self._busy[asker.who] -= 1
            if not self._busy[asker.who]:
                del self._busy[asker.who]

    async def _do(self, request: Request, asker: Asker) -> str:
        command = self._desk.commands.get(request.node)
        if command is None or command.said_only:
            raise Mistaken("item-not-found", text=_("There is no such command."))
        if not self._desk.may(asker, command.action):
            raise Mistaken("forbidden", text=refused(self._desk, asker, command.action).text)
        if not request.session:
            return await self._begin(command, request, asker)
        opened = self._opened(request, asker)
        if opened.command is not command:
            raise Mistaken("bad-request", "bad-sessionid", _("That form belongs to another command."))
        # COMPAT(poezio 0.14): a form is always sent with `next`, whatever the actions are that are offered. The test is
        # `test_poezio_acknowledges_by_an_ad_hoc_command`.
        if request.doing is Doing.PREV or (request.doing is Doing.NEXT and request.values is None):
            raise Mistaken("bad-request", "bad-action", _("There is one step only."))
        if request.doing is Doing.CANCEL:
            self._close(request.session, asker)
            return adhoc.cancelled(request.node, request.session)
        if request.values is None:
            raise Mistaken("bad-request", "bad-payload", _("There is no form in it."))
        return await self._go_on(opened, request, request.values, asker)

    async def _begin(self, command: Command, request: Request, asker: Asker) -> str:
        if request.doing not in (Doing.EXECUTE, Doing.COMPLETE):
            raise Mistaken("bad-request", "bad-action", _("Nothing has been begun."))
        if request.values is not None or not command.arguments:
            return await self._run(command, request._replace(session=_new_session(self._desk)), asker)
        session = self._open(asker, _Open(command))
        return adhoc.executing(command.name, session, forms.form_of(command))

    async def _go_on(self, opened: _Open, request: Request, values: Mapping[str, str], asker: Asker) -> str:
        if opened.work is None:
            return await self._run(opened.command, request, asker)
        self._close(request.session, asker)  # once, whatever comes of it
        if not forms.is_confirmed(values):
            return adhoc.completed(request.node, request.session, text=_("Nothing was done."))
        return await self._said(opened.command, request.session, await _tried(opened.work), asker)

    async def _run(self, command: Command, request: Request, asker: Asker) -> str:
        given = request.values or {}
        try:
            values = forms.values_from(command, given)
        except Unusable as error:
            session = self._open(asker, _Open(command), request.session)
            return adhoc.executing(
                command.name, session, forms.form_of(command, given), adhoc.Note(str(error), "error")
            )
        self._close(request.session, asker)
        return await self._said(
            command, request.session, await _tried(lambda: command.run(self._desk, asker, values)), asker
        )

    async def _said(self, command: Command, session: str, answer: Answer, asker: Asker) -> str:
        if answer.confirm is not None:
            session = self._open(asker, _Open(command, answer.confirm), session)
            return adhoc.executing(command.name, session, forms.confirming_form(command, answer.text))
        talk = self._desk.house.talk
        if answer.table and talk is not None and not talk.shows_tables(asker.full):
            answer = answer._replace(text=as_text(answer), table=None)
        table = forms.reported(command, answer.table) if answer.table else None
        text = answer.text
        if answer.picture is not None:
            shown: list[str] = []
            instead = await picture_of(answer.picture, shown.append)
            text = "\n".join([text, *shown, *filter(None, [instead])])
        return adhoc.completed(command.name, session, text=text, failed=answer.failed, table=table)

    # --- sessions ---------------------------------------------------------------------------------------------------

    def _open(self, asker: Asker, opened: _Open, session: str = "") -> str:
        mine = self._forms.look(asker.who) or {}
        mine.pop(session, None)
        session = session or _new_session(self._desk)
        while len(mine) >= limits.FORMS_OF_ONE:
            del mine[next(iter(mine))]
        self._forms.keep(asker.who, {**mine, session: opened})
        return session

    def _opened(self, request: Request, asker: Asker) -> _Open:
        mine = self._forms.look(asker.who) or {}
        found = mine.get(request.session)
        if found is not None:
            return found
        if _is_ours(request.session):
            raise Mistaken("not-allowed", "session-expired", _("That form is no longer open; begin again."))
        raise Mistaken("bad-request", "bad-sessionid")

    def _close(self, session: str, asker: Asker) -> None:
        mine = self._forms.look(asker.who) or {}
        mine.pop(session, None)


async def _tried(work: Work) -> Answer:
    """A refusal is an answer."""
    try:
        return await work()
    except Unusable as error:
        return Answer(str(error), failed=True)
    except Refused as refusal:
        return Answer(sentence(refusal), failed=True)


def _failed(iq: Element, mistaken: Mistaken) -> bytes:
    return adhoc.reply(iq, adhoc.error(mistaken), failed=True)


def _title(command: Command) -> str:
    """What a client lists: the name that is typed elsewhere, and what it is for."""
    return f"{command.name}: {_(command.help)}"


def _new_session(desk: Desk) -> str:
    return f"{int(desk.now().timestamp()):x}.{secrets.token_hex(8)}"


def _is_ours(session: str) -> bool:
    """Whether it looks like a session that there was: forms are forgotten, and their clients should be told so."""
    moment, _dot, dice = session.partition(".")
    digits = set("0123456789abcdef")
    return 0 < len(moment) <= 12 and len(dice) == 16 and set(moment + dice) <= digits
