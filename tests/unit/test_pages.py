"""What the pages are served with: a strict policy, right types, a hash of their content; and how the house is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_openapi import hold
from tests.support.http_client import HttpConnection, ask
from tests.support.http_door import Door, open_door
from xmppbus.displays.health import said
from xmppbus.web.tokens import add_token

STATIC = files("xmppbus.displays") / "static"
TYPES = {
    "/": "text/html; charset=utf-8",
    "/static/app.js": "text/javascript; charset=utf-8",
    "/static/theme.css": "text/css; charset=utf-8",
    "/static/icon.svg": "image/svg+xml",
}
FROM_ANOTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        yield opened


async def test_every_page_and_file_has_its_type_and_a_strict_policy(door: Door) -> None:
    """No script but ours, nothing from elsewhere, in nobody's frame; on our own pages no markup in a text either."""
    for path, media_type in TYPES.items():
        answer = await ask(door.url, "GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, media_type)
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} <= set(policy)
        assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    front = (await ask(door.url, "GET", "/")).headers["content-security-policy"]
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in front


async def test_who_has_a_file_already_is_not_sent_it_again(door: Door) -> None:
    """By the hash of its content; a page is never of two versions, for each part is asked for anew."""
    whole = await ask(door.url, "GET", "/static/app.js")
    assert whole.headers["cache-control"] == "no-cache"
    tag = whole.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        async with await HttpConnection.open(door.url) as connection:
            connection.send("GET", "/static/app.js", headers={"If-None-Match": known})
            head = (await connection.reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 304 ")
            assert f"ETag: {tag}\r\nCache-Control" in head
            assert f"Content-Length: {len(whole.body)}\r\n" in head  # as RFC 9110 §15.4.5 has it; and no body follows
            assert (await connection.ask("GET", "/static/app.js")).body == whole.body
    answer = await ask(door.url, "GET", "/static/app.js", headers={"If-None-Match": '"other"'})
    assert (answer.status, answer.body) == (200, whole.body)


async def test_nothing_is_served_but_the_files_of_the_table(door: Door) -> None:
    """A path is a name in it, never a path."""
    for path in (
        "/static/",
        "/static/..%2fpages.py",
        "/static/..%2F..%2Fapp.py",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static//etc/passwd",
        "/static/app.js%00",
        "/static/App.js",
        "/static/__pycache__",
    ):
        assert (await ask(door.url, "GET", path)).status == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert (await ask(door.url, method, "/")).status == 405


async def test_every_file_of_the_package_is_served_and_only_text_of_known_types(door: Door) -> None:
    """What a page names is there."""
    names = [each.name for each in STATIC.iterdir()]
    for name in names:
        assert (await ask(door.url, "GET", f"/static/{name}")).status == 200, name
    named = [
        found
        for name in names
        for found in re.findall(r'"(?:\./|/static/)([a-z-]+\.(?:js|css|svg))"', (STATIC / name).read_text())
    ]
    assert len(named) > 20
    assert set(named) - {"vega.js"} <= set(names)


def test_no_script_takes_markup_and_no_page_has_a_script_of_its_own() -> None:
    """Text from events is only ever text."""
    for each in STATIC.iterdir():
        text = each.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), each.name
        if each.name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=|https?://", text), each.name


async def test_a_link_in_another_page_leads_here_and_what_a_page_asks_itself_does_not(door: Door) -> None:
    """Without tokens a foreign page could read with the rights of whoever sits at this machine."""
    assert (await ask(door.url, "GET", "/", headers=FROM_ANOTHER_SITE)).status == 200
    for path, headers in (
        ("/v1/status", FROM_ANOTHER_SITE),
        ("/", {**FROM_ANOTHER_SITE, "Sec-Fetch-Dest": "iframe"}),
        ("/", {**FROM_ANOTHER_SITE, "Sec-Fetch-Mode": "no-cors"}),
        ("/", {"Origin": "https://elsewhere.example"}),
    ):
        assert (await ask(door.url, "GET", path, headers=headers)).status == 403


async def test_the_status_is_as_on_the_command_line_with_a_few_words(door: Door) -> None:
    """Everything for who may read everything."""
    answer = await ask(door.url, "GET", "/v1/status")
    assert answer.json["said"] == {"headline": "The bus is well", "reason": "", "advice": ""}
    assert answer.json["journal"]["accepting"] is True
    assert (await ask(door.url, "GET", "/v1/status?x=y")).status == 400


async def test_who_may_read_a_part_is_told_the_state_alone(tmp_path: Path) -> None:
    """Reasons name hosts and people."""
    file = tmp_path / "tokens"
    some, everything = add_token(file, "some", ["read:user.#"]), add_token(file, "everything", ["read:#"])
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        answer = await ask(door.url, "GET", "/v1/status", headers={"Authorization": f"Bearer {some}"})
        hold("GET", "/v1/status", answer)
        assert set(answer.json) == {"alive", "accepting", "state", "since", "said"}
        assert answer.json["said"] == {"headline": "The bus is well", "reason": "", "advice": ""}
        answer = await ask(door.url, "GET", "/v1/status", headers={"Authorization": f"Bearer {everything}"})
        hold("GET", "/v1/status", answer)
        assert {"outputs", "stopped", "journal"} <= set(answer.json)
        assert (await ask(door.url, "GET", "/v1/status")).status == 401
        assert (await ask(door.url, "GET", "/")).status == 200


def status(state: str, **more: Any) -> dict[str, Any]:
    """As the house says it."""
    journal = {"dead": 0, "waiting": 2, "reason": ""}
    return {"state": state, "xmpp": None, "outputs": {}, "stopped": [], "journal": journal, **more}


@pytest.mark.parametrize(
    ("found", "headline", "reason", "advice"),
    [
        (status("up"), "The bus is well", "", ""),
        (
            status("up", journal={"dead": 3}),
            "3 deliveries are dead",
            "The other side refused them because of what is in them; everything else is delivered.",
            "`xmppbus dead list` shows them.",
        ),
        (
            status("refusing", journal={"reason": "the disk is full"}),
            "No event is accepted",
            "the disk is full",
            "Senders keep theirs and try again. `xmppbus status` says more.",
        ),
        (
            status("down", xmpp={"state": "refused", "reason": "not authorized"}),
            "The XMPP server is away",
            "Not authorized. Events are accepted and kept; 2 deliveries wait.",
            "The server does not take the bus: run `xmppbus check`, which says what to change. It is tried again.",
        ),
        (
            status("down", outputs={"mine": {"state": "missing", "reason": "no such output"}}),
            "Not everything can be delivered",
            "mine: no such output. Events are accepted and kept; 2 deliveries wait.",
            "`xmppbus status` says more.",
        ),
        (
            status("behind", outputs={"pubsub": {"state": "up", "oldest_seconds": 90}}),
            "Behind",
            "2 deliveries wait, the oldest for 90 s.",
            "It works them off by itself.",
        ),
        (
            status("behind", stopped=[{"output": "room", "place": "ops@muc", "text": "", "condition": "gone"}] * 2),
            "Some places take nothing",
            "room:ops@muc takes nothing: gone, and 1 more.",
            "The place is gone; name another in the config.",
        ),
    ],
)
def test_each_state_is_said_with_why_and_what_to_do(
    found: dict[str, Any], headline: str, reason: str, advice: str
) -> None:
    """In plain words."""
    assert said(found) == (headline, reason, advice)
