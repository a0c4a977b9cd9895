"""The events of a job: what is said when it begins, while it runs, and when it has ended. Pure.

A job is *work* as docs/howto/incidents.md has it: one key, `firing` while it runs (severity info: nobody is alarmed),
`resolved` when it is done. One that failed stays `firing`, as an error, until it has been done once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.cli.jobs.ended import Ended, signal_name
from xmppbus.people.durations import lasting

_NO_WORD = re.compile(r"[^A-Za-z0-9_-]+")


class Job(NamedTuple):
    """One run of a job. `fields` is what each of its events carries besides."""

    name: str  # for people
    type: str
    key: str
    run: str  # a name of this run
    severity: str = "error"
    fields: Mapping[str, Any] = {}

    def began(self) -> dict[str, Any]:
        """It runs now."""
        return self._event("started", f"{self.name}: started", "info", "firing", {})

    def goes_on(self, number: int, percent: float | None, lines: int) -> dict[str, Any]:
        """So far it is; `number` counts how often that was said."""
        far = f"{percent:.0f} %" if percent is not None else f"{lines:,} lines"
        known: dict[str, Any] = {"lines": lines} if percent is None else {"percent": percent}
        return self._event("running", f"{self.name}: {far}", "info", "firing", known, number=str(number))

    def has_ended(self, ended: Ended, tail: str, lines: int) -> dict[str, Any]:
        """How it ended, and with what words."""
        known: dict[str, Any] = {"code": ended.code, "seconds": round(ended.seconds, 3)}
        if ended.signal:
            known["signal"] = signal_name(ended.signal)
        if ended.timed_out:
            known["timeout"] = True
        if not ended.reason:
            known |= {
                "user_seconds": round(ended.user_seconds, 3),
                "system_seconds": round(ended.system_seconds, 3),
                "peak_memory_bytes": ended.peak_memory_bytes,
                "lines": lines,
            }
        if tail:
            known["text"] = tail
        after = "" if ended.reason else f" after {lasting(ended.seconds)}"
        if ended.is_good:
            return self._event("done", f"{self.name}: done{after}", "info", "resolved", known)
        return self._event("failed", f"{self.name}: {ended.how}{after}", self.severity, "firing", known)

    def _event(
        self, state: str, summary: str, severity: str, status: str, data: dict[str, Any], *, number: str = ""
    ) -> dict[str, Any]:
        return {
            **self.fields,
            "type": self.type,
            "id": f"{self.run}-{number or state}",
            "key": self.key,
            "status": status,
            "severity": severity,
            "summary": summary[: limits.SUMMARY_CHARACTERS],
            "data": {"state": state, "run": self.run, **data},
        }


def type_of(program: str) -> str:
    """The type of a job that was given none: `job.` and the program's name, without its directory."""
    word = _NO_WORD.sub("-", program.rpartition("/")[2]).strip("-")[: limits.JOB_NAME_CHARACTERS]
    return f"job.{word or 'command'}"
