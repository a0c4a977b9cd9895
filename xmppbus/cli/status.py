"""`xmppbus status`: what is up, what is down, what is behind, and what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit, condition
from xmppbus.people.durations import ago, lasting
from xmppbus.people.stream_advice import STREAM_ADVICE

STATES = {
    "up": ("green", "up", "everything works"),
    "behind": ("yellow", "behind", "it works, and is working off what waits"),
    "down": ("red", "down", "not everything can be delivered now; it is kept"),
    "refusing": ("alarm", "refusing", "no event is accepted at the moment"),
}
_STATE_STYLES = {"up": "green", "missing": "red", "down": "red"}
_MOST_STOPPED = 20
_INDENT = " " * 13


@click.command()
@click.option("--json", is_flag=True, help="Everything, as one JSON object.")
def status(json: bool) -> Action:
    """Show whether the bus is up, down or behind: each way in and out, the XMPP stream, the journal, what is stopped.

    Exits with 0 while events are accepted, with 75 while they are refused, with 69 when no daemon answers.

    \b
    Example:
      xmppbus status
      xmppbus status --json | jq .state
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        found = await desk.house.status()
        if json:
            await desk.terminal.write(json_line(found))
        else:
            await desk.out("\n".join(_lines(desk, found)))
        return Exit.OK if found["accepting"] else Exit.TRY_AGAIN

    return action


def _lines(desk: Desk, found: Mapping[str, Any]) -> Iterator[str]:
    style, word, meaning = STATES[found["state"]]
    if found["state"] == "up" and (away := [name for name, each in found["inputs"].items() if each["state"] == "down"]):
        style, meaning = "yellow", f"what is accepted is delivered; nothing comes by {', '.join(away)}"
    now = desk.now()
    since = ago(datetime.fromisoformat(found["since"]), now)
    yield f"{desk.style('●', style)} {desk.style(word, 'bold')}: {meaning}; running for {since}"
    for notice in found["notices"]:
        yield from _wrapped(desk, notice, "  ")
    if found["xmpp"]:
        yield ""
        yield from _stream(desk, found["xmpp"], now)
    if found["encryption"]:
        yield ""
        yield from _part(desk, "encryption", found["encryption"])
    yield ""
    yield from _section(desk, "in", found["inputs"])
    if found["outputs"]:
        yield ""
        yield from _section(desk, "out", found["outputs"])
    if found["queues"]:
        yield ""
        yield desk.style("queues", "bold")
        for each in found["queues"][:_MOST_STOPPED]:
            yield from _laid(desk, f"  {each['name']:<10}", standing(each))
        if len(found["queues"]) > _MOST_STOPPED:
            yield f"  and {len(found['queues']) - _MOST_STOPPED:,} more; `xmppbus queue list` has them all"
    yield from _stopped(desk, found["stopped"])
    yield ""
    yield from _journal(desk, found["journal"])


def standing(queue: Mapping[str, Any]) -> list[str]:
    """How a queue stands: `12 waiting`, `2 leased`, `3 consumers`, `takes user.#`."""
    words = [f"{queue['waiting']:,} waiting"]
    if queue.get("oldest_seconds") is not None and queue["waiting"]:
        words.append(f"the oldest for {lasting(queue['oldest_seconds'])}")
    words += [f"{queue[key]:,} {said}" for key, said in (("leased", "leased"), ("later", "to try again")) if queue[key]]
    words.append("no consumer" if not queue["consumers"] else counted(queue["consumers"], "consumer"))
    words += [f"takes {queue['pattern']}"] if queue["pattern"] else []
    return [*words, *([f"expires after {lasting(queue['expire_seconds'])}"] if queue["expire_seconds"] else [])]


def counted(number: int, thing: str) -> str:
    """`1 consumer`, `2 consumers`."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _stream(desk: Desk, stream: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """`xmpp  up for 3 h, component bus.example.org on 127.0.0.1:5347, ...`."""
    state = str(stream.get("state", ""))
    since = f" for {ago(datetime.fromisoformat(stream['since']), now)}" if stream.get("since") else ""
    words = [
        desk.style(state, _STATE_STYLES.get(state, "yellow")) + since,
        f"{stream.get('mode', '')} {stream.get('jid', '')} on {stream.get('host', '')}:{stream.get('port', '')}",
    ]
    if stream.get("pubsub_service"):
        words.append(f"nodes on {stream['pubsub_service']}")
    if stream.get("in_flight"):
        words.append(f"{stream['in_flight']:,} publishes in flight")
    yield from _laid(desk, desk.style("xmpp", "bold") + " " * 8, words)
    if stream.get("reason"):
        yield from _wrapped(desk, str(stream["reason"]), _INDENT)
    if state in STREAM_ADVICE:
        yield from _wrapped(desk, STREAM_ADVICE[state], _INDENT)


def _section(desk: Desk, title: str, parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield desk.style(title, "bold")
    for name, part in parts.items():
        yield from _part(desk, f"  {name}", part)


def _part(desk: Desk, name: str, part: Mapping[str, Any]) -> Iterator[str]:
    """One line, and its reason on the next."""
    state = str(part.get("state", ""))
    words = [desk.style(state, _STATE_STYLES.get(state, "yellow"))]
    if part.get("waiting"):
        oldest = part.get("oldest_seconds")
        since = f", the oldest for {lasting(oldest)}" if oldest is not None else ""
        words.append(f"{part['waiting']:,} waiting at {part.get('places', 1):,} places{since}")
    lists = {key: value for key, value in part.items() if isinstance(value, (list, tuple))}
    shown = ("state", "waiting", "oldest_seconds", "places", "reason", *lists)
    words += [f"{_words(key)} {_value(value)}" for key, value in part.items() if key not in shown and _said(value)]
    yield from _laid(desk, f"{name:<12}", words)
    if part.get("reason"):
        yield from _wrapped(desk, str(part["reason"]), _INDENT)
    for key, values in lists.items():
        for value in values:
            yield from _wrapped(desk, f"{_words(key)}: {_value(value)}", _INDENT)


def _laid(desk: Desk, name: str, words: Sequence[str]) -> Iterator[str]:
    """Words behind a name, in as many lines as they need."""
    line = f"{name} {words[0]}"
    for each in words[1:]:
        if len(_bare(line)) + len(each) + 3 > desk.width:
            yield line + ","
            line = _INDENT + each
        else:
            line += f", {each}"
    yield line


def _words(key: str) -> str:
    return key.replace("_", " ")


def _said(value: Any) -> bool:
    return value not in (None, "", 0, [], {}) or value is True


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(each)}" for key, each in value.items())
    return str(value)


def _stopped(desk: Desk, stopped: list[Mapping[str, Any]]) -> Iterator[str]:
    if not stopped:
        return
    yield ""
    yield desk.style("stopped", "bold") + " (each is tried again; nothing is lost)"
    for stop in stopped[:_MOST_STOPPED]:
        yield f"  {stop['output']}:{stop['place']}: {desk.style(stop['condition'], 'red')}, {stop['waiting']:,} waiting"
        if stop["text"]:
            yield from _wrapped(desk, stop["text"], "    ")
        advice = condition(stop["condition"]).advice
        if advice != stop["text"]:
            yield from _wrapped(desk, advice, "    ")
        if stop["attempts"]:
            yield f"    tried {stop['attempts']} times, again in {lasting(stop['seconds'])}"
    if len(stopped) > _MOST_STOPPED:
        yield f"  and {len(stopped) - _MOST_STOPPED:,} more; `xmppbus status --json` has them all"


def _journal(desk: Desk, journal: Mapping[str, Any]) -> Iterator[str]:
    percent = 100 * journal["bytes"] / (journal["most_bytes"] or 1)
    yield (
        f"{desk.style('journal', 'bold')}      {journal['entries']:,} events up to sequence {journal['newest']}, "
        f"{size(journal['bytes'])} ({percent:.0f} % of {size(journal['most_bytes'])})"
    )
    dead = f"{journal['dead']:,} dead"
    if journal["dead"]:
        dead = desk.style(dead, "red") + " (`xmppbus dead list`)"
    yield f"             {journal['waiting']:,} deliveries waiting, {dead}"
    if not journal["accepting"]:
        yield from _wrapped(desk, f"accepts nothing: {journal['reason']}", _INDENT)


def size(number: int) -> str:
    """Bytes for people."""
    value = float(number)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def _wrapped(desk: Desk, text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        desk.width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _bare(text: str) -> str:
    return click.unstyle(text)
