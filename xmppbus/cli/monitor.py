"""`xmppbus monitor`: what goes through the house, in and out, as it happens; for finding out why nothing comes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.showing import json_line
from xmppbus.errors import Code, Exit, Refused
from xmppbus.journal import HELD, Journal, Result
from xmppbus.route import Target, topic_matches
from xmppbus.running.counting import CountedBus
from xmppbus.running.watching import Came, Seen, Stopped, Wanted, Watched, Went

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_TARGETS_SHOWN = 6


@click.command()
@click.argument("patterns", nargs=-1, type=Pattern(), metavar="[PATTERN]...")
@click.option("--in", "ways_in", is_flag=True, help="Only what comes in.")
@click.option("--out", "ways_out", is_flag=True, help="Only what goes out.")
@click.option("--input", "inputs", metavar="NAME", multiple=True, help="Only what comes in by this input.")
@click.option("--output", "outputs", metavar="NAME", multiple=True, help="Only what goes out by this output.")
@click.option("--refused", is_flag=True, help="Only what is refused at a door or dead, and places that stop.")
@click.option("-n", "count", type=click.IntRange(1), metavar="N", help="End after so many lines.")
@click.option("--json", is_flag=True, help="One JSON object a line.")
def monitor(patterns: tuple[str, ...], **options: Any) -> Action:
    """Show what goes through the house, in and out, as it happens: for finding out why nothing comes.

    What is accepted, by which input, and where it goes to, or that no route takes it; what is refused, and why; what is
    delivered or dead; places that stop. Events whose type matches a PATTERN (* is one word, # any number of them), or
    all; what has no type is shown with all only. A terminal that is slower than the house is told how much it missed.

    \b
    Example:
      xmppbus monitor
      xmppbus monitor 'disk.#' --refused
      xmppbus monitor --output pubsub --json
    """
    inputs, outputs = options["inputs"], options["outputs"]
    one_way = bool(options["ways_in"] or inputs), bool(options["ways_out"] or outputs)
    shows_in, shows_out = one_way if any(one_way) else (True, True)
    wanted = Wanted(shows_in, shows_out, frozenset(inputs), frozenset(outputs), options["refused"])

    async def action(desk: Desk) -> int:
        desk.need_listen()
        _say_what_is_unknown(desk, inputs, outputs)
        watched = watched_of(desk)
        await desk.terminal.watch()
        lines = _Lines(desk, patterns, json=options["json"])
        left = options["count"]
        with watched.watch(wanted) as watcher:
            await desk.err("looking on: what comes in and goes out from now on is shown; Ctrl-C ends it")
            while True:
                found, missed = await watcher.take()
                for seen in found:
                    if line := await lines.of(seen):
                        await desk.terminal.write(line)
                        if left is not None and (left := left - 1) == 0:
                            return Exit.OK
                if missed:
                    await desk.terminal.write(lines.gap(missed))

    return action


def watched_of(desk: Desk) -> Watched:
    """Of the house. Raises `Refused` (no-daemon)."""
    bus = desk.house.bus
    assert isinstance(bus, CountedBus)  # noqa: S101  # for the type checker: a house that is open has no other
    assert bus.watched is not None  # noqa: S101  # likewise
    return bus.watched


def _say_what_is_unknown(desk: Desk, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """A name that nothing has would show nothing for ever. Raises `Refused` (usage)."""
    from xmppbus.running.counting import COMMAND, HOUSE
    from xmppbus.running.watching import HTTP

    for option, given, there in (
        ("--input", inputs, {*desk.house.inputs, COMMAND, HOUSE, HTTP}),
        ("--output", outputs, {*desk.house.outputs, "via", "queue"}),
    ):
        for name in given:
            if name not in there:
                raise Refused(Code.USAGE, f"{option}: there is no {name!r}; there are {', '.join(sorted(there))}")


class _Lines:
    """One line for each thing that happens."""

    def __init__(self, desk: Desk, patterns: Sequence[str], *, json: bool) -> None:
        self._desk = desk
        self._journal: Journal = desk.house.journal
        self._patterns = patterns
        self._json = json
        self._known: dict[int, tuple[str, str]] = {}  # sequence: type and item id, of the newest

    async def of(self, seen: Seen) -> bytes:
        """Empty when its type is not wanted."""
        if isinstance(seen, Came):
            type_ = seen.type
            if not isinstance(seen.answer, Refused):
                self._remember(seen.answer.sequence, type_, seen.answer.item_id)
            item_id = ""
        else:
            type_, item_id = await self._about(seen.sequence)
        if self._patterns and not any(topic_matches(pattern, type_) for pattern in self._patterns):
            return b""
        if self._json:
            return json_line(as_json(seen, type_, item_id))
        clock = self._desk.style(_clock(seen.moment, self._desk), "dim")
        direction, name, verdict, style, rest = in_words(seen)
        where = f"{direction} {name:<9} "
        text = f"{clock} {where}{self._desk.style(f'{verdict:<9}', style)} {plain(type_) or '(no type)'}  {rest}"
        return text.rstrip().encode("utf-8", "replace") + b"\n"

    def gap(self, missed: int) -> bytes:
        """So many more there were."""
        if self._json:
            return json_line({"missed": missed})
        return self._desk.style(f"... {missed} more: this reader is slower than the house", "yellow").encode() + b"\n"

    async def _about(self, sequence: int) -> tuple[str, str]:
        if sequence and sequence not in self._known:
            for entry in await self._journal.read(sequence - 1, 1):
                if entry.sequence == sequence:
                    self._remember(sequence, entry.event.type, entry.item_id)
        return self._known.get(sequence, ("", ""))

    def _remember(self, sequence: int, type_: str, item_id: str) -> None:
        self._known.pop(sequence, None)
        self._known[sequence] = type_, item_id
        while len(self._known) > limits.MONITOR_KNOWN:
            del self._known[next(iter(self._known))]


def in_words(seen: Seen) -> tuple[str, str, str, str, str]:
    """Direction, name, verdict, its colour, and the rest of a line, without control characters."""
    if isinstance(seen, Came):
        return ("in ", seen.input, *_answered(seen))
    if isinstance(seen, Went):
        rest = f"#{seen.sequence} {plain(_address(seen.output, seen.place))}"
        if seen.is_dead:
            return "out", seen.output, "dead", "red", f"{rest}: {plain(seen.condition)} {plain(seen.text)}"
        return "out", seen.output, "delivered", "green", rest
    stop = seen.stop
    at = f"#{seen.sequence} " if seen.sequence else ""
    if stop.condition == HELD:
        return "out", seen.output, "held", "dim", f"{at}{plain(_address(seen.output, seen.place))}: {plain(stop.text)}"
    why = f"{plain(stop.condition)}, {plain(stop.text)} (again in {max(stop.seconds, 0):.1f} s)"
    return "out", seen.output, "stopped", "yellow", f"{at}{plain(_address(seen.output, seen.place))}: {why}"


def _answered(came: Came) -> tuple[str, str, str]:
    answer = came.answer
    if isinstance(answer, Refused):
        return "refused", "red", f"{answer.code}, {plain(str(answer))}"
    about = f"#{answer.sequence} {answer.item_id}"
    if answer.result is not Result.NEW:
        return str(answer.result), "dim", f"{about}: it was accepted before"
    if not answer.deliveries:
        return "accepted", "yellow", f"{about}: no route takes it"
    shown = [plain(_address(*target)) for target in came.targets[:_TARGETS_SHOWN]]
    more = len(came.targets) - len(shown)
    return "accepted", "cyan", f"{about} -> {', '.join(shown)}{f' and {more} more' if more > 0 else ''}"


def as_json(seen: Seen, type_: str, item_id: str) -> dict[str, Any]:
    """The same for programs."""
    found: dict[str, Any] = {"time": seen.moment.isoformat(), "type": type_}
    if isinstance(seen, Came):
        found |= {"direction": "in", "input": seen.input}
        if isinstance(seen.answer, Refused):
            return found | {"result": "refused", "error": seen.answer.as_json()}
        answer = seen.answer
        found |= {"result": str(answer.result), "id": answer.item_id, "sequence": answer.sequence}
        return found | {"deliveries": [target_json(each) for each in seen.targets]}
    found |= {"direction": "out", **target_json(Target(seen.output, seen.place))}
    found |= {"id": item_id or None, "sequence": seen.sequence or None}
    if isinstance(seen, Stopped):
        stop = seen.stop
        result = "held" if stop.condition == HELD else "stopped"
        found |= {"result": result, "condition": stop.condition, "text": stop.text}
        return found | {"attempts": stop.attempts, "seconds": round(stop.seconds, 3)}
    if seen.is_dead:
        return found | {"result": "dead", "condition": seen.condition, "text": seen.text}
    return found | {"result": "delivered"}


def target_json(target: Target) -> dict[str, str]:
    """An address."""
    return {"output": target.output, "place": target.place}


def plain(text: str) -> str:
    """On one line: what others wrote is only ever text."""
    return _CONTROL.sub(" ", text)


def _address(output: str, place: str) -> str:
    return f"{output}:{place}" if place else output


def _clock(moment: datetime, desk: Desk) -> str:
    return moment.astimezone(desk.zone).strftime("%H:%M:%S")
