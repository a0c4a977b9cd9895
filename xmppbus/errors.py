"""What can go wrong, whom it concerns, and what each door answers.

::

    BusError
    ├── Refused            an input's no: the sender can mend it, or try again
    ├── JournalFailed      the disk said no; the house stops accepting
    ├── JournalHeld        another daemon holds the journal
    ├── ConfigInvalid      the YAML file, with file:line:column
    └── PluginInvalid      a plugin that can't be found or registered
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class About(enum.Enum):
    """Whom an answer concerns; only an answer about the event can make a delivery dead."""

    EVENT = "event"
    PLACE = "place"  # the node, room, person or callback: stop it, try again slowly
    US = "us"  # our right, our connection: the same, and said in `status`


class Kind(enum.StrEnum):
    """What to do about a condition (RFC 6120 §8.3.2)."""

    WAIT = "wait"
    CANCEL = "cancel"
    MODIFY = "modify"
    AUTH = "auth"


class Condition(NamedTuple):
    """A stanza error condition (RFC 6120 §8.3.3), and the house's reading of it.

    The kind is ours, by condition: ejabberd marks permanent errors `wait`, so what a server says of it is not used.
    """

    name: str
    kind: Kind
    about: About
    advice: str


_E, _P, _U = About.EVENT, About.PLACE, About.US
_CONDITIONS = (
    Condition("bad-request", Kind.MODIFY, _E, "The server does not take this item; see `xmppbus show`."),
    Condition("not-acceptable", Kind.MODIFY, _E, "The server does not take this item; see `xmppbus show`."),
    Condition("invalid-payload", Kind.MODIFY, _E, "The node wants another payload; see its configuration."),
    Condition("payload-too-big", Kind.MODIFY, _E, "Send less, or a link to the rest."),
    Condition("expired", Kind.CANCEL, _E, "It was too old when its turn came; give it a later `expires`."),
    Condition("loop", Kind.CANCEL, _E, "Analyzers derived events from one another; break the circle in the routes."),
    Condition("rejected", Kind.CANCEL, _E, "Its consumer rejected it; mend the cause, then `xmppbus dead retry`."),
    Condition("requeued", Kind.WAIT, _P, "Its consumer gave it back; it is handed out again."),
    Condition("forbidden", Kind.AUTH, _P, "Give the bus the right to publish on this node; `xmppbus check` says how."),
    Condition("not-authorized", Kind.AUTH, _P, "Give the bus the right to publish; `xmppbus check` says how."),
    Condition("not-allowed", Kind.CANCEL, _P, "The service does not allow this; `xmppbus check` says why."),
    Condition("registration-required", Kind.AUTH, _P, "The place wants members only; make the bus one."),
    Condition("subscription-required", Kind.AUTH, _P, "The place wants subscribers only; subscribe the bus."),
    Condition("item-not-found", Kind.CANCEL, _P, "The node is gone; it is made again."),
    Condition("gone", Kind.CANCEL, _P, "The place is gone; name another in the config."),
    Condition("conflict", Kind.CANCEL, _P, "Somebody else holds it; `xmppbus status` says who."),
    Condition("recipient-unavailable", Kind.WAIT, _P, "It waits until the recipient is there."),
    Condition("remote-server-not-found", Kind.CANCEL, _P, "No such service on the server; check `pubsub_service`."),
    Condition("remote-server-timeout", Kind.WAIT, _P, "The service does not answer; it waits."),
    Condition("service-unavailable", Kind.CANCEL, _P, "No such service there; check `pubsub_service`."),
    Condition("feature-not-implemented", Kind.CANCEL, _P, "The service can't do this; `xmppbus check` says what."),
    Condition("jid-malformed", Kind.MODIFY, _P, "The address is not a JID; mend it in the config."),
    Condition("item-forbidden", Kind.MODIFY, _P, "The node takes no items; set `persist_items` or `deliver_payloads`."),
    Condition("item-required", Kind.MODIFY, _P, "The node wants items of another kind; see its configuration."),
    Condition("payload-required", Kind.MODIFY, _P, "The node wants payloads of another kind; see its configuration."),
    Condition("nodeid-required", Kind.MODIFY, _P, "The service wants a node's name; see `xmppbus check`."),
    Condition("invalid-options", Kind.MODIFY, _P, "The service does not take our publish options; see its log."),
    Condition("precondition-not-met", Kind.CANCEL, _P, "The node is configured otherwise; it is looked at again."),
    Condition("max-items-exceeded", Kind.WAIT, _P, "The node is full; it waits."),
    Condition("closed-node", Kind.CANCEL, _P, "The node takes nothing more; open it, or name another in the config."),
    Condition("policy-violation", Kind.WAIT, _P, "The server's policy refuses it, or it came too fast; it waits."),
    Condition("resource-constraint", Kind.WAIT, _P, "The server is short of something; it waits."),
    Condition("internal-server-error", Kind.WAIT, _P, "The server failed; see its log. It waits."),
    Condition("undefined-condition", Kind.WAIT, _P, "The server gave no reason; see its log. It waits."),
    Condition("unexpected-request", Kind.WAIT, _P, "The server did not expect this; it waits."),
    Condition("not-connected", Kind.WAIT, _U, "There is no connection to the server; `xmppbus status` says why."),
    Condition("timeout", Kind.WAIT, _U, "No answer came; whether it was stored is looked up before it is sent again."),
    Condition("held", Kind.WAIT, _U, "It waits for its time; whoever it is for wants it so."),
    Condition("bug", Kind.WAIT, _U, "The output raised an exception; see the log, and report it."),
)
CONDITIONS = {each.name: each for each in _CONDITIONS}


def condition(name: str, specific: str = "") -> Condition:
    """The house's reading of a stanza error; an application-specific condition (XEP-0060) wins when it is known.

    What nobody knows is about the place: it stops and shows, and kills nothing.
    """
    return CONDITIONS.get(specific) or CONDITIONS.get(name) or Condition(name, Kind.WAIT, About.PLACE, "It waits.")


class Code(enum.StrEnum):
    """A refusal's stable name, for programs."""

    INVALID = "invalid-event"
    TOO_BIG = "payload-too-big"
    CONFLICT = "conflict"
    USAGE = "usage"
    UNAUTHORIZED = "not-authorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "item-not-found"
    MEDIA_TYPE = "unsupported-media-type"
    TOO_MANY = "too-many-requests"
    TIMEOUT = "timeout"
    FULL = "journal-full"
    NODES = "too-many-nodes"
    CLOSING = "closing"
    FAILED = "journal-failed"
    NO_DAEMON = "no-daemon"
    NOT_CONFIGURED = "not-configured"
    NO_PICTURE = "no-picture"


class Exit:
    """Exit codes, from sysexits.h."""

    OK = 0
    EMPTY = 1
    USAGE = 64
    DATA = 65
    NO_USER = 67
    UNAVAILABLE = 69
    SOFTWARE = 70
    CANT_CREATE = 73
    TRY_AGAIN = 75
    REFUSED = 77
    CONFIG = 78


class Answer(NamedTuple):
    """What each door says for a refusal: HTTP status (RFC 9110), exit code, and the stanza error's condition."""

    http: int
    exit: int
    stanza: str


ANSWERS: dict[Code, Answer] = {
    Code.INVALID: Answer(400, Exit.DATA, "bad-request"),
    Code.TOO_BIG: Answer(413, Exit.DATA, "not-acceptable"),
    Code.CONFLICT: Answer(409, Exit.DATA, "conflict"),
    Code.USAGE: Answer(400, Exit.USAGE, "bad-request"),
    Code.UNAUTHORIZED: Answer(401, Exit.REFUSED, "not-authorized"),
    Code.FORBIDDEN: Answer(403, Exit.REFUSED, "forbidden"),
    Code.NOT_FOUND: Answer(404, Exit.EMPTY, "item-not-found"),
    Code.MEDIA_TYPE: Answer(415, Exit.DATA, "not-acceptable"),
    Code.TOO_MANY: Answer(429, Exit.TRY_AGAIN, "policy-violation"),
    Code.TIMEOUT: Answer(408, Exit.TRY_AGAIN, "remote-server-timeout"),
    Code.FULL: Answer(507, Exit.TRY_AGAIN, "resource-constraint"),
    Code.NODES: Answer(507, Exit.TRY_AGAIN, "resource-constraint"),
    Code.CLOSING: Answer(503, Exit.TRY_AGAIN, "service-unavailable"),
    Code.FAILED: Answer(503, Exit.TRY_AGAIN, "internal-server-error"),
    Code.NO_DAEMON: Answer(503, Exit.UNAVAILABLE, "service-unavailable"),
    Code.NOT_CONFIGURED: Answer(501, Exit.UNAVAILABLE, "feature-not-implemented"),
    Code.NO_PICTURE: Answer(503, Exit.TRY_AGAIN, "internal-server-error"),
}


class BusError(Exception):
    """Every error that this house raises on purpose."""


class Refused(BusError):
    """An input's no. `message` names the reason and how to mend it; `field` names the event's field, if it is one's."""

    def __init__(self, code: Code, message: str, *, field: str = "", retry_after: float = 0.0) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after  # seconds; 0 when the sender need not wait

    @property
    def answer(self) -> Answer:
        """What each door says."""
        return ANSWERS[self.code]

    def as_json(self) -> dict[str, object]:
        """`{"code", "message", "field"?, "retry_after"?}`, the same at every door."""
        more = {"field": self.field, "retry_after": self.retry_after}
        return {"code": str(self.code), "message": self.message, **{name: each for name, each in more.items() if each}}


class JournalFailed(BusError):
    """The disk said no to something that can't be refused to a sender; the house stops."""


class JournalHeld(BusError):
    """Another daemon holds this journal (exit 75)."""


class ConfigInvalid(BusError):
    """The config can't be used; the text is one `file:line:column: sentence` a line (exit 78)."""


class PluginInvalid(BusError):
    """A plugin can't be found or registered; the text says which and what to do (exit 78)."""
