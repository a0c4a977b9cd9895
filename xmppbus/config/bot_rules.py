"""What the types of the bot's options can't say: whose JIDs they are, and what goes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from xmppbus import limits
from xmppbus.config.shape import Difference
from xmppbus.options import BotOptions, Options
from xmppbus.people.addresses import bare_jid

_EXTRA = ("slixmpp_omemo", "omemo", "oldmemo", "doubleratchet")
"""What the extra `omemo` brings; imported in `xmppbus.xmpp.omemo`, and only where it is wanted."""

PEOPLE_OUTPUTS = ("chat", "room")
"""Outputs of the bot whose places are bare JIDs."""

Position = tuple[str | int, ...]


def bot_rules(options: Options) -> Iterator[Difference]:
    """Everything that makes `bot:` unusable although each option is well-formed."""
    bot = options.bot
    if bot is None:
        return
    if options.xmpp is None:
        yield Difference(("bot",), "the bot needs a server: there is no `xmpp:` that says which", at_key=True)
    yield from _affiliations(bot)
    yield from _rooms(bot)
    try:
        ZoneInfo(bot.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        sentence = f"no time zone is called `{bot.time_zone}`; names are like `Europe/Rome` and `UTC`"
        yield Difference(("bot", "time_zone"), sentence)
    if bot.avatar_file:
        yield from _avatar(bot.avatar_file)
    yield from _omemo(bot)


def implied_bot(options: Options) -> BotOptions | None:
    """Who writes `chat:` or `room:` into a route wants the bot, also without a word about it."""
    addresses = [address for route in options.routes for address in route.to]
    addresses += [address for route in options.routes for step in route.escalate for address in step.to]
    wanted = any(address.partition(":")[0] in PEOPLE_OUTPUTS for address in addresses)
    return options.bot or (BotOptions() if wanted else None)


def address_rules(address: str, place: Position, *, has_xmpp: bool) -> Iterator[Difference]:
    """An address of a person or a room names one, and needs a server."""
    output, _, jid = address.partition(":")
    if output not in PEOPLE_OUTPUTS:
        return
    if not has_xmpp:
        yield Difference(place, f"the bot says it to `{output}`, but there is no `xmpp:` that says on which server")
    if "@" not in jid or not _is_jid(jid):
        yield Difference(place, f"`{output}:` is followed by a bare JID, such as `{output}:romeo@example.org`")


def doubts_of_bot(options: Options) -> Iterator[Difference]:
    """What works, but is hardly meant."""
    if options.bot and "owner" not in options.bot.affiliations.values():
        sentence = "the bot has no owner: write `affiliations: {you@example.org: owner}`, or nobody can let others in"
        yield Difference(("bot",), sentence, at_key=True)


def _affiliations(bot: BotOptions) -> Iterator[Difference]:
    yield from _named("affiliations", bot.affiliations)


def _named(option: str, names: Iterable[str]) -> Iterator[Difference]:
    """Bare JIDs and domains, each once."""
    seen: dict[str, str] = {}
    for name in names:
        place = ("bot", option, name)
        if not _is_jid(name) or "/" in name:
            yield Difference(place, f"`{name}` should be a bare JID or a domain: `romeo@example.org`", at_key=True)
            continue
        first = seen.setdefault(bare_jid(name), name)
        if first != name:
            yield Difference(place, f"`{name}` is the same JID as `{first}`", at_key=True)


def _omemo(bot: BotOptions) -> Iterator[Difference]:
    """Encryption needs what `pip install xmppbus` alone does not bring; who did not install it learns it here."""
    if isinstance(bot.omemo, dict):
        yield from _named("omemo", bot.omemo)
    if not bot.omemo:
        return
    missing = [name for name in _EXTRA if not _is_installed(name)]
    if missing:
        sentence = (
            f"encryption needs the extra `omemo`, which is not installed here ({', '.join(missing)}): pip install "
            "'xmppbus[omemo]' (in a clone: '.[omemo]'). It is AGPL-3.0; docs/howto/encryption.md says what that means"
        )
        yield Difference(("bot", "omemo"), sentence, at_key=True)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def _rooms(bot: BotOptions) -> Iterator[Difference]:
    if len(bot.rooms) > limits.ROOMS:
        yield Difference(("bot", "rooms"), f"{len(bot.rooms)} rooms of at most {limits.ROOMS}")
    seen: set[str] = set()
    for index, room in enumerate(bot.rooms):
        place = ("bot", "rooms", index, "jid")
        if "@" not in room.jid or "/" in room.jid or not _is_jid(room.jid):
            yield Difference(place, f"`{room.jid}` should be a room's bare JID: `ops@muc.example.org`")
        elif bare_jid(room.jid) in seen:
            yield Difference(place, f"the room `{room.jid}` is here a second time")
        else:
            seen.add(bare_jid(room.jid))
        if room.password_file and not Path(room.password_file).is_file():
            sentence = f"the room's password can't be read: {room.password_file} is no file"
            yield Difference(("bot", "rooms", index, "password_file"), sentence)


def _avatar(name: str) -> Iterator[Difference]:
    try:
        found = Path(name).read_bytes()
    except OSError as error:
        yield Difference(("bot", "avatar_file"), f"{name} can't be read: {error.strerror}")
        return
    if not found.startswith(b"\x89PNG") or len(found) > limits.AVATAR_BYTES:
        sentence = f"{name} should be a PNG picture of at most {limits.AVATAR_BYTES} bytes (XEP-0153 §3)"
        yield Difference(("bot", "avatar_file"), sentence)


def _is_jid(text: str) -> bool:
    try:
        bare_jid(text)
    except ValueError:
        return False
    return True
