"""`docs/reference/errors.md`, from the table in `xmppbus/errors.py`."""

from xmppbus.errors import ANSWERS, CONDITIONS, About, Code, Exit, Kind

MEANINGS = {
    Code.INVALID: "It is not an event; `field` says which field, the message how it should be.",
    Code.TOO_BIG: "The encoded item, the body or the batch is too large. Send less, in parts, or a link to the rest.",
    Code.CONFLICT: "Another event has this source and id; or an incident does not stand so that this could be done.",
    Code.USAGE: "The request itself is wrong: an option, a query, a path, a framing.",
    Code.UNAUTHORIZED: "No token, or one that nobody knows: `xmppbus token add` makes one.",
    Code.FORBIDDEN: "Known, and without the right. The message names the right that is missing.",
    Code.NOT_FOUND: "There is no such event, incident, board or path (any more).",
    Code.MEDIA_TYPE: "A media type, charset or content coding that is not taken; the message names those that are.",
    Code.TOO_MANY: "Too many at the same time or in a second. Wait for `retry_after` seconds.",
    Code.TIMEOUT: "The request did not come in time. Send it again; an event with an `id` is taken once.",
    Code.FULL: "The disk or the journal's bound is full. Nothing was accepted; make room, or raise `journal.keep.gib`.",
    Code.NODES: "More types than there may be nodes. Use fewer types, and `subject` or `key` for the rest.",
    Code.CLOSING: "The daemon is stopping. Try again; it is back in a moment.",
    Code.FAILED: "The journal can't write. Nothing was accepted; the daemon's log says why.",
    Code.NO_DAEMON: "No daemon answers on the socket: `xmppbus serve` starts one; `publish` spools meanwhile.",
    Code.NOT_CONFIGURED: "The config, or an extra that is not installed, would be needed; the message names it.",
    Code.NO_PICTURE: "The picture could not be drawn, or not in time. Try again, or ask for less.",
}

EXITS = {
    "OK": "done; for `publish`: it is on disk, or in the spool (which it says)",
    "EMPTY": "nothing found; for `dead`, `get`: there is none",
    "USAGE": "the command line is wrong",
    "DATA": "an event was refused; it is wrong as it is",
    "NO_USER": "`sendmail`: a recipient that is no type of events; the others got theirs",
    "UNAVAILABLE": "no daemon, or no server; or something that it needs is not installed or configured",
    "SOFTWARE": "a bug, or the journal failed; see the log",
    "CANT_CREATE": "a file could not be made, or is there already",
    "TRY_AGAIN": "not now: full, too many, closing, another daemon holds the journal",
    "REFUSED": "without the right",
    "CONFIG": "the config can't be used; `file:line:column: sentence` for each mistake",
}

KINDS = {
    Kind.WAIT: "try again later",
    Kind.CANCEL: "trying again is of no use until somebody changes something",
    Kind.MODIFY: "change what is sent",
    Kind.AUTH: "a right is missing",
}

ABOUTS = {
    About.EVENT: "the event: the delivery is dead, and `xmppbus dead` lists it with the reason",
    About.PLACE: "the place: it is stopped and tried again slowly; nothing is lost, and its order is kept",
    About.US: "us: nothing is claimed until that is mended",
}

INTRODUCTION = """\
# Errors

<!-- Generated from xmppbus/errors.py by `python -m tests.reference`; edit that. -->

One table for every door: a refusal has the same code and the same sentence in a shell, over HTTP and in the chat. The
codes are stable, for programs; the sentences are for people, and say what to do next.

## Refusals: an input's no

Over HTTP it is `{"error": {"code", "message", "field"?, "retry_after"?}}`, with `Retry-After` where waiting helps; a
command prints the sentence and ends with the exit code; a form (XEP-0050) ends with the condition.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, _refusals(), _exits(), _conditions()])


def _refusals() -> str:
    lines = ["| code | HTTP | exit | condition | what it means, and what to do |", "|---|---|---|---|---|"]
    for code, answer in ANSWERS.items():
        lines.append(f"| `{code}` | {answer.http} | {answer.exit} | `{answer.stanza}` | {MEANINGS[code]} |")
    return "\n".join([*lines, ""])


def _exits() -> str:
    lines = ["## Exit codes", "", "From sysexits.h. 130 is Ctrl-C.", "", "| exit | meaning |", "|---|---|"]
    lines += [f"| {value} | {EXITS[name]} |" for name, value in exits().items()]
    return "\n".join([*lines, ""])


def exits() -> dict[str, int]:
    """Every exit code, by its name."""
    return {name: value for name, value in vars(Exit).items() if name.isupper()}


def _conditions() -> str:
    lines = [
        *("## Conditions: why something waits or is dead", ""),
        "The server's own words (RFC 6120 §8.3.3, XEP-0060), as `xmppbus status`, `show` and `dead` print them. The",
        "kind says what can be done, and is ours: servers differ there. What nobody knows is taken as being about the",
        "place, so it kills nothing.",
        "",
        *(f"* *{kind}*: {text}." for kind, text in KINDS.items()),
        "",
        *(f"* about {text}." for text in ABOUTS.values()),
        "",
        *("| condition | kind | about | what to do |", "|---|---|---|---|"),
    ]
    lines += [f"| `{each.name}` | {each.kind} | {each.about.value} | {each.advice} |" for each in CONDITIONS.values()]
    return "\n".join([*lines, ""])
