"""A job's story: what is heard of its output, what is told, and what is remembered."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from xmppbus import limits
from xmppbus.cli.jobs.ended import Ended
from xmppbus.cli.jobs.heard import PERCENT, Heard
from xmppbus.cli.jobs.outcomes import DONE, FAILED, Outcomes
from xmppbus.cli.jobs.telling import Job, type_of
from xmppbus.cli.jobs.whole import Progress, Watching, is_told
from xmppbus.fields import check

JOB = Job("backup", "job.backup", "db1:job.backup", "run")


def heard(*chunks: bytes) -> Heard:
    found = Heard()
    for each in chunks:
        found.feed(each)
    return found


@pytest.mark.parametrize(
    ("output", "tail"),
    [
        (b"one\ntwo\n", "one\ntwo"),
        (b"no end", "no end"),
        (b"", ""),
        (b"\n\n \n", ""),
        (b"10 %\r50 %\r100 %\n", "100 %"),
        (b"dos\r\nlines\r\n", "dos\nlines"),
        (b"\x1b[1;31mred\x1b[0m \x07bell\n", "red bell"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
    ],
)
def test_the_tail_is_what_a_terminal_would_have_left(output: bytes, tail: str) -> None:
    """Also when it came byte by byte."""
    assert heard(output).tail(20) == tail
    assert heard(*(bytes([each]) for each in output)).tail(20) == tail


def test_the_tail_has_as_many_lines_as_were_asked_for() -> None:
    """The last ones; none for 0."""
    found = heard(*(b"%d\n" % number for number in range(100)))
    assert found.tail(3) == "97\n98\n99"
    assert found.tail(0) == ""
    assert found.lines == 100


@pytest.mark.parametrize("size", [1, 100, 65_536, 200_000])
def test_what_is_held_of_the_output_is_bounded(size: int) -> None:
    """However it came; a line that began before is left out, and the text that is published is bounded, too."""
    found = Heard()
    for _ in range(2 * limits.JOB_TAIL_BYTES // size + 2):
        found.feed(b"x" * size)
    held = found._chunks  # what it holds is what this is about
    assert sum(map(len, held)) <= 2 * limits.JOB_TAIL_BYTES
    assert len(held) <= limits.JOB_TAIL_CHUNKS
    assert len(found.tail(limits.JOB_TAIL_LINES)) <= limits.JOB_TAIL_CHARACTERS


def test_a_line_of_which_only_the_end_is_held_is_left_out() -> None:
    """It would be half a line."""
    found = heard(b"x" * (limits.JOB_TAIL_BYTES + 10) + b"\nlast\n")
    assert found.tail(20) == "last"


@pytest.mark.parametrize(
    ("output", "pattern", "percent"),
    [
        (b"10 %\r42%", PERCENT, 42),
        (b"99.9% done\n", PERCENT, 99),
        (b"disk is 1000% full\n", PERCENT, None),
        (b"\x1b[32m 7 %\x1b[0m", PERCENT, 7),
        (b"nothing", PERCENT, None),
        (b"done 12,5 of 100", r"done (\S+) of", 12.5),
        (b"done 130 of 100", r"done (\d+) of", None),
        (b"step 3", r"\d+", 3),
        (b"step x", r"step (\d+)?", None),
    ],
)
def test_the_percentage_is_the_last_one_that_can_be_one(output: bytes, pattern: str, percent: float | None) -> None:
    """In the first group of the pattern."""
    assert heard(output).percent(re.compile(pattern)) == percent


class Collected:
    """Takes events instead of a publisher; what is published is what this is about."""

    def __init__(self) -> None:
        self.events: list[tuple[dict[str, Any], bool]] = []

    def publish(self, fields: dict[str, Any], *, later: bool = True) -> None:
        """As `Publisher` says."""
        self.events.append((fields, later))


def test_progress_is_told_when_it_has_changed_and_never_spooled() -> None:
    """It is worth nothing later."""
    told = Collected()
    progress = Progress(JOB, Watching(), told)
    progress.tick()
    for output in (b"1 %\n", b"", b"2 %\n"):
        progress.heard.feed(output)
        progress.tick()
    assert [(each["summary"], later) for each, later in told.events] == [("backup: 1 %", False), ("backup: 2 %", False)]
    assert len({each["id"] for each, _ in told.events}) == 2
    assert {each["status"] for each, _ in told.events} == {"firing"}


def test_lines_are_progress_where_that_is_asked_for() -> None:
    """Whatever percentages stand in them."""
    told = Collected()
    progress = Progress(JOB, Watching(lines=True), told)
    progress.tick()
    progress.heard.feed(b"50 %\n" * 1200)
    progress.tick()
    assert [each["summary"] for each, _ in told.events] == ["backup: 1,200 lines"]


@pytest.mark.parametrize(
    ("ended", "summary", "status"),
    [
        (Ended(0, seconds=200), "backup: done after 3 min", "resolved"),
        (Ended(3, seconds=2), "backup: failed with exit code 3 after 2 s", "firing"),
        (Ended(139, 11, seconds=2), "backup: was ended by SIGSEGV after 2 s", "firing"),
        (Ended(168, 40, seconds=2), "backup: was ended by signal 40 after 2 s", "firing"),
        (Ended(124, timed_out=True, seconds=7200), "backup: took too long and was stopped after 2 h", "firing"),
        (Ended(127, reason="No such file"), "backup: could not be started: No such file", "firing"),
    ],
)
def test_how_it_ended_is_said_in_words(ended: Ended, summary: str, status: str) -> None:
    """And the door takes it."""
    event = JOB.has_ended(ended, "tail", 7)
    assert (event["summary"], event["status"]) == (summary, status)
    check(event)


@pytest.mark.parametrize(
    ("program", "type_"),
    [
        ("/usr/bin/make", "job.make"),
        ("sync.sh", "job.sync-sh"),
        ("./-x", "job.x"),
        ("é", "job.command"),
        ("a" * 300, None),
    ],
)
def test_a_job_without_a_type_is_called_like_its_program(program: str, type_: str | None) -> None:
    """As far as a type can be."""
    found = type_of(program)
    check({"type": found})
    assert type_ in (found, None)
    assert len(found) <= limits.JOB_NAME_CHARACTERS + len("job.")


@pytest.mark.parametrize(
    ("quiet", "told"),
    [
        ("", {(DONE, DONE), (FAILED, DONE), (FAILED, FAILED), (DONE, FAILED), (DONE, ""), (FAILED, "")}),
        ("failure", {(FAILED, DONE), (FAILED, FAILED), (DONE, FAILED), (FAILED, "")}),
        ("change", {(FAILED, DONE), (DONE, FAILED), (DONE, ""), (FAILED, "")}),
    ],
)
def test_who_wants_less_is_told_less(quiet: str, told: set[tuple[str, str]]) -> None:
    """Of an outcome after the last one, if there was one."""
    pairs = [(outcome, last) for outcome in (DONE, FAILED) for last in (DONE, FAILED, "")]
    assert {pair for pair in pairs if is_told(quiet, *pair)} == told


def test_the_last_outcome_of_each_key_is_remembered(tmp_path: Path) -> None:
    """Of so many keys; the oldest go."""
    outcomes = Outcomes({"XMPPBUS_STATE": str(tmp_path)})
    assert outcomes.last("a") == ""
    outcomes.remember("a", FAILED)
    outcomes.remember("b", DONE)
    outcomes.remember("a", DONE)
    assert (outcomes.last("a"), outcomes.last("b")) == (DONE, DONE)
    for number in range(limits.JOB_OUTCOMES + 10):
        outcomes.remember(f"key {number}", DONE)
    assert len(os.listdir(tmp_path / f"jobs-{os.geteuid()}")) <= limits.JOB_OUTCOMES
    assert outcomes.last(f"key {limits.JOB_OUTCOMES + 9}") == DONE


def test_a_file_that_says_something_else_is_no_outcome(tmp_path: Path) -> None:
    """Somebody may have written into it."""
    outcomes = Outcomes({"XMPPBUS_STATE": str(tmp_path)})
    outcomes.remember("a", DONE)
    (path,) = (tmp_path / f"jobs-{os.geteuid()}").iterdir()
    path.write_bytes(b"\xff\x00" * 1000)
    assert outcomes.last("a") == ""


@pytest.mark.parametrize("planted", ["a link", "a folder that others may write into"])
def test_what_others_put_in_the_place_of_the_folder_is_left_alone(tmp_path: Path, planted: str) -> None:
    """Root runs jobs in the state directory of a daemon that is another user."""
    folder, elsewhere = tmp_path / f"jobs-{os.geteuid()}", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if planted == "a link":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    outcomes = Outcomes({"XMPPBUS_STATE": str(tmp_path)})
    with pytest.raises(OSError):  # noqa: PT011  # which, is the system's
        outcomes.remember("a", DONE)
    assert outcomes.last("a") == ""
    assert not [*elsewhere.iterdir(), *folder.iterdir()]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """Neither read nor written through."""
    outcomes = Outcomes({"XMPPBUS_STATE": str(tmp_path)})
    outcomes.remember("a", DONE)
    (path,) = (tmp_path / f"jobs-{os.geteuid()}").iterdir()
    path.rename(tmp_path / "other")
    path.symlink_to(tmp_path / "other")
    assert outcomes.last("a") == ""
    outcomes.remember("a", FAILED)
    assert (outcomes.last("a"), (tmp_path / "other").read_text()) == (FAILED, "done\n")
