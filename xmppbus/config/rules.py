"""What the types of the options can't say: which options exclude or need one another, and what must exist."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from xmppbus import limits
from xmppbus.config.bot_rules import Position, address_rules, bot_rules, doubts_of_bot
from xmppbus.config.display_rules import display_rules, doubts_of_displays
from xmppbus.config.shape import Difference
from xmppbus.errors import ConfigInvalid, Refused
from xmppbus.fields import check_queue
from xmppbus.listening import is_loopback, listen_address
from xmppbus.options import HttpOptions, Options, RouteOptions, XmppOptions
from xmppbus.paths import SOCKET_BYTES
from xmppbus.people.durations import duration
from xmppbus.route import QUEUE

SECRET_VARIABLE = "XMPPBUS_XMPP_SECRET"  # noqa: S105  # the name of a variable
CREDENTIAL = "xmpp_secret"
TOKENS_CREDENTIAL = "tokens"
_DOMAIN = re.compile(r"^[^@/\s]+$")
_BARE_JID = re.compile(r"^[^@/\s]+@[^@/\s]+$")
_READER = re.compile(r"^(?:[^@/\s]+@)?[^@/\s]+$")


def broken_rules(options: Options, environ: Mapping[str, str]) -> Iterator[Difference]:
    """Everything that makes the config unusable although each option is well-formed. File names are absolute."""
    if options.xmpp:
        yield from _xmpp(options.xmpp, environ)
    if options.http:
        yield from _http(options.http)
    yield from _nodes(options)
    yield from _routes(options)
    yield from bot_rules(options)
    yield from display_rules(options)
    for index, name in enumerate(options.plugins):
        if name.endswith(".py"):
            yield from unreadable(name, ("plugins", index))
    if options.socket.path and len(os.fsencode(options.socket.path)) > SOCKET_BYTES:
        yield Difference(("socket", "path"), f"socket.path is longer than the {SOCKET_BYTES} bytes of a socket's name")


def doubts(options: Options) -> Iterator[Difference]:
    """What works, but is hardly meant."""
    if options.xmpp and options.xmpp.secret_file:
        path = Path(options.xmpp.secret_file)
        if path.exists() and path.stat().st_mode & stat.S_IROTH:
            yield Difference(("xmpp", "secret_file"), f"everybody on this machine may read {path}: chmod o-r {path}")
    everything = next((index for index, node in enumerate(options.nodes) if node.match == "#"), None)
    for index, node in enumerate(options.nodes):
        if everything is not None and index > everything:
            sentence = f"the profile for `{node.match}` is never used: `#` above it matches every type"
            yield Difference(("nodes", index), sentence)
    yield from doubts_of_bot(options)
    yield from doubts_of_displays(options)


def read_secret(options: XmppOptions, environ: Mapping[str, str]) -> str:
    """The component's secret or the account's password: its first line. Raises ConfigInvalid; the text is a sentence.

    `$XMPPBUS_XMPP_SECRET` first, then systemd's credential `xmpp_secret`, then `secret_file`.
    """
    if given := environ.get(SECRET_VARIABLE):
        return given
    if given_file := credential(CREDENTIAL, environ):
        return first_line(given_file)
    if not options.secret_file:
        raise ConfigInvalid(
            "there is no secret: write it into a file of its own (mode 600) and name that in `secret_file`, or set "
            f"${SECRET_VARIABLE}, or give systemd's credential `{CREDENTIAL}`"
        )
    return first_line(Path(options.secret_file))


def credential(name: str, environ: Mapping[str, str]) -> Path | None:
    """The file of a credential that systemd gives us (systemd.exec(5)); None when there is none."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / name if directory else None
    return path if path and path.exists() else None


def first_line(path: Path) -> str:
    """A secret, from its file. Raises ConfigInvalid; the text is a sentence."""
    try:
        secret = path.read_text().partition("\n")[0].removesuffix("\r")
    except OSError as error:
        raise ConfigInvalid(f"the secret can't be read: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"the secret can't be read: {path} is not UTF-8 text") from None
    if not secret:
        raise ConfigInvalid(f"the secret can't be read: the first line of {path} is empty")
    return secret


def _xmpp(xmpp: XmppOptions, environ: Mapping[str, str]) -> Iterator[Difference]:
    if xmpp.component and xmpp.account:
        yield Difference(
            ("xmpp", "account"), "xmpp has a `component` and an `account`; take one of them out", at_key=True
        )
    elif not xmpp.component and not xmpp.account:
        yield Difference(
            ("xmpp",),
            "xmpp needs a `component` (a domain that the server's config names) or an `account` to log in with",
            at_key=True,
        )
    if xmpp.component and not _DOMAIN.match(xmpp.component):
        sentence = f"xmpp.component should be a domain such as `bus.example.org`, not `{xmpp.component}`"
        yield Difference(("xmpp", "component"), sentence)
    if xmpp.account and not _BARE_JID.match(xmpp.account):
        sentence = f"xmpp.account should be a bare JID such as `bus@example.org`, not `{xmpp.account}`"
        yield Difference(("xmpp", "account"), sentence)
    if xmpp.pubsub_service and not _READER.match(xmpp.pubsub_service):
        yield Difference(("xmpp", "pubsub_service"), "xmpp.pubsub_service should be a JID: `pubsub.example.org`")
    try:
        read_secret(xmpp, environ)
    except ConfigInvalid as error:
        yield Difference(("xmpp", "secret_file"), str(error))
    if xmpp.ca_file:
        yield from unreadable(xmpp.ca_file, ("xmpp", "ca_file"))


def _http(http: HttpOptions) -> Iterator[Difference]:
    try:
        host, _ = listen_address(http.listen)
    except ValueError as error:
        yield Difference(("http", "listen"), f"http.listen {error}")
    else:
        if not is_loopback(host) and not http.tokens_file:
            sentence = f"http.listen is `{http.listen}`, which other machines reach, so it needs a `tokens_file`; "
            yield Difference(("http", "listen"), sentence + "or listen on 127.0.0.1")
    if bool(http.certificate_file) != bool(http.key_file):
        there, missing = ("certificate_file", "key_file")[:: 1 if http.certificate_file else -1]
        yield Difference(("http", there), f"http has a `{there}` but no `{missing}`; TLS needs both", at_key=True)
    for name in ("certificate_file", "key_file"):
        if given := getattr(http, name):
            yield from unreadable(given, ("http", name))


def _nodes(options: Options) -> Iterator[Difference]:
    least, most = timedelta(seconds=limits.NODE_EXPIRE_LEAST_SECONDS), timedelta(days=limits.NODE_EXPIRE_DAYS)
    for index, node in enumerate(options.nodes):
        expire = duration(node.expire) if node.expire else least
        if expire is None or not least <= expire <= most:
            sentence = f"`expire` is from `1h` to `{limits.NODE_EXPIRE_DAYS}d`, not `{node.expire}`"
            yield Difference(("nodes", index, "expire"), sentence)
        if node.expire and node.publish_model == "open":
            sentence = (
                "`expire` goes by what this bus publishes, and with `publish_model: open` others publish unseen; take "
                "one of them out"
            )
            yield Difference(("nodes", index, "expire"), sentence, at_key=True)
        for number, reader in enumerate(node.readers):
            if not _READER.match(reader):
                sentence = f"a reader is a bare JID or a domain (`romeo@example.org`, `example.org`), not `{reader}`"
                yield Difference(("nodes", index, "readers", number), sentence)


def _routes(options: Options) -> Iterator[Difference]:
    seen: dict[str, int] = {}
    for index, route in enumerate(options.routes):
        first = seen.setdefault(route.name, index)
        if first != index:
            sentence = f"the name `{route.name}` is taken: the {_ordinal(first)} route has it"
            yield Difference(("routes", index, "name"), sentence)
        yield from _one_route(route, index, options)


def _one_route(route: RouteOptions, index: int, options: Options) -> Iterator[Difference]:
    for number, station in enumerate(route.via):
        if isinstance(station, dict) and len(station) != 1:
            sentence = "one step of `via` is one analyzer, `throttle` or `{throttle: {seconds: 60}}`"
            yield Difference(("routes", index, "via", number), sentence)
    seen: set[str] = set()
    for place, address in _addresses(route, ("routes", index)):
        if address in seen:
            again = "; an escalation calls others" if "escalate" in place else ""
            yield Difference(place, f"`{address}` is here a second time{again}")
        seen.add(address)
        yield from _queue(address, place)
        yield from address_rules(address, place, has_xmpp=options.xmpp is not None)
        yield from exchange_rules(address, place)
        if address.partition(":")[0] == "pubsub" and options.xmpp is None:
            sentence = f"route `{route.name}` goes to pubsub, but there is no `xmpp:` that says on which server"
            yield Difference(place, sentence)
    yield from _escalation(route, ("routes", index, "escalate"), has_bot=options.bot is not None)


def _queue(address: str, place: Position) -> Iterator[Difference]:
    output, _, name = address.partition(":")
    if output == QUEUE and name:  # without one, each type has a queue of its own
        try:
            check_queue("queue", name)
        except Refused as refusal:
            yield Difference(place, refusal.message)


def exchange_rules(address: str, place: Position) -> Iterator[Difference]:
    """Without a slash nobody could tell an exchange from the type that is the place of a bare `amqp`."""
    output, _, target = address.partition(":")
    if output.partition("/")[0] != "amqp" or not target:
        return
    if "/" not in target:
        sentence = (
            f"`{address}` lacks a slash: `{address}/` has the event's type as routing key, `{address}/KEY` has KEY"
        )
        yield Difference(place, sentence)
    elif any(len(part.encode()) > limits.AMQP_NAME_CHARACTERS for part in target.split("/", 1)):
        most = limits.AMQP_NAME_CHARACTERS
        yield Difference(place, f"an exchange's name and a routing key have at most {most} bytes each")


def _addresses(route: RouteOptions, path: Position) -> Iterator[tuple[Position, str]]:
    """Every address of a route, with its position in the file."""
    for number, address in enumerate(route.to):
        yield (*path, "to", number), address
    for step, each in enumerate(route.escalate):
        for number, address in enumerate(each.to):
            yield (*path, "escalate", step, "to", number), address


def _escalation(route: RouteOptions, path: Position, *, has_bot: bool) -> Iterator[Difference]:
    if route.escalate and not has_bot:
        sentence = "`escalate` needs to know who acknowledged what, which the bot keeps: write `bot: {}`"
        yield Difference(path, sentence, at_key=True)
    for step, each in enumerate(route.escalate):
        after = duration(each.after)
        if after is None or not timedelta(seconds=1) <= after <= timedelta(days=limits.ESCALATION_DAYS):
            sentence = f"`after` is from `1s` to `{limits.ESCALATION_DAYS}d`, not `{each.after}`"
            yield Difference((*path, step, "after"), sentence)


def _ordinal(index: int) -> str:
    words = ("first", "second", "third")
    return words[index] if index < len(words) else f"{index + 1}th"


def unreadable(name: str, path: tuple[str | int, ...]) -> Iterator[Difference]:
    """Nothing when the file can be read."""
    try:
        with Path(name).open("rb"):
            pass
    except OSError as error:
        yield Difference(path, f"{name} can't be read: {error.strerror}")
