"""The lines that a server's operator has to paste, for each thing that can be missing. Pure; the how-tos show the same.

Prosody's and ejabberd's are tried against both by tests. Openfire's come from its documentation and source.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import NamedTuple

from xmppbus.options import XmppOptions


class Missing(StrEnum):
    """What a server may lack."""

    COMPONENT = "component"  # it knows no such component, or another secret
    SERVICE = "service"  # it has no pubsub service of that name
    CREATE = "create"  # we may not create nodes there
    ITEMS = "items"  # its cap on a node's items is below what the config asks
    STORAGE = "storage"  # it writes the whole node to disk for each publish
    LIMITS = "limits"  # it slows an account down
    UPLOAD = "upload"  # it takes no files from the bot, so it shows no pictures
    CONFLICT = "conflict"  # another connection holds the component


SECRET = "what secret_file says"  # noqa: S105  # a placeholder
"""Stands where the secret goes, unless the lines are shown to who has it."""


class Facts(NamedTuple):
    """What the lines are about."""

    jid: str
    service: str
    port: int
    is_component: bool
    max_items: int = 10_000
    secret: str = SECRET

    @property
    def host(self) -> str:
        """The server's own name: what the pubsub service stands below."""
        return self.service.partition(".")[2]

    @classmethod
    def of(cls, xmpp: XmppOptions, max_items: int = 10_000) -> Facts:
        """The facts of a config."""
        return cls(xmpp.jid, xmpp.service, xmpp.server_port, xmpp.component is not None, max_items)


FILES = {
    "Prosody": "prosody.cfg.lua, or a file in conf.d",
    "ejabberd": "ejabberd.yml, merged with what is there",
    "Openfire": "the admin console, Server > Server Manager > System Properties",
}


def advice(missing: Missing, facts: Facts) -> dict[str, str]:
    """By server, the lines to paste; a server that has nothing to set for this is left out."""
    if missing in (Missing.COMPONENT, Missing.CONFLICT) and not facts.is_component:
        return {}  # an account's operator has nothing to set for these
    found = {
        "Prosody": _prosody(missing, facts),
        "ejabberd": _ejabberd(missing, facts),
        "Openfire": _openfire(missing, facts),
    }
    return {server: lines.strip("\n") for server, lines in found.items() if lines}


RELOAD = {
    "Prosody": "systemctl restart prosody",
    "ejabberd": "ejabberdctl reload-config",
    "Openfire": "nothing to do: it takes them up at once",
}
"""What makes a server take up new lines."""


def quoted(text: str) -> str:
    """A text as Lua, YAML and JSON write it: alike, as long as no control character is in it."""
    return json.dumps(text, ensure_ascii=False)


def _prosody(missing: Missing, facts: Facts) -> str:
    service = f'Component "{facts.service}" "pubsub"\n'
    component = f'Component "{facts.jid}"\n'
    lines = {
        Missing.COMPONENT: component + f"    component_secret = {quoted(facts.secret)}\n",
        Missing.SERVICE: service + f'    admins = {{ "{facts.jid}" }}\n',
        Missing.CREATE: service + f'    admins = {{ "{facts.jid}" }}\n',
        Missing.ITEMS: service + f"    pubsub_max_items = {facts.max_items}\n",
        Missing.STORAGE: service
        + '    storage = { pubsub_data = "sql" }\n'
        + '    sql = { driver = "SQLite3", database = "pubsub.sqlite" }\n',
        Missing.UPLOAD: f'Component "upload.{facts.host}" "http_file_share"\n'
        + f'    http_file_share_access = {{ "{facts.host}", "{facts.jid}" }}\n',
        Missing.LIMITS: f'unlimited_jids = {{ "{facts.jid}" }}\n',
        Missing.CONFLICT: component + '    component_conflict_resolve = "kick_old"\n',
    }
    return lines[missing]


def _ejabberd(missing: Missing, facts: Facts) -> str:
    who = f"server: {facts.jid}" if facts.is_component else f"user: {facts.jid}"
    lines = {
        Missing.COMPONENT: f"""
listen:
  -
    port: {facts.port}
    ip: "127.0.0.1"
    module: ejabberd_service
    global_routes: false
    hosts:
      {facts.jid}:
        password: {quoted(facts.secret)}
""",
        Missing.SERVICE: f"""
modules:
  mod_pubsub:
    host: {facts.service}
    access_createnode: pubsub_createnode
""",
        Missing.CREATE: f"""
acl:
  xmppbus:
    {who}
access_rules:
  pubsub_createnode:
    - allow: local
    - allow: xmppbus
modules:
  mod_pubsub:
    access_createnode: pubsub_createnode
""",
        Missing.ITEMS: f"""
modules:
  mod_pubsub:
    max_items_node: {facts.max_items}
""",
        Missing.UPLOAD: f"""
listen:
  -
    port: 5443
    module: ejabberd_http
    tls: true
    request_handlers:
      /upload: mod_http_upload
acl:
  xmppbus:
    {who}
access_rules:
  upload:
    - allow: local
    - allow: xmppbus
modules:
  mod_http_upload:
    put_url: https://{facts.host}:5443/upload
    access: upload
""",
        Missing.LIMITS: f"""
acl:
  xmppbus:
    {who}
shaper_rules:
  c2s_shaper:
    - none: admin
    - none: xmppbus
    - normal: all
""",
    }
    return lines.get(missing, "")


def _openfire(missing: Missing, facts: Facts) -> str:
    lines = {
        Missing.COMPONENT: f"""
xmpp.component.socket.active = true
xmpp.component.socket.port = {facts.port}
xmpp.component.defaultSecret = {facts.secret}
""",
        Missing.SERVICE: f"""
xmpp.pubsub.enabled = true
xmpp.pubsub.service = {facts.service.partition(".")[0]}
""",
        Missing.CREATE: f"""
xmpp.pubsub.create.jid = {facts.jid}
""",
    }
    return lines.get(missing, "")
