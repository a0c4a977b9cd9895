"""What each preset makes of what its service sends, as it was recorded; `recordings/README.md` says where from."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.webhooks import RECORDINGS, events, preset_of, presets, recorded
from xmppbus import limits
from xmppbus.event import Event, parse
from xmppbus.inputs.webhook import Sent
from xmppbus.inputs.webhook_fields import cut, flat, form_of, moment, named, objects, tags, typed
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result
from xmppbus.render import few_lines

NAMES = sorted(str(each.relative_to(RECORDINGS).with_suffix("")) for each in RECORDINGS.glob("*/*.json"))
DEFAULTS = {"id": "1", "source": "here", "time": "2026-01-31T12:00:00Z"}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def of(name: str) -> list[dict[str, Any]]:
    """The events of a recording; Gotify's is sent to /message."""
    return events(name, rest="message" if name.startswith("gotify/") else "")


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_becomes_the_events_that_are_written_down(name: str) -> None:
    """Type, severity, status, key and summary of each, in `recordings/events.txt`; and each is an event."""
    lines = [line.split(" | ") for line in (RECORDINGS / "events.txt").read_text().splitlines()]
    expected = [line[1:] for line in lines if line[0] == name]
    fields = ("type", "severity", "status", "key", "summary")
    assert [[each.get(field, "-") for field in fields] for each in of(name)] == expected
    for each in of(name):
        assert parse(each, DEFAULTS)


def test_every_preset_has_a_recording() -> None:
    """Forgejo sends what Gitea sends."""
    assert {preset_of(name) for name in NAMES} | {"forgejo"} == set(presets())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_request_makes_the_same_events(name: str) -> None:
    """So one that is sent again is known."""
    assert of(name) == of(name)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("github/workflow_run-completed", "seconds", 25.0),
        ("github/workflow_run-completed", "ok", True),
        ("github/workflow_job-completed", "seconds", 198.0),
        ("github/star-created", "stars", 1),
        ("gitlab/pipeline-event", "seconds", 63),
        ("buildbot/http-finished", "seconds", 3.0),
        ("uptime_kuma/up", "ping", 55),
        ("github/push", "commits", 1),
        ("alertmanager/firing", "instance", "web1:9100"),
        ("alertmanager/firing", "text", "Nobody answers on web1:9100."),
        ("gotify/json", "priority", 2),
        ("cloudevents/structured", "appinfoB", 123),
    ],
)
def test_numbers_and_words_are_in_the_data(name: str, field: str, value: object) -> None:
    """On one level, so that `plot` and templates find them."""
    assert of(name)[0]["data"][field] == value


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("alertmanager/firing", "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0"),
        ("grafana/mixed", "https://grafana.example.com/alerting/grafana/zTjxv_C7k/view"),
        ("github/workflow_run-completed", "https://github.com/octo-org/octo-repo/actions/runs/289782451"),
        ("github/issues-opened", "https://github.com/Codertocat/Hello-World/issues/1"),
        ("gitlab/pipeline-event", "http://192.168.64.1:3005/gitlab-org/gitlab-test/-/pipelines/31"),
        ("ntfy/json", "https://homecamera.lan/xasds1h2xsSsa/"),
        ("gotify/json", "https://gotify.net"),
        ("slack/blocks", "https://example.com"),
    ],
)
def test_the_link_leads_to_what_it_is_about(name: str, link: str) -> None:
    """With one tap on a phone."""
    assert of(name)[0]["link"] == link


def test_an_alert_reads_well_on_a_phone() -> None:
    """Mark and summary, what else is said, the link, and where it came from."""
    event = Event({**DEFAULTS, **of("alertmanager/firing")[0]})
    assert few_lines(event).splitlines() == [
        "‼ [FIRING] InstanceDown – web1:9100 has been down for more than 5 minutes",
        "Nobody answers on web1:9100.",
        "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0",
        "alert.InstanceDown · http://monitor.example:9093",
    ]


def test_an_alert_that_stands_as_it_did_is_the_same_event_in_the_next_group() -> None:
    """Alertmanager sends the whole group when one of it changes."""
    before, after = of("alertmanager/firing")[1], of("alertmanager/resolved")[1]
    assert before["id"] == after["id"]
    assert before == after


def test_a_watchdog_beats_and_is_no_incident() -> None:
    """Each time is another event, whose silence `expect` notices; that it has ended is an event of another type."""
    (beat,) = of("alertmanager/watchdog")
    assert not beat.keys() & {"id", "key", "status", "time"}
    body = json.loads(recorded("alertmanager/watchdog").body)
    body["alerts"][0]["status"] = "resolved"
    (ended,) = presets()["alertmanager"].events(Sent(json.dumps(body).encode()))
    assert (ended["type"], ended["severity"]) == ("alert.Watchdog.ended", "warning")


def test_no_secret_of_the_service_gets_into_an_event() -> None:
    """Gitea once sent it in the body; who knows a check's addresses may act for it."""
    body = {**json.loads(recorded("gitea/push").body), "secret": "canary"}
    sent = recorded("gitea/push")._replace(body=json.dumps(body).encode())
    assert "canary" not in json.dumps(list(presets()["gitea"].events(sent)))
    check = json.dumps(of("healthchecks/down"))
    assert "hc-ping.com" not in check
    assert "api/v3" not in check


@pytest.mark.parametrize(
    ("name", "body", "headers", "said"),
    [
        ("github", b"{}", {}, "X-GitHub-Event"),
        ("gitea", b"{}", {}, "X-Gitea-Event"),
        ("sentry", b"{}", {}, "Sentry-Hook-Resource"),
        ("alertmanager", b"{}", {}, "no list `alerts`"),
        ("alertmanager", b"no", {}, "not JSON"),
        ("alertmanager", b"[]", {}, "not an object"),
        ("grafana", b'{"evalMatches": []}', {}, "before version 9"),
        ("gitlab", b"{}", {}, "object_kind"),
        ("healthchecks", b'{"check": {"name": "a", "status": "new"}}', {}, '{"now": "$NOW", "check": $JSON}'),
        ("uptime-kuma", b"{}", {}, "preset body"),
        ("netdata", b"{}", {}, "no `alert`"),
        ("slack", b'{"text": " "}', {}, "no `text`"),
        ("ntfy", b'{"message": "x"}', {}, "no topic"),
        ("gotify", b"{}", {}, "/message"),
        ("buildbot", b"{}", {}, "HttpStatusPush"),
        ("cloudevents", b"[1]", {"content-type": "application/cloudevents-batch+json"}, "not a JSON object"),
        ("cloudevents", b"x", {"content-type": "text/plain"}, "says nothing of an event"),
    ],
)
def test_a_body_that_is_not_understood_is_refused_with_what_is_wrong(
    name: str, body: bytes, headers: dict[str, str], said: str
) -> None:
    """And often with what to set in the service."""
    with pytest.raises(ValueError, match=re.escape(said)):
        presets()[name].events(Sent(body, headers))


@pytest.mark.parametrize(
    ("headers", "query", "severity", "summary", "tags"),
    [
        ({"title": "Unauthorized access", "priority": "urgent", "tags": "warning,skull"}, {}, "critical", "U", 2),
        ({"x-title": "=?UTF-8?B?w4RyZ2Vy?=", "p": "min"}, {}, "debug", "Ärger", 0),
        ({}, {"title": "By query", "prio": "4"}, "warning", "By query", 0),
        ({}, {}, "info", "Remote access to the laptop.", 0),
    ],
)
def test_ntfys_headers_and_query_say_the_rest(
    headers: dict[str, str], query: dict[str, str], severity: str, summary: str, tags: int
) -> None:
    """As ntfy reads them; the topic is in the path."""
    sent = Sent(b"Remote access to the laptop.\nAct now.", headers, query, "alerts")
    (found,) = presets()["ntfy"].events(sent)
    assert (found["type"], found["severity"]) == ("ntfy.alerts", severity)
    assert found["summary"].startswith(summary)
    assert len(found.get("tags", ())) == tags
    assert found["data"]["text"] == "Remote access to the laptop.\nAct now."


def test_ntfy_takes_files_and_empty_messages_and_refuses_what_is_for_later() -> None:
    """A file is bytes; nothing said is `triggered`."""
    ntfy = presets()["ntfy"].events
    (file,) = ntfy(Sent(b"\xff\xfe", {"filename": "a.bin"}, {}, "files"))
    assert (file["summary"], file["data_base64"]) == ("file a.bin", "//4=")
    for nothing in (b"", b"\0"):
        (empty,) = ntfy(Sent(nothing, {}, {}, "door"))
        assert empty["summary"] == "triggered"
    with pytest.raises(ValueError, match="can't be delayed"):
        ntfy(Sent(b"x", {"in": "30m"}, {}, "door"))
    for topic in ("a b", "é", "x" * 65, "a/b", "."):
        with pytest.raises(ValueError, match="the topic"):
            ntfy(Sent(b"x", {}, {}, topic))
    with pytest.raises(ValueError, match="priority 'loud'"):
        ntfy(Sent(b"x", {"priority": "loud"}, {}, "door"))


def test_ntfy_gotify_and_slack_are_answered_in_their_own_words() -> None:
    """So that the script's library is content."""
    accepted = Accepted(Result.NEW, "0dbb22ef-0c1a-5d5f-9d2c-a33c1ec60f2a", 412, 1)
    found: dict[str, Any] = {}
    for name, rest in (("ntfy/json", ""), ("gotify/json", "message"), ("slack/text", "")):
        preset = presets()[preset_of(name)]
        sent = recorded(name)._replace(rest=rest)
        (fields,) = preset.events(sent)
        assert preset.reply is not None
        found[name] = preset.reply(sent, dict(fields), accepted, NOW)
    ntfy, gotify = json.loads(found["ntfy/json"].body), json.loads(found["gotify/json"].body)
    assert (ntfy["event"], ntfy["topic"], ntfy["time"]) == ("message", "mytopic", int(NOW.timestamp()))
    assert (ntfy["title"], ntfy["message"]) == ("Low disk space alert", "Disk space is low at 5.1 GB")
    assert (gotify["id"], gotify["title"], gotify["priority"]) == (412, "Backup", 2)
    assert found["slack/text"].body == b"ok"


def test_gotify_takes_forms_as_its_documentation_sends_them() -> None:
    """curl -F is multipart/form-data, curl -d the other one."""
    parts = b'--X\r\nContent-Disposition: form-data; name="title"\r\n\r\nmy title\r\n'
    parts += b'--X\r\nContent-Disposition: form-data; name="message"\r\n\r\nmy message\r\n--X--\r\n'
    for body, kind in (
        (parts, "multipart/form-data; boundary=X"),
        (b"title=my+title&message=my+message", "application/x-www-form-urlencoded"),
    ):
        sent = Sent(body, {"content-type": kind}, {}, "message", "backups")
        (found,) = presets()["gotify"].events(sent)
        assert (found["type"], found["summary"], found["data"]["text"]) == ("gotify.backups", "my title", "my message")


def test_what_a_script_sends_to_slack_may_name_its_type_in_the_address() -> None:
    """Where nothing but the address can be changed."""
    (found,) = presets()["slack"].events(recorded("slack/text")._replace(query={"type": "backup.done"}))
    assert found["type"] == "backup.done"
    payload = b"payload=%7B%22text%22%3A+%22by+form%22%7D"
    form = Sent(payload, {"content-type": "application/x-www-form-urlencoded"})
    assert presets()["slack"].events(form)[0]["summary"] == "by form"


def test_what_is_taken_over_from_a_body_is_bounded() -> None:
    """Members, names, texts and levels."""
    found = flat({f"a{number}": 1 for number in range(limits.WEBHOOK_MEMBERS + 5)})
    assert len(found) == limits.WEBHOOK_MEMBERS
    (name,) = flat({"x" * 500: 1})
    assert len(name) == limits.WEBHOOK_NAME_CHARACTERS
    assert len(cut("x" * 10_000)) == limits.WEBHOOK_TEXT_CHARACTERS
    deep: dict[str, Any] = {"leaf": 1}
    for _ in range(limits.WEBHOOK_DEPTH):
        deep = {"in": deep}
    assert flat(deep) == {"in_" * limits.WEBHOOK_DEPTH + "leaf": 1}
    assert flat({"in": deep}) == {}
    assert len(typed("alert", "x" * 5_000_000)) <= limits.TYPE_CHARACTERS
    assert parse({"type": typed("a", *["_b-" * 60] * 9)}, DEFAULTS)
    assert len(objects({"all": [{}] * 5_000}, "all")) == limits.BATCH_EVENTS + 1
    assert len(named("x" * 5_000) or "") <= limits.NAME_CHARACTERS
    assert len(tags(["x"] * 100) or ()) == limits.TAGS


def test_a_form_with_too_many_fields_is_refused() -> None:
    """No service sends so many."""
    body = "&".join(f"a{number}=1" for number in range(100)).encode()
    with pytest.raises(ValueError, match="at most 64"):
        form_of(Sent(body, {"content-type": "application/x-www-form-urlencoded"}))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2016-08-12 15:23:28 UTC", "2016-08-12T15:23:28+00:00"),
        ("2021-02-23T09:40:01.782137894Z", "2021-02-23T09:40:01.782137+00:00"),
        ("2023-07-31 18:56:15.374", "2023-07-31T18:56:15.374000+00:00"),
        ("2012-01-03T23:36:29+02:00", "2012-01-03T23:36:29+02:00"),
        (1553910552, "2019-03-30T01:49:12+00:00"),
        ("0001-01-01T00:00:00Z", None),
        ("2026-02-31T00:00:00Z", None),
        (10**30, None),
        ({}, None),
    ],
)
def test_times_are_read_as_services_write_them(said: Any, expected: str | None) -> None:
    """And what is no time is none."""
    found = moment(said)
    assert (found.isoformat() if found else None) == expected
