"""Incidents over HTTP: keys of any kind, whose name an act is in, and what tokens may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.http_client import HttpAnswer, ask, ask_json
from tests.support.http_door import Door, open_door
from xmppbus.route import Match
from xmppbus.web.tokens import add_token

FIRING = {"type": "disk.full", "key": "db1", "status": "firing", "severity": "warning", "summary": "91 %"}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, people=True) as opened:
        yield opened


async def post(door: Door, path: str, body: bytes = b"", token: str = "") -> HttpAnswer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await ask(door.url, "POST", f"/v1/incidents/{path}", body, headers)


@pytest.mark.parametrize("key", ["a/b", "x/ack", "ack", "a%2Fb", "a?b#c", "a b", "größe", "..", '{"a": 1}', "🔥"])
async def test_a_key_of_any_characters_names_its_incident(door: Door, key: str) -> None:
    """Percent-encoded in the path."""
    await ask_json(door.url, "/v1/events", {**FIRING, "key": key})
    path = quote(key, safe="")
    answer = await ask(door.url, "GET", f"/v1/incidents/{path}")
    assert (answer.status, answer.json["key"]) == (200, key)
    for word, status in (("ack", "acknowledged"), ("unack", "firing"), ("resolve", "resolved")):
        answer = await post(door, f"{path}/{word}")
        assert (answer.status, answer.json["key"], answer.json["status"]) == (200, key, status)


@pytest.mark.parametrize("path", ["", "/", "//ack", "/db1/ack/", "/db1/", "/db1/nonsense", "/a/b/ack", "/%FF/ack"])
async def test_other_paths_are_not_served(door: Door, path: str) -> None:
    """An empty key, a slash that is not encoded, a word that nobody knows, what is no UTF-8."""
    answer = await ask(door.url, "POST", f"/v1/incidents{path}")
    assert answer.status == {"": 405, "/%FF/ack": 400}.get(path, 404)


async def test_the_first_wins_and_the_next_is_told_who_it_was(door: Door) -> None:
    """Whoever asks again is answered as the first time."""
    await ask_json(door.url, "/v1/events", FIRING)
    answer = await post(door, "db1/ack", b'{"by": "juliet"}')
    assert (answer.status, answer.json["by"]) == (200, "juliet")
    assert (await post(door, "db1/ack", b'{"by": "juliet"}')).json == answer.json
    late = await post(door, "db1/ack", b'{"by": "romeo"}')
    assert (late.status, late.code) == (409, "conflict")
    assert late.json["error"]["message"].startswith("juliet was first, ")


async def test_an_act_is_an_event_that_says_who_and_by_which_door(door: Door) -> None:
    """It goes along the routes like any other."""
    await ask_json(door.url, "/v1/events", FIRING)
    await post(door, "db1/ack")
    (entry,) = await door.journal.read(0, 10, [Match(type="incident.#")])
    assert entry.event.type == "incident.acknowledged"
    assert entry.event.get("data") == {"by": "http", "via": "http"}


@pytest.mark.parametrize(
    "body", [b'{"by": ""}', b'{"by": null}', b'{"by": 7}', b'{"by": "a\\nb"}', b'{"who": "x"}', b"x"]
)
async def test_who_acts_is_a_name(door: Door, body: bytes) -> None:
    """One line of visible text; nothing is done otherwise."""
    await ask_json(door.url, "/v1/events", FIRING)
    answer = await post(door, "db1/ack", body)
    assert answer.status == 400
    assert (await ask(door.url, "GET", "/v1/incidents/db1")).json["status"] == "firing"


async def test_a_token_acts_in_its_name_and_within_its_scopes(tmp_path: Path) -> None:
    """To acknowledge is to publish `incident.acknowledged`; what an incident is about is for who may read its type."""
    file = tmp_path / "tokens"

    def made(name: str, *scopes: str) -> str:
        return add_token(file, name, scopes)

    publisher = made("monitor", "publish:disk.#")
    pager = made("pager", "publish:incident.acknowledged")
    reader = made("grafana", "read:disk.#")
    other = made("other", "read:user.#", "publish:incident.#")
    async with open_door(tmp_path, people=True, tokens_file=str(file)) as door:

        async def get(path: str, token: str) -> Any:
            return await ask(door.url, "GET", f"/v1/incidents{path}", b"", {"Authorization": f"Bearer {token}"})

        await ask_json(door.url, "/v1/events", FIRING, headers={"Authorization": f"Bearer {publisher}"})
        assert (await post(door, "db1/ack", b"", publisher)).status == 403
        assert (await post(door, "db1/ack", b"", reader)).status == 403
        done = await post(door, "db1/ack", b"", pager)
        assert (done.status, done.json["by"]) == (200, "pager")
        assert set(done.json) == {"key", "status", "by", "acknowledged", "resolved"}
        assert (await post(door, "db1/resolve", b"", pager)).status == 403
        assert (await get("/db1", reader)).json["summary"] == "91 %"
        assert [each["key"] for each in (await get("", reader)).json] == ["db1"]
        assert (await get("/db1", other)).status == 403
        assert (await get("", other)).json == []
        assert (await post(door, "db1/resolve", b"", other)).status == 200


async def test_the_list_has_what_was_asked_for_newest_first(door: Door) -> None:
    """Open ones unless a status is named."""
    for key in ("a", "b", "c"):
        await ask_json(door.url, "/v1/events", {**FIRING, "key": key})
    await post(door, "b/ack")
    await post(door, "c/resolve")

    async def keys(query: str) -> list[str]:
        return [each["key"] for each in (await ask(door.url, "GET", f"/v1/incidents{query}")).json]

    assert await keys("") == ["b", "a"]
    assert await keys("?limit=1") == ["b"]
    assert await keys("?status=resolved") == ["c"]
    assert await keys("?status=resolved&status=firing") == ["c", "a"]
    for query in ("?status=open", "?limit=0", "?limit=1001", "?limit=x", "?key=a"):
        assert (await ask(door.url, "GET", f"/v1/incidents{query}")).status == 400
