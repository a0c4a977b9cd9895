"""docs/reference/bot.md: every command of the bot, as it is declared, and who may use it."""

from collections.abc import Iterator

from xmppbus import limits
from xmppbus.bot import bot
from xmppbus.bot.access import ALLOWED, Action, Affiliation
from xmppbus.bot.command import Argument, Command, Kind, commands_of
from xmppbus.fields import SEVERITIES
from xmppbus.plugins import Registry

KINDS = {
    Kind.WORD: "one of the words above",
    Kind.TEXT: "the rest of the line, or of several lines",
    Kind.PATTERN: "words joined by dots; `*` is exactly one word, `#` any number: `disk.#`",
    Kind.TYPE: "words joined by dots: `disk.full`",
    Kind.SEVERITY: f"{', '.join(f'`{each}`' for each in SEVERITIES)}",
    Kind.NUMBER: "a whole number, from 1",
    Kind.DURATION: "a number and `s`, `m`, `h` or `d`: `15m`; at most a year",
    Kind.EVENT: "an event's item id, or at least four characters that it begins with; left out in a reply to a message:"
    " the event of that message",
    Kind.KEY: "the key of an incident, a part of it that only one open incident has, or the id of one of its events; "
    "left out in a reply: the incident of that message, else the open one that you were told of last",
    Kind.JID: "a bare JID: `romeo@example.org`",
    Kind.WAY: "`every`, or `digest DURATION [NUMBER]` (in one message, after so long or when there are so many), or "
    "`quiet FROM-TO [ZONE] [but SEVERITY]`, or digest and quiet, in any order",
    Kind.COMMAND: "the name of a command",
}
"""What each kind of argument takes."""

ACTIONS = {
    Action.TALK: "find out what the bot is",
    Action.ASK: "ask to become a subscriber; by `strangers` in the config it is refused, or waits for an owner's yes",
    Action.READ: "look at what happened, and how things stand",
    Action.SUBSCRIBE: "subscribe without asking, mute, snooze, hold",
    Action.PUBLISH: "publish events",
    Action.ACKNOWLEDGE: "acknowledge and resolve incidents, by word, reply, reaction or form",
    Action.ADMINISTER: "see who hears of what, decide about strangers, take back, see to what is dead, invite to rooms",
}
"""What each action is."""

INTRODUCTION = """\
# What the bot understands

Written by `python -m tests.reference` from the commands' declarations. How to set it up and live with it:
[the chat](../howto/chat.md).

* A command is taken bare, with a slash, or with the prefix of the config (`!`), in any case: `help`, `/help`, `!Help`.
  Profanity and Poezio keep what begins with a slash for themselves.
  In a room it needs the prefix or the bot's nick: `!ack`, `bot: ack`.
* What is in brackets may be left out. Words with blanks in them go into quotes, of any kind: `snooze "db1 /var" 1h`.
* What it does not understand is answered with what is near, or with an example.
* An answer has at most {lines} lines or {characters:,} characters; `more` goes on, for {remembered}.
* What can't be undone is done when a one-time word is sent back, within {word}.
* Every command is an ad-hoc command (XEP-0050), too, bar those marked *chat only*: a single form, whose node is the
  command's name. Clients have them in a menu of the contact; service discovery lists those that you may use.
* 👍, ✅ or ✔ as a reaction (XEP-0444) to a message about an incident, as a reply (XEP-0461) to it or as a message, is
  `ack`. So is any other reply to it in a chat that is no command.
* Nobody is answered more than {answers} times a minute, or the same more than {same} times in a row: then it is silent
  for a minute. Errors, headlines, a room's history and what is marked as automatic are never answered.
"""

OUTCASTS = """\
An *outcast* may nothing, and is not answered. What somebody is goes by the bare JID that the server stamped: by
`affiliations` in [the config](config.md) for the JID, else for its domain, else by the affiliation with the room in
which something is said (`rooms`); else it is `none`. In a room that hides its occupants' JIDs everybody is `none`.
"""

PLUGINS = """\
Plugins add commands of their own ([how](../howto/write-a-plugin.md)); they are in `help` and in the list of ad-hoc
commands like these.
"""


def declared() -> dict[str, Command]:
    """Every command that the bot brings along, in the order of `help`."""
    registry = Registry()
    bot.register(registry)
    return commands_of(registry)


def page() -> str:
    """The whole page."""
    commands = declared()
    parts = [
        INTRODUCTION.format(
            lines=limits.ANSWER_LINES,
            characters=limits.ANSWER_CHARACTERS,
            remembered=f"{limits.REMEMBERED_SECONDS / 60:.0f} minutes",
            word=f"{limits.ONE_TIME_WORD_SECONDS / 60:.0f} minutes",
            answers=limits.ANSWERS_PER_MINUTE,
            same=limits.SAME_ANSWERS_PER_MINUTE,
        ),
        "## Who may what\n",
        "\n".join(_who_may(commands)) + "\n",
        OUTCASTS,
        "## The commands\n",
    ]
    parts += ["\n".join(_section(each)) + "\n" for each in commands.values()]
    parts += ["## What the words stand for\n", "\n".join(_kinds(commands)) + "\n"]
    return "\n".join([*parts, PLUGINS])


def _who_may(commands: dict[str, Command]) -> Iterator[str]:
    shown = [each for each in Affiliation if each is not Affiliation.OUTCAST]
    yield "| | " + " | ".join(shown) + " | commands |"
    yield "|---" * (len(shown) + 2) + "|"
    for action in Action:
        cells = ["yes" if each in ALLOWED[action] else "" for each in shown]
        names = ", ".join(f"`{each.name}`" for each in commands.values() if each.action is action)
        yield f"| **{action}**: {ACTIONS[action]} | {' | '.join(cells)} | {names} |"


def _section(command: Command) -> Iterator[str]:
    yield f"### {command.name}\n"
    yield f"```text\n{command.written}\n```\n"
    note = " *Chat only.*" if command.said_only else ""
    yield f"{command.help}. May: {', '.join(each for each in Affiliation if each in ALLOWED[command.action])}.{note}"
    if command.arguments:
        yield ""
        yield from (f"* {_argument(each)}" for each in command.arguments)
    if command.example or command.aliases:
        yield ""
        example = f"For example: `{command.example}`." if command.example else ""
        also = f"Also: {', '.join(f'`{each}`' for each in command.aliases)}." if command.aliases else ""
        yield " ".join(filter(None, (example, also)))


def _argument(argument: Argument) -> str:
    name = "|".join(argument.choices) if argument.choices else argument.name.upper()
    kind = "" if argument.choices or argument.name == argument.kind.value else f" ({argument.kind.value})"
    return f"`{name}`{kind}: {argument.help}"


def _kinds(commands: dict[str, Command]) -> Iterator[str]:
    used = {each.kind for command in commands.values() for each in command.arguments if not each.choices}
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {kind.value} | {KINDS[kind]} |" for kind in Kind if kind in used)
