"""GitLab: what happens in a project, as `gitlab.KIND`; the length of a pipeline and of a job are numbers to plot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    cut,
    duration,
    first_line,
    flat,
    json_of,
    link,
    named,
    number,
    objects,
    one_line,
    text,
    typed,
    when,
    without_nothing,
)
from xmppbus.inputs.webhook_signatures import shared
from xmppbus.plugins import Registry

Said = tuple[str, dict[str, Any]]
STATES = {"success": "succeeded", "failed": "failed", "canceled": "was canceled", "skipped": "was skipped"}
DONE = {"open": "opened", "close": "closed", "reopen": "reopened", "update": "updated", "merge": "merged"}
DONE |= {"approved": "approved", "unapproved": "no longer approves", "create": "created", "delete": "deleted"}


def events(sent: Sent) -> list[Fields]:
    """One for each request."""
    body = json_of(sent)
    kind = text(body, "object_kind") or text(body, "event_type") or text(body, "event_name")
    if not kind:
        raise ValueError("the body has neither `object_kind` nor `event_name`")
    project = (
        text(body, "project", "path_with_namespace") or text(body, "project_name") or text(body, "project", "name")
    )
    who = text(body, "user", "username") or text(body, "user_username") or text(body, "user", "name")
    said, more = SPOKEN.get(kind, _other)(kind, who or text(body, "user_name"), body)
    data = {"kind": kind, "project": project, "user": who}
    fields = {
        "type": typed("gitlab", kind),
        "source": named(link(text(body, "project", "web_url")) or f"gitlab:{project or 'system'}"),
        "subject": named(project),
        "link": link(text(body, "project", "web_url")),
        **more,
        "summary": one_line(f"{project.rpartition('/')[2]}:" if project else "", said),
        "data": without_nothing({**data, **more.get("data", {})}),
    }
    return [without_nothing(fields)]


def _push(kind: str, who: str, body: dict[str, Any]) -> Said:
    commits, ref = objects(body, "commits"), text(body, "ref").removeprefix("refs/heads/").removeprefix("refs/tags/")
    count = number(body, "total_commits_count")
    total = int(count) if count is not None else len(commits)
    nothing = "0" * 40
    if kind == "tag_push":
        said = f"{who} {'deleted' if text(body, 'after') == nothing else 'pushed'} tag {ref}"
    elif text(body, "after") == nothing:
        said = f"{who} deleted {ref}"
    else:
        said = f"{who} pushed {total} {'commit' if total == 1 else 'commits'} to {ref}"
    message = first_line(text(commits[-1], "message")) if commits else ""
    lines = "\n".join(f"* {first_line(text(each, 'message'))}" for each in commits[:20])
    data: Fields = {"ref": text(body, "ref"), "before": text(body, "before"), "after": text(body, "after")}
    data |= {"commits": total, "text": lines}
    address = link(text(commits[-1], "url")) if commits else link(text(body, "project", "web_url"))
    return f"{said} – {message}" if message else said, {"link": address, "data": data}


def _thread(kind: str, who: str, body: dict[str, Any]) -> Said:
    """A merge request or an issue."""
    found, sign = at(body, "object_attributes"), "!" if kind == "merge_request" else "#"
    action = text(found, "action")
    name = f"{sign}{text(found, 'iid')}"
    data = {"number": number(found, "iid"), "title": cut(text(found, "title")), "state": text(found, "state")}
    data |= {"action": action, "text": cut(text(found, "description"))}
    branches = {"from": text(found, "source_branch"), "into": text(found, "target_branch")}
    said = f"{who} {DONE.get(action, action) or 'changed'} {kind.replace('_', ' ')} {name}"
    return f"{said} – {first_line(text(found, 'title'))}", {
        "subject": named(f"{text(body, 'project', 'path_with_namespace')}{name}"),
        "link": link(text(found, "url")),
        "data": {**data, **branches},
    }


def _note(kind: str, who: str, body: dict[str, Any]) -> Said:
    del kind
    found = at(body, "object_attributes")
    return f"{who} commented – {first_line(text(found, 'note'))}", {
        "link": link(text(found, "url")),
        "data": {"on": text(found, "noteable_type"), "text": cut(text(found, "note"))},
    }


def _pipeline(kind: str, who: str, body: dict[str, Any]) -> Said:
    del kind, who
    found = at(body, "object_attributes")
    status, ref, seconds = text(found, "status"), text(found, "ref"), number(found, "duration")
    project, identity = text(body, "project", "path_with_namespace"), text(found, "id")
    called = text(found, "name") or "pipeline"
    said = f"{called} {STATES.get(status, status)} on {ref}" + (f" after {duration(seconds)}" if seconds else "")
    data = {"status": status, "ref": ref, "commit": text(found, "sha"), "pipeline": number(found, "id")}
    data |= {"seconds": seconds, "queued": number(found, "queued_duration"), "cause": text(found, "source")}
    broken = [text(each, "name") for each in objects(body, "builds") if text(each, "status") == "failed"]
    address = f"{text(body, 'project', 'web_url')}/-/pipelines/{identity}"
    return said + (f" – {', '.join(broken[:5])}" if broken else ""), {
        "key": named(f"{project} {called} {ref}"),
        "severity": "error" if status == "failed" else "info",
        "link": link(text(found, "url"), address),
        "time": when(found, "finished_at") or when(found, "created_at"),
        "data": {**data, "failed": ", ".join(broken[:50])},
    }


def _job(kind: str, who: str, body: dict[str, Any]) -> Said:
    del kind, who
    status, name, ref = text(body, "build_status"), text(body, "build_name"), text(body, "ref")
    seconds = number(body, "build_duration")
    project = text(body, "project", "path_with_namespace") or text(body, "project_name")
    said = f"{name} {STATES.get(status, status)} on {ref}" + (f" after {duration(seconds)}" if seconds else "")
    data = {"status": status, "name": name, "stage": text(body, "build_stage"), "ref": ref, "seconds": seconds}
    data |= {"queued": number(body, "build_queued_duration"), "runner": text(body, "runner", "description")}
    data |= {"reason": text(body, "build_failure_reason"), "commit": text(body, "sha")}
    failed = status == "failed" and at(body, "build_allow_failure") is not True
    return said, {
        "key": named(f"{project} {name}"),
        "severity": "error" if failed else "info",
        "link": link(f"{text(body, 'repository', 'homepage')}/-/jobs/{text(body, 'build_id')}"),
        "data": data,
    }


def _release(kind: str, who: str, body: dict[str, Any]) -> Said:
    del kind, who
    action = text(body, "action")
    said = f"release {text(body, 'tag')} {DONE.get(action, action)} – {first_line(text(body, 'name'))}"
    data = {"tag": text(body, "tag"), "name": text(body, "name"), "action": action}
    return said, {
        "severity": "notice" if action == "create" else "info",
        "link": link(text(body, "url")),
        "data": {**data, "text": cut(text(body, "description"))},
    }


def _other(kind: str, who: str, body: dict[str, Any]) -> Said:
    known = ("project", "repository", "user", "object_kind")
    found = flat({each: value for each, value in body.items() if each not in known})
    said = one_line(kind.replace("_", " "), text(body, "action") or text(body, "status"), f"by {who}" if who else "")
    return said, {"data": found, "link": link(text(body, "object_attributes", "url"), text(body, "project", "web_url"))}


SPOKEN: dict[str, Callable[[str, str, dict[str, Any]], Said]] = {
    **dict.fromkeys(("push", "tag_push"), _push),
    **dict.fromkeys(("issue", "merge_request", "work_item", "confidential_issue"), _thread),
    "note": _note,
    "pipeline": _pipeline,
    **dict.fromkeys(("build", "job"), _job),
    "release": _release,
}


def register(registry: Registry) -> None:
    preset = Preset(events, shared("x-gitlab-token"), delivery="idempotency-key")
    registry.input("gitlab", preset, options=WebhookOptions)
