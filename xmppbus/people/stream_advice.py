"""What to do about the XMPP stream, by its state: the page and `xmppbus status` say the same."""

from __future__ import annotations

STREAM_ADVICE = {
    "connecting": "It goes on by itself; if this lasts, look whether the XMPP server runs.",
    "backoff": "Look whether the XMPP server runs. It is tried again by itself, and what waits is delivered then.",
    "refused": "The server does not take the bus: run `xmppbus check`, which says what to change. It is tried again.",
    "conflict": "Another program holds the address of this bus: stop the other daemon.",
    "split": "Another bus is connected beside this one: stop one of the two.",
}
