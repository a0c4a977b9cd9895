"""Who may read a stream, and what of it: tokens, the session's cookie, and pages of other sites."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.event_stream import FORMS, SOCKET, SSE, EventStream
from tests.support.http_client import ask, ask_json
from tests.support.http_door import open_door
from xmppbus import limits
from xmppbus.web.tokens import add_token, remove_token

OWN = {"Sec-Fetch-Site": "same-origin"}


def bearer(token: str) -> dict[str, str]:
    """A program's header."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["read:#"], ["user.a", "disk.full", "disk.io.slow"]),
        (["read:disk.*"], ["disk.full"]),
        (["read:disk.#", "read:user.a"], ["user.a", "disk.full", "disk.io.slow"]),
        (["publish:#", "read:other"], []),
        (["publish:#"], None),
        ([], None),
    ],
)
async def test_a_token_gets_what_it_may_read_and_nothing_else(
    tmp_path: Path, form: str, scopes: list[str], expected: list[str] | None
) -> None:
    """From the journal, and live; whatever was asked for."""
    file = tmp_path / "tokens"
    headers = bearer(add_token(file, "display", scopes or ["read:#"])) if scopes else {}
    add_token(file, "other", ["publish:#"])
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        types = ["user.a", "disk.full", "disk.io.slow"]
        await door.bus.accept([{"type": each} for each in types])
        async with await EventStream.open(door.url, form, headers, since="all") as stream:
            if expected is None:
                assert stream.status == (403 if scopes else 401)
                return
            await stream.next("hello")
            await door.bus.accept([{"type": each} for each in types])
            assert [each.members["event"]["type"] for each in await stream.events(2 * len(expected))] == expected * 2
        async with await EventStream.open(door.url, form, headers, since="all", type="user.#") as stream:
            await stream.next("hello")
            for each in await stream.events(2 * expected.count("user.a")):
                assert each.members["event"]["type"] == "user.a"


@pytest.mark.parametrize("form", FORMS)
async def test_a_token_that_is_taken_back_ends_its_streams(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other's."""
    monkeypatch.setattr(limits, "STREAM_LOOK_SECONDS", 0.05)
    file = tmp_path / "tokens"
    gone, stays = (bearer(add_token(file, name, ["read:#"])) for name in ("gone", "stays"))
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        other = await EventStream.open(door.url, form, stays)
        async with other, await EventStream.open(door.url, form, gone) as stream:
            await stream.next("hello")
            await other.next("hello")
            remove_token(file, "gone")
            assert await stream.ended() == (1008 if form == SOCKET else None)
            await door.bus.accept([{"type": "user.a"}])
            assert await other.sequences(1) == [1]
        assert (await ask(door.url, "GET", "/v1/stream", headers=gone)).status == 401


@pytest.mark.parametrize("form", FORMS)
async def test_a_new_config_that_wants_tokens_ends_streams_without_one(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long they have been open."""
    monkeypatch.setattr(limits, "STREAM_LOOK_SECONDS", 0.05)
    async with open_door(tmp_path) as door:
        async with await EventStream.open(door.url, form) as stream:
            await stream.next("hello")
            add_token(tmp_path / "tokens", "display", ["read:#"])
            assert door.house.options.http
            door.web.prepare(replace(door.house.options.http, tokens_file=str(tmp_path / "tokens")))()
            assert await stream.ended() == (1008 if form == SOCKET else None)
        assert (await ask(door.url, "GET", "/v1/stream")).status == 401


async def test_a_browser_keeps_a_token_in_a_cookie_that_no_script_can_read(tmp_path: Path) -> None:
    """It opens streams, is renewed by looking, and is forgotten on request."""
    token = add_token(tmp_path / "tokens", "lobby", ["read:user.#", "publish:incident.#", "metrics"])
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        nobody = await ask(door.url, "GET", "/v1/session")
        assert nobody.json == {"needed": True, "name": None, "scopes": []}
        assert "set-cookie" not in nobody.headers
        page = {**OWN, "Origin": "http://localhost", "Host": "localhost"}
        refused = await ask_json(door.url, "/v1/session", {"token": token[:-1]}, headers=page)
        assert (refused.status, refused.headers.get("set-cookie")) == (401, None)
        kept = await ask_json(door.url, "/v1/session", {"token": token}, headers=page)
        lobby = {"needed": True, "name": "lobby", "scopes": ["read:user.#", "publish:incident.#", "metrics"]}
        assert kept.json == lobby
        cookie, *attributes = kept.headers["set-cookie"].split("; ")
        assert cookie == f"xmppbus={token}"
        assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={30 * 86_400}"}
        https = await ask_json(
            door.url, "/v1/session", {"token": token}, headers={"Origin": "https://bus.example", "Host": "bus.example"}
        )
        assert https.headers["set-cookie"].endswith("; Secure")
        again = await ask(door.url, "GET", "/v1/session", headers={"Cookie": f"a=b; {cookie}", **OWN})
        assert again.json == lobby
        assert again.headers["set-cookie"].startswith(cookie)
        for form in FORMS:
            async with await EventStream.open(door.url, form, {"Cookie": cookie}) as stream:
                await stream.next("hello")
        left = await ask(door.url, "DELETE", "/v1/session", headers={"Cookie": cookie, **OWN})
        assert left.headers["set-cookie"].startswith("xmppbus=; Path=/; Max-Age=0;")


@pytest.mark.parametrize(
    ("method", "headers", "counts"),
    [
        ("GET", {}, True),
        ("GET", {"Sec-Fetch-Site": "none"}, True),
        ("GET", {"Sec-Fetch-Site": "same-origin"}, True),
        ("GET", {"Origin": "http://bus.example:8222"}, True),
        ("GET", {"Sec-Fetch-Site": "same-site"}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, False),
        ("GET", {"Origin": "http://bus.example"}, False),
        ("GET", {"Origin": "http://bus.example:8222.evil.example"}, False),
        ("GET", {"Origin": "null"}, False),
        ("GET", {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}, False),
        ("POST", {}, False),
        ("POST", {"Sec-Fetch-Site": "none"}, False),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, True),
        ("POST", {"Origin": "https://bus.example:8222"}, True),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "http://bus.example:8222"}, False),
    ],
)
async def test_a_cookie_counts_only_for_what_our_own_pages_ask(
    tmp_path: Path, method: str, headers: dict[str, str], counts: bool
) -> None:
    """A page of another site can make a browser send it, and gets nothing."""
    token = add_token(tmp_path / "tokens", "lobby", ["read:#", "publish:#"])
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        sent = {"Host": "bus.example:8222", "Cookie": f"xmppbus={token}", **headers}
        path = "/v1/stream" if method == "GET" else "/v1/events/user.a"
        answer = await ask(door.url, method, path, b"" if method == "GET" else b"x", sent)
        assert answer.status == ((200 if method == "GET" else 202) if counts else 401)
        if method == "GET":
            async with await EventStream.open(door.url, SOCKET, sent) as stream:
                assert stream.status == (200 if counts else 401)
        # A header is a program's own: a bad one is not made good by a cookie.
        assert (await ask(door.url, method, path, b"", {**sent, "Authorization": "Bearer x"})).status == 401


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.example"},
    ],
)
async def test_without_tokens_pages_of_other_sites_read_nothing(
    tmp_path: Path, form: str, headers: dict[str, str]
) -> None:
    """A WebSocket least of all, for browsers let every page open one."""
    async with open_door(tmp_path) as door, await EventStream.open(door.url, form, headers) as stream:
        assert stream.status == 403


async def test_without_tokens_there_is_no_session_to_keep(tmp_path: Path) -> None:
    """None is needed; a page of another site may not even ask."""
    async with open_door(tmp_path) as door:
        answer = await ask_json(door.url, "/v1/session", {"token": "x"})
        assert (answer.json, answer.headers.get("set-cookie")) == ({"needed": False, "name": None, "scopes": []}, None)
        foreign = {"Origin": "https://evil.example"}
        assert (await ask_json(door.url, "/v1/session", {"token": "x"}, headers=foreign)).status == 403
        assert (await ask(door.url, "DELETE", "/v1/session", headers=foreign)).status == 403


async def test_a_hurried_guesser_waits(tmp_path: Path) -> None:
    """Sessions are requests like any other."""
    async with open_door(tmp_path, requests_per_second=2) as door:
        body = json.dumps({"token": "x"}).encode()
        answers = [
            (await ask(door.url, "POST", "/v1/session", body, {"Content-Type": "application/json"})).status
            for _ in range(4)
        ]
        assert 429 in answers
        async with await EventStream.open(door.url, SSE) as stream:
            assert stream.status == 429
