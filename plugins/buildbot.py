"""Buildbot, reporters HttpStatusPush and ZulipStatusPush: builds; how long each took is a number to plot."""

from __future__ import annotations

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    duration,
    json_of,
    link,
    moment,
    named,
    number,
    one_line,
    seconds_between,
    text,
    when,
    without_nothing,
)
from xmppbus.plugins import Registry

RESULTS: tuple[str, ...] = (
    "succeeded",
    "succeeded with warnings",
    "failed",
    "was skipped",
    "had an exception",
    "is tried again",
)
RESULTS += ("was cancelled",)
BAD = {2: "error", 4: "error", 1: "warning"}


def events(sent: Sent) -> list[Fields]:
    """A build that began, or ended."""
    body = json_of(sent)
    builder = text(body, "builder", "name") or text(body, "buildername")
    build = text(body, "number") or text(body, "buildid")
    if not builder or not build:
        raise ValueError(
            "the body has no `builder` with a name (HttpStatusPush) and no `buildername` (ZulipStatusPush)"
        )
    result = number(body, "results")
    is_over = at(body, "complete") is True or text(body, "event") == "finished"
    code = int(result) if is_over and result is not None and 0 <= result < len(RESULTS) else -1
    seconds = seconds_between(moment(body, "started_at"), moment(body, "complete_at")) if is_over else None
    ended = RESULTS[code] if code >= 0 else "ended"
    said = f"{builder} #{build} {ended if is_over else 'began'}"
    if seconds is not None:
        said += f" after {duration(seconds)}"
    state = text(body, "state_string") if is_over and code else ""
    data = {
        "builder": builder,
        "build": number(body, "number") or number(body, "buildid"),
        "result": ended if is_over else None,
        "ok": code in (0, 1) if is_over else None,
        "seconds": seconds,
        "state": text(body, "state_string"),
        "project": text(body, "project"),
    }
    fields = {
        "type": "buildbot.finished" if is_over else "buildbot.started",
        "source": named(text(body, "url").partition("#")[0]),
        "subject": named(text(body, "project")),
        "summary": one_line(said) + (f" – {state}" if state else ""),
        "severity": BAD.get(code, "info"),
        "key": named(f"buildbot {builder}"),
        "id": named(f"{builder}/{build}/{'finished' if is_over else 'started'}/{text(body, 'buildid')}"),
        "link": link(text(body, "url")),
        "time": when(body, "complete_at" if is_over else "started_at") or when(body, "timestamp"),
        "data": without_nothing(data),
    }
    return [without_nothing(fields)]


def register(registry: Registry) -> None:
    registry.input("buildbot", Preset(events), options=WebhookOptions)
