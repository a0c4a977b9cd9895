"""Webhooks as they are sent: `POST /v1/webhooks/{preset}` takes what a service sends to everybody, in its own words.

Which presets there are is said by the registry (`xmppbus.inputs.webhook`) and by `custom` in the options of this input.
`docs/howto/webhooks.md` has the lines for each service.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from xmppbus import limits
from xmppbus.config.shape import did_you_mean
from xmppbus.errors import Code, Refused
from xmppbus.house import House
from xmppbus.inputs.events import result_of
from xmppbus.inputs.webhook import Fields, Preset, Sent, ServedPreset, Signing, check_signature
from xmppbus.inputs.webhook_signatures import SLACK, STANDARD, hexadecimal, shared
from xmppbus.interfaces import Accept
from xmppbus.journal import Result
from xmppbus.options import Name, Section
from xmppbus.plugins import Registry
from xmppbus.web import Answer, Request, Web, json_answer, query_fields

SIGNINGS: Mapping[str, Signing] = {
    "standard": STANDARD,
    "github": hexadecimal("x-hub-signature-256", "sha256="),
    "gitlab": shared("x-gitlab-token"),
    "slack": SLACK,
}
"""How what is sent to a preset of the config's own may be signed."""

_SECRETS = ("token", "auth")  # fields of a query that let somebody in, and are nobody's data
_TOKEN_HEADERS = ("x-gotify-key", "x-xmppbus-token")

PresetName = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z", description="1 to 64 of `a-z`, `0-9`, `_` and `-`")
]
Template = Annotated[str, Meta(min_length=1, max_length=limits.LINK_CHARACTERS, description="a path or a template")]


class CustomOptions(Section, frozen=True, kw_only=True):
    """A preset of your own, for `POST /v1/webhooks/NAME`. A text that begins with `$` is a JSONPath into the body, any
    other a Jinja template with `body`, `headers` and `query`; what comes out empty is left out."""

    name: PresetName  # what stands in the path
    type: Template  # of the event: `deploy.done`, or `deploy.{{ body.status }}`
    # JSONPath to a list or several places in the body: each is an event, and `body` is that part of it
    each: Annotated[str, Meta(pattern=r"^\$", max_length=512, description="a JSONPath")] | None = None
    summary: Template | None = None  # one line for people
    id: Template | None = None  # what names it: sent twice, it is one event; without it the delivery's, if it has one
    source: Template | None = None  # where it happened; the preset's name without it
    subject: Template | None = None  # what it is about
    key: Template | None = None  # what names the incident
    status: Template | None = None  # `firing` or `resolved`; makes an incident, and needs `key`
    severity: Template | None = None  # debug, info, notice, warning, error or critical
    link: Template | None = None  # where to read more
    time: Template | None = None  # when it happened, as RFC 3339
    data: Template | dict[str, Template] | None = None  # a path, or paths and templates by name; else the whole body
    secret_file: Name | None = None  # a file with the secret that the service signs with
    signed: Literal["standard", "github", "gitlab", "slack"] = "standard"  # how it signs


class WebhooksOptions(Section, frozen=True, kw_only=True):
    """Webhooks. The presets that are shipped are served without any option; each takes its secret in `inputs`, by its
    own name: `inputs: {github: {secret_file: github.secret}}`."""

    custom: list[CustomOptions] = field(default_factory=list)  # your own, below


class Webhooks:
    """The input `webhooks`. It has no loop of its own: the listener calls it."""

    def __init__(self, house: House, web: Web, custom: Mapping[str, Preset], secrets: Mapping[str, str | None]) -> None:
        self._house = house
        self._web = web
        self._accept: Accept = house.bus.accept
        self._custom = {name: ServedPreset(preset, secrets[name]) for name, preset in custom.items()}
        self._plain: dict[str, ServedPreset] = {}  # presets that the config says nothing of
        self._slow = asyncio.Semaphore(limits.WEBHOOK_READERS)
        for method in ("POST", "PUT"):
            web.route(method, "/v1/webhooks/{preset}", self.post)
            web.route(method, "/v1/webhooks/{preset}/{rest}", self.post)

    async def run(self, accept: Accept) -> None:
        """Nothing: see the listener."""
        self._accept = accept
        await asyncio.Event().wait()

    def status(self) -> Mapping[str, Any]:
        """How many events came in all, and by preset."""
        presets = {**self._plain, **self._custom}
        used = {name: each.accepted for name, each in sorted(presets.items()) if each.accepted}
        refused = sum(each.refused for each in presets.values())
        return {"state": "up", "accepted": sum(used.values()), "refused": refused, "presets": used}

    async def post(self, request: Request) -> Answer:
        """Events from what a service sends, in its own words; the answer is in its words as well, where it reads it."""
        name, served, rest = self._preset(request.variable, request.rest)
        query = dict(query_fields(request.query_text))
        headers = {each.lower(): value for each, value in request.headers.items()}
        tokens = _tokens(headers, query)
        body = await request.body()
        if len(body) > limits.WEBHOOK_BODY_BYTES:
            said = f"the body has {len(body)} bytes of at most {limits.WEBHOOK_BODY_BYTES}; have less sent"
            raise Refused(Code.TOO_BIG, said)
        sent = Sent(body, headers, {each: value for each, value in query.items() if each not in _SECRETS}, rest)
        signing = self._let_in(request, served, sent, tokens)
        if request.token is not None:
            sent = sent._replace(sender=request.token.name)
        try:
            found = await self._events(served.preset, sent)
        except ValueError as error:
            served.refused += 1
            said = f"{error}; this is what {name} sends here: docs/howto/webhooks.md"
            raise Refused(Code.INVALID, said) from None
        if len(found) > limits.BATCH_EVENTS:
            raise Refused(Code.TOO_BIG, f"{len(found)} events in one request of at most {limits.BATCH_EVENTS}")
        events = [dict(each) for each in found]
        given = signing.name(sent) if signing and signing.name else ""
        _name_them(events, name, given or headers.get(served.preset.delivery) or headers.get("webhook-id", ""))
        return await self._answer(request, served, sent, events)

    async def _events(self, preset: Preset, sent: Sent) -> Sequence[Fields]:
        if not preset.is_slow:
            return preset.events(sent)
        async with self._slow:
            return await asyncio.to_thread(preset.events, sent)

    def _preset(self, name: str, rest: str) -> tuple[str, ServedPreset, str]:
        """The preset, and what is left of the path. Raises `Refused` (item-not-found)."""
        second = self._house.inputs.get(f"{name}/{rest}") if rest else None
        if isinstance(second, ServedPreset):
            return name, second, ""
        served: Any = self._custom.get(name) or self._house.inputs.get(name) or self._plain.get(name)
        if not isinstance(served, ServedPreset):
            preset = self._house.registry.inputs.get(name)
            if not isinstance(preset, Preset):
                offered = [each for each, made in self._house.registry.inputs.items() if isinstance(made, Preset)]
                near = did_you_mean(name[:64], [*offered, *self._custom]).replace("`", "")
                raise Refused(Code.NOT_FOUND, f"no preset of webhooks is called {name[:64]!r}{near}")
            served = self._plain[name] = ServedPreset(preset)
        if rest and not served.preset.is_topic:
            said = f"nothing is served behind {name}; a second one is `inputs: {{{name}/SECOND: ...}}` in the config"
            raise Refused(Code.NOT_FOUND, said)
        return name, served, rest

    def _let_in(self, request: Request, served: ServedPreset, sent: Sent, tokens: Sequence[str]) -> Signing | None:
        """A right signature lets in (that one), or a token; a wrong one never. Raises `Refused`."""
        signings = (STANDARD, *([served.preset.signing] if served.preset.signing else []))
        try:
            if signing := check_signature(served, signings, sent, self._house.clock()):
                return signing
            if not self._web.needs_token and served.secrets is None:
                return None
            if self._web.needs_token and tokens:
                request.token = next(filter(None, map(self._web.guard.known, tokens)), None)
                if request.token is None:
                    raise Refused(Code.UNAUTHORIZED, "this token is not known")
                if not request.token.may_at_all("publish"):
                    raise Refused(Code.FORBIDDEN, "this token has no scope publish")
                return None
            raise Refused(Code.UNAUTHORIZED, _what_is_needed(served, signings, self._web.needs_token))
        except Refused:
            served.refused += 1
            raise

    async def _answer(self, request: Request, served: ServedPreset, sent: Sent, events: list[Fields]) -> Answer:
        checked = [_permitted(request, each) for each in events]
        good = [each for each in checked if not isinstance(each, Refused)]
        answers = iter(await self._accept(good) if good else ())
        results = [each if isinstance(each, Refused) else next(answers) for each in checked]
        accepted = [each for each in results if not isinstance(each, Refused)]
        served.accepted += len(accepted)
        served.refused += len(results) - len(accepted)
        if len(results) == 1 and isinstance(results[0], Refused):
            raise results[0]
        if served.preset.reply and len(results) == 1 and not isinstance(results[0], Refused):
            reply = served.preset.reply(sent, events[0], results[0], self._house.clock())
            return Answer(200, reply.body, b"Content-Type: %s\r\n" % reply.media_type.encode())
        new = any(each.result is Result.NEW for each in accepted)
        status = 202 if new else 200 if accepted or not results else 400
        shown = [result_of(each) for each in results]
        return json_answer(status, shown[0] if len(shown) == 1 else shown)


def _tokens(headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """Whatever could be a token, wherever a service can put one."""
    found = [query.get("token", ""), *(headers.get(each, "") for each in _TOKEN_HEADERS)]
    found += [_authorization(headers.get("authorization", "")), _authorization(_plain(query.get("auth", "")))]
    return [each.strip() for each in found if each.strip()]


def _authorization(header: str) -> str:
    """Bearer, or the password of Basic, or without one its user."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return ""
    user, _, password = _plain(value.strip()).partition(":")
    return password or user


def _plain(encoded: str) -> str:
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_").decode()
    except (binascii.Error, ValueError):
        return ""


def _what_is_needed(served: ServedPreset, signings: Sequence[Signing], needs_token: bool) -> str:
    ways = []
    if needs_token:
        ways.append(
            "a token is needed: Authorization: Bearer TOKEN, or ?token=TOKEN where only an address can be given"
        )
    if served.secrets is not None:
        headers = " or ".join(each.header for each in reversed(signings))
        ways.append(f"a signature is needed: {headers}, made with the secret that is in this preset's `secret_file`")
    return "; or ".join(ways)


def _name_them(events: list[Fields], name: str, given: str) -> None:
    """Give events that have no name the delivery's, so that one that is sent again is known."""
    for number, fields in enumerate(events):
        fields.setdefault("source", name)
        if given and "id" not in fields:
            fields["id"] = given if len(events) == 1 else f"{given}/{number}"


def _permitted(request: Request, fields: Fields) -> Fields | Refused:
    try:
        request.allow_event("publish", fields)
    except Refused as refusal:
        return refusal
    return fields


def register(registry: Registry) -> None:
    """Offer the input `webhooks`."""
    registry.input("webhooks", _make, options=WebhooksOptions)


def _make(house: House, options: WebhooksOptions | Mapping[str, Any]) -> Webhooks:
    if house.web is None:
        raise ValueError("webhooks need the HTTP listener, which `http: null` switches off")
    found: dict[str, Preset] = {}
    listed = options.custom if isinstance(options, WebhooksOptions) else []
    if len(listed) > limits.WEBHOOKS:
        raise ValueError(f"has {len(listed)} presets in `custom` of at most {limits.WEBHOOKS}")
    for each in listed:
        from xmppbus.inputs.webhook_custom import preset_of

        if each.name in found or each.name in house.registry.inputs:
            raise ValueError(f"names the preset `{each.name}` in `custom`, which there is already; take another name")
        found[each.name] = preset_of(each, SIGNINGS[each.signed])
    return Webhooks(house, house.web, found, {each.name: each.secret_file for each in listed})
