"""What a command is given, and what its end comes to."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.daemon import Daemon
from xmppbus import limits
from xmppbus.cli.working.command import environment
from xmppbus.cli.working.link import Taken
from xmppbus.cli.working.verdicts import Verdict, verdict
from xmppbus.event import parse


def taken(**fields: Any) -> Taken:
    """An event that a worker has."""
    event = parse(
        {"type": "user.signup", "source": "test", "id": "1", **fields}, {"time": "2026-01-31T12:00:00Z"}
    ).event
    return Taken(17, event.item_id, 5, 2, "mails", event.fields, event.encoded)


@pytest.mark.parametrize(
    ("code", "attempt", "attempts", "word", "text"),
    [
        (0, 1, None, "ack", ""),
        (75, 1, None, "requeue", "exit 75: oops"),
        (75, 99, None, "requeue", "exit 75: oops"),
        (75, 2, 3, "requeue", "exit 75: oops"),
        (75, 3, 3, "reject", "try 3 of 3: exit 75: oops"),
        (1, 1, 3, "reject", "exit 1: oops"),
        (-signal.SIGKILL, 1, None, "reject", "ended by SIGKILL: oops"),
        (-63, 1, None, "reject", "ended by signal 63: oops"),
    ],
)
def test_an_exit_code_is_a_verdict(code: int, attempt: int, attempts: int | None, word: str, text: str) -> None:
    """With the end of the error output, which a delivery has room for."""
    assert verdict(code, " oops \n", attempt, attempts) == Verdict(word, text)
    if text:
        assert verdict(code, "", attempt, attempts).text == text.removesuffix(": oops")
        assert len(verdict(code, "x" * 9_999, 1, None).text) <= limits.OUTCOME_CHARACTERS


def test_an_event_s_fields_are_variables() -> None:
    """Those that are one value; what was there of another event is not."""
    data = {"user": "alice", "Disk Usage-%": 91.5, "ok": True, "none": None, "list": [1], "nul": "a\0b"}
    ours = {"PATH": "/bin", "XMPPBUS_SOCKET": "/run/x", "XMPPBUS_DATA_OLD": "1", "XMPPBUS_KEY": "old"}
    event = taken(data={**data, "long": "x" * (limits.WORK_VARIABLE_CHARACTERS + 1)}, summary="Straße", tags=["a", "b"])
    found = environment(ours, event)
    assert found == {
        "PATH": "/bin",
        "XMPPBUS_SOCKET": "/run/x",
        "XMPPBUS_TYPE": "user.signup",
        "XMPPBUS_SOURCE": "test",
        "XMPPBUS_ID": "1",
        "XMPPBUS_TIME": "2026-01-31T12:00:00Z",
        "XMPPBUS_SEVERITY": "info",
        "XMPPBUS_SUMMARY": "Straße",
        "XMPPBUS_TAGS": "a,b",
        "XMPPBUS_ITEM_ID": event.item_id,
        "XMPPBUS_SEQUENCE": "5",
        "XMPPBUS_ATTEMPT": "2",
        "XMPPBUS_QUEUE": "mails",
        "XMPPBUS_DATA_USER": "alice",
        "XMPPBUS_DATA_DISK_USAGE_": "91.5",
        "XMPPBUS_DATA_OK": "true",
    }
    text = environment({}, taken(data="hello"))
    assert (text["XMPPBUS_DATA"], text["XMPPBUS_TEXT"], text["XMPPBUS_SUMMARY"]) == ("hello", "hello", "hello")


def test_an_event_can_t_name_our_own_variables() -> None:
    """However its data is called, nor fill the environment."""
    hostile = {"": "1", "../socket": "2", "=": "3", "\n": "4", **{f"n{each}": "x" for each in range(1_000)}}
    found = environment({}, taken(data=hostile))
    assert all(name.startswith("XMPPBUS_DATA_") for name in found if "DATA" in name)
    assert not {"XMPPBUS_SOCKET", "XMPPBUS_CONFIG", "XMPPBUS_STATE"} & set(found)
    assert all(name.replace("_", "").isalnum() for name in found)
    assert len(found) <= limits.WORK_VARIABLES + 20


async def test_a_command_line_that_is_wrong_says_how(tmp_path: Any) -> None:
    """Before anything is taken from a queue."""
    away = Daemon(tmp_path)
    for arguments, words in (
        (("--queue", "q"), "behind --"),
        (("job.#", "--queue", "q", "true"), "behind --"),
        (("job.#", "--", "true"), "--queue"),
        (("job..a", "--queue", "q", "--", "true"), "is no pattern"),
        (("--queue", "no name", "--", "true"), "is no name"),
        (("--queue", "q", "--lease", "0.1s", "--", "true"), "1s to 1d"),
        (("--queue", "q", "-j", str(limits.WORK_JOBS + 1), "--", "true"), str(limits.WORK_JOBS)),
        (("--queue", "q", "--", "/no/such/command"), "is no command"),
    ):
        done = await away.run("work", *arguments)
        assert (done.code, words in done.err) == (64, True), done
