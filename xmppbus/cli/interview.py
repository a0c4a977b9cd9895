"""What `xmppbus init` has to know: from its options, from what it finds, and, on a terminal, by asking for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from xmppbus.errors import Code, Refused
from xmppbus.people.addresses import bare_jid
from xmppbus.setup.found import KINDS, PORTS, LocalServer
from xmppbus.setup.machine import find_servers, kind_of, read_server
from xmppbus.setup.writing import Wishes

HTTP = "127.0.0.1:8222"
_DOMAIN = re.compile(r"[^\s@/\"'<>&:]+\.[^\s@/\"'<>&:]+")


@dataclass(frozen=True)
class Given:
    """The options of the command line; None is what was not said."""

    server: str | None = None
    server_config: Path | None = None
    root: Path = Path("/")
    domain: str | None = None
    component: str | None = None
    service: str | None = None
    host: str | None = None
    port: int | None = None
    owners: tuple[str, ...] = ()
    http: str | None = None
    no_http: bool = False
    secret_file: Path | None = None


@dataclass(frozen=True)
class Answers:
    """All that is needed."""

    kind: str
    server: LocalServer | None
    wishes: Wishes
    secret: str | None = None  # typed, or read from the server's config; None: one is made


Ask = Callable[..., Any]
"""`click.prompt`; or what returns the default, where nobody can answer."""


def prompt(text: str, **settings: Any) -> Any:
    """A question on the terminal. It goes to error output: the result alone is on standard output."""
    return click.prompt(text, err=True, **settings)


def nobody(text: str, **settings: Any) -> Any:
    """Without a terminal: the default."""
    del text
    return settings.get("default")


def servers(given: Given) -> list[LocalServer]:
    """What is there: the config that was named, or what is found. Raises Refused."""
    if given.server_config:
        kind = given.server or kind_of(given.server_config)
        if kind is None:
            raise Refused(Code.USAGE, f"say with --server whose config {given.server_config} is")
        found = [read_server(kind, given.server_config.absolute(), given.root)]
        if found[0].problem:
            raise Refused(Code.USAGE, found[0].problem)
        return found
    return [each for each in find_servers(given.root.absolute()) if given.server in (None, each.kind)]


def interview(given: Given, found: Sequence[LocalServer], ask: Ask) -> Answers:
    """Everything, from options, findings and answers. Raises Refused when something is missing that nobody can say."""
    server = _server(found, ask)
    kind = given.server or (server.kind if server else _kind_elsewhere(ask))
    host = given.host or (server.reach if server else ask("Where is it", default="127.0.0.1"))
    domains = server.domains if server else ()
    domain = given.domain or ask(_domain_question(domains), default=domains[0] if domains else None)
    if not domain:
        raise Refused(Code.USAGE, _no_domain(found))
    component = given.component or ask("The name of the bus on that server", default=f"bus.{domain}")
    service = given.service or (server.service_of(domain) if server else None) or f"pubsub.{domain}"
    known = server.components.get(component) if server else None
    secret = None
    if known is None and given.secret_file is None:
        secret = ask("The secret between the two; Enter makes one", default="", hide_input=True, show_default=False)
    owners = given.owners or _listed(ask(_OWNERS, default="", show_default=False))
    wishes = Wishes(
        component=_checked(component, "--component"),
        domain=domain,
        service=_checked(service, "--pubsub-service"),
        host=host,
        port=given.port or (server.port_for(component) if server else PORTS[kind]),
        owners=[_jid(each) for each in owners],
        http=_http(given, ask),
        secret_file=str(given.secret_file.absolute()) if given.secret_file else "secret",
    )
    return Answers(kind, server, wishes, secret or known or None)


_OWNERS = "Who owns its bot: JIDs such as romeo@example.org, or nothing for no bot"


def _server(found: Sequence[LocalServer], ask: Ask) -> LocalServer | None:
    usable = [each for each in found if each.config]
    if len(usable) < 2:
        return usable[0] if usable else None
    kinds = [each.kind for each in usable]
    chosen = ask("There are several servers here. Which", type=click.Choice(kinds, case_sensitive=False))
    if chosen is None:
        raise Refused(Code.USAGE, f"there are several servers here: say which with --server ({' or '.join(kinds)})")
    return usable[kinds.index(chosen)]


def _kind_elsewhere(ask: Ask) -> str:
    question = "No server was found here. Which is yours"
    return str(ask(question, type=click.Choice(KINDS, case_sensitive=False), default=KINDS[0]))


def _domain_question(domains: Sequence[str]) -> str:
    text = "Your server's domain, what people have behind the @"
    return f"{text} ({', '.join(domains)})" if len(domains) > 1 else text


def _no_domain(found: Sequence[LocalServer]) -> str:
    seen = "; ".join(each.problem for each in found if each.problem)
    reason = seen or "no Prosody, ejabberd or Openfire was found on this machine"
    return (
        f"{reason}. Say what your server is: --domain example.org, with --server and, if it is elsewhere, --host; "
        "without any server `xmppbus serve` is a local bus and needs no config"
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(each for each in re.split(r"[\s,]+", text or "") if each)


def _jid(text: str) -> str:
    jid = bare_jid(text)
    local, at, domain = jid.partition("@")
    if not (local and at and domain) or any(character.isspace() for character in jid):
        raise Refused(Code.USAGE, f"an owner is a bare JID such as romeo@example.org, not {text!r}")
    return jid


def _checked(domain: str, option: str) -> str:
    if not _DOMAIN.fullmatch(domain):
        raise Refused(Code.USAGE, f"{option} is a name such as bus.example.org, not {domain!r}")
    return domain


def _http(given: Given, ask: Ask) -> str | None:
    if given.no_http:
        return None
    if given.http:
        return given.http
    wanted = ask(f"The page and the way in for curl, on {HTTP} (yes or no)", default="yes", type=bool)
    return HTTP if wanted else None
