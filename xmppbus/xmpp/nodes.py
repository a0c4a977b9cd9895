"""Nodes as the config's profiles want them: made on first use, read back, and what differs is said.

Only what the service offers is asked for: options that its default form does not have are left out (ejabberd refuses
a form with a field it does not know, Prosody ignores the field), and a difference is kept for `status`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from xml.etree.ElementTree import Element

from xmppbus.options import NodeOptions
from xmppbus.route import topic_matches
from xmppbus.xmpp import requests
from xmppbus.xmpp.replies import ErrorAnswer, ErrorReply
from xmppbus.xmpp.stanzas import PUBSUB

log = logging.getLogger(__name__)

_REFUSES_OPTIONS = {"bad-request", "not-acceptable", "resource-constraint", "invalid-options", "not-allowed"}
_MOST = ("max", "20")
"""`max_items` to try when the service takes neither what is wanted nor the most that its form tells: XEP-0060 §16.4.4's
own word for it, then what hardly any service refuses."""
_PRECIOUS = ("pubsub#max_items", "pubsub#persist_items")
"""On a node that exists these are only ever raised: lowering one deletes items."""
_NO_RIGHT = ("forbidden", "not-allowed", "not-authorized")
"""No right to do this; services say it of creating a node before they look whether it is there."""
_OPENNESS = {"whitelist": 0, "authorize": 1, "presence": 1, "roster": 1, "open": 2}
"""Access models (XEP-0060 §4.5), by whom they let read."""
_READ = ("member", "publisher", "owner")
"""Affiliations that may read a whitelist node (XEP-0060 §4.1)."""

AUTO_CREATE = f"{PUBSUB}#auto-create"


class Asker(Protocol):
    """What is needed of a stream here: somebody to ask, and the name of the service."""

    service: str

    async def ask(self, kind: str, to: str, inner: str) -> Element:
        """Send an IQ and return its result. Raises `ErrorAnswer` or `NoAnswer`."""


class Difference(NamedTuple):
    """An option of a node that is not as its profile wants it."""

    node: str
    option: str
    wanted: str
    got: str


class Node(NamedTuple):
    """What the output needs to know of a node. `guard` goes with every publish where a missing node would otherwise
    be made with the service's own options, open to everybody."""

    name: str
    persistent: bool
    max_items: int
    made: bool  # by us, just now: nothing can be on it
    guard: str
    ours: bool = True  # to configure


def profile_of(profiles: Sequence[NodeOptions], event_type: str) -> NodeOptions:
    """The first profile that matches, else the default one."""
    return next((each for each in profiles if topic_matches(each.match, event_type)), NodeOptions())


def fields_of(profile: NodeOptions) -> dict[str, str]:
    """A profile as the fields of `pubsub#node_config` (XEP-0060 §16.4.4)."""
    fields = {
        "persist_items": _flag(profile.persist_items),
        "max_items": str(profile.max_items),
        "access_model": profile.access_model,
        "publish_model": profile.publish_model,
        "send_last_published_item": profile.send_last_published_item,
        "notify_retract": _flag(profile.notify_retract),
        "deliver_payloads": _flag(profile.deliver_payloads),
        "deliver_notifications": "1",
    }
    if profile.title:
        fields["title"] = profile.title
    if profile.description:
        fields["description"] = profile.description
    if profile.item_expire:
        fields["item_expire"] = str(profile.item_expire)
    return {f"pubsub#{name}": value for name, value in fields.items()}


def _flag(value: bool) -> str:
    return "1" if value else "0"


class Nodes:
    """The nodes of one service."""

    def __init__(self, stream: Asker, profiles: Sequence[NodeOptions]) -> None:
        self._stream = stream
        self.profiles = profiles  # of the config that holds now
        self._negotiated = False
        self._offered: set[str] = set()  # fields of the service's default form
        self._most_items = ""  # the most that the service's form tells
        self._default_access = ""  # the access model of a node that is made by a publish
        self._makes_missing = False  # at a publish, and takes options that say how
        self.differences: dict[str, list[Difference]] = {}

    async def ensure(self, node: str, event_type: str) -> Node:
        """Make the node if it is missing, and bring it in line with its profile if it is there, as far as that deletes
        nothing; harmless beside another maker.

        Raises `ErrorAnswer` (no right, no such service) or `NoAnswer`.
        """
        if not self._negotiated:
            await self._negotiate()
        profile = profile_of(self.profiles, event_type)
        wanted = fields_of(profile)
        made = await self._make_missing(node, wanted)
        found = await self._read_back(node, wanted)
        if found is not None and not made and await self._mend(node, wanted, found):
            found = await self._read_back(node, wanted)
        if found is not None:
            _check_closed(node, wanted, found)
            await self._admit(node, profile.readers)
        present = found or wanted
        access = present.get("pubsub#access_model", profile.access_model)
        return Node(
            name=node,
            persistent=present.get("pubsub#persist_items", _flag(profile.persist_items)) not in ("0", "false"),
            max_items=_count((found or {}).get("pubsub#max_items", "")),
            made=made,
            # What the access model of somebody else's node is we don't know, and another one would be refused.
            guard=_guard(access) if self._needs_guard(access) and (found or made) else "",
            ours=found is not None or made,
        )

    def _needs_guard(self, access_model: str) -> bool:
        return self._makes_missing and access_model != self._default_access

    async def _negotiate(self) -> None:
        certain = True
        try:
            form = await self._stream.ask("get", self._stream.service, requests.default_configuration())
            fields = requests.read_form(form)
            offered = set(fields) or set(fields_of(NodeOptions()))
            self._default_access = (fields.get("pubsub#access_model") or [""])[0]
            self._most_items = requests.read_most_items(form)
        except ErrorAnswer as error:
            certain = error.reply.name == "feature-not-implemented"
            # COMPAT: a service need not tell its defaults (XEP-0060 §8.3); these are the ones that every one knows.
            offered = {f"pubsub#{name}" for name in ("persist_items", "max_items", "access_model")}
        try:
            info = await self._stream.ask("get", self._stream.service, requests.features())
            self._makes_missing = requests.read_features(info) >= {AUTO_CREATE, requests.PUBLISH_OPTIONS}
        except ErrorAnswer as error:
            certain = certain and error.reply.name == "feature-not-implemented"
            self._makes_missing = True
        self._offered = offered
        self._negotiated = certain  # else it is asked again for the next node

    async def _make_missing(self, node: str, wanted: dict[str, str]) -> bool:
        """Create it; False when it is there already, which without the right to create has to be asked."""
        try:
            return await self._create(node, wanted)
        except ErrorAnswer as denied:
            if denied.reply.name not in _NO_RIGHT:
                raise
            try:
                await self._stream.ask("get", self._stream.service, requests.features(node))
            except ErrorAnswer as error:
                if error.reply.name not in _NO_RIGHT:
                    raise denied from error
            return False

    async def _create(self, node: str, wanted: dict[str, str]) -> bool:
        """Create it with its configuration in one request; False when it is there already."""
        offered = {name: value for name, value in wanted.items() if name in self._offered}
        tries = [offered]
        if "pubsub#max_items" in offered:
            caps = [cap for cap in (self._most_items, *_MOST) if cap not in ("", offered["pubsub#max_items"])]
            tries += [{**offered, "pubsub#max_items": cap} for cap in caps]
        for fields in tries:
            try:
                await self._stream.ask("set", self._stream.service, requests.create(node, fields))
                return True
            except ErrorAnswer as error:
                if error.reply.name == "conflict":
                    return False
                if error.reply.name not in _REFUSES_OPTIONS or fields is tries[-1]:
                    raise
        return False

    async def _mend(self, node: str, wanted: dict[str, str], found: dict[str, str]) -> bool:
        """Change what differs on a node that is there; whether anything was changed."""
        changes = {
            name: value
            for name, value in wanted.items()
            if name in found and _differs(name, value, found) and not _loses(name, value, found[name])
        }
        if found.get("pubsub#max_items") == self._most_items:  # as many as there can be
            changes.pop("pubsub#max_items", None)
        # Who may read comes first and alone: no other option that the service refuses may leave the node open.
        access = changes.pop("pubsub#access_model", "")
        changed = bool(access) and await self._configure(node, {"pubsub#access_model": access})
        while changes:
            if await self._configure(node, changes):
                return True
            if changes.pop("pubsub#max_items", None) is None:
                break
        return changed

    async def _configure(self, node: str, changes: dict[str, str]) -> bool:
        try:
            await self._stream.ask("set", self._stream.service, requests.configure(node, changes))
        except ErrorAnswer as error:
            log.info("node %s: %s", node, error.reply, extra={"node": node})
            return False
        return True

    async def compare(self, node: str, event_type: str) -> Sequence[Difference]:
        """How a node that is there differs from its profile, without touching it."""
        await self._read_back(node, fields_of(profile_of(self.profiles, event_type)))
        return self.differences.get(node, ())

    async def _read_back(self, node: str, wanted: dict[str, str]) -> dict[str, str] | None:
        """The node's configuration, and note what differs; None when it may not be read, as it is somebody else's."""
        try:
            answer = await self._stream.ask("get", self._stream.service, requests.configuration(node))
        except ErrorAnswer as error:
            self._note(node, [Difference(node, "configuration", "ours to read", str(error.reply))])
            return None
        found = {name: (values or [""])[0] for name, values in requests.read_form(answer).items()}
        self._note(
            node,
            [
                Difference(node, name.partition("#")[2], value, found.get(name, "not offered"))
                for name, value in wanted.items()
                if _differs(name, value, found)
            ],
        )
        return found

    async def _admit(self, node: str, readers: Sequence[str]) -> None:
        """Readers become members (XEP-0060 §4.1). What the service does not take is a difference."""
        present = await self._affiliations(node) if readers else {}
        for reader in readers:
            if present.get(reader.lower()) == "outcast":  # somebody's decision about one person, which we leave alone
                self._note(node, [Difference(node, "readers", reader, "outcast")], keep=True)
                continue
            try:
                if present.get(reader.lower()) not in _READ:
                    request = requests.affiliations(node, {reader: "member"})
                    await self._stream.ask("set", self._stream.service, request)
            except ErrorAnswer as error:
                self._note(node, [Difference(node, "readers", reader, str(error.reply))], keep=True)
            else:
                if "@" not in reader:
                    # Measured: Prosody and ejabberd compare bare JIDs, so a domain admits nobody there.
                    text = "the service may admit bare JIDs only"
                    self._note(node, [Difference(node, "readers", reader, text)], keep=True)

    async def _affiliations(self, node: str) -> dict[str, str]:
        try:
            answer = await self._stream.ask("get", self._stream.service, requests.list_affiliations(node))
        except ErrorAnswer:
            return {}
        return requests.read_affiliations(answer)

    def _note(self, node: str, found: list[Difference], *, keep: bool = False) -> None:
        both = [*(self.differences.get(node, []) if keep else []), *found]
        if not both:
            self.differences.pop(node, None)
            return
        self.differences[node] = both
        for each in found:
            about = {"node": node, "option": each.option}
            log.info("node %s: %s is %s, not %s", node, each.option, each.got, each.wanted, extra=about)


def _check_closed(node: str, wanted: dict[str, str], found: dict[str, str]) -> None:
    """Raise `ErrorAnswer` for a node of ours that lets more people read than its profile does."""
    name = "pubsub#access_model"
    if _OPENNESS.get(found.get(name, ""), 0) > _OPENNESS[wanted[name]]:
        text = f"node {node} is {found[name]}, not {wanted[name]}, and could not be changed; nothing is published on it"
        raise ErrorAnswer(ErrorReply("not-allowed", "", text))


def _guard(access_model: str) -> str:
    form = requests.form(requests.PUBLISH_OPTIONS, {"pubsub#access_model": access_model})
    return f"<publish-options>{form}</publish-options>"


def _count(text: str) -> int:
    """How many items are kept. Where no number is told (`max`, not ours to read), what is missing was never there."""
    return int(text) if text.isdigit() and int(text) > 0 else sys.maxsize


def _loses(name: str, wanted: str, found: str) -> bool:
    """Whether changing an option that much could delete items."""
    if name not in _PRECIOUS:
        return False
    if name == "pubsub#max_items":
        return not found.isdigit() or int(found) > int(wanted)
    return wanted == "0"


_HARMLESS_IF_MISSING = {
    "pubsub#publish_model", "pubsub#send_last_published_item", "pubsub#notify_retract", "pubsub#deliver_payloads",
    "pubsub#deliver_notifications", "pubsub#title", "pubsub#description",
}  # fmt: skip
"""Options whose absence from the service's form changes nothing that was promised."""


def _differs(name: str, wanted: str, found: dict[str, str]) -> bool:
    if name not in found:
        return name not in _HARMLESS_IF_MISSING
    same = {"1": ("1", "true"), "0": ("0", "false")}.get(wanted, (wanted,))
    return found[name] not in same
