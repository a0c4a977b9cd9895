"""The config: a YAML file, read into typed options; what is wrong is said as `file:line:column: sentence`.

Everything that is wrong is said at once, as far as one mistake does not hide another. Names of files in it are
relative to it, and `~` is the reader's home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from xmppbus import paths
from xmppbus.config.bot_rules import PEOPLE_OUTPUTS, implied_bot
from xmppbus.config.document import Document, Problem, read
from xmppbus.config.rules import TOKENS_CREDENTIAL, broken_rules, credential, doubts, read_secret, unreadable
from xmppbus.config.shape import Difference, did_you_mean, differences
from xmppbus.config.ways import lacking, options_for, wrong_ways
from xmppbus.errors import ConfigInvalid
from xmppbus.options import BotOptions, MatchOptions, Options, RouteOptions
from xmppbus.people.addresses import bare_jid
from xmppbus.plugins import Registry
from xmppbus.route import DEFAULT_ROUTE, PEOPLE_ROUTE, Address, Match, Route, Routes, default_route, owners_route

__all__ = ["Config", "load", "secret_of", "verify"]

PUBSUB = "pubsub"


@dataclass(frozen=True)
class Config:
    """What the house is built from. Every path is absolute."""

    options: Options
    path: Path | None  # None: there is no config, this is a local bus
    routes: Routes
    journal_path: Path
    spool_directory: Path
    socket_path: Path
    warnings: tuple[str, ...]  # `file:line:column: sentence`, for things that work but are hardly meant
    document: Document = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def station(self, route: str, step: int) -> tuple[str, Mapping[str, Any]]:
        """The analyzer of this step, and what the config gives it."""
        found = next(each for each in self.options.routes if each.name == route)
        return _station(found.via[step])

    def way(self, section: str, name: str, registry: Registry) -> Any:
        """What the factory of one of `inputs` or `outputs` is given."""
        given = getattr(self.options, section).get(name, {})
        return options_for(section, name, given, registry, self.path)

    def problem(self, path: tuple[str | int, ...], sentence: str) -> str:
        """`file:line:column: sentence`, for what only the house can find out."""
        return _lines(str(self.path), [_placed(self.document, Difference(path, sentence))])[0]

    def with_options(self, options: Options) -> Config:
        """The same with other options of the same kind. Raises ConfigInvalid where they don't go together."""
        _raise_for(str(self.path), [_placed(self.document, each) for each in broken_rules(options, self.environ)])
        return replace(
            self,
            options=options,
            routes=_routes(options),
            journal_path=paths.journal_path(self.environ, options.journal.path),
            socket_path=paths.socket_path(self.environ, options.socket.path),
        )


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Find and read the config (`--config` or `$XMPPBUS_CONFIG` or the usual places). Raises ConfigInvalid."""
    found = _find(path, environ)
    document = _read(found) if found else Document(value={})
    if document.value is None:
        document.value = {}
    name = str(found)
    if isinstance(document.value, dict):
        _forget_empty(document)
        unread = {each.position for each in document.problems}
        placed = [_placed(document, each) for each in differences(document.value)]
        said = [each for each in placed if each.position not in unread]
    else:
        said = [Problem(document.position(()), "a config is options by name, such as `xmpp:`")]
    _raise_for(name, [*document.problems, *said])
    written = _converted(name, document)
    options = _resolved(msgspec.structs.replace(written, bot=implied_bot(written)), found)
    options = _with_credentials(options, environ)
    broken = [_placed(document, each) for each in broken_rules(options, environ)]
    _raise_for(name, broken)
    return Config(
        options=options,
        path=found,
        routes=_routes(options),
        journal_path=paths.journal_path(environ, options.journal.path),
        spool_directory=paths.spool_directory(environ),
        socket_path=paths.socket_path(environ, options.socket.path),
        warnings=tuple(_lines(name, (_placed(document, each) for each in doubts(options)))),
        document=document,
        environ=dict(environ),
    )


def verify(config: Config, registry: Registry) -> None:
    """Compare the names in the config with what is on offer, and make each analyzer once. Raises ConfigInvalid.

    A tokens file that is missing is an error only here, for `xmppbus token` makes it.
    """
    options, said = config.options, list[Difference]()
    said += wrong_ways("inputs", options.inputs, registry)
    said += wrong_ways("outputs", options.outputs, registry)
    if options.http and options.http.tokens_file:
        advice = "" if Path(options.http.tokens_file).exists() else "; `xmppbus token add NAME SCOPE` makes it"
        unread = unreadable(options.http.tokens_file, ("http", "tokens_file"))
        said += [each._replace(sentence=each.sentence + advice) for each in unread]
    for index, route in enumerate(options.routes):
        said += _unknown(route, ("routes", index), options.outputs, registry)
    _raise_for(str(config.path), [_placed(config.document, each) for each in said])


def secret_of(config: Config) -> str:
    """The component's secret or the account's password. Raises ConfigInvalid."""
    if config.options.xmpp is None:
        raise ConfigInvalid("no XMPP server is configured, so there is no secret")
    return read_secret(config.options.xmpp, config.environ)


def _unknown(
    route: RouteOptions, path: tuple[str | int, ...], outputs: Mapping[str, Any], registry: Registry
) -> Iterable[Difference]:
    for step, station in enumerate(route.via):
        name, options = _station(station)
        where = (*path, "via", step)
        if name not in registry.analyzers:
            yield Difference(where, f"no analyzer is called `{name}`{did_you_mean(name, registry.analyzers)}")
            continue
        try:
            registry.analyzers[name](options)
        except (TypeError, ValueError) as error:
            yield Difference(where, f"`{name}` does not take these options: {error}")
    listed: list[tuple[tuple[str | int, ...], list[str]]] = [((*path, "to"), route.to)]
    listed += [((*path, "escalate", number, "to"), step.to) for number, step in enumerate(route.escalate)]
    for where, addresses in listed:
        for number, address in enumerate(addresses):
            if sentence := lacking(Address.parse(address).output, outputs, registry):
                yield Difference((*where, number), sentence)


def _find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or (Path(environ["XMPPBUS_CONFIG"]) if environ.get("XMPPBUS_CONFIG") else None)
    if named:
        return named.expanduser()
    return next((each for each in paths.config_candidates(environ) if each.is_file()), None)


def _read(path: Path) -> Document:
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise ConfigInvalid(f"{path}:1:1: the config can't be read: {error.strerror}") from None


def _forget_empty(document: Document) -> None:
    """A key without a value (`nodes:`) says nothing. An explicit `http: null` does; so may a plugin's option."""
    for path in document.empty:
        if isinstance(path[-1] if path else 0, int) or path[0] in ("inputs", "outputs") or "via" in path:
            continue
        parent = document.value
        for part in path[:-1]:
            parent = parent[part]
        del parent[path[-1]]


def _converted(name: str, document: Document) -> Options:
    try:
        return msgspec.convert(document.value, Options, strict=True)
    except msgspec.ValidationError as error:  # something that `shape` does not know of yet
        raise ConfigInvalid(f"{name}:1:1: {error}") from None


def _resolved(options: Options, file: Path | None) -> Options:
    """The same with every file name absolute: relative ones start at the config's directory."""
    directory = file.parent.absolute() if file else Path("/")  # without a file nothing is relative to it

    def absolute(name: str) -> str:
        return str(directory / Path(name).expanduser())

    def files(part: Any, *names: str) -> Any:
        if part is None:
            return None
        given = {name: absolute(getattr(part, name)) for name in names if getattr(part, name)}
        return msgspec.structs.replace(part, **given)

    return msgspec.structs.replace(
        options,
        xmpp=files(options.xmpp, "secret_file", "ca_file"),
        http=files(options.http, "tokens_file", "certificate_file", "key_file"),
        journal=files(options.journal, "path"),
        socket=files(options.socket, "path"),
        bot=_bot_files(options.bot, files),
        plugins=[absolute(each) if each.endswith(".py") else each for each in options.plugins],
    )


def _with_credentials(options: Options, environ: Mapping[str, str]) -> Options:
    """systemd's credential `tokens` is the tokens file, whichever the config names."""
    given = credential(TOKENS_CREDENTIAL, environ)
    if given is None or options.http is None:
        return options
    return msgspec.structs.replace(options, http=msgspec.structs.replace(options.http, tokens_file=str(given)))


def _bot_files(bot: BotOptions | None, files: Callable[..., Any]) -> BotOptions | None:
    if bot is None:
        return None
    rooms = [files(room, "password_file") for room in bot.rooms]
    found: BotOptions = msgspec.structs.replace(files(bot, "avatar_file"), rooms=rooms)
    return found


def _routes(options: Options) -> Routes:
    built = [] if options.xmpp is None else [default_route(PUBSUB)]
    if any(route.name == DEFAULT_ROUTE for route in options.routes):
        built = []
    people = [PEOPLE_ROUTE, *_owners_routes(options.bot)] if options.bot else []
    return Routes([*built, *(_route(each) for each in options.routes), *people])


def _owners_routes(bot: BotOptions) -> list[Route]:
    """To those that can be written to; a domain can't."""
    owners = [bare_jid(name) for name, each in bot.affiliations.items() if each == "owner" and "@" in name]
    return [owners_route(owners)] if owners else []


def _route(route: RouteOptions) -> Route:
    via = tuple(_station(each)[0] for each in route.via)
    steps = tuple(tuple(_address(each) for each in step.to) for step in route.escalate)
    return Route(route.name, _match(route.match), via, tuple(_address(each) for each in route.to), steps)


def _address(text: str) -> Address:
    address = Address.parse(text)
    return address._replace(place=bare_jid(address.place)) if address.output in PEOPLE_OUTPUTS else address


def _match(match: str | MatchOptions) -> Match:
    if isinstance(match, str):
        return Match(type=match)
    severity = (match.severity or "").replace(" ", "")
    return Match(match.type, severity, match.source or "", match.subject or "", match.key or "")


def _station(station: str | dict[str, dict[str, Any] | None]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(station, str):
        return station, {}
    ((name, options),) = station.items()
    return name, options or {}


def _placed(document: Document, difference: Difference) -> Problem:
    return Problem(document.position(difference.path, key=difference.at_key), difference.sentence)


def _lines(name: str, problems: Iterable[Problem]) -> list[str]:
    ordered = sorted(set(problems))
    lines = (f"{name}:{each.position.line}:{each.position.column}: {each.sentence}" for each in ordered)
    # Sentences repeat what the file says, and go to terminals and logs, a line each.
    return ["".join(character if character.isprintable() else "?" for character in line) for line in lines]


def _raise_for(name: str, problems: Iterable[Problem]) -> None:
    if lines := _lines(name, problems):
        raise ConfigInvalid("\n".join(lines))
