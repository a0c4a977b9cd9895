"""GitHub: what happens in a repository, as `github.EVENT`; the length of a workflow's run is a number to plot."""

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
    moment,
    named,
    number,
    objects,
    one_line,
    seconds_between,
    text,
    typed,
    when,
    without_nothing,
)
from xmppbus.inputs.webhook_signatures import hexadecimal
from xmppbus.plugins import Registry

Said = tuple[str, dict[str, Any]]
"""What a summary says behind the repository's name, and the fields that are not as they are for every event."""

BAD = ("failure", "timed_out", "startup_failure", "error")
CONCLUSIONS = {"success": "succeeded", "failure": "failed", "timed_out": "timed out", "cancelled": "was cancelled"}


def events(sent: Sent) -> list[Fields]:
    """One for each delivery."""
    name = sent.headers.get("x-github-event", "")
    if not name:
        raise ValueError("the header X-GitHub-Event is missing")
    return [event("github", name, json_of(sent))]


def event(service: str, name: str, body: dict[str, Any]) -> Fields:
    """What GitHub, or one of those that speak as it does, says of a repository."""
    repository = text(body, "repository", "full_name") or text(body, "organization", "login") or service
    who = text(body, "sender", "login") or text(body, "pusher", "name")
    said, more = SPOKEN.get(name, _other)(name, who, body)
    data = {"event": name, "action": text(body, "action"), "repository": repository, "sender": who}
    fields = {
        "type": typed(service, name),
        "source": named(link(text(body, "repository", "html_url")) or f"{service}:{repository}"),
        "subject": named(repository),
        "link": link(text(body, "repository", "html_url")),
        **more,
        "summary": one_line(f"{repository.rpartition('/')[2]}:", said),
        "data": without_nothing({**data, **more.get("data", {})}),
    }
    return without_nothing(fields)


def _push(name: str, who: str, body: dict[str, Any]) -> Said:
    del name
    commits, listed = objects(body, "commits"), at(body, "commits")
    total = int(number(body, "total_commits") or (len(listed) if isinstance(listed, list) else 0))
    ref = text(body, "ref").removeprefix("refs/heads/").removeprefix("refs/tags/")
    pusher = text(body, "pusher", "name") or text(body, "pusher", "username") or who
    last = at(body, "head_commit") or (commits[-1] if commits else {})
    if at(body, "deleted") is True:
        said = f"{pusher} deleted {ref}"
    else:
        how = "force-pushed" if at(body, "forced") is True else "pushed"
        said = f"{pusher} {how} {_count(total, 'commit')} to {ref}"
    message = first_line(text(last, "message"))
    lines = [first_line(text(each, "message")) for each in commits[:20]]
    data: Fields = {"ref": text(body, "ref"), "before": text(body, "before"), "after": text(body, "after")}
    data |= {"commits": total, "pusher": pusher, "text": "\n".join(f"* {line}" for line in lines)}
    compare = text(body, "compare") or text(body, "compare_url")
    return one_line(said, message, between=" – "), {"link": link(compare, text(last, "url")), "data": data}


def _thread(name: str, who: str, body: dict[str, Any]) -> Said:
    """A pull request or an issue, or what somebody says about one."""
    found = at(body, "pull_request") or at(body, "issue") or at(body, "discussion")
    number_, action, title = text(found, "number"), text(body, "action"), first_line(text(found, "title"))
    spoken = at(body, "comment") or at(body, "review")
    if action == "closed" and at(found, "merged") is True:
        action = "merged"
    done = f"{who} {action.replace('_', ' ')}"
    if at(body, "comment"):
        done = f"{who} commented on" if action == "created" else f"{who} {action} a comment on"
    elif at(body, "review"):
        done = f"{who}: {text(spoken, 'state').replace('_', ' ') or action} on"
    what = "pull request" if at(body, "pull_request") or at(found, "pull_request") else name.partition("_")[0]
    what = what.removesuffix("s")
    about = {
        "subject": named(f"{text(body, 'repository', 'full_name')}#{number_}"),
        "link": link(text(spoken, "html_url"), text(found, "html_url")),
        "data": {
            "number": number(found, "number"),
            "title": cut(text(found, "title")),
            "state": text(found, "state"),
            "merged": at(found, "merged") if isinstance(at(found, "merged"), bool) else None,
            "author": text(found, "user", "login"),
            "text": cut(text(spoken, "body") or text(found, "body")),
        },
    }
    return one_line(f"{done} {what} #{number_}", title, between=" – "), about


def _run(name: str, who: str, body: dict[str, Any]) -> Said:
    """A workflow's run, a job of one, or a check."""
    del who
    found = at(body, name) if isinstance(at(body, name), dict) else {}
    conclusion, called = text(found, "conclusion"), text(found, "name") or text(body, "workflow", "name") or name
    branch = text(found, "head_branch") or text(found, "check_suite", "head_branch")
    begun = moment(found, "started_at") or moment(found, "created_at")
    if text(found, "run_attempt") not in ("", "1"):
        begun = moment(found, "run_started_at")
    ended = moment(found, "completed_at") or (moment(found, "updated_at") if conclusion else None)
    seconds = seconds_between(begun, ended) if conclusion else None
    state = CONCLUSIONS.get(conclusion) or conclusion or text(found, "status") or text(body, "action")
    said = f"{called} {state.replace('_', ' ')}" + (f" on {branch}" if branch else "")
    if seconds is not None:
        said += f" after {duration(seconds)}"
    data = {
        "name": called,
        "status": text(found, "status"),
        "conclusion": conclusion,
        "seconds": seconds,
        "branch": branch,
        "commit": text(found, "head_sha"),
        "number": number(found, "run_number"),
        "attempt": number(found, "run_attempt"),
        "cause": text(found, "event"),
        "ok": conclusion == "success" if conclusion else None,
    }
    return said, {
        "key": named(f"{text(body, 'repository', 'full_name')} {called}"),
        "severity": "error" if conclusion in BAD else "info",
        "link": link(text(found, "html_url")),
        "time": when(found, "updated_at"),
        "data": data,
    }


def _release(name: str, who: str, body: dict[str, Any]) -> Said:
    del name
    found = at(body, "release")
    title = text(found, "name") or text(found, "tag_name")
    data = {"tag": text(found, "tag_name"), "name": title, "text": cut(text(found, "body")), "author": who}
    said = f"release {text(found, 'tag_name')} {text(body, 'action')}"
    return said + (f" – {first_line(title)}" if title != text(found, "tag_name") else ""), {
        "severity": "notice" if text(body, "action") in ("published", "released") else "info",
        "link": link(text(found, "html_url")),
        "data": data,
    }


def _ping(name: str, who: str, body: dict[str, Any]) -> Said:
    del name
    asked = at(body, "hook", "events")
    wanted = [each for each in asked if isinstance(each, str)] if isinstance(asked, list) else []
    said = f"the webhook of {who} works" if who else "the webhook works"
    return f"{said} – {text(body, 'zen')}", {"data": {"zen": text(body, "zen"), "events": ", ".join(wanted[:64])}}


def _star(name: str, who: str, body: dict[str, Any]) -> Said:
    del name
    stars = number(body, "repository", "stargazers_count")
    if stars is None:
        stars = number(body, "repository", "stars_count")
    verb = "took the star back" if text(body, "action") == "deleted" else "gave a star"
    return f"{who} {verb}" + (f", {_count(int(stars), 'star')} now" if stars is not None else ""), {
        "data": {"stars": stars}
    }


def _ref(name: str, who: str, body: dict[str, Any]) -> Said:
    kind, ref = text(body, "ref_type"), text(body, "ref")
    return f"{who} {name}d {kind} {ref}", {"data": {"ref": ref, "kind": kind}}


def _status(name: str, who: str, body: dict[str, Any]) -> Said:
    del name, who
    state, context = text(body, "state"), text(body, "context")
    data = {"state": state, "context": context, "commit": text(body, "sha"), "text": cut(text(body, "description"))}
    severity = "error" if state in BAD else "info"
    return one_line(f"{context} {state}", first_line(text(body, "description")), between=" – "), {
        "severity": severity,
        "key": named(f"{text(body, 'repository', 'full_name')} {context}"),
        "link": link(text(body, "target_url")),
        "data": data,
    }


def _other(name: str, who: str, body: dict[str, Any]) -> Said:
    known = ("repository", "sender", "organization", "installation", "enterprise", "action")
    found = flat({each: value for each, value in body.items() if each not in known})
    data = {each: value for each, value in found.items() if not each.endswith("_url") and "node_id" not in each}
    said = one_line(name.replace("_", " "), text(body, "action").replace("_", " "), f"by {who}" if who else "")
    return said, {"data": data, "link": link(*_addresses(body))}


def _addresses(body: dict[str, Any]) -> list[str]:
    """Of what an event is about, and then of the repository."""
    found = [text(each, "html_url") for name, each in body.items() if name not in ("repository", "sender")]
    return [*found, text(body, "repository", "html_url")]


def _count(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


SPOKEN: dict[str, Callable[[str, str, dict[str, Any]], Said]] = {
    "push": _push,
    **dict.fromkeys(("pull_request", "issues", "issue_comment", "discussion", "discussion_comment"), _thread),
    **dict.fromkeys(("pull_request_review", "pull_request_review_comment"), _thread),
    **dict.fromkeys(("workflow_run", "workflow_job", "check_run", "check_suite"), _run),
    "release": _release,
    "ping": _ping,
    "star": _star,
    "create": _ref,
    "delete": _ref,
    "status": _status,
}


def register(registry: Registry) -> None:
    preset = Preset(events, hexadecimal("x-hub-signature-256", "sha256="), delivery="x-github-delivery")
    registry.input("github", preset, options=WebhookOptions)
