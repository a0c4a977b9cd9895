"""Presets that the config describes: paths and templates."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_client import ask
from tests.support.http_door import open_door
from xmppbus import limits
from xmppbus.app import offered
from xmppbus.config import load, verify
from xmppbus.errors import ConfigInvalid

BODY = {
    "deploy": {"app": "shop", "state": "failed", "url": "https://ci.example.org/7", "took": 41.5},
    "checks": [{"name": "web", "ok": False}, {"name": "db", "ok": True}],
}
JSON = {"Content-Type": "application/json"}


async def made(directory: Path, body: Any = BODY, headers: dict[str, str] | None = None, **custom: Any) -> Any:
    """The events that a description makes of a body, or why it is refused."""
    inputs = {"webhooks": {"custom": [{"name": "ci", **custom}]}}
    async with open_door(directory, inputs=inputs) as door:
        sent = json.dumps(body).encode()
        answer = await ask(door.url, "POST", "/v1/webhooks/ci?by=romeo", sent, {**JSON, **(headers or {})})
        if answer.status >= 400:
            return answer.json["error"]["message"]
        return [entry.event.fields for entry in await door.journal.read(0, 100)]


async def test_each_field_is_a_path_or_a_template(tmp_path: Path) -> None:
    """A text that begins with `$` is a JSONPath; what comes out empty is left out."""
    (event,) = await made(
        tmp_path,
        type="deploy.{{ body.deploy.state }}",
        summary="{{ body.deploy.app }} {{ body.deploy.state }}, says {{ query.by }} with {{ headers['x-ci'] }}",
        key="$.deploy.app",
        status="{{ 'firing' if body.deploy.state == 'failed' else 'resolved' }}",
        severity="error",
        link="$.deploy.url",
        subject="$.deploy.nothing",
        data={"seconds": "$.deploy.took", "state": "{{ body.deploy.state }}"},
        headers={"X-CI": "a header"},
    )
    assert event["type"] == "deploy.failed"
    assert event["summary"] == "shop failed, says romeo with a header"
    assert (event["key"], event["status"], event["severity"]) == ("shop", "firing", "error")
    assert event["link"] == "https://ci.example.org/7"
    assert event["data"] == {"seconds": 41.5, "state": "failed"}
    assert "subject" not in event
    assert event["source"] == "ci"


@pytest.mark.parametrize("each", ["$.checks", "$.checks[*]"])
async def test_a_list_in_the_body_is_many_events(tmp_path: Path, each: str) -> None:
    """`body` is then a part of it; the name of the delivery names them all."""
    found = await made(tmp_path, each=each, type="check.{{ body.name }}", headers={"webhook-id": "msg_1"})
    assert [event["type"] for event in found] == ["check.web", "check.db"]
    assert [event["data"] for event in found] == BODY["checks"]
    assert [event["id"] for event in found] == ["msg_1/0", "msg_1/1"]


async def test_what_does_not_become_an_event_is_refused(tmp_path: Path) -> None:
    """With the field, and what is wrong."""
    cases: tuple[tuple[dict[str, Any], Any, str], ...] = (
        ({"type": "$.nothing"}, BODY, "`type` comes out empty"),
        ({"type": "a b"}, BODY, "is not dotted words"),
        ({"type": "a", "status": "firing"}, BODY, "an incident is named by its key"),
        ({"type": "{{ body.a.b.c }}"}, BODY, "type can't be made of this body: UndefinedError"),
        ({"type": "a", "each": "$.list"}, {"list": [{}] * (limits.BATCH_EVENTS + 1)}, "of at most"),
        ({"type": "a"}, [], "not an object"),
    )
    for number, (custom, body, said) in enumerate(cases):
        (directory := tmp_path / str(number)).mkdir()
        assert said in await made(directory, body, **custom)


async def test_templates_can_reach_nothing_but_the_request(tmp_path: Path) -> None:
    """The sandbox refuses what is private, and what a body says is never a template."""
    said = await made(tmp_path, type="a", summary="{{ body.__class__.__mro__ }}")
    assert "SecurityError" in said
    (directory := tmp_path / "hostile").mkdir()
    (event,) = await made(directory, {"x": "{{ 7 * 7 }}"}, type="a", summary="{{ body.x }}")
    assert event["summary"] == "{{ 7 * 7 }}"


@pytest.mark.parametrize(
    ("custom", "said"),
    [
        ([{"name": "ci", "type": "{{ body"}], "`ci` in `custom`, whose type is no template"),
        ([{"name": "ci", "type": "$["}], "no JSONPath"),
        ([{"name": "ci", "type": "$.a[?match(@.b, @.c)]"}], "function 'match' is not defined"),
        ([{"name": "ci", "type": "a", "each": "$.a[?search(@.b, '(a+)+$')]"}], "function 'search' is not defined"),
        ([{"name": "ci", "type": "$.a[?@.b =~ /(a+)+/]"}], "regular expressions are not taken"),
        ([{"name": "github", "type": "a"}], "there is already"),
        ([{"name": "ci", "type": "a"}] * 2, "there is already"),
        ([{"name": f"ci{number}", "type": "a"} for number in range(limits.WEBHOOKS + 1)], "of at most 100"),
        ([{"name": "ci", "type": "a", "secret_file": "/nowhere"}], "/nowhere can't be read"),
    ],
)
async def test_a_description_that_can_not_be_used_is_an_error_of_the_config(
    tmp_path: Path, custom: list[dict[str, str]], said: str
) -> None:
    """Before the first request comes."""
    with pytest.raises(ValueError, match=re.escape(said)):
        async with open_door(tmp_path, inputs={"webhooks": {"custom": custom}}):
            pass


async def test_without_the_extra_the_line_to_install_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other presets need nothing."""
    monkeypatch.setitem(sys.modules, "jsonpath", None)
    with pytest.raises(ValueError, match=r"pip install 'xmppbus\[webhooks\]'"):
        async with open_door(tmp_path, inputs={"webhooks": {"custom": [{"name": "ci", "type": "a"}]}}):
            pass


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"github": {"secrets_file": "a"}}, "did you mean `secret_file`?"),
        ({"githup": {}}, "did you mean `github`?"),
        ({"webhooks": {"custom": [{"name": "A b", "type": "a"}]}}, "1 to 64 of"),
        ({"webhooks": {"custom": [{"name": "a"}]}}, "type"),
    ],
)
def test_the_config_says_what_is_wrong_with_its_place(tmp_path: Path, inputs: dict[str, Any], said: str) -> None:
    """As for every option."""
    file = tmp_path / "xmppbus.yaml"
    file.write_text(json.dumps({"inputs": inputs}))
    config = load(file, {"XMPPBUS_STATE": str(tmp_path)})
    registry = offered(config)
    with pytest.raises(ConfigInvalid) as caught:
        verify(config, registry)
    assert said in str(caught.value)
    assert f"{file}:1:" in str(caught.value)
