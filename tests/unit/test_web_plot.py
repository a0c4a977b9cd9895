"""`GET /v1/plot`: a picture of a number over time, for who may read it all; refused in words that help."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.http_client import HttpAnswer, ask
from tests.support.http_door import Door, open_door
from xmppbus import limits
from xmppbus.plots.drawing import Drawing
from xmppbus.web.tokens import add_token

PLOT = "/v1/plot/test.%23.{}?field=data.ms&since=all{}"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """With a value each second, of two keys; the process that draws ends with it."""
    async with open_door(tmp_path) as opened:
        await fill(opened)
        yield opened
        await opened.house.drawing.close()


async def fill(door: Door) -> None:
    for number in range(10):
        event = {
            "type": "test.a",
            "id": str(number),
            "time": f"2026-01-31T11:00:{number:02d}Z",
            "key": f"k{number % 2}",
        }
        (answer,) = await door.bus.accept([{**event, "data": {"ms": number, "<b>": "&"}}])
        assert not isinstance(answer, Exception)


async def get(door: Door, path: str, **headers: str) -> HttpAnswer:
    return await ask(door.url, "GET", path, headers=headers)


async def test_the_forms_are_one_chart(door: Door) -> None:
    """PNG, SVG and the specification, each with the type that it is; nothing in an SVG may run or fetch."""
    png, svg, spec = [await get(door, PLOT.format(form, "&by=key&width=320&height=200")) for form in FORMS]
    assert (png.headers["content-type"], png.body[:4]) == ("image/png", b"\x89PNG")
    assert [int.from_bytes(png.body[at : at + 4], "big") for at in (16, 20)] == [480, 300]
    assert svg.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert svg.body.startswith(b"<svg")
    assert "sandbox" in svg.headers["content-security-policy"]
    assert spec.headers["content-type"] == "application/json"
    assert len(spec.json["data"]["values"]) == 10
    assert spec.json["encoding"]["color"]["scale"]["domain"] == ["k0", "k1"]


FORMS = ("png", "svg", "json")


async def test_who_has_it_is_not_sent_it_again_and_what_is_drawn_is_kept(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until another value comes."""
    first = await get(door, PLOT.format("svg", ""))
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == f"private, max-age={limits.PLOT_FRESH_SECONDS}"
    again = await get(door, PLOT.format("svg", ""), **{"If-None-Match": f'"other", W/{tag}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    await door.house.drawing.close()  # from here on nothing can be drawn
    assert (await get(door, PLOT.format("svg", ""))).body == first.body
    await door.bus.accept([{"type": "test.b", "data": {"ms": 99}}])
    monkeypatch.setattr(door.house, "drawing", Drawing())
    other = await get(door, PLOT.format("svg", ""), **{"If-None-Match": tag})
    await door.house.drawing.close()  # the fixture closes the first one only
    assert (other.status, other.headers["etag"] == tag) == (200, False)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/plot/test.%23.gif?field=data.ms", 404, ".png, .svg or .json"),
        ("/v1/plot/png?field=data.ms", 404, ".png, .svg or .json"),
        ("/v1/plot/te%20st.png?field=data.ms", 400, "no pattern"),
        ("/v1/plot/test.a.png", 400, "?field=data.ms"),
        ("/v1/plot/test.a.png?field=data..ms", 400, "such as `data.ms`"),
        ("/v1/plot/test.a.png?field=data.ms&field=data.ms", 400, "one each of"),
        ("/v1/plot/test.a.png?field=data.ms&colour=red", 400, "field, since, by"),
        ("/v1/plot/test.a.png?field=data.ms&by=colour", 400, "key, subject, source, type"),
        ("/v1/plot/test.a.png?field=data.ms&theme=pink", 400, "`light` and `dark`"),
        ("/v1/plot/test.a.png?field=data.ms&width=9999", 400, "160 to 2400 pixels"),
        ("/v1/plot/test.a.png?field=data.ms&width=wide", 400, "number of pixels"),
        ("/v1/plot/test.a.png?field=data.ms&since=yesterday", 400, "no time such as"),
        ("/v1/plot/test.a.png?field=data.ms&title=" + "x" * 600, 400, "longer than 512"),
        ("/v1/plot/test.a.png?field=data.ms&title=%ff", 400, "UTF-8"),
        ("/v1/plot/test.a.png?field=data.none&since=all", 404, "10 events of test.a"),
        ("/v1/plot/test.z.png?field=data.ms&since=all", 404, "no event of test.z"),
    ],
)
async def test_what_can_not_be_drawn_is_said(door: Door, path: str, status: int, said: str) -> None:
    """And what could be."""
    answer = await get(door, path)
    assert answer.status == status
    assert said in answer.json["error"]["message"]


async def test_a_token_needs_a_scope_over_the_whole_pattern(tmp_path: Path) -> None:
    """A picture of everything may not be had with the right to read a part."""
    file = tmp_path / "tokens"
    token = add_token(file, "grafana", ["read:test.#"])
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        await fill(door)
        headers = {"Authorization": f"Bearer {token}"}
        answers = {
            pattern: (await get(door, f"/v1/plot/{pattern}.json?field=data.ms&since=all", **headers)).status
            for pattern in ("test.%23", "test.a", "%23", "*.a", "other")
        }
        assert answers == {"test.%23": 200, "test.a": 200, "%23": 403, "*.a": 403, "other": 403}
        assert (await get(door, PLOT.format("json", ""))).status == 401


async def test_too_many_at_once_are_told_to_wait(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is read for a few, some wait, and the others are told when to try again."""
    monkeypatch.setattr(limits, "PLOTS_WAITING", 1)
    answers = await asyncio.gather(*(get(door, PLOT.format("json", "")) for _ in range(6)))
    assert {answer.status for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status == 429)
    assert int(refused.headers["retry-after"]) >= 5
    assert json.loads(refused.body)["error"]["code"] == "too-many-requests"
