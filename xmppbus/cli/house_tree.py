"""The house that a config describes, drawn as a tree. Pure: text in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from xmppbus.config import Config
from xmppbus.options import EscalationOptions, HttpOptions, MatchOptions, NodeOptions, RouteOptions
from xmppbus.route import DEFAULT_ROUTE, ESCALATION, PEOPLE_ROUTE

LINES = ("├── ", "└── ", "│   ", "→")
ASCII_LINES = ("|-- ", "`-- ", "|   ", "->")
_NARROWEST = 24  # columns of detail; narrower than this a terminal wraps by itself


class Branch(NamedTuple):
    """A name, what is said of it, and what hangs below it."""

    name: str
    detail: str = ""
    children: tuple[Branch, ...] = ()


_OUTPUTS = {
    "people": "those who subscribed by writing to the bot; keeps incidents",
    ESCALATION: "waits whether somebody reacts",
}

Style = Callable[[str, int], str]
"""Colours a name at a depth."""


class Drawing(NamedTuple):
    """How to draw. Without a width nothing wraps."""

    width: int | None
    lines: tuple[str, str, str, str]
    style: Style

    def lines_of(self, root: Branch) -> Iterator[str]:
        """The tree from its root."""
        yield self.style(root.name, 0) + (f"  {root.detail}" if root.detail else "")
        yield from self._below(root.children, "", 1)

    def _below(self, branches: Sequence[Branch], stem: str, depth: int) -> Iterator[str]:
        fork, corner, stroke, arrow = self.lines
        column = max((len(each.name) for each in branches if each.detail), default=0)
        for index, branch in enumerate(branches):
            is_last = index == len(branches) - 1
            below = stem + ("    " if is_last else stroke)
            twig = stroke.rstrip() if branch.children else ""
            first, *more = self._wrapped(branch.detail.replace("→", arrow), len(below) + column + 2)
            name = self.style(branch.name, depth) + " " * (column - len(branch.name))
            yield f"{stem}{corner if is_last else fork}{name}  {first}".rstrip()
            for line in more:
                yield f"{below}{twig:<{column}}  {line}"
            yield from self._below(branch.children, below, depth + 1)

    def _wrapped(self, detail: str, taken: int) -> list[str]:
        if self.width is None:
            return [detail]
        room = max(_NARROWEST, self.width - taken)
        return textwrap.wrap(detail, room, break_on_hyphens=False, break_long_words=False) or [""]


def house(config: Config) -> Branch:
    """Everything that `serve` would build from the config."""
    options = config.options
    no_routes = "" if list(config.routes) else "none: events are kept, and shown by `xmppbus listen`"
    parts = [
        Branch("inputs", "", tuple(_inputs(config))),
        Branch("routes", no_routes, _routes(config)),
        Branch("outputs", "" if _output_names(config) else "none", tuple(_outputs(config))),
        Branch("nodes", "", tuple(_nodes(options.nodes))) if options.xmpp else None,
        Branch("journal", f"{config.journal_path}, {_keep(config)}"),
        Branch("http", _http(options.http)),
        Branch("socket", f"{config.socket_path}, {_who(config)}"),
        Branch("plugins", ", ".join(options.plugins)) if options.plugins else None,
    ]
    name = str(config.path) if config.path else "xmppbus"
    detail = "" if config.path else "no config: a local bus"
    return Branch(name, detail, tuple(part for part in parts if part))


def _inputs(config: Config) -> Iterator[Branch]:
    yield Branch("unix", f"the command line, at {config.socket_path}")
    yield Branch("spool", f"what was published while no daemon ran, in {config.spool_directory}")
    if config.options.http:
        yield Branch("events", f"HTTP POST to {_url(config.options.http)}/v1/events")
    for name in sorted(set(config.options.inputs) - {"unix", "spool", "events"}):
        yield Branch(name)


def _routes(config: Config) -> tuple[Branch, ...]:
    given = {route.name: route for route in config.options.routes}
    found = []
    for route in config.routes:
        if route.name in given:
            steps = tuple(_step(each) for each in given[route.name].escalate)
            found.append(Branch(route.name, _route(given[route.name]), steps))
        elif route.name == PEOPLE_ROUTE.name:
            found.append(Branch("people", "# → people (built in: every event to whoever subscribed to it)"))
        elif route.name == DEFAULT_ROUTE:
            found.append(Branch(DEFAULT_ROUTE, "# → pubsub (built in: every event to the node of its type)"))
        else:
            found.append(Branch("owners", "person.# → the bot's owners (built in: who can't be reached)"))
    return tuple(found)


def _route(route: RouteOptions) -> str:
    stations = [each if isinstance(each, str) else _station(each) for each in route.via]
    return " → ".join([_match(route.match), *stations, ", ".join(route.to)])


def _step(step: EscalationOptions) -> Branch:
    """Whom a route calls when nobody reacts."""
    return Branch(f"after {step.after}", f"unless {step.unless} → {', '.join(step.to)}")


def _station(station: dict[str, dict[str, object] | None]) -> str:
    ((name, options),) = station.items()
    given = ", ".join(f"{key}: {value}" for key, value in (options or {}).items())
    return f"{name} ({given})" if given else name


def _match(match: str | MatchOptions) -> str:
    if isinstance(match, str):
        return match
    parts = [match.type]
    parts += [f"severity {match.severity}"] if match.severity else []
    parts += [f"{name} {value}" for name in ("source", "subject", "key") if (value := getattr(match, name))]
    return ", ".join(parts)


def _output_names(config: Config) -> list[str]:
    routes = [addresses for route in config.routes for addresses in (route.to, *route.escalate)]
    bots = {"chat", "digest"} if config.options.bot else set()
    bots |= {ESCALATION} if any(route.escalate for route in config.routes) else set()
    return sorted({address.output for addresses in routes for address in addresses} | {*config.options.outputs} | bots)


def _outputs(config: Config) -> Iterator[Branch]:
    xmpp = config.options.xmpp
    for name in _output_names(config):
        if name == "pubsub" and xmpp:
            role = "component" if xmpp.component else "account"
            yield Branch(name, f"{xmpp.service}, as the {role} {xmpp.jid} on {xmpp.host}:{xmpp.server_port}")
        elif name in ("chat", "digest", "room") and xmpp and config.options.bot:
            yield Branch(name, f"as {xmpp.account or f'{config.options.bot.name}@{xmpp.component}'}")
        else:
            yield Branch(name, _OUTPUTS.get(name, ""))


def _nodes(profiles: Sequence[NodeOptions]) -> Iterator[Branch]:
    for profile in profiles:
        yield Branch(profile.match, _profile(profile))
    if all(profile.match != "#" for profile in profiles):
        yield Branch("#", f"{_profile(NodeOptions())} (built in)")


def _profile(profile: NodeOptions) -> str:
    parts = [f"{profile.max_items} items" if profile.persist_items else "no items kept", profile.access_model]
    if profile.access_model == "whitelist":
        parts.append(f"readers {', '.join(profile.readers)}" if profile.readers else "no readers but the bus")
    default = NodeOptions()
    shown = ("publish_model", "send_last_published_item", "notify_retract", "deliver_payloads", "item_expire")
    for name in shown:
        value = getattr(profile, name)
        if value != getattr(default, name):
            parts.append(f"{name} {str(value).lower() if isinstance(value, bool) else value}")
    return ", ".join(parts)


def _keep(config: Config) -> str:
    keep = config.options.journal.keep
    return f"settled events kept for {keep.days:g} days, at most {keep.gib:g} GiB"


def _http(http: HttpOptions | None) -> str:
    if http is None:
        return "off"
    parts = [_url(http), "tokens needed" if http.tokens_file else "no token needed"]
    if http.requests_per_second:
        parts.append(f"{http.requests_per_second} requests a second from one address")
    return ", ".join(parts)


def _url(http: HttpOptions) -> str:
    return f"{'https' if http.certificate_file else 'http'}://{http.listen}"


def _who(config: Config) -> str:
    socket = config.options.socket
    group = f" and the group {socket.group}" if socket.group else ""
    return f"administered by its own user, root{group}; publish: {socket.publish}, listen: {socket.listen}"
