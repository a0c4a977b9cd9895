"""The options of the house, typed and bounded. `config.py` reads them from YAML; `docs/reference/config.md` lists them.

Times are seconds and sizes bytes unless the name says otherwise. A secret is never an option itself: the option names a
file; `$XMPPBUS_XMPP_SECRET` or a systemd credential `xmpp_secret` serve as well.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from xmppbus import limits
from xmppbus.fields import SEVERITIES

Port = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS)]
Pattern = Annotated[
    str,
    Meta(
        pattern=r"^(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*\Z",
        max_length=limits.NAME_CHARACTERS,
        description="words of letters, digits, `_` and `-` joined by dots; `*` is exactly one word, `#` any number",
    ),
]
EventType = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z",
        max_length=limits.TYPE_CHARACTERS,
        description="dotted words of letters, digits, `_` and `-`, such as `user.signup`",
    ),
]
SeverityRule = Annotated[
    str,
    Meta(
        pattern=rf"^(>=\s*)?({'|'.join(SEVERITIES)})\Z",
        description="a severity, or `>=` and a severity for that or worse",
        examples=[*SEVERITIES, *(f">={severity}" for severity in SEVERITIES)],
    ),
]
RouteName = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="1 to 64 letters, digits, `_` and `-`"),
]
AddressText = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_]+(/[A-Za-z0-9_-]+)?(:.+)?\Z",
        max_length=limits.NAME_CHARACTERS,
        description="an output, or an output and a place: `pubsub`, `pubsub:ops.disk`",
    ),
]
NodePrefix = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_./-]{0,64}\Z", description="at most 64 letters, digits, `_`, `.`, `/` and `-`"),
]
Duration = Annotated[str, Meta(pattern=r"^[0-9]+[smhdw]\Z", description="a number and s, m, h, d or w: `24h`")]
AccessModel = Literal["open", "presence", "roster", "authorize", "whitelist"]
PublishModel = Literal["publishers", "subscribers", "open"]
Who = Literal["admins", "everyone"]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all options share: a word that nobody knows is an error, never ignored."""


class XmppOptions(Section, frozen=True, kw_only=True):
    """The server, and who we are there: `component` (XEP-0114) or `account` (client mode), one of them."""

    component: Name | None = None  # a domain of our own, as the server's config names it: `bus.example.org`
    account: Name | None = None  # a bare JID to log in with: `bus@example.org`
    host: Name = "127.0.0.1"  # where the server is
    port: Port | None = None  # 5347 for a component, 5222 for an account, unless it is given
    # A file whose first line is the component's secret or the account's password. `$XMPPBUS_XMPP_SECRET` and systemd's
    # credential `xmpp_secret` come before it.
    secret_file: Name | None = None
    pubsub_service: Name | None = None  # its JID; `pubsub.` and the server's domain unless it is given
    node_prefix: NodePrefix = ""  # put before the type to make a node's name
    resource: Name = "xmppbus"  # client mode: the last part of our full JID
    # PEM file with who signs the server's certificate (client mode; uploads of pictures); the system's otherwise
    ca_file: Name | None = None

    @property
    def jid(self) -> str:
        """Who we are: a domain, or a bare JID."""
        return self.component or self.account or ""

    @property
    def server_port(self) -> int:
        """Where the server takes components (XEP-0114 names no port; 5347 is the usual one) or clients (RFC 6120)."""
        return self.port or (5347 if self.component else 5222)

    @property
    def service(self) -> str:
        """The pubsub service: `pubsub.example.org` for the component `bus.example.org` and for `bus@example.org`."""
        domain = self.component.partition(".")[2] if self.component else self.jid.partition("@")[2]
        return self.pubsub_service or f"pubsub.{domain or self.jid}"


class NodeOptions(Section, frozen=True, kw_only=True):
    """A profile: how nodes of matching types are made (XEP-0060 §16.4.4). The first match wins."""

    match: Pattern = "#"  # the types whose nodes are made like this
    title: Name | None = None  # shown by clients
    description: Name | None = None  # shown by clients
    persist_items: bool = True  # durable: the server keeps the items, for whoever comes later
    max_items: Annotated[int, Meta(ge=1, le=100_000)] = 64  # so many; servers have a cap of their own
    access_model: AccessModel = "whitelist"  # who may subscribe and read; `open` is everybody, so it must be written
    readers: list[Name] = field(default_factory=list)  # with `whitelist`: bare JIDs; few servers admit a domain
    publish_model: PublishModel = "publishers"  # who may publish, beside the bus
    send_last_published_item: Literal["never", "on_sub", "on_sub_and_presence"] = "never"  # to whom without being asked
    notify_retract: bool = False  # tell subscribers of each item that has to go; this doubles the traffic
    deliver_payloads: bool = True  # notifications carry the event, not only its item id
    item_expire: Annotated[int, Meta(ge=1)] | None = None  # seconds after which the server forgets an item
    # At least `1h`: a node that this bus made, on which nothing was published for so long and which has no subscribers,
    # is deleted, its items with it; the next publish makes it again. Never unless it is given.
    expire: Duration | None = None


class MatchOptions(Section, frozen=True, kw_only=True):
    """What an event must be like; every part that is given must hold."""

    type: Pattern = "#"  # `*` is exactly one word, `#` any number of words
    severity: SeverityRule | None = None  # `warning` is exactly that, `>=warning` is that or worse
    source: Name | None = None  # exactly this
    subject: Name | None = None  # exactly this
    key: Name | None = None  # exactly this


class EscalationOptions(Section, frozen=True, kw_only=True):
    """One step of a route's `escalate`: if nobody reacts in time, the event goes to others as well."""

    # so long after the event, or after the step before
    after: Annotated[str, Meta(pattern=r"^[0-9]+[smhd]\Z", description="a number and s, m, h or d: `5m`")]
    unless: Literal["acknowledged", "delivered"] = "acknowledged"  # ends the chain; `delivered`: a receipt, too
    to: Annotated[list[AddressText], Meta(min_length=1)]  # where the event goes then


class RouteOptions(Section, frozen=True, kw_only=True):
    """A route: events like `match` go through the analyzers of `via`, in order, and then to every address of `to`."""

    name: RouteName  # a route named `default` takes the place of the built-in one (every event to its node)
    match: Pattern | MatchOptions = "#"  # a pattern of types, or the options below
    via: list[str | dict[str, dict[str, Any] | None]] = field(default_factory=list)  # `[{throttle: {seconds: 60}}]`
    # `OUTPUT` or `OUTPUT:PLACE`. `pubsub` alone is the node of the event's type.
    to: Annotated[list[AddressText], Meta(min_length=1)]
    escalate: list[EscalationOptions] = field(default_factory=list)  # whom to call, and when, if nobody reacts


class HttpOptions(Section, frozen=True, kw_only=True):
    """The one HTTP listener. Tokens are required as soon as it is not on loopback."""

    listen: str = "127.0.0.1:8222"  # address and port; `[::1]:8222` for IPv6, port 0 for any that is free
    tokens_file: Name | None = None  # hashed tokens, as `xmppbus token` writes them; with it every request needs one
    certificate_file: Name | None = None  # PEM file; with `key_file` it makes the listener HTTPS
    key_file: Name | None = None  # PEM file
    requests_per_second: Annotated[int, Meta(ge=1)] | None = None  # for each client address; 429 beyond it


class KeepOptions(Section, frozen=True, kw_only=True):
    """How long settled events are kept, and how large the journal may become. What waits or is dead is always kept."""

    days: Annotated[float, Meta(gt=0, le=36_500)] = limits.KEEP_DAYS  # after settling
    gib: Annotated[float, Meta(ge=0.01, le=10_000)] = limits.JOURNAL_GIB  # beyond this events are refused


class JournalOptions(Section, frozen=True, kw_only=True):
    """Where accepted events are kept."""

    path: Name | None = None  # `journal.db` in the state directory unless it is given; never on a tmpfs
    keep: KeepOptions = field(default_factory=KeepOptions)  # the options below


class SocketOptions(Section, frozen=True, kw_only=True):
    """The Unix socket of the command line. The daemon's own user, root and `group` administer."""

    path: Name | None = None  # see *Where things are*; the command line finds one elsewhere by `$XMPPBUS_SOCKET` only
    group: Name | None = None  # a Unix group whose members administer
    publish: Who = "everyone"  # who may publish
    listen: Who = "admins"  # who may read events


Severity = Literal["debug", "info", "notice", "warning", "error", "critical"]
Language = Annotated[
    str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z", description="a language, such as `de`")
]
TimeZone = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}\Z", description="a time zone, such as `Europe/Rome`")]


class RoomOptions(Section, frozen=True, kw_only=True):
    """A room (XEP-0045) that the bot is in."""

    jid: Name  # the room's bare JID
    nick: Name | None = None  # the bot's name there; `bot.name` unless it is given
    password_file: Name | None = None  # a file whose first line is the room's password
    # What occupants may do here, by their affiliation with the room, when their real JID has none in `affiliations`.
    affiliations: dict[Literal["owner", "admin", "member", "none"], Literal["owner", "publisher", "member", "none"]] = (
        field(default_factory=dict)
    )


class BotOptions(Section, frozen=True, kw_only=True):
    """The bot: with `bot:` in the config people can write to it, subscribe, and get events as chat messages."""

    # It is NAME@COMPONENT; with an account it is the account's JID, and this is only what it is called.
    name: Annotated[str, Meta(pattern=r"^[a-z0-9._-]{1,64}\Z", description="letters, digits, `.`, `_` and `-`")] = "bot"
    title: Name = "xmppbus"  # what it is called in contact lists
    avatar_file: Name | None = None  # a PNG file of at most 8 KiB; it has one of its own otherwise
    # Bare JIDs or domains, and what they are to the bot. Who is not named is `none`; an `outcast` is never answered.
    affiliations: dict[Name, Literal["owner", "publisher", "member", "none", "outcast"]] = field(default_factory=dict)
    strangers: Literal["refused", "queued"] = "refused"  # `subscribe` by who is `none`: no, or wait for an owner's yes
    # Put before a command in a room; in a chat commands are taken with it, with a slash, and bare.
    prefix: Annotated[str, Meta(pattern=r"^[!-/:-@\[-`{-~]{0,3}\Z", description="up to three signs, such as `!`")] = "!"
    language: Language = "en"  # of what it says unasked, and to clients that don't say theirs; where it is translated
    time_zone: TimeZone = "UTC"  # of quiet hours and times in texts, where nobody says otherwise
    rooms: list[RoomOptions] = field(default_factory=list)  # rooms that the bot joins
    messages_per_minute: Annotated[int, Meta(ge=1, le=6_000)] = 10  # to one person or room; what is more is a digest
    # Encryption (XEP-0384), with the extra `omemo`. `true`: for everybody whose clients can read it. Or for whom, by
    # bare JID or domain: `possible` is that, `required` says nothing without, `never` is for all who are not named.
    omemo: bool | dict[Name, Literal["required", "possible", "never"]] = False


FieldName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z",
        max_length=limits.NAME_CHARACTERS,
        description="a field of the event, such as `summary`, `key` or `data.ms`",
    ),
]
Cell = Annotated[int, Meta(ge=1, le=limits.BOARD_CELLS)]


class PanelOptions(Section, frozen=True, kw_only=True):
    """One panel of a board, of the events that are like `match`. What a kind does not take is an error."""

    kind: Literal["feed", "counter", "rate", "chart", "table", "lights", "text"]  # what it is
    match: Pattern | MatchOptions = "#"  # a pattern of types, or the options of a route's `match`
    title: Name | None = None  # above it; the pattern unless it is given
    # How far it looks back. Unless it is given: 24h for feed and counter, 5m for rate, 1h for chart, 30d for others.
    window: Duration | None = None
    # Column and row of its upper left corner, from 1, and its columns and rows. All panels have one, or none has: they
    # are then placed in the order in which they are written.
    at: list[Cell] | None = None
    field: FieldName | None = None  # chart (needed): a numeric field; text: what is shown, `summary` unless it is given
    # table and lights: a row or a lamp for each, `key` unless it is given; chart: a line for each
    by: FieldName | None = None
    # table: the fields of a row behind its name; `[summary, time]` unless it is given
    columns: Annotated[list[FieldName], Meta(min_length=1)] | None = None
    unit: Annotated[str, Meta(min_length=1, max_length=16)] | None = None  # chart and text: behind the number, `ms`


class DisplayOptions(Section, frozen=True, kw_only=True):
    """A board: what `/display/NAME` shows on a screen that nobody touches."""

    name: RouteName  # in the address of the page
    title: Name | None = None  # at the top of the board; its name unless it is given
    theme: Literal["auto", "dark", "light"] = "auto"  # `auto` is what the screen's system prefers
    columns: Cell = 12  # of the grid; it has as many rows as its panels need, and fills the screen
    panels: Annotated[list[PanelOptions], Meta(min_length=1)]  # the options below


class Options(Section, frozen=True, kw_only=True):
    """The whole config. Every part may be left out: with none at all this is a local bus."""

    xmpp: XmppOptions | None = None  # no server unless it is given: events are kept, and shown by `xmppbus listen`
    # Profiles of nodes, the first match wins. What none matches is made with the defaults below: 64 items, whitelist.
    nodes: list[NodeOptions] = field(default_factory=list)
    routes: list[RouteOptions] = field(default_factory=list)  # on top of the default: every event to its type's node
    bot: BotOptions | None = None  # no chat unless it is given; needs `xmpp`
    http: HttpOptions | None = field(default_factory=HttpOptions)  # `http: null` switches it off
    displays: list[DisplayOptions] = field(default_factory=list)  # boards for screens; they need `http`
    journal: JournalOptions = field(default_factory=JournalOptions)  # the options below
    socket: SocketOptions = field(default_factory=SocketOptions)  # the options below
    plugins: list[Name] = field(default_factory=list)  # modules, or files ending in `.py`
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # ways in to switch on, by name
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # options of ways out, by name
    source: Name | None = None  # of events that name none; this machine's name unless it is given
