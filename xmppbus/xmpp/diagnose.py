"""Does the server play along? What `xmppbus check` finds out by connecting once, making a node and publishing on it.

Everything that it makes it deletes again; nodes that were there are only looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree.ElementTree import Element

import msgspec

from xmppbus import limits
from xmppbus.event import parse
from xmppbus.options import NodeOptions, XmppOptions
from xmppbus.xmpp import requests, upload
from xmppbus.xmpp.component import WORDS, address_of
from xmppbus.xmpp.connection import Connection, Ended
from xmppbus.xmpp.nodes import Difference, Nodes
from xmppbus.xmpp.pipeline import Pipeline
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer
from xmppbus.xmpp.split import SplitCheck
from xmppbus.xmpp.stanzas import Publish, attribute

_NOT_THERE = (
    "item-not-found",
    "remote-server-not-found",
    "remote-server-timeout",
    "service-unavailable",
    "recipient-unavailable",
    "not-allowed",  # Prosody, of a domain that is not its own
)
_AT_ONCE = 16
_UNREADABLE = "configuration"


class Finding(NamedTuple):
    """One thing that was looked at. `missing` names the lines that mend it, see `xmppbus.cli.advice`."""

    level: str  # good, doubt: it works, but less well than it could, or bad: it can't be used like this
    about: str
    text: str
    missing: str | None = None


async def diagnose(
    options: XmppOptions, secret: str, nodes: Sequence[NodeOptions], *, bot: str = "", encrypts: bool = False
) -> list[Finding]:
    """Connect once, and look at everything that publishing needs; if it `encrypts`, at what that needs of the server,
    too. `bot` is the bot's JID. Does not raise: what goes wrong is a finding."""
    visit = _Visit(options, secret)
    found: list[Finding] = []
    try:
        async with asyncio.timeout(limits.CHECK_SECONDS):
            await _look(visit, nodes, found)
            if encrypts:
                found.append(await _keys(visit, bot))
            if bot and not any(each.level == "bad" for each in found):
                found.append(await _pictures(visit, bot))
    except Ended as ended:
        found.append(_not_connected(options, ended))
    except NoAnswer:
        found.append(
            Finding("bad", "connection", "the server ended the connection, or did not answer, during the check")
        )
    except TimeoutError:
        found.append(
            Finding("bad", "service", f"the check was not over after {limits.CHECK_SECONDS:g} s: it is too slow")
        )
    finally:
        await visit.leave()
    return found


class _Visit:
    """A connection that is tried once, and asked."""

    def __init__(self, options: XmppOptions, secret: str) -> None:
        self.options = options
        self.service = options.service.lower()
        self.pipeline = Pipeline()
        self.address = address_of(options, secret)
        self.sender = self.address.jid if self.address.is_component else ""
        self.split = SplitCheck(self.address.jid)
        self._connection = Connection(self.address, self._take)
        self._made: list[str] = []

    async def enter(self) -> str:
        """Connect; returns our JID. Raises `Ended`."""
        await self._connection.open()
        self.pipeline.open(self._connection.write)
        return self._connection.jid

    async def leave(self) -> None:
        """Delete what was made, and close."""
        with contextlib.suppress(NoAnswer, ErrorAnswer, TimeoutError):
            async with asyncio.timeout(limits.CLOSE_SECONDS):
                for node in self._made:
                    await self.ask("set", self.service, requests.delete(node))
        self.pipeline.close()
        await self._connection.close()

    def will_make(self, node: str) -> None:
        """Note a node that is to be deleted in the end."""
        self._made.append(node)

    async def ask(self, kind: str, to: str, inner: str, *, sender: str = "") -> Element:
        """See `Asker`."""
        request_id = self.pipeline.new_id()
        sender = sender or self.sender
        sender = f" from='{attribute(sender)}'" if sender else ""
        stanza = f"<iq type='{kind}' id='{request_id}'{sender} to='{attribute(to)}'>{inner}</iq>"
        return await self.pipeline.ask(request_id, stanza.encode(), to)

    def _take(self, stanza: Element) -> bool:
        if not self.pipeline.is_open:
            return False
        if stanza.tag.endswith("}iq"):
            self.pipeline.take(stanza)
        elif stanza.tag.endswith("}message"):
            self.split.see(stanza)
        return True


async def _look(visit: _Visit, nodes: Sequence[NodeOptions], found: list[Finding]) -> None:
    jid = await visit.enter()
    address = visit.address
    found.append(Finding("good", "connection", f"connected to {address.host}:{address.port} as {jid}"))
    if address.is_component:
        found += await _alone(visit)
        if found[-1].level == "bad":
            return  # answers go elsewhere too
    service = await _service(visit)
    found.append(service)
    if service.level == "bad":
        return
    profiles = [*nodes, NodeOptions()] if all(each.match != "#" for each in nodes) else list(nodes)
    made = await _make(visit, profiles)
    found += made
    if not any(each.level == "bad" for each in made):
        found += await _measure(visit)
    found += await _compare(visit, nodes)


def _not_connected(options: XmppOptions, ended: Ended) -> Finding:
    where = f"{options.host}:{options.server_port}"
    reason = f" ({ended.text})" if ended.text else ""
    component = options.component is not None
    if ended.condition == "unreachable":
        what = "takes components" if component else "takes clients"
        text = f"nothing at {where} {what}{reason}: the server is down, or does not listen there"
        return Finding("bad", "connection", text, "component" if component else None)
    if ended.condition == "tls":
        text = f"the certificate of {where} can't be trusted{reason}: name in `ca_file` who signed it"
        return Finding("bad", "connection", text)
    words = WORDS.get(ended.condition, f"the server ended the connection: {ended.condition}")
    missing = {"not-authorized": "component", "host-unknown": "component", "conflict": "conflict"}.get(ended.condition)
    text = f"{words} at {where}{reason}"
    if ended.condition == "not-authorized":
        text += "; compare `secret_file` with the server's " + ("component_secret" if component else "account")
    if ended.condition == "conflict":
        text += "; another daemon runs, or the server has not noticed yet that an old connection is dead"
    return Finding("bad", "connection", text, missing if component or missing == "conflict" else None)


async def _alone(visit: _Visit) -> list[Finding]:
    """Do stanzas to ourselves come back to us?"""
    visit.pipeline.write(visit.split.nonces())
    lost = await visit.split.wait()
    if not lost:
        return []
    text = (
        f"{lost} of {limits.SPLIT_NONCES} stanzas to {visit.address.jid} went elsewhere: another "
        "connection shares the address (on ejabberd: two components on one port without `global_routes: false`)"
    )
    return [Finding("bad", "connection", text, "component")]


async def _service(visit: _Visit) -> Finding:
    try:
        info = await visit.ask("get", visit.service, requests.features())
    except ErrorAnswer as error:
        if error.reply.name not in _NOT_THERE:
            return Finding("bad", "service", f"{visit.service} does not say what it can do: {error}", "service")
        return Finding("bad", "service", f"there is no pubsub service {visit.service} ({error})", "service")
    if ("pubsub", "service") not in requests.read_identities(info):
        return Finding("bad", "service", f"{visit.service} is there, but is no pubsub service", "service")
    return Finding("good", "service", f"{visit.service} is a pubsub service")


async def _keys(visit: _Visit, bot: str) -> Finding:
    """Where people's clients find the bot's keys (XEP-0384 0.3 §4): an account's in its PEP (XEP-0163 §6)."""
    if visit.address.is_component:
        text = f"a component has no PEP: {bot} answers itself whoever asks for its keys, and encrypts (OMEMO)"
        return Finding("good", "encryption", text)
    account = visit.address.jid.partition("/")[0]
    try:
        info = await visit.ask("get", account, requests.features())
    except ErrorAnswer as error:
        return Finding("doubt", "encryption", f"the server does not say whether {account} has PEP: {error}")
    if ("pubsub", "pep") not in requests.read_identities(info):
        text = f"the server has no PEP for {account}, where its keys would be: nobody can encrypt for it"
        return Finding("doubt", "encryption", text)
    return Finding("good", "encryption", f"{account} has PEP, where its keys are; it encrypts (OMEMO)")


async def _pictures(visit: _Visit, bot: str) -> Finding:
    """Does the server take what `plot` draws (XEP-0363)? A place is asked for, and nothing put there."""
    domains = upload.domains_of(visit.options)
    service = await upload.find_service(visit, domains)
    if service is None:
        text = f"{' and '.join(domains)} takes no files (XEP-0363), so `plot` answers with a curve in text alone"
        return Finding("doubt", "pictures", text, "upload")
    try:
        file = upload.File("check.png", b"?", "image/png")
        await upload.request_slot(visit, service.jid, file, bot if visit.sender else "")
    except (ErrorAnswer, ValueError) as error:
        text = f"{service.jid} gives {bot} no place for a picture ({error}), so `plot` answers with a curve in text"
        return Finding("doubt", "pictures", text, "upload")
    return Finding("good", "pictures", f"{service.jid} takes the pictures that `plot` draws")


async def _make(visit: _Visit, profiles: Sequence[NodeOptions]) -> list[Finding]:
    """Make a node of each profile, and see what the service made of it."""
    found: list[Finding] = []
    for number, profile in enumerate(profiles[: limits.CHECK_NODES]):
        probe = f"{visit.options.node_prefix}xmppbus-check-{secrets.token_hex(4)}"
        maker = Nodes(visit, [msgspec.structs.replace(profile, match="#")])
        try:
            await maker.ensure(probe, "check")
        except ErrorAnswer as error:
            text = f"{visit.address.jid} may not create nodes on {visit.service} ({error})"
            return [*found, Finding("bad", "nodes", text, "create")]
        visit.will_make(probe)
        name = f"nodes[{number}] ({profile.match})" if profile.match != "#" else "nodes"
        found += [_difference(name, each) for each in maker.differences.get(probe, ())]
    return [Finding("good", "nodes", f"{visit.address.jid} may create nodes and publish on them"), *found]


def _difference(about: str, difference: Difference) -> Finding:
    if difference.option == "max_items":
        text = f"the service keeps {difference.got} items of a node, not {difference.wanted}; it works, with fewer"
        return Finding("doubt", about, text, "items")
    text = f"the service made {difference.option} {difference.got!r} of {difference.wanted!r}"
    return Finding("doubt", about, text)


async def _measure(visit: _Visit) -> list[Finding]:
    """Publishes a second on a kept node, with items of a usual size."""
    probe = f"{visit.options.node_prefix}xmppbus-check-{secrets.token_hex(4)}"
    node = await Nodes(visit, [NodeOptions()]).ensure(probe, "check")
    visit.will_make(probe)
    publish = Publish(visit.service, probe, visit.sender, node.guard)
    loop = asyncio.get_running_loop()
    begun, count = loop.time(), 0
    left = iter(range(limits.CHECK_PUBLISHES))

    async def one_after_another() -> None:
        nonlocal count
        for number in left:
            fields = {"type": "check", "source": "check", "id": str(number), "data": "x" * 400}
            event = parse(fields, {"time": datetime.now(UTC).isoformat()}).event
            request_id = visit.pipeline.new_id()
            stanza = publish.stanza(request_id, event.item_id, event)
            await visit.pipeline.ask(request_id, stanza, visit.service)
            count += 1

    try:
        async with asyncio.timeout(limits.CHECK_PUBLISH_SECONDS):
            await asyncio.gather(*(one_after_another() for _ in range(_AT_ONCE)))
    except TimeoutError:
        pass
    except ErrorAnswer as error:
        return [Finding("bad", "publishing", f"{visit.service} refuses an item: {error}", "create")]
    return [_rate(visit, count / max(loop.time() - begun, 0.001))]


def _rate(visit: _Visit, per_second: float) -> Finding:
    text = f"{visit.service} took {per_second:.0f} publishes a second on a node that keeps 64 items"
    if per_second >= limits.CHECK_SLOW_PER_SECOND:
        return Finding("good", "publishing", text)
    if not visit.address.is_component:
        text += ": the server slows accounts down, as Prosody (10 kB/s) and ejabberd do by default. A component is not"
        return Finding("doubt", "publishing", text, "limits")
    text += ": so slow is Prosody's default storage, which writes the whole node to disk for each, or a busy machine"
    return Finding("doubt", "publishing", text, "storage")


async def _compare(visit: _Visit, profiles: Sequence[NodeOptions]) -> list[Finding]:
    """Nodes that are there already, with other options than the config wants."""
    try:
        names = requests.read_nodes(await visit.ask("get", visit.service, requests.nodes()))
    except ErrorAnswer:
        return []
    prefix = visit.options.node_prefix
    ours = [name for name in names if name.startswith(prefix) and "xmppbus-check-" not in name]
    found = []
    for name in ours[: limits.CHECK_NODES]:
        differing = await Nodes(visit, profiles).compare(name, name.removeprefix(prefix))
        # What is not ours to read is somebody else's node: nothing is known, nothing is wrong with it.
        shown = [f"{each.option} is {each.got}, not {each.wanted}" for each in differing if each.option != _UNREADABLE]
        if shown:
            found.append(Finding("doubt", f"node {name}", f"exists with other options: {', '.join(shown)}"))
    return found
