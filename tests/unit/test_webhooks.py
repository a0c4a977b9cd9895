"""The input `webhooks` at a real listener with a real journal: who gets in, what is answered, what is kept."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_client import HttpAnswer, ask
from tests.support.http_door import Door, moment, open_door
from tests.support.webhooks import hexadecimal, recorded, standard_headers
from xmppbus import limits
from xmppbus.inputs.webhook import Fields, Preset, Sent
from xmppbus.web.tokens import add_token

SECRET = "a-secret-of-a-webhook"
JSON = {"Content-Type": "application/json"}
NOW = int(moment().timestamp())


async def send(
    door: Door,
    path: str,
    name: str = "",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> HttpAnswer:
    """A recording, or a body, to `/v1/webhooks/PATH`."""
    sent = recorded(name) if name else None
    given = {**(sent.headers if sent else JSON), **(headers or {})}
    return await ask(door.url, method, f"/v1/webhooks/{path}", sent.body if sent else body, given)


async def kept(door: Door) -> list[dict[str, Any]]:
    """The fields of all events, in order."""
    return [entry.event.fields for entry in await door.journal.read(0, 100)]


def secret_file(directory: Path) -> str:
    """With the secret in it."""
    file = directory / "webhook.secret"
    file.write_text(f"{SECRET}\n")
    return str(file)


async def test_one_event_is_answered_like_one_and_many_like_many(tmp_path: Path) -> None:
    """202 once they are on disk, 200 for what is known."""
    async with open_door(tmp_path) as door:
        one = await send(door, "github", "github/push")
        assert (one.status, one.json["result"]) == (202, "new")
        assert set(one.json) == {"id", "sequence", "result", "deliveries", "notice"}
        many = await send(door, "alertmanager", "alertmanager/firing")
        assert (many.status, [each["result"] for each in many.json]) == (202, ["new", "new"])
        again = await send(door, "alertmanager", "alertmanager/resolved")
        assert (again.status, [each["result"] for each in again.json]) == (202, ["new", "known"])
        assert len(await kept(door)) == 4


async def test_a_delivery_that_is_sent_again_makes_no_second_event(tmp_path: Path) -> None:
    """Its name is the event's id, with the service's own header; Standard Webhooks' for all others."""
    async with open_door(tmp_path) as door:
        for path, name, headers in (
            ("github", "github/push", {}),
            ("gitea", "gitea/push", {}),
            ("gitlab", "gitlab/push-event", {"Idempotency-Key": "f5e57ebd"}),
            ("sentry", "sentry/issue-created", {}),
            ("buildbot", "buildbot/http-finished", {}),
            ("slack", "slack/text", {"webhook-id": "msg_1"}),
        ):
            first, second = [await send(door, path, name, headers=headers) for _ in range(2)]
            assert second.status == 200, name
            if path != "slack":  # which is answered ok both times
                assert (first.json["result"], second.json["result"]) == ("new", "known"), name
        assert len(await kept(door)) == 6
        (event, *_) = await kept(door)
        assert event["id"] == recorded("github/push").headers["x-github-delivery"]


async def test_another_body_under_a_known_delivery_is_a_conflict(tmp_path: Path) -> None:
    """Whoever sends it again has changed it."""
    async with open_door(tmp_path) as door:
        await send(door, "github", "github/push")
        headers = {"X-GitHub-Delivery": recorded("github/push").headers["x-github-delivery"]}
        answer = await send(door, "github", "github/ping", headers=headers)
        assert answer.status == 202, "of another source: another organization has its own deliveries"
        answer = await send(door, "github", "github/star-created", headers=headers)
        assert (answer.status, answer.code) == (409, "conflict")


async def test_a_preset_that_there_is_not_is_said_with_the_nearest(tmp_path: Path) -> None:
    """And what stands behind one that takes nothing there."""
    async with open_door(tmp_path) as door:
        answer = await send(door, "alertmanger", body=b"{}")
        assert (answer.status, answer.code) == (404, "item-not-found")
        assert "did you mean alertmanager?" in answer.json["error"]["message"]
        answer = await send(door, "github/second", "github/push")
        assert (answer.status, "github/SECOND" in answer.body.decode()) == (404, True)
        assert (await send(door, "events", body=b"{}")).status == 404, "an input that is no preset"
        assert (await send(door, "ntfy/a/b", body=b"x")).status == 404


async def test_a_body_that_is_not_understood_is_refused_and_says_where_to_look(tmp_path: Path) -> None:
    """400, and nothing is kept."""
    async with open_door(tmp_path) as door:
        answer = await send(door, "alertmanager", body=b'{"alerts": 1}')
        assert (answer.status, answer.code) == (400, "invalid-event")
        assert "docs/howto/webhooks.md" in answer.json["error"]["message"]
        assert await kept(door) == []


async def test_a_request_with_no_event_in_it_is_answered(tmp_path: Path) -> None:
    """A group that has become empty is nothing to complain about."""
    async with open_door(tmp_path) as door:
        answer = await send(door, "alertmanager", body=b'{"alerts": []}')
        assert (answer.status, answer.json) == (200, [])


async def test_more_events_than_a_batch_may_have_are_refused_as_a_whole(tmp_path: Path) -> None:
    """As for any other batch."""
    alerts = [{"labels": {"alertname": "A", "n": str(n)}, "status": "firing"} for n in range(limits.BATCH_EVENTS + 1)]
    async with open_door(tmp_path) as door:
        answer = await send(door, "alertmanager", body=json.dumps({"alerts": alerts}).encode())
        assert (answer.status, answer.code) == (413, "payload-too-big")
        assert await kept(door) == []


async def test_a_body_that_is_larger_than_a_webhook_is_refused(tmp_path: Path) -> None:
    """Before anybody looks into it."""
    async with open_door(tmp_path) as door:
        for size, status in ((limits.WEBHOOK_BODY_BYTES, 200), (limits.WEBHOOK_BODY_BYTES + 1, 413)):
            answer = await send(door, "slack", body=b'{"text": "a"}'.ljust(size))
            assert answer.status == status


async def test_nobody_waits_for_a_preset_that_takes_long(tmp_path: Path) -> None:
    """Presets of the config's own look wherever they are told to; a few at the same time, and each in a thread."""
    others_are_answered = threading.Event()
    begun: list[str] = []

    def slow(sent: Sent) -> list[Fields]:
        begun.append(sent.body.decode())
        assert others_are_answered.wait(20)
        return [{"type": "user.slow"}]

    async with open_door(tmp_path) as door:
        door.house.registry.inputs["slow"] = Preset(slow, is_slow=True)
        waiting = [asyncio.ensure_future(send(door, "slow", body=b"{}")) for _ in range(limits.WEBHOOK_READERS + 1)]
        while len(begun) < limits.WEBHOOK_READERS:
            assert (await ask(door.url, "GET", "/health")).status == 200
        assert (await send(door, "slack", body=b'{"text": "a"}')).status == 200
        assert len(begun) == limits.WEBHOOK_READERS
        others_are_answered.set()
        assert [each.status for each in await asyncio.gather(*waiting)] == [202] * len(waiting)


async def test_a_bad_event_never_fails_its_neighbours(tmp_path: Path) -> None:
    """An answer for each; 400 only where none was taken."""
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    async with open_door(tmp_path) as door:
        events = [{"type": "user.a", "id": "1", "source": "s"}, {"type": "a b", "id": "2", "source": "s"}]
        answer = await send(door, "cloudevents", body=json.dumps(events).encode(), headers=batch)
        assert answer.status == 202
        assert [each.get("result", "refused") for each in answer.json] == ["new", "refused"]
        answer = await send(door, "cloudevents", body=json.dumps(events[1:] * 2).encode(), headers=batch)
        assert answer.status == 400


async def test_scripts_for_ntfy_gotify_and_slack_change_their_address_only(tmp_path: Path) -> None:
    """What stands behind the address, the methods and the answers are as there."""
    async with open_door(tmp_path) as door:
        for method in ("POST", "PUT"):
            text = await send(door, "ntfy/backups", body=b"done", headers={"Title": "Backup"}, method=method)
            assert (text.status, text.json["topic"], text.json["title"]) == (200, "backups", "Backup")
            whole = await send(door, "ntfy", "ntfy/json", method=method)
            assert (whole.status, whole.json["topic"]) == (200, "mytopic")
        gotify = await send(door, "gotify/message?token=whatever", "gotify/json")
        assert (gotify.status, gotify.json["message"]) == (200, "**Backup** was successfully finished.")
        slack = await send(door, "slack?type=deploy.done", "slack/text")
        assert (slack.status, slack.body, slack.headers["content-type"]) == (200, b"ok", "text/plain; charset=utf-8")
        found = [each["type"] for each in await kept(door)]
        assert found == ["ntfy.backups", "ntfy.mytopic"] * 2 + ["gotify.message", "deploy.done"]
        assert "whatever" not in json.dumps(await kept(door))


# --- who gets in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("slack?token={token}", {}),
        ("slack", {"Authorization": "Bearer {token}"}),
        ("slack", {"Authorization": "Basic {password}"}),
        ("slack", {"Authorization": "Basic {user}"}),
        ("slack?auth={auth}", {}),
        ("slack", {"X-Gotify-Key": "{token}"}),
    ],
)
async def test_a_token_is_taken_wherever_a_service_can_put_one(
    tmp_path: Path, path: str, headers: dict[str, str]
) -> None:
    """Header, password, or address; another one is refused, and none."""
    token = add_token(tmp_path / "tokens", "site", ["publish:slack.#"])

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    words = {"token": token, "password": encoded(f"me:{token}"), "user": encoded(f"{token}:")}
    words["auth"] = base64.urlsafe_b64encode(f"Bearer {token}".encode()).decode().rstrip("=")
    wrong = {name: value[:-4] + "AAAA" for name, value in words.items()}
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        for given, status in ((words, 200), (wrong, 401)):
            filled = {name: value.format(**given) for name, value in headers.items()}
            answer = await send(door, path.format(**given), "slack/text", headers=filled)
            assert answer.status == status
        assert (await send(door, "slack", "slack/text")).status == 401
        assert token not in json.dumps(await kept(door))


async def test_a_token_covers_the_types_of_its_scopes(tmp_path: Path) -> None:
    """Judged event by event; one that may publish nothing at all does not get so far."""
    file = tmp_path / "tokens"
    disk, reader = add_token(file, "disk", ["publish:alert.Disk"]), add_token(file, "reader", ["read:#"])
    alerts = [{"labels": {"alertname": name}, "status": "firing"} for name in ("Disk", "Load")]
    body = json.dumps({"alerts": alerts}).encode()
    async with open_door(tmp_path, tokens_file=str(file)) as door:
        answer = await send(door, f"alertmanager?token={disk}", body=body)
        assert answer.status == 202
        assert ["error" in each for each in answer.json] == [False, True]
        assert answer.json[1]["error"]["code"] == "forbidden"
        assert (await send(door, f"alertmanager?token={reader}", body=body)).status == 403
        gotify = await send(door, f"gotify/message?token={disk}", "gotify/json")
        assert (gotify.status, gotify.code) == (403, "forbidden")


async def test_gotifys_applications_are_tokens(tmp_path: Path) -> None:
    """The token's name is in the type, and the source."""
    token = add_token(tmp_path / "tokens", "backups", ["publish:gotify.#"])
    async with open_door(tmp_path, tokens_file=str(tmp_path / "tokens")) as door:
        answer = await send(door, "gotify/message", "gotify/json", headers={"X-Gotify-Key": token})
        assert answer.status == 200
        (event,) = await kept(door)
    assert (event["type"], event["source"]) == ("gotify.backups", "backups")


async def test_a_right_signature_lets_in_and_a_wrong_one_never(tmp_path: Path) -> None:
    """With tokens and without; a preset that has a secret takes nothing that is not signed, unless with a token."""
    token = add_token(tmp_path / "tokens", "site", ["publish:#"])
    inputs = {"github": {"secret_file": secret_file(tmp_path)}}
    body = recorded("github/push").body
    right = {"X-Hub-Signature-256": f"sha256={hexadecimal(SECRET, body)}"}
    wrong = {"X-Hub-Signature-256": f"sha256={hexadecimal('other', body)}"}
    bearer = {"Authorization": f"Bearer {token}"}
    expected: tuple[tuple[dict[str, str], int, int], ...] = (
        (right, 202, 202),
        (wrong, 401, 401),
        ({}, 401, 401),
        (bearer, 401, 200),
        ({**bearer, **wrong}, 401, 401),
    )
    for with_tokens in (False, True):
        (directory := tmp_path / f"with{with_tokens}").mkdir()
        http: dict[str, Any] = {"tokens_file": str(tmp_path / "tokens")} if with_tokens else {}
        async with open_door(directory, inputs=inputs, **http) as door:
            for headers, *statuses in expected:
                answer = await send(door, "github", "github/push", headers=headers)
                assert answer.status == statuses[with_tokens], headers
            answer = await send(door, "github", "github/push")
            assert "x-hub-signature-256" in answer.json["error"]["message"]
            assert "the secret that is in this preset's `secret_file`" in answer.json["error"]["message"]
            found = door.house.inputs["github"].status()
            assert (found["signed"], found["refused"] > 0) == (True, True)


async def test_every_preset_takes_standard_webhooks(tmp_path: Path) -> None:
    """Signed over name, time and body; the same name again is known, an old time is refused."""
    inputs = {"cloudevents": {"secret_file": secret_file(tmp_path)}}
    body = b'{"type": "user.signup"}'
    async with open_door(tmp_path, inputs=inputs) as door:
        headers = dict(standard_headers(SECRET, "msg_1", NOW, body))
        assert (await send(door, "cloudevents", body=body, headers=headers)).status == 202
        again = await send(door, "cloudevents", body=body, headers=headers)
        assert (again.status, again.json["result"]) == (200, "known")
        old = dict(standard_headers(SECRET, "msg_2", NOW - 301, body))
        assert (await send(door, "cloudevents", body=body, headers=old)).status == 401
        renamed = {**headers, "webhook-id": "msg_3"}
        assert (await send(door, "cloudevents", body=body, headers=renamed)).status == 401, "the name is signed"
        assert len(await kept(door)) == 1


async def test_what_is_signed_with_a_time_is_one_event_whatever_name_stands_beside(tmp_path: Path) -> None:
    """Whoever has seen it may send it again within five minutes, with another name that nobody has signed."""
    inputs = {name: {"secret_file": secret_file(tmp_path)} for name in ("github", "slack")}
    body = recorded("github/push").body
    text = b'{"text": "a"}'
    slack = f"v0={hexadecimal(SECRET, b'v0:%d:' % NOW + text)}"
    async with open_door(tmp_path, inputs=inputs) as door:
        for number in range(3):
            standard = {**standard_headers(SECRET, "msg_1", NOW, body), "X-GitHub-Delivery": f"another-{number}"}
            assert (await send(door, "github", "github/push", headers=standard)).status in (200, 202)
            headers = {"X-Slack-Request-Timestamp": str(NOW), "X-Slack-Signature": slack, "webhook-id": f"{number}"}
            assert (await send(door, "slack", body=text, headers=headers)).status == 200
        assert len(await kept(door)) == 2


async def test_a_second_of_the_same_kind_has_a_secret_of_its_own(tmp_path: Path) -> None:
    """Behind a slash, in the config and in the address."""
    other = tmp_path / "other"
    other.write_text("another secret")
    inputs = {"github": {"secret_file": secret_file(tmp_path)}, "github/second": {"secret_file": str(other)}}
    body = recorded("github/ping").body
    async with open_door(tmp_path, inputs=inputs) as door:
        for path, secret, status in (
            ("github", SECRET, 202),
            ("github/second", SECRET, 401),
            ("github/second", "another secret", 200),
        ):
            headers = {"X-Hub-Signature-256": f"sha256={hexadecimal(secret, body)}"}
            assert (await send(door, path, "github/ping", headers=headers)).status == status, path


async def test_a_web_page_of_another_site_can_send_nothing(tmp_path: Path) -> None:
    """On loopback without tokens, as for all that publishes."""
    async with open_door(tmp_path) as door:
        for headers in ({"Origin": "https://elsewhere.example"}, {"Host": "rebound.example"}):
            assert (await send(door, "slack", "slack/text", headers=headers)).status == 403


async def test_no_token_and_no_secret_gets_into_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nor into what `status` shows: not even where a preset raises what it should not."""
    caplog.set_level(logging.DEBUG)
    async with open_door(tmp_path, inputs={"slack": {"secret_file": secret_file(tmp_path)}}) as door:
        await send(door, "slack?token=canary-of-a-token", "slack/text", headers={"X-Slack-Signature": "v0=canary"})

        def broken(_: object) -> list[dict[str, Any]]:
            raise RuntimeError("a bug")

        served: Any = door.house.inputs["slack"]
        object.__setattr__(served.preset, "events", broken)
        served.secrets = None
        answer = await send(door, "slack?token=canary-of-a-token", "slack/text")
        assert answer.status == 500
        status = json.dumps(await door.house.status())
    assert "canary" not in caplog.text + status
    assert SECRET not in caplog.text + status


async def test_status_says_what_came_by_preset(tmp_path: Path) -> None:
    """For whoever wonders why nothing comes."""
    async with open_door(tmp_path) as door:
        await send(door, "slack", "slack/text")
        await send(door, "slack", body=b"no")
        found = door.house.inputs["webhooks"].status()
    assert found == {"state": "up", "accepted": 1, "refused": 1, "presets": {"slack": 1}}


async def test_a_preset_without_the_listener_is_an_error_of_the_config(tmp_path: Path) -> None:
    """As for the input itself."""
    async with open_door(tmp_path) as door:
        door.house.web = None
        for name in ("github", "webhooks"):
            with pytest.raises(ValueError, match="need the HTTP listener"):
                door.house.registry.inputs[name](door.house, {})
        await asyncio.sleep(0)
