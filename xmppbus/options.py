"""The options of the house, typed and bounded. `config.py` reads them from YAML; `docs/reference/config.md` lists them.

Times are seconds and sizes bytes unless the name says otherwise. A secret is never an option itself: the option names a
file; `$XMPPBUS_XMPP_SECRET` or a systemd credential `xmpp_secret` serve as well.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from xmppbus import limits
from xmppbus.event import SEVERITIES

Port = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Pattern = Annotated[
    str,
    Meta(
        pattern=r"^(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*$",
        max_length=limits.NAME_CHARACTERS,
        description="words of letters, digits, `_` and `-` joined by dots; `*` is exactly one word, `#` any number",
    ),
]
SeverityRule = Annotated[
    str,
    Meta(
        pattern=rf"^(>=\s*)?({'|'.join(SEVERITIES)})$",
        description="a severity, or `>=` and a severity for that or worse",
        examples=[*SEVERITIES, *(f">={severity}" for severity in SEVERITIES)],
    ),
]
RouteName = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="1 to 64 letters, digits, `_` and `-`"),
]
AddressText = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_]+(:.+)?$",
        max_length=limits.NAME_CHARACTERS,
        description="an output, or an output and a place: `pubsub`, `pubsub:ops.disk`",
    ),
]
NodePrefix = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_./-]{0,64}$", description="at most 64 letters, digits, `_`, `.`, `/` and `-`"),
]
AccessModel = Literal["open", "presence", "roster", "authorize", "whitelist"]
PublishModel = Literal["publishers", "subscribers", "open"]
Who = Literal["admins", "everyone"]


class _Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all options share: a word that nobody knows is an error, never ignored."""


class XmppOptions(_Options, frozen=True, kw_only=True):
    """The server. `component` (XEP-0114) or `account` (client mode), one of them."""

    component: Name | None = None  # our domain, as the server's config names it
    account: Name | None = None  # a bare JID to log in with
    host: Name = "127.0.0.1"
    port: Port | None = None  # 5347 for a component, 5222 for an account
    secret_file: Name | None = None  # component secret or account password, first line
    pubsub_service: Name | None = None  # pubsub.DOMAIN unless it is given
    node_prefix: NodePrefix = ""
    resource: Name = "xmppbus"  # client mode
    ca_file: Name | None = None  # client mode: who signs the server's certificate


class NodeOptions(_Options, frozen=True, kw_only=True):
    """A profile: how nodes of matching types are made (XEP-0060 §16.4.4). The first match wins."""

    match: Pattern = "#"
    title: Name | None = None
    description: Name | None = None
    persist_items: bool = True
    max_items: Annotated[int, Meta(ge=1, le=100_000)] = 64
    access_model: AccessModel = "whitelist"  # items hold people's data: `open` only where it is written
    readers: list[Name] = field(default_factory=list)  # bare JIDs and domains that may subscribe and read
    publish_model: PublishModel = "publishers"
    send_last_published_item: Literal["never", "on_sub", "on_sub_and_presence"] = "never"
    notify_retract: bool = False
    deliver_payloads: bool = True
    item_expire: Annotated[int, Meta(ge=1)] | None = None  # seconds


class MatchOptions(_Options, frozen=True, kw_only=True):
    """What an event must be like; every part that is given must hold."""

    type: Pattern = "#"
    severity: SeverityRule | None = None
    source: Name | None = None
    subject: Name | None = None
    key: Name | None = None


class RouteOptions(_Options, frozen=True, kw_only=True):
    """A route. `via` names analyzers, with options where they need some: `[{throttle: {seconds: 60}}]`."""

    name: RouteName
    match: Pattern | MatchOptions = "#"
    via: list[str | dict[str, dict[str, Any] | None]] = field(default_factory=list)
    to: Annotated[list[AddressText], Meta(min_length=1)]


class HttpOptions(_Options, frozen=True, kw_only=True):
    """The one HTTP listener. Tokens are required as soon as it is not on loopback."""

    listen: str = "127.0.0.1:8222"
    tokens_file: Name | None = None
    certificate_file: Name | None = None
    key_file: Name | None = None
    requests_per_second: Annotated[int, Meta(ge=1)] | None = None  # for each address; 429 beyond it


class KeepOptions(_Options, frozen=True, kw_only=True):
    """How long settled events are kept, and how large the journal may become. What waits or is dead is always kept."""

    days: Annotated[float, Meta(gt=0, le=36_500)] = limits.KEEP_DAYS
    gib: Annotated[float, Meta(ge=0.01, le=10_000)] = limits.JOURNAL_GIB


class JournalOptions(_Options, frozen=True, kw_only=True):
    """Where accepted events are kept."""

    path: Name | None = None  # journal.db in the state directory
    keep: KeepOptions = field(default_factory=KeepOptions)


class SocketOptions(_Options, frozen=True, kw_only=True):
    """The Unix socket of the command line. The daemon's own user, root and `group` administer."""

    path: Name | None = None  # xmppbus.sock in the runtime directory
    group: Name | None = None
    publish: Who = "everyone"
    listen: Who = "admins"


class Options(_Options, frozen=True, kw_only=True):
    """The whole config. Every part may be left out: with none at all this is a local bus."""

    xmpp: XmppOptions | None = None
    nodes: list[NodeOptions] = field(default_factory=list)
    routes: list[RouteOptions] = field(default_factory=list)
    http: HttpOptions | None = field(default_factory=HttpOptions)  # `http: null` switches it off
    journal: JournalOptions = field(default_factory=JournalOptions)
    socket: SocketOptions = field(default_factory=SocketOptions)
    plugins: list[Name] = field(default_factory=list)  # modules, or files ending in .py
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # options of plugins' inputs, by name
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: Name | None = None  # of events that name none; this machine's name unless it is given
