"""The description and the listener say the same, both ways."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import validator_for

from tests.support.event_stream import LINES, EventStream
from tests.support.http_client import HttpAnswer, ask, ask_json
from tests.support.http_door import Door, open_door
from tests.support.webhooks import presets, recorded
from xmppbus import limits
from xmppbus.errors import ANSWERS, Code
from xmppbus.fields import FIELDS, SEVERITIES, STATUSES
from xmppbus.inputs.webhook import Sent
from xmppbus.web.tokens import add_token

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/http.md"
DESCRIPTION: dict[str, Any] = yaml.safe_load((ROOT / "docs/reference/openapi.yaml").read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
LIMITED = ("/v1/stream", "/v1/status")
"""What answers to every token that may read, as far as that may."""
NOTHING: tuple[Any, ...] = ([], {"displays": []})
ANYWHERE = {"405", "500"}
"""On every path: a method that is not served, and a bug."""


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        yield opened


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation)."""
    for path, item in DESCRIPTION["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` points to."""
    while "$ref" in part:
        target = part["$ref"].removeprefix("#/").split("/")
        part = DESCRIPTION
        for word in target:
            part = part[word]
    return part


def hold(method: str, path: str, answer: HttpAnswer) -> None:
    """An answer is one that is described: its status, its headers, and its JSON."""
    found = {(each, where): operation for each, where, operation in operations()}[method, path]
    assert str(answer.status) in found["responses"], f"{method} {path} answered {answer.status}"
    response = resolved(found["responses"][str(answer.status)])
    media_type = answer.headers["content-type"]
    assert media_type in response["content"]
    if media_type != "application/json":
        return  # a stream, which has no end
    schema = response["content"]["application/json"]["schema"]
    whole = {**schema, "components": DESCRIPTION["components"]}
    validator_for(whole).validate(answer.json)
    for name, header in response.get("headers", {}).items():
        if name != "Location" or isinstance(answer.json, dict):
            validator_for(resolved(header)["schema"]).validate(_value(answer.headers[name.lower()]))


def _value(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


def test_every_route_is_described_and_every_description_is_served(door: Door) -> None:
    """No more and no less; pages and their files are for browsers, and not described here."""
    served = [(method, path) for method, path in door.web.served() if path.startswith(("/v1/", "/health"))]
    assert sorted((method, path) for method, path, _ in operations()) == served


async def test_what_each_route_answers_is_described(door: Door) -> None:
    """Good and bad, with its headers and its JSON."""
    event = {"type": "user.signup", "source": "shop", "id": "1"}
    batch = "application/cloudevents-batch+json"
    for value, media_type in (
        (event, "application/json"),
        (event, "application/cloudevents+json"),
        ({**event, "data": "else"}, "application/json"),
        ({"type": "nobody.cares"}, "application/json"),
        ({}, "application/json"),
        ([event, {}, {"type": "nobody.cares"}], batch),
        ([event, {}], batch),
        ([{}], batch),
        ([], batch),
        ([event] * (limits.BATCH_EVENTS + 1), batch),
        (event, "text/plain"),
    ):
        hold("POST", "/v1/events", await ask_json(door.url, "/v1/events", value, media_type))
    for method in ("POST", "PUT"):
        for path, body in (("user.a?id=1", b"x"), ("user.a?id=1", b"y"), ("a%20b", b"x"), ("user.b", b"x" * 300_000)):
            answer = await ask(door.url, method, f"/v1/events/{path}", body)
            hold(method, "/v1/events/{event}", answer)
    item_id = (await ask_json(door.url, "/v1/events", event)).json["id"]
    for path in (item_id, "nonsense"):
        hold("GET", "/v1/events/{event}", await ask(door.url, "GET", f"/v1/events/{path}"))
    for query in ("?source=shop&id=1", "?source=shop&id=2", ""):
        hold("GET", "/v1/events", await ask(door.url, "GET", f"/v1/events{query}"))
    hold("GET", "/health", await ask(door.url, "GET", "/health"))
    door.bus.close()
    hold("GET", "/health", await ask(door.url, "GET", "/health"))
    hold("POST", "/v1/events", await ask_json(door.url, "/v1/events", event))


async def test_what_webhooks_answer_is_described(door: Door) -> None:
    """One event, many, none, those that are known, what is not understood, and the words of others."""
    plain, behind = "/v1/webhooks/{preset}", "/v1/webhooks/{preset}/{rest}"
    batch = {"content-type": "application/cloudevents-batch+json"}
    topics, body = b'[{"type": "user.a"}, {"type": "a b"}]', recorded("alertmanager/firing").body
    for path, preset, sent, status in (
        (plain, "github", recorded("github/push"), 202),
        (plain, "github", recorded("github/push"), 200),
        (plain, "github", recorded("github/star-created"), 409),
        (plain, "alertmanager", Sent(body), 202),
        (plain, "alertmanager", Sent(body), 200),
        (plain, "alertmanager", Sent(b'{"alerts": []}'), 200),
        (plain, "alertmanager", Sent(b"{}"), 400),
        (plain, "cloudevents", Sent(topics, batch), 202),
        (plain, "cloudevents", Sent(b'[{"type": "a b"}, {}]', batch), 400),
        (plain, "nobody", Sent(b"{}"), 404),
        (plain, "slack", recorded("slack/text"), 200),
        (plain, "ntfy", recorded("ntfy/json"), 200),
        (behind, "ntfy/backups", Sent(b"done", {"tags": "a,b", "priority": "5", "click": "https://example.org"}), 200),
        (behind, "gotify/message", recorded("gotify/json"), 200),
        (behind, "gotify/else", recorded("gotify/json"), 400),
        (behind, "github/second", recorded("github/push"), 404),
        (plain, "slack", Sent(b"x", {"content-encoding": "gzip"}), 415),
    ):
        for method in ("POST",) if status != 200 else ("POST", "PUT"):
            answer = await ask(door.url, method, f"/v1/webhooks/{preset}", sent.body, sent.headers)
            assert answer.status == status, (preset, answer)
            hold(method, path, answer)


def test_every_preset_is_an_example() -> None:
    """Of the description."""
    (parameter,) = [
        each for each in DESCRIPTION["paths"]["/v1/webhooks/{preset}"]["post"]["parameters"] if each["name"] == "preset"
    ]
    assert set(parameter["examples"]) == set(presets())


async def test_what_incidents_answer_is_described(tmp_path: Path) -> None:
    """Open ones, acknowledged ones, none, and a bus that keeps none."""
    event = {"type": "user.signup", "key": "db1:/a b", "status": "firing"}
    key = "/v1/incidents/db1%3A%2Fa%20b"
    async with open_door(tmp_path, people=True) as door:
        shown = (await ask_json(door.url, "/v1/events", event)).json["id"]
        for query, status in (("", 200), ("?status=firing&status=resolved&limit=1", 200), ("?status=x", 400)):
            answer = await ask(door.url, "GET", f"/v1/incidents{query}")
            hold("GET", "/v1/incidents", answer)
            assert answer.status == status
        for path, status in ((key, 200), ("/v1/incidents/other", 404), (f"{key}?x=y", 400)):
            answer = await ask(door.url, "GET", path)
            hold("GET", "/v1/incidents/{key}", answer)
            assert answer.status == status
        juliet, romeo = b'{"by": "juliet"}', b'{"by": "romeo"}'
        for word, body, status in (
            ("unack", b"", 409),
            ("ack", b"[]", 400),
            ("ack", juliet, 200),
            ("ack", juliet, 200),
            ("ack", romeo, 409),
            ("unack", romeo, 200),
            ("resolve", b"{}", 200),
            ("ack", b"", 409),
        ):
            answer = await ask(door.url, "POST", f"{key}/{word}", body)
            hold("POST", f"/v1/incidents/{{key}}/{word}", answer)
            assert answer.status == status, (word, body, answer)
        answer = await ask(door.url, "POST", f"{key}/ack", b"x", {"Content-Type": "text/plain"})
        hold("POST", "/v1/incidents/{key}/ack", answer)
        assert answer.status == 415
        answer = await ask(door.url, "GET", f"/v1/events/{shown}")
        hold("GET", "/v1/events/{event}", answer)
        assert answer.json["incident"]["status"] == "resolved"
    async with open_door(tmp_path) as door:
        for method, path in (
            ("GET", "/v1/incidents"),
            ("GET", "/v1/incidents/{key}"),
            ("POST", "/v1/incidents/{key}/ack"),
        ):
            answer = await ask(door.url, method, filled(path))
            hold(method, path, answer)
            assert answer.status == 501


async def test_what_streams_and_sessions_answer_is_described(tmp_path: Path) -> None:
    """A good token, a bad one, and every message of a stream."""
    token = add_token(tmp_path / "tokens", "lobby", ["read:user.#"])
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        cookie = {"Cookie": f"xmppbus={token}"}
        message = validator_for({**SCHEMAS["StreamMessage"], "components": DESCRIPTION["components"]})
        event = {"type": "user.a", "source": "shop", "id": "1"}
        await door.bus.accept([{**event, "type": "gone.a", "id": "0"}, event])
        door.journal.keep_days = -1.0
        await door.journal.prune()
        async with await EventStream.open(door.url, LINES, cookie, since=0) as stream:
            for name in ("hello", "gap", "event"):
                found = await stream.next(name)
                message.validate({"message": found.name, **found.members})
        good = json.dumps({"token": token}).encode()
        json_type = {"Content-Type": "application/json"}
        for method, body, headers, status in (
            ("GET", b"", {}, 200),
            ("GET", b"", cookie, 200),
            ("POST", good, json_type, 200),
            ("POST", b'{"token": "x"}', json_type, 401),
            ("POST", b'{"token": 1}', json_type, 400),
            ("POST", b"[]", json_type, 400),
            ("POST", good, {"Content-Type": "text/plain"}, 415),
            ("POST", good, {**json_type, "Origin": "https://elsewhere.example"}, 403),
            ("DELETE", b"", cookie, 200),
        ):
            answer = await ask(door.url, method, "/v1/session", body, headers)
            hold(method, "/v1/session", answer)
            assert answer.status == status
        for headers, status in (({}, 401), (cookie, 200), ({**cookie, "Accept": "text/event-stream"}, 200)):
            answer = await ask(door.url, "GET", "/v1/stream", headers=headers)
            hold("GET", "/v1/stream", answer)
            assert answer.status == status


def filled(path: str) -> str:
    """A path with something in the place of its variable."""
    path = path.replace("{event}", "user.a").replace("{key}", "db1")
    return path.replace("{preset}/{rest}", "ntfy/backups").replace("{preset}", "slack")


@pytest.mark.parametrize("scope", ["", "publish:other", "read:other"])
async def test_what_a_guarded_route_answers_is_described(tmp_path: Path, scope: str) -> None:
    """Without a token, and with one that does not cover it."""
    file = tmp_path / "tokens"
    token = add_token(file, "site", [scope or "publish:#"])
    headers = {"Authorization": f"Bearer {token}"} if scope else {}
    async with open_door(tmp_path, people=True, tokens_file=str(file)) as door:
        for method, path, operation in operations():
            answer = await ask(door.url, method, filled(path), b"{}", headers)
            hold(method, path, answer)
            if operation.get("security") != []:
                assert answer.status in (400, 401, 403, 404) or path in LIMITED or answer.json in NOTHING, path


async def test_what_a_hurried_client_gets_is_described(tmp_path: Path) -> None:
    """On every route."""
    async with open_door(tmp_path, requests_per_second=1) as door:
        await ask(door.url, "GET", "/health")
        for method, path, _ in operations():
            answer = await ask(door.url, method, filled(path))
            assert answer.status == 429
            hold(method, path, answer)


def test_every_status_of_a_refusal_is_described() -> None:
    """Somewhere; and nothing is described that no refusal has."""
    described = {status for _, _, operation in operations() for status in operation["responses"]}
    possible = {str(answer.http) for answer in ANSWERS.values()}
    assert described == possible | {"200", "202", "304"}


def test_every_code_is_described() -> None:
    """Those of the one table that a door of HTTP can answer."""
    assert set(SCHEMAS["Refused"]["properties"]["code"]["enum"]) == set(Code) - {Code.NO_DAEMON}
    page = PAGE.read_text()
    assert not [code for code in SCHEMAS["Refused"]["properties"]["code"]["enum"] if f"`{code}`" not in page]


def test_the_page_names_every_status() -> None:
    """And only those."""
    rows = set(re.findall(r"^\| (\d{3}) \|", PAGE.read_text(), re.MULTILINE))
    assert rows == {str(answer.http) for answer in ANSWERS.values()} | {"200", "202", "304", "405"}


def test_every_status_that_a_test_expects_is_described() -> None:
    """A test that knows more than the description would know too much."""
    described = {status for _, _, operation in operations() for status in operation["responses"]} | ANYWHERE
    expected: set[str] = set()
    for path in [*ROOT.glob("tests/**/test_web*.py"), ROOT / "tests/house/test_http.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and "status" in ast.unparse(node):
                expected.update(re.findall(r"\b[1-5]\d\d\b", ast.unparse(node)))
    assert expected - described == set()


def test_an_event_is_described_as_it_is_checked() -> None:
    """Every field, its choices and its bounds."""
    properties = SCHEMAS["Event"]["properties"]
    assert set(properties) == set(FIELDS)
    assert SCHEMAS["Severity"]["enum"] == list(SEVERITIES)
    assert SCHEMAS["Status"]["enum"] == list(STATUSES)
    assert SCHEMAS["Type"]["maxLength"] == limits.TYPE_CHARACTERS
    assert SCHEMAS["Name"]["maxLength"] == limits.NAME_CHARACTERS
    assert SCHEMAS["Batch"]["maxItems"] == limits.BATCH_EVENTS
    assert properties["summary"]["maxLength"] == limits.SUMMARY_CHARACTERS
    assert properties["link"]["maxLength"] == limits.LINK_CHARACTERS
    assert properties["hops"]["maximum"] == limits.HOPS
    assert properties["tags"]["oneOf"][1]["maxItems"] == limits.TAGS


def test_every_example_in_the_description_is_one() -> None:
    """Of its own schema."""
    for _, _, operation in operations():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if "example" in content and media_type.endswith("json") and media_type != "application/x-ndjson":
                whole = {**content["schema"], "components": DESCRIPTION["components"]}
                validator_for(whole).validate(json.loads(json.dumps(content["example"])))
