"""What a server's config lacks for us, as lines to paste, each with its place. The lines themselves are `advice`'s."""

from __future__ import annotations

from typing import NamedTuple

from xmppbus.cli.advice import FILES, Facts, Missing, advice
from xmppbus.setup.found import EJABBERD, PROSODY, LocalServer
from xmppbus.setup.server_file import NAME


class Paste(NamedTuple):
    """Lines, and where they go."""

    where: str
    lines: str


def lacking(kind: str, server: LocalServer | None, facts: Facts) -> list[Paste]:
    """What is to be pasted, in this order; nothing when the server has it all."""
    if server is None or server.config is None or server.problem:
        return _everything(kind, facts)
    missing = _missing(server, facts)
    if not missing:
        return []
    if kind == PROSODY:
        return [Paste(_prosody_place(server), _prosody(server, facts, missing))]
    if kind == EJABBERD:
        return _ejabberd(server, facts, missing)
    return [Paste(FILES[kind], "\n".join(advice(each, facts)[kind] for each in missing))]


def _missing(server: LocalServer, facts: Facts) -> list[Missing]:
    missing = []
    if facts.service not in server.services:
        missing.append(Missing.SERVICE)
    if not server.lets_create(facts.jid):
        missing.append(Missing.CREATE)
    if facts.jid not in server.components or server.components[facts.jid] != facts.secret:
        missing.append(Missing.COMPONENT)
    return missing


def _everything(kind: str, facts: Facts) -> list[Paste]:
    """Of a server that we can't look at."""
    wanted = [Missing.SERVICE, Missing.COMPONENT] if kind == PROSODY else [Missing.COMPONENT, Missing.CREATE]
    return [Paste(FILES[kind], "\n".join(advice(each, facts)[kind] for each in wanted))]


def _prosody_place(server: LocalServer) -> str:
    return f"{server.drop_in / NAME}, a new file" if server.drop_in else f"the end of {server.config}"


def _prosody(server: LocalServer, facts: Facts, missing: list[Missing]) -> str:
    blocks = []
    if Missing.SERVICE in missing:
        storage = advice(Missing.STORAGE, facts)[PROSODY].splitlines()[1:] if server.stores_sql else []
        blocks.append("\n".join([advice(Missing.SERVICE, facts)[PROSODY], *storage]))
    elif Missing.CREATE in missing:
        others = [each for each in server.creators if each != facts.jid] if server.admins_at else []
        ours = f'"{facts.jid}"'
        admins = ", ".join([*(f'"{each}"' for each in others), ours])
        note = f"    -- in the place of {server.admins_at}\n" if server.admins_at else ""
        head, _, line = advice(Missing.CREATE, facts)[PROSODY].partition("\n")
        blocks.append(f"{head}\n{note}{line.replace(ours, admins)}")
    if Missing.COMPONENT in missing:
        blocks.append(advice(Missing.COMPONENT, facts)[PROSODY])
    return "\n\n".join(blocks)


def _ejabberd(server: LocalServer, facts: Facts, missing: list[Missing]) -> list[Paste]:
    """ejabberd merges parts that come twice, so that a block at the end will do; but not what is within them."""
    pastes, blocks = [], []
    lines = {each: advice(each, facts)[EJABBERD] for each in missing}
    if Missing.SERVICE in missing:
        blocks.append(lines[Missing.SERVICE])
        blocks += [] if Missing.CREATE in missing else [_rules(facts)]
    if Missing.CREATE in missing:
        acl, rest = lines[Missing.CREATE].split("access_rules:\n")
        rules = f"access_rules:\n{rest.partition('modules:')[0]}".rstrip("\n")
        if server.rule is None:
            blocks += [acl.rstrip("\n"), rules]
        else:
            dash = "- " if server.rule.is_list else ""
            place = f"{server.config}, a line below line {server.rule.line} (`{server.rule.name}:`)"
            pastes.append(Paste(place, f"{' ' * server.rule.indent}{dash}allow: xmppbus"))
            blocks.append(acl.rstrip("\n"))
    if Missing.COMPONENT in missing:
        blocks.append(lines[Missing.COMPONENT])
    if blocks:
        pastes.append(Paste(f"the end of {server.config}", "\n".join(blocks)))
    return pastes


def _rules(facts: Facts) -> str:
    return advice(Missing.CREATE, facts)[EJABBERD].partition("modules:")[0].rstrip("\n")
