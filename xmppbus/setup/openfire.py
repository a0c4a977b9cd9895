"""Openfire keeps nearly everything in a database. What a file says: its domain, where that database is a file of text
(HSQLDB, which it brings), and its ports and service names, where somebody has changed them."""

from __future__ import annotations

import re
from pathlib import Path

from defusedxml.ElementTree import ParseError, parse

from xmppbus.setup.found import EVERYBODY, OPENFIRE, PORTS, LocalServer, unread

_PROPERTY = re.compile(r"INSERT INTO OFPROPERTY VALUES\('([^']+)','([^']*)'")
_SCRIPTS = ("embedded-db/openfire.script", "../../var/lib/openfire/embedded-db/openfire.script")


def read_openfire(config: Path) -> LocalServer:
    """What an Openfire with this `openfire.xml` serves, as far as files tell."""
    try:
        root = parse(config).getroot()
    except OSError as error:
        return LocalServer(OPENFIRE, config, problem=unread(config, error))
    except ParseError as error:
        return LocalServer(OPENFIRE, config, problem=f"{config} is not XML: {error}")
    properties = _properties(config)
    domain = properties.get("xmpp.domain") or (root.findtext("fqdn") or "").strip()
    port = properties.get("xmpp.component.socket.port", "")
    anyone = properties.get("xmpp.pubsub.create.anyone", "true") == "true"
    creators = [word.strip() for word in properties.get("xmpp.pubsub.create.jid", "").split(",") if word.strip()]
    service = f"{properties.get('xmpp.pubsub.service', 'pubsub')}.{domain}"
    return LocalServer(
        OPENFIRE,
        config,
        hosts=(domain,) if domain else (),
        services=(service,) if domain and properties.get("xmpp.pubsub.enabled", "true") == "true" else (),
        creators=(EVERYBODY,) if anyone else tuple(creators),
        port=int(port) if port.isdecimal() else PORTS[OPENFIRE],
        problem="" if domain else "its domain is in its database: say it with --domain",
    )


def _properties(config: Path) -> dict[str, str]:
    for name in _SCRIPTS:
        path = config.parent.parent / name
        try:
            return dict(_PROPERTY.findall(path.read_text(errors="replace")))
        except OSError:
            continue
    return {}
