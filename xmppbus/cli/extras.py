"""Which extras a config needs that are not installed: the daemon would not start, so `check` says it before."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xmppbus.config import Config
from xmppbus.config.ways import kind_of

MODULES: Mapping[str, tuple[str, ...]] = {
    "amqp": ("aio_pika",),
    "dbus": ("dbus_fast",),
    "follow": ("re2",),
    "redis": ("redis",),
    "smtp": ("aiosmtpd",),
    "webhooks": ("jinja2", "jsonpath"),
}
"""What an extra brings, by its name: the kind of input or output that needs it."""


def lacking(config: Config) -> Iterator[str]:
    """One `file:line:column: sentence` for each part of the config that needs one."""
    for section in ("inputs", "outputs"):
        for name, options in getattr(config.options, section).items():
            kind = kind_of(name)
            if _needs(kind, options) and any(find_spec(each) is None for each in MODULES[kind]):
                pip = Path(sys.executable).with_name("pip")
                sentence = f"`{name}` needs the extra `{kind}`, which is not installed here: {pip} install"
                yield config.problem((section, name), f"{sentence} 'xmppbus[{kind}]'")


def _needs(kind: str, options: Any) -> bool:
    """Some do without it while the options that need it are not used."""
    given = options or {}
    if kind == "follow":
        return any(isinstance(each, dict) and each.get("pattern") for each in given.get("files", ()))
    return bool(given.get("custom")) if kind == "webhooks" else kind in MODULES
