"""`docs/reference/config.md`, from the types, defaults and comments of `xmppbus/options.py`."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import msgspec.inspect as types
from msgspec import NODEFAULT

from xmppbus import options, paths
from xmppbus.app import built_in
from xmppbus.config.described import comments_of
from xmppbus.config.rules import CREDENTIAL, SECRET_VARIABLE
from xmppbus.config.schema import parts_of
from xmppbus.running.difference import RESTART

SECTIONS: tuple[tuple[str, str, type], ...] = (
    ("top", "At the top", options.Options),
    ("xmpp", "`xmpp`: the server", options.XmppOptions),
    ("nodes", "`nodes`: a list of profiles", options.NodeOptions),
    ("routes", "`routes`: a list of routes", options.RouteOptions),
    ("match", "`match` of a route", options.MatchOptions),
    ("escalate", "`escalate` of a route: a list of steps", options.EscalationOptions),
    ("bot", "`bot`", options.BotOptions),
    ("rooms", "`rooms` of the bot: a list", options.RoomOptions),
    ("http", "`http`", options.HttpOptions),
    ("displays", "`displays`: a list of boards", options.DisplayOptions),
    ("panels", "`panels` of a board: a list", options.PanelOptions),
    ("journal", "`journal`", options.JournalOptions),
    ("keep", "`keep` of the journal", options.KeepOptions),
    ("socket", "`socket`", options.SocketOptions),
)

PATHS = {"top": "", "keep": "journal.keep."} | {
    name: f"{name}." for name in ("xmpp", "bot", "http", "journal", "socket")
}
"""What stands before the names of a section's options where they are one part, and not a list."""

EXAMPLE = """\
xmpp:
  component: bus.example.org
  host: 127.0.0.1
  secret_file: secret                     # beside this file; chmod 600
  pubsub_service: pubsub.example.org
nodes:
  - match: "user.#"
    readers: ["alice@example.org"]        # bare JIDs
    max_items: 256
routes:
  - name: disks                           # beside the built-in route, which publishes to the node of the type
    match: {type: "disk.#", severity: ">=warning"}
    via: [{throttle: {count: 5, seconds: 60}}]
    to: ["pubsub:ops.disks"]
http:
  listen: 127.0.0.1:8222
journal:
  keep: {days: 30, gib: 4}
"""

SYSTEM_SOCKET = paths.SYSTEM_RUNTIME / paths.SOCKET_NAME

INTRODUCTION = f"""\
# The config

<!-- Generated from xmppbus/options.py by `python -m tests.reference`; edit that. -->

One YAML file; every part of it may be left out. With no config at all xmppbus is a local bus: events are kept on disk,
and shown by `xmppbus listen`.

```yaml
{EXAMPLE}```

`xmppbus check` reads it, says everything that is wrong as `file:line:column: sentence`, and tries the server.

* An option that nobody knows is an error, never ignored.
* Words mean what YAML 1.2 says: `yes`, `on` and `12:30` are text; only `true` and `false` are true and false; numbers
  are decimal. Anchors and aliases work; tags and merge keys (`<<`) are not read; a key that comes twice is an error.
* A key without a value (`nodes:`) is as if it were not there; `http: null` is not: it switches HTTP off.
* `xmppbus reload` takes a new config while the bus runs, but for what is marked *needs a restart*
  ([more](../howto/reload.md)).
* Names of files are relative to the config's directory, and `~` is the home of whoever reads it.
* There is no option for a secret itself. It is the first line of `secret_file`, or `${SECRET_VARIABLE}`, or systemd's
  credential `{CREDENTIAL}` (`LoadCredential={CREDENTIAL}:/etc/xmppbus/secret`); the variable comes first, then the
  credential. systemd's credential `tokens` comes before `tokens_file`.
* Sizes and counts that are not options are in `xmppbus/limits.py`, each with its reason.

## Where things are

| what | where |
|---|---|
| config | `--config`; else `$XMPPBUS_CONFIG`; else the first there is of `./{paths.CONFIG_NAME}`, \
`${{XDG_CONFIG_HOME:-~/.config}}/xmppbus/{paths.CONFIG_NAME}` and `{paths.SYSTEM_CONFIG}` |
| state | `$XMPPBUS_STATE`; else `{paths.SYSTEM_STATE}` for root; else `${{XDG_STATE_HOME:-~/.local/state}}/xmppbus`. \
Never a tmpfs: what was accepted must survive a restart of the machine |
| journal | `journal.path`; else `journal.db` in the state directory |
| spool | `spool/` in the state directory: what was published while the daemon was away |
| socket | `$XMPPBUS_SOCKET`; else `socket.path`; else `{SYSTEM_SOCKET}` for root; else \
`$XDG_RUNTIME_DIR/{paths.SOCKET_NAME}`; else `{paths.SOCKET_NAME}` in the state directory |

`/var/lib/xmppbus` and `/run/xmppbus` are also used by whoever may write there, which is how a systemd unit with
`User=`, `StateDirectory=xmppbus` and `RuntimeDirectory=xmppbus` gets them.

The command line does not read the config. It tries `$XMPPBUS_SOCKET` alone where that is set; else, for root,
`{SYSTEM_SOCKET}`; for everybody else `$XDG_RUNTIME_DIR/{paths.SOCKET_NAME}`, then
`{paths.SOCKET_NAME}` in the state directory, then `{SYSTEM_SOCKET}`. So where `socket.path` says something else,
whoever publishes needs `$XMPPBUS_SOCKET` too.
"""


def ways() -> list[tuple[str, str, type]]:
    """A section for each way in and out that declares its options, and one for each part of these."""
    found: list[tuple[str, str, type]] = []
    for (kind, name), way in sorted(built_in().options.items()):
        for each in parts_of(way):
            title = f"`{kind}.{name}`" if each is way else f"`{kind}.{name}`: {_spaced(each.__name__)}"
            found.append((f"{kind}.{name}", title, each))
    return found


def _spaced(name: str) -> str:
    """`QueueOptions`: queue options."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    parts += [_section(*each) for each in (*SECTIONS, *ways())]
    return "\n".join(parts)


def undescribed() -> list[str]:
    """Options whose definition has no comment that says what they are for."""
    return [
        f"{section.__name__}.{name}"
        for _, _, section in (*SECTIONS, *ways())
        for name in section.__annotations__
        if not comments_of(section).get(name)
    ]


def _section(name: str, title: str, section: type) -> str:
    comments = comments_of(section)
    path = PATHS.get(name)
    lines = [f"## {title}", "", inspect.cleandoc(section.__doc__ or ""), ""]
    lines += ["| option | value | default | what for |", "|---|---|---|---|"]
    info = types.type_info(section)
    assert isinstance(info, types.StructType)
    for each in info.fields:
        row = (
            f"`{each.name}`",
            _value(each.type),
            _default(each),
            comments.get(each.name, "") + _restart(path, each.name),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _restart(path: str | None, name: str) -> str:
    if path is None or f"{path}{name}" not in RESTART:
        return ""
    return " *(coming or going needs a restart)*" if name in PATHS else " *(needs a restart)*"


def _default(each: types.Field) -> str:
    if each.required:
        return "*required*"
    if each.default_factory is not NODEFAULT:
        made = each.default_factory()
        return f"`{made}`" if isinstance(made, (list, dict)) else "the defaults below"
    if each.default is None or each.default == "":
        return ""
    return f"`{str(each.default).lower() if isinstance(each.default, bool) else each.default}`"


def _value(kind: types.Type) -> str:
    return " or ".join(dict.fromkeys(_values(kind)))


def _values(kind: types.Type) -> Iterator[str]:
    if isinstance(kind, types.Metadata):
        yield str((kind.extra_json_schema or {}).get("description") or _value(kind.type))
    elif isinstance(kind, types.UnionType):
        for each in kind.types:
            yield from _values(each)
    elif isinstance(kind, types.ListType):
        yield f"a list: {_value(kind.item_type)}"
    elif isinstance(kind, types.LiteralType):
        yield ", ".join(f"`{each}`" for each in kind.values)
    elif isinstance(kind, (types.IntType, types.FloatType)):
        yield _number(kind)
    elif not isinstance(kind, types.NoneType):
        words: dict[type[Any], str] = {
            types.BoolType: "`true`, `false`",
            types.StrType: "text",
            types.StructType: "options",
            types.DictType: "options by name",
            types.AnyType: "anything",
        }
        yield words[type(kind)]


def _number(kind: types.IntType | types.FloatType) -> str:
    word = "a whole number" if isinstance(kind, types.IntType) else "a number"
    low = f" from {kind.ge:,}" if kind.ge is not None else f" above {kind.gt:,}" if kind.gt is not None else ""
    return word + low + (f" to {kind.le:,}" if kind.le is not None else "")
