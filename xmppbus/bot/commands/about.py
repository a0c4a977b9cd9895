"""`help`, `more`, `whoami`, `version`: what the bot is, and what somebody may ask of it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

from xmppbus.bot import words
from xmppbus.bot.access import Action, Affiliation
from xmppbus.bot.command import Answer, Argument, Asker, Command, Kind, Table, Unusable, Values
from xmppbus.bot.desk import Desk
from xmppbus.people.catalogue import _, mark
from xmppbus.people.durations import ago
from xmppbus.plugins import Registry


async def help_(desk: Desk, asker: Asker, values: Values) -> Answer:
    """All commands that the asker may use, or everything about one."""
    commands = desk.commands_for(asker)
    if values["command"] is None:
        rows = [(f"`{command.written}`", _(command.help)) for command in commands.values()]
        text = _("Write one of these to me; `help NAME` says more about it.")
        return Answer(text, Table((_("command"), _("what it does")), rows))
    command = words.find(values["command"], commands)
    if command is None:
        near = words.did_you_mean(values["command"], commands)
        raise Unusable(
            _("I know no command `{name}`").format(name=words.short(values["command"]))
            + (near or ".")
            + " "
            + _("`help` lists them.")
        )
    return Answer(_about(command))


def _about(command: Command) -> str:
    lines = [f"`{command.written}`", _(command.help) + "."]
    lines += [f"{argument.name.upper()}: {_(argument.help)}" for argument in command.arguments]
    if command.example:
        lines.append(_("For example: `{example}`").format(example=command.example))
    if command.aliases:
        lines.append(_("Also: {names}").format(names=", ".join(f"`{each}`" for each in command.aliases)))
    return "\n".join(lines)


async def more(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """The next page of the last long answer."""
    page = desk.pages.more(asker.who)
    return Answer(page, is_page=True) if page else Answer(_("There is no more."))


async def whoami(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """Who the asker is to the bot, and may do what."""
    may = ", ".join(action.value for action in Action if desk.may(asker, action))
    if not asker.jid:
        return Answer(_("This room hides who you are, so you may: {may}.").format(may=may))
    affiliation = desk.affiliation(asker)
    text = _("You are {jid}, {affiliation}. You may: {may}.").format(
        jid=asker.jid, affiliation=affiliation.value, may=may
    )
    if affiliation is Affiliation.NONE:
        text += " " + _("An owner of this bot can let you in.")
    return Answer(text)


async def version(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """Which version runs, and since when."""
    try:
        number = installed("xmppbus")
    except PackageNotFoundError:  # run from a tree that was not installed
        number = "0"
    lasting = ago(desk.house.started, desk.now())
    text = _("xmppbus {version}, running for {lasting}.").format(version=number, lasting=lasting)
    talk = desk.house.talk
    fingerprint = talk.encryption.status()["fingerprint"] if talk and talk.encryption else ""
    if not fingerprint:
        return Answer(text)
    # What comes over the network proves nothing by itself: the machine that I run on does.
    comparing = _("My OMEMO fingerprint: {fingerprint}. `xmppbus status` on my machine has to say the same.")
    return Answer(f"{text}\n{comparing.format(fingerprint=fingerprint)}")


def register(registry: Registry) -> None:
    """Offer them."""
    name = Argument("command", Kind.COMMAND, mark("a command"), required=False)
    registry.command(
        "help",
        mark("What I understand"),
        help_,
        action=Action.TALK,
        arguments=(name,),
        example="help subscribe",
        aliases=("?", "commands"),
    )
    registry.command("more", mark("Go on with a long answer"), more, action=Action.TALK, said_only=True)
    registry.command("whoami", mark("Who you are to me, and what you may do"), whoami, action=Action.TALK)
    registry.command("version", mark("Which version I am, and since when I run"), version, action=Action.TALK)
