"""CloudEvents from services that can be given nothing but an address: structured, batched and binary mode."""

from __future__ import annotations

from xmppbus.errors import Refused
from xmppbus.fields import decode_fields
from xmppbus.inputs.cloudevents_http import Mode, binary_event, events_of, is_object, mode_of
from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.plugins import Registry
from xmppbus.web import check_json


def events(sent: Sent) -> list[Fields]:
    """Those that are in the body, or the one that is in the headers and the body."""
    content_type = sent.headers.get("content-type", "")
    try:
        mode = mode_of(content_type, sent.headers)
        if mode is Mode.BINARY:
            return [binary_event(sent.headers.items(), "", content_type, sent.body)]
        if is_object(mode, sent.body):
            return [decode_fields(check_json(sent.body))]
        found = events_of(mode, sent.body)
    except Refused as refusal:
        raise ValueError(str(refusal)) from None
    wrong = next((each for each in found if isinstance(each, Refused)), None)
    if wrong:
        raise ValueError(str(wrong))
    return [each for each in found if not isinstance(each, Refused)]


def register(registry: Registry) -> None:
    registry.input("cloudevents", Preset(events), options=WebhookOptions)
