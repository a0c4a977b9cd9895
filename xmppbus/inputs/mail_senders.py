"""Mails that programs write, made readable: cron's and smartd's say in their subject or body what an event has fields
for. Pure: looks at texts that are read already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_CRON = re.compile(r"Cron <([^@<>\s]{1,64})@([^<>\s]{1,255})> ?(.*)")
_SMARTD = re.compile(r"SMART error \(([^()]{1,64})\) detected on host: (\S{1,255})")
_SMARTD_TEST = re.compile(r"SMART (?:error|message) \(EmailTest\)")
_DEVICE = re.compile(r"^Device: (\S{1,128})[^\n]{0,400}", re.MULTILINE)


class Known(NamedTuple):
    """What is said better than the mail says it: a summary, a severity (or none), and more data."""

    summary: str
    severity: str
    data: dict[str, Any]


def known_sender(headers: Mapping[str, str], subject: str, text: str) -> Known | None:
    """What the mail is about, if one of those programs has written it. `headers` has lower-case names."""
    return _cron(headers, subject) or _smartd(subject, text)


def _cron(headers: Mapping[str, str], subject: str) -> Known | None:
    """cron mails what a job has printed: `Subject: Cron <root@web1> /usr/local/bin/backup`."""
    found = _CRON.fullmatch(subject)
    if found is None or ("x-cron-env" not in headers and "cron daemon" not in headers.get("from", "").lower()):
        return None
    user, host, command = found.groups()
    data = {"user": user, "host": host, "command": command}
    return Known(f"cron on {host} ({user}): {command}", "", data)


def _smartd(subject: str, text: str) -> Known | None:
    """smartd's default mail (smartd_warning.sh) has the message itself in the middle of its body."""
    found = _SMARTD.match(subject)
    if found is None:
        return None
    kind, host = found.groups()
    data = {"host": host, "problem": kind}
    device = _DEVICE.search(text)
    if device is None:
        return Known(f"{host}: SMART error ({kind})", _smart_severity(kind, subject), data)
    data["device"] = device.group(1)
    return Known(f"{host}: {device.group()}", _smart_severity(kind, subject), data)


def _smart_severity(kind: str, subject: str) -> str:
    if _SMARTD_TEST.match(subject):
        return ""
    return "critical" if kind in ("Health", "FailedHealthCheck") else "error"
