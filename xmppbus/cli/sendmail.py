"""`xmppbus sendmail`: what programs call as `/usr/sbin/sendmail`, for mails that are to become events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.errors import Code, ConfigInvalid, Exit, Refused
from xmppbus.inputs.mail import NoSuchRecipientError, Target, events_of, recipients_in, target_of
from xmppbus.interfaces import Accepted

_WITH_VALUE = "fFrNRVBCOXhLpAo"
"""Options that have a value, behind them or as the next word (sendmail(8)); all but -f and -F are taken and ignored."""

_WITHOUT_VALUE = "tiGmnUve"
_DONE_MODES = {"i": "there are no aliases to make anew", "p": "there is no queue of mails: see `xmppbus status`"}


class Call(NamedTuple):
    """What the command line says."""

    recipients: tuple[str, ...]
    from_header: bool  # -t: also those in To, Cc and Bcc
    dot_ends: bool  # a line with a dot ends the mail, unless -i or -oi
    sender: str
    verbose: bool
    done: str = ""  # why there is nothing to do


@click.command(
    context_settings={
        "help_option_names": ["--help"],
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    }
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]... [RECIPIENT]...")
def sendmail(arguments: tuple[str, ...]) -> Action:
    """Take a mail from standard input, as sendmail does, and publish it: for cron and other programs that send mails.

    The part of a recipient before the @ is the type of an event (or what `recipients` of the input smtp say), its
    subject is the summary, its text the text. With -t the recipients are in the mail's header. -f and -F say who sends
    it; the other options of sendmail(8) are taken and ignored. A link to xmppbus that is called sendmail does this.

    Exit codes: 0 it is on disk, 64 usage, 65 bad mail, 67 no such recipient, 75 try again, 77 refused.

    \b
    Example:
      printf 'Subject: full\\n\\n93 %%\\n' | xmppbus sendmail disk.full
      xmppbus sendmail -t -i < mail
    """

    async def action(desk: Desk) -> int:
        desk.need_publish()
        call = call_of(arguments)
        if call.done:
            await desk.err(call.done)
            return Exit.OK
        return await _send(desk, call)

    return action


def call_of(arguments: Sequence[str]) -> Call:
    """Read the options as sendmail does. Raises `Refused` (usage) for what can't be done here."""
    words, recipients = list(arguments), list[str]()
    seen: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "--":
            recipients += words
            break
        if len(word) < 2 or not word.startswith("-"):
            recipients.append(word)
            continue
        letter, value = word[1], word[2:]
        if letter == "b":
            if value in _DONE_MODES:
                return Call((), False, False, "", False, _DONE_MODES[value])
            if value != "m":
                raise Refused(Code.USAGE, f"-b{value} is not done here; -bm, which takes a mail, is; see --help")
        elif letter == "q":
            return Call((), False, False, "", False, _DONE_MODES["p"])
        elif letter in _WITH_VALUE:
            if not value and not words:
                raise Refused(Code.USAGE, f"-{letter} needs a value; see --help")
            seen[letter + (value[:1] if letter == "o" else "")] = value or words.pop(0)
        elif letter in _WITHOUT_VALUE:
            seen |= dict.fromkeys(word[1:] if letter != "e" else "", "")
        else:
            raise Refused(Code.USAGE, f"{word} is no option of sendmail(8)")
    address, name = seen.get("f") or seen.get("r") or "", seen.get("F", "")
    sender = f"{name} <{address}>" if name and address else name or address
    return Call(tuple(recipients), "t" in seen, not {"i", "oi"} & seen.keys(), sender, "v" in seen)


async def _send(desk: Desk, call: Call) -> int:
    content = await _read(desk.terminal.read(), call.dot_ends)
    recipients = [*call.recipients, *(recipients_in(content) if call.from_header else ())]
    targets, unknown = _targets(recipients, _rules(desk))
    for problem in unknown:
        await desk.err(problem)
    if not recipients:
        raise Refused(Code.USAGE, "nobody is named to send it to; name a type such as disk.full, or give -t")
    if not targets:
        return Exit.NO_USER
    if desk.open_house:
        events = await asyncio.to_thread(events_of, content, targets, desk.now(), call.sender)
    else:
        events = events_of(content, targets, desk.now(), call.sender)
    for item_id in await _publish(desk, events):
        if call.verbose:
            await desk.out(item_id)
    return Exit.NO_USER if unknown else Exit.OK


async def _read(chunks: AsyncIterator[bytes], dot_ends: bool) -> bytes:
    """The mail; of a very long one the beginning. All of it is read: who writes it would take an end for a failure."""
    found = bytearray()
    async for chunk in chunks:
        found += chunk[: max(0, limits.SENDMAIL_BYTES - len(found))]
    content = bytes(found)
    if dot_ends:
        for end in (b"\n.\n", b"\n.\r\n"):
            content = content.partition(end)[0] + (b"\n" if end in content else b"")
    return content


def _targets(recipients: Sequence[str], rules: Mapping[str, str]) -> tuple[list[Target], list[str]]:
    """The types, and what is wrong with the others."""
    if len(recipients) > limits.MAIL_RECIPIENTS:
        raise Refused(Code.INVALID, f"{len(recipients)} recipients of at most {limits.MAIL_RECIPIENTS}")
    targets, unknown = list[Target](), list[str]()
    for recipient in recipients:
        try:
            targets.append(target_of(recipient, rules))
        except NoSuchRecipientError as error:
            unknown.append(str(error))
    return targets, unknown


def _rules(desk: Desk) -> Mapping[str, str]:
    """As the input smtp has them; without a daemon, as far as its config can be read by who sends."""
    from xmppbus.config import load

    try:
        config = desk.open_house.config if desk.open_house else load(None, os.environ)
    except ConfigInvalid:
        return {}
    given = config.options.inputs.get("smtp", {}).get("recipients", {})
    return {str(address).lower(): str(event_type) for address, event_type in given.items()}


async def _publish(desk: Desk, events: Sequence[dict[str, Any]]) -> list[str]:
    """Item ids, once all of them are on disk: the daemon's, or the spool's. Raises `Refused`."""
    from xmppbus.cli.spooling import spool, spool_into

    answers: Sequence[str | Accepted | Refused]
    if desk.open_house is None:
        answers = spool(events, desk.facts.environment).answers
    else:
        try:
            answers = await desk.house.bus.accept(events)
        except Refused as refusal:
            if refusal.code is not Code.CLOSING:
                raise
            config = desk.open_house.config
            answers = spool_into(config.spool_directory, config.options.source or os.uname().nodename, events)
    found = []
    for answer in answers:
        if isinstance(answer, Refused):
            if answer.code is not Code.CONFLICT:  # then it is on disk, under this id
                raise answer
        else:
            found.append(answer if isinstance(answer, str) else answer.item_id)
    return found
