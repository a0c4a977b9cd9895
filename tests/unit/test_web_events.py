"""Events over HTTP, with a real journal behind the door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_client import HttpConnection, ask, ask_json
from tests.support.http_door import Door, open_door
from xmppbus import limits
from xmppbus.web.tokens import add_token

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"
SIGNUP = {"type": "user.signup", "source": "shop", "id": "order-17", "data": "alice joined"}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        yield opened


async def kept(door: Door, item_id: str) -> dict[str, Any]:
    """The fields of an event, as the journal has them."""
    entry = await door.journal.find(item_id)
    assert entry
    return entry.event.fields


# --- one --------------------------------------------------------------------------------------------------------------


async def test_what_curl_sends_is_enough(door: Door) -> None:
    """A type, a text, nothing else."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await ask(door.url, "POST", "/v1/events/user.backup", b"backup done", form)
    assert answer.status == 202
    assert {**answer.json, "id": ""} == {"id": "", "sequence": 1, "result": "new", "deliveries": 1}
    assert answer.headers["location"] == f"/v1/events/{answer.json['id']}"
    fields = await kept(door, answer.json["id"])
    assert fields["data"] == "backup done"
    assert fields["datacontenttype"] == "text/plain"
    assert (fields["source"], fields["time"]) == ("house", "2026-01-31T12:00:00.000Z")


async def test_put_does_what_post_does(door: Door) -> None:
    """`curl -T` puts."""
    answer = await ask(door.url, "PUT", "/v1/events/user.report", b"\x89PNG", {"Content-Type": "image/png"})
    assert answer.status == 202
    assert (await kept(door, answer.json["id"]))["data_base64"] == "iVBORw=="


@pytest.mark.parametrize("media_type", ["application/json", STRUCTURED, f"{STRUCTURED}; charset=utf-8"])
async def test_an_event_is_new_once_and_known_ever_after(door: Door, media_type: str) -> None:
    """With its old sequence; other content is a conflict."""
    first = await ask_json(door.url, "/v1/events", {"specversion": "1.0", **SIGNUP}, media_type)
    again = await ask_json(door.url, "/v1/events", SIGNUP, media_type)
    other = await ask_json(door.url, "/v1/events", {**SIGNUP, "data": "bob joined"}, media_type)
    assert (first.status, first.json["result"]) == (202, "new")
    assert (again.status, again.json["result"]) == (200, "known")
    assert (again.json["id"], again.json["sequence"]) == (first.json["id"], first.json["sequence"])
    assert (other.status, other.code, other.json["error"]["field"]) == (409, "conflict", "id")


async def test_the_three_modes_of_cloudevents_say_the_same(door: Door) -> None:
    """Structured, batch and binary: one event, three times."""
    structured = {"specversion": "1.0", **SIGNUP, "severity": "notice", "datacontenttype": "text/plain"}
    first = await ask_json(door.url, "/v1/events", structured, STRUCTURED)
    batch = await ask_json(door.url, "/v1/events", [structured], BATCH)
    headers = {f"ce-{name}": value for name, value in structured.items() if name not in ("data", "datacontenttype")}
    binary = await ask(door.url, "POST", "/v1/events", b"alice joined", {**headers, "Content-Type": "text/plain"})
    assert (first.status, batch.status, binary.status) == (202, 200, 200)
    assert batch.json == [binary.json]
    assert first.json["id"] == binary.json["id"]


async def test_json_in_a_body_is_json_in_the_event(door: Door) -> None:
    """Not a text that holds JSON."""
    answer = await ask_json(door.url, "/v1/events/user.signup?severity=warning&subject=web1", {"plan": ["free"]})
    fields = await kept(door, answer.json["id"])
    assert (fields["data"], fields["severity"], fields["subject"]) == ({"plan": ["free"]}, "warning", "web1")


async def test_an_event_that_goes_nowhere_is_said_to_its_sender(door: Door) -> None:
    """It is kept, and that is all."""
    answer = await ask_json(door.url, "/v1/events", {"type": "nobody.cares"})
    assert (answer.status, answer.json["deliveries"]) == (202, 0)
    assert "no route takes this event" in answer.json["notice"]
    (in_list,) = (await ask_json(door.url, "/v1/events", [{"type": "nobody.cares"}])).json
    assert "no route takes this event" in in_list["notice"]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "type"),
        ({"type": "not a type"}, "type"),
        ({"type": 7}, "type"),
        ({"type": "a", "severity": "bad"}, "severity"),
        ({"type": "a", "Upper": "x"}, "Upper"),
        ({"type": "a", "id": ""}, "id"),
        ({"type": "a", "specversion": "0.3"}, "specversion"),
        ({"type": "a", "extension": {}}, "extension"),
        ({"type": "a", "status": "firing"}, "key"),
    ],
)
async def test_a_bad_event_is_400_and_names_the_field(door: Door, event: dict[str, Any], field: str) -> None:
    """And the reason."""
    answer = await ask_json(door.url, "/v1/events", event)
    assert (answer.status, answer.code, answer.json["error"]["field"]) == (400, "invalid-event", field)
    assert answer.json["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"7", b"\xff", b'"\\ud800"', b"{" * 9999, b'{"type":"a"}}'])
async def test_what_is_not_json_is_400(door: Door, body: bytes) -> None:
    """With the JSON reader's own words."""
    answer = await ask(door.url, "POST", "/v1/events", body, {"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "invalid-event")


async def test_a_type_in_the_path_wins_over_nothing_else(door: Door) -> None:
    """Said twice, it must be the same."""
    assert (await ask(door.url, "POST", "/v1/events/user.a", b"x", {"ce-type": "user.a"})).status == 202
    answer = await ask(door.url, "POST", "/v1/events/user.a", b"x", {"ce-type": "user.b"})
    assert (answer.status, answer.json["error"]["field"]) == (400, "type")
    assert (await ask(door.url, "POST", "/v1/events/not%20a%20type", b"x")).status == 400


async def test_a_query_beside_json_is_refused(door: Door) -> None:
    """Silently ignored, it would be a lost severity."""
    answer = await ask_json(door.url, "/v1/events?severity=warning", SIGNUP)
    assert (answer.status, answer.code) == (400, "usage")


async def test_other_media_types_are_415(door: Door) -> None:
    """And it says which are taken."""
    answer = await ask(door.url, "POST", "/v1/events", b"x", {"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (415, "unsupported-media-type")
    assert "/v1/events/TYPE" in answer.json["error"]["message"]


async def test_an_item_that_no_server_takes_is_413(door: Door) -> None:
    """Before it is kept."""
    answer = await ask(door.url, "POST", "/v1/events/user.big", b"x" * (limits.ITEM_BYTES + 1))
    assert (answer.status, answer.code) == (413, "payload-too-big")


async def test_a_full_journal_is_507_and_nothing_is_kept(tmp_path: Path) -> None:
    """Its sender is told when to come again."""
    async with open_door(tmp_path, most_bytes=200_000) as door:
        for number in range(1000):
            answer = await ask(door.url, "POST", f"/v1/events/user.n{number % 3}", b"x" * 20_000)
            if answer.status != 202:
                break
        assert (answer.status, answer.code) == (507, "journal-full")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await ask(door.url, "GET", "/health")).status == 503
        assert (await ask_json(door.url, "/v1/events", [SIGNUP, SIGNUP])).status == 507


async def test_a_house_that_is_left_is_503(door: Door) -> None:
    """The door is still there to say so."""
    door.bus.close()
    answer = await ask_json(door.url, "/v1/events", SIGNUP)
    assert (answer.status, answer.code) == (503, "closing")
    assert answer.headers["retry-after"]
    assert (await ask(door.url, "GET", "/health")).json["accepting"] is False


async def test_every_text_survives(door: Door) -> None:
    """Control characters, CR, what XML forbids: byte for byte."""
    text = "".join(map(chr, range(0x20))) + "\x7f\x85\u2028\ufffe\uffff😀\r\n"
    for answer in (
        await ask_json(door.url, "/v1/events", {"type": "user.text", "data": text}),
        await ask(door.url, "POST", "/v1/events/user.text", text.encode(), {"Content-Type": "text/plain"}),
    ):
        assert answer.status == 202
        assert (await kept(door, answer.json["id"]))["data"] == text
        shown = await ask(door.url, "GET", answer.headers["location"])
        assert shown.json["event"]["data"] == text


async def test_sixteen_connections_get_sixteen_sequences(door: Door) -> None:
    """Each its own."""

    async def publish(number: int) -> list[int]:
        async with await HttpConnection.open(door.url) as connection:
            answers = [
                await connection.ask("POST", "/v1/events/user.load", b"%d/%d" % (number, each)) for each in range(20)
            ]
        return [answer.json["sequence"] for answer in answers]

    sequences = await asyncio.gather(*(publish(number) for number in range(16)))
    assert all(each == sorted(each) for each in sequences)
    assert len({sequence for each in sequences for sequence in each}) == 320


# --- many -------------------------------------------------------------------------------------------------------------


async def test_a_bad_event_never_fails_its_batch(door: Door) -> None:
    """Each has its own result, in order."""
    await ask_json(door.url, "/v1/events", SIGNUP)
    events = [{"type": "user.a"}, 7, {"type": "no type"}, {**SIGNUP, "data": "else"}, SIGNUP, {"type": "user.b"}]
    answer = await ask_json(door.url, "/v1/events", events, BATCH)
    assert answer.status == 202
    assert [each.get("result") or each["error"]["code"] for each in answer.json] == [
        "new",
        "invalid-event",
        "invalid-event",
        "conflict",
        "known",
        "new",
    ]


async def test_a_batch_is_400_only_when_every_event_was_refused(door: Door) -> None:
    """200 when nothing is new, 202 when something is."""
    assert (await ask_json(door.url, "/v1/events", [{}, {"type": ""}], BATCH)).status == 400
    assert (await ask_json(door.url, "/v1/events", [SIGNUP, {}], BATCH)).status == 202
    assert (await ask_json(door.url, "/v1/events", [SIGNUP, {}], BATCH)).status == 200
    empty = await ask_json(door.url, "/v1/events", [], BATCH)
    assert (empty.status, empty.json) == (202, [])


async def test_lines_are_a_batch_too(door: Door) -> None:
    """A line that is no JSON has its own error."""
    lines = b'{"type":"user.a"}\n\nnonsense\r\n{"type":"user.b"}\n'
    answer = await ask(door.url, "POST", "/v1/events", lines, {"Content-Type": "application/x-ndjson"})
    assert answer.status == 202
    assert [bool(each.get("error")) for each in answer.json] == [False, True, False]


async def test_an_array_of_one_is_answered_by_a_list_of_one(door: Door) -> None:
    """Who sends a list reads a list."""
    answer = await ask_json(door.url, "/v1/events", [{"type": "user.a"}])
    assert [each["result"] for each in answer.json] == ["new"]


async def test_a_request_holds_a_thousand_events_and_no_more(door: Door) -> None:
    """One more is 413 and nothing of it is kept."""
    events = [{"type": "user.load", "data": number} for number in range(limits.BATCH_EVENTS)]
    answer = await ask_json(door.url, "/v1/events", events, BATCH)
    assert (answer.status, len(answer.json)) == (202, limits.BATCH_EVENTS)
    answer = await ask_json(door.url, "/v1/events", [*events, events[0]], BATCH)
    assert (answer.status, answer.code) == (413, "payload-too-big")
    assert (await door.journal.status()).newest == limits.BATCH_EVENTS


# --- what became of one -----------------------------------------------------------------------------------------------


async def test_an_event_is_shown_with_the_fate_of_its_deliveries(door: Door) -> None:
    """By its item id, and by its name."""
    item_id = (await ask_json(door.url, "/v1/events", SIGNUP)).json["id"]
    answer = await ask(door.url, "GET", f"/v1/events/{item_id.upper()}")
    assert answer.status == 200
    assert answer.json["event"] == {"specversion": "1.0", **SIGNUP, "time": "2026-01-31T12:00:00.000Z"}
    (delivery,) = answer.json["deliveries"]
    assert (delivery["output"], delivery["place"], delivery["state"]) == ("pubsub", "user.signup", "waiting")
    assert (await ask(door.url, "GET", "/v1/events?source=shop&id=order-17")).json == answer.json


@pytest.mark.parametrize(
    "path",
    ["/v1/events/nonsense", "/v1/events/0dbb22ef-0c1a-5d5f-9d2c-a33c1ec60f2a", "/v1/events?source=shop&id=nobody"],
)
async def test_an_event_that_nobody_knows_is_404(door: Door, path: str) -> None:
    """Never was, or pruned."""
    answer = await ask(door.url, "GET", path)
    assert (answer.status, answer.code) == (404, "item-not-found")


@pytest.mark.parametrize("query", ["", "?id=1", "?source=a", "?source=a&id=1&x=2", "?" + "&".join(["a=1"] * 99)])
async def test_a_name_is_source_and_id(door: Door, query: str) -> None:
    """Both, and nothing else."""
    assert (await ask(door.url, "GET", f"/v1/events{query}")).status == 400


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_tokens_open_what_their_scopes_say(tmp_path: Path) -> None:
    """Publishing and reading, each by type."""
    file = tmp_path / "tokens"
    site = {"Authorization": f"Bearer {add_token(file, 'site', ['publish:user.#'])}"}
    watch = {"Authorization": f"bearer {add_token(file, 'watch', ['read:test.#', 'publish:test.x'])}"}
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        signed_up = await ask_json(door.url, "/v1/events", SIGNUP, headers=site)
        assert signed_up.status == 202
        location = signed_up.headers["location"]
        assert (await ask(door.url, "GET", location, headers=site)).status == 403
        assert (await ask(door.url, "GET", location, headers=watch)).status == 403
        assert (await ask(door.url, "POST", "/v1/events/test.x", b"", site)).status == 403
        tested = await ask(door.url, "POST", "/v1/events/test.x", b"", watch)
        assert tested.status == 202
        assert (await ask(door.url, "GET", tested.headers["location"], headers=watch)).status == 200
        batch = await ask_json(door.url, "/v1/events", [{"type": "user.a"}, {"type": "test.x"}], BATCH, site)
        assert batch.json[0]["result"] == "new"
        assert batch.json[1]["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer xmppbus.site.wrong"},
        {"Authorization": "Basic c2l0ZTp4"},
        {"Authorization": "Bearer \xff"},
    ],
)
async def test_without_a_known_token_it_is_401(tmp_path: Path, headers: dict[str, str]) -> None:
    """With a challenge, whatever is asked for; but health needs none."""
    add_token(tmp_path / "tokens", "site", ["publish:#", "read:#"])
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        for method, path in (
            ("POST", "/v1/events"),
            ("POST", "/v1/events/user.a"),
            ("PUT", "/v1/events/user.a"),
            ("GET", "/v1/events?source=a&id=b"),
            ("GET", "/v1/events/0dbb22ef-0c1a-5d5f-9d2c-a33c1ec60f2a"),
        ):
            answer = await ask(door.url, method, path, headers=headers)
            assert (answer.status, answer.code) == (401, "not-authorized"), (method, path)
            assert answer.headers["www-authenticate"] == 'Bearer realm="xmppbus"'
        assert (await ask(door.url, "GET", "/health", headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8222"},
        {"Host": "user@evil.example"},
        {"Host": ""},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Origin": "http://localhost.evil.example"},
        {"Host": "localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_web_page_of_another_site_is_kept_out(door: Door, headers: dict[str, str]) -> None:
    """The browser runs on this machine; its pages do not."""
    for method, path in (("POST", "/v1/events/user.a"), ("GET", "/v1/events?source=a&id=b"), ("GET", "/health")):
        answer = await ask(door.url, method, path, headers=headers)
        assert (answer.status, answer.code) == (403, "forbidden")
    assert (await door.journal.status()).newest == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:8222"},
        {"Host": "localhost:1"},
        {"Host": "[::1]:8222"},
        {"Host": "bus.localhost"},
        {"Host": "localhost", "Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_programs_of_this_machine_come_in(door: Door, headers: dict[str, str]) -> None:
    """By any name that is this machine's by definition."""
    assert (await ask(door.url, "POST", "/v1/events/user.a", b"x", headers)).status == 202


async def test_with_a_token_the_host_does_not_matter(tmp_path: Path) -> None:
    """A reverse proxy sends the name of the site."""
    token = add_token(tmp_path / "tokens", "site", ["publish:#"])
    headers = {"Host": "events.example.org", "Origin": "https://example.org", "Authorization": f"Bearer {token}"}
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        assert (await ask(door.url, "POST", "/v1/events/user.a", b"x", headers)).status == 202


async def test_a_token_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Good or bad, in a header or where it does not belong."""
    caplog.set_level("DEBUG")
    token = add_token(tmp_path / "tokens", "site", ["publish:#"])
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": token}, {"X-Token": f"{token}\x01"}):
            await ask(door.url, "POST", f"/v1/events/user.a?token={token}", b"x", headers)
        await ask(door.url, "GET", f"/{token}")
    assert token.rpartition(".")[2] not in caplog.text


async def test_the_input_says_how_many_events_came(door: Door) -> None:
    """In `status`, with the listener's own figures."""
    await ask_json(door.url, "/v1/events", [SIGNUP, {}, {"type": "user.a"}], BATCH)
    await ask_json(door.url, "/v1/events", {"type": "no type"})
    found = door.input.status()
    assert (found["accepted"], found["refused"], found["state"]) == (2, 2, "up")
    assert found["address"] == door.url
