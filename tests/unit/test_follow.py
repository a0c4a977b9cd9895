"""Lines of log files: how they are split, found again after rotations, and what they become."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from xmppbus import limits
from xmppbus.inputs.follow import FollowInput
from xmppbus.inputs.matching import FollowedFile, FollowOptions, Rule, named_twice, number_of, without_rotated
from xmppbus.inputs.rotation import Rotating, current_names, rotated_names
from xmppbus.inputs.trail import Cursor, Line, split
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result
from xmppbus.stores.sqlite import SqliteJournal


def lines_of(rotating: Rotating, now: float = 0.0) -> list[str]:
    """All that is new by then, and taken."""
    found: list[str] = []
    for _ in range(60):
        rotating.look(now)
        for bite in rotating.bites(now):
            found += [each.content.decode() for each in bite.split.lines]
            bite.take()
    return found


def again(rotating: Rotating) -> Rotating:
    """As after a restart."""
    kept = msgspec.json.decode(
        msgspec.json.encode((rotating.cursors, rotating.done)), type=tuple[list[Cursor], list[Cursor]]
    )
    rotating.close()
    found = Rotating(rotating.path)
    found.restore(*kept)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log file with two lines."""
    path = tmp_path / "x.log"
    path.write_text("one\ntwo\n")
    return path


def append(path: Path, text: str) -> None:
    """As a program that logs, whose clock goes on between two files."""
    with path.open("a") as file:
        file.write(text)


def older(path: Path, seconds: int) -> None:
    """Written so long ago."""
    moment = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(moment, moment))


def test_a_line_is_taken_when_it_is_whole() -> None:
    """CR LF is one end; empty lines are none."""
    assert split(b"a\r\n\n\r\nb\nc", 10, skipping=False, last=False) == ([Line(10, b"a"), Line(16, b"b")], 18, False)
    assert split(b"c", 18, skipping=False, last=True).lines == [Line(18, b"c")]


def test_a_line_is_cut_at_its_bound_and_the_next_is_whole() -> None:
    """`limits.FOLLOW_LINE_BYTES`, however the file was read."""
    whole = split(b"x" * (limits.FOLLOW_LINE_BYTES + 9) + b"\nb\n", 0, skipping=False, last=False)
    assert [(len(each.content), each.cut) for each in whole.lines] == [(limits.FOLLOW_LINE_BYTES, True), (1, False)]
    begun = split(b"x" * 12, 0, skipping=False, last=False, most=10)
    assert begun == ([Line(0, b"x" * 10, True)], 12, True)
    assert split(b"xx\nb\n", 12, skipping=True, last=False, most=10) == ([Line(15, b"b")], 17, False)


def test_what_stands_there_is_left_out_if_it_is_wanted_so(log: Path) -> None:
    """But for a line that is not whole yet."""
    append(log, "thr")
    rotating = Rotating(log, at_end=True)
    assert lines_of(rotating) == []
    append(log, "ee\nfour\n")
    assert lines_of(rotating) == ["three", "four"]
    rotating.close()


def test_a_file_that_appears_later_is_read_from_its_first_line(log: Path) -> None:
    """Although its rule would begin at the end of one that is there."""
    log.rename(log.with_name("elsewhere"))
    rotating = Rotating(log, at_end=True)
    assert lines_of(rotating) == []
    log.with_name("elsewhere").rename(log)
    assert lines_of(rotating) == ["one", "two"]
    rotating.close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path, restart: bool) -> None:
    """Also what comes late, from a program that has it open still; in either case by its own names."""
    rotating = Rotating(log)
    assert lines_of(rotating) == ["one", "two"]
    token = rotating.cursors[0].token
    append(log, "three\n")
    log.rename(log.with_name("x.log.1"))
    log.write_text("five\n")
    rotating = again(rotating) if restart else rotating
    assert lines_of(rotating) == ["three", "five"]
    append(log.with_name("x.log.1"), "four, late\n")
    assert lines_of(rotating) == ["four, late"]
    assert rotating.cursors[0].token == token != rotating.cursors[1].token
    assert not lines_of(rotating, limits.FOLLOW_LINGER_SECONDS + 1)
    assert [each.token for each in rotating.done] == [token], "left after a while"
    rotating.close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_copied_and_emptied_is_read_on_in_the_copy(log: Path, restart: bool) -> None:
    """By the names that its lines would have had; then the file from its beginning."""
    rotating = Rotating(log)
    assert lines_of(rotating) == ["one", "two"]
    token = rotating.cursors[0].token
    append(log, "three\n")
    shutil.copyfile(log, log.with_name("x.log.1"))
    log.write_text("four\nlonger than it was\n")
    rotating = again(rotating) if restart else rotating
    assert lines_of(rotating) == ["three", "four", "longer than it was"]
    assert rotating.cursors[0].token == token
    assert not rotating.lost
    rotating.close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_filled_copied_and_emptied_between_two_looks_is_read_in_the_copies(
    log: Path, restart: bool
) -> None:
    """All of them, in their order, and what was there before is not read again."""
    log.write_text("")
    log.with_name("x.log.3").write_text("of old\n")
    rotating = Rotating(log)
    assert lines_of(rotating) == []
    for number in (2, 1):
        log.write_text(f"{number}\n")
        shutil.copyfile(log, log.with_name(f"x.log.{number}"))
        older(log.with_name(f"x.log.{number}"), -number)
        log.write_text("")
    os.utime(log, ns=(0, 1))
    append(log.with_name("x.log.3"), "late\n")
    rotating = again(rotating) if restart else rotating
    assert lines_of(rotating) == ["1", "2"]
    append(log, "last\n")
    assert lines_of(rotating) == ["last"]
    rotating.close()


def test_a_copy_that_is_just_made_is_not_read_beside_the_file(log: Path) -> None:
    """Its lines are in the file as well, until that is emptied."""
    content = log.read_text()
    log.write_text("")
    rotating = Rotating(log)
    assert lines_of(rotating) == []
    log.write_text(content)
    log.with_name("x.log.1").write_text(content[:4])
    assert lines_of(rotating) == ["one", "two"]
    shutil.copyfile(log, log.with_name("x.log.1"))
    log.write_text("three\n")
    assert lines_of(rotating) == ["three"]
    rotating.close()


def test_a_file_that_is_emptied_without_a_copy_is_said(log: Path) -> None:
    """And read from its beginning."""
    rotating = Rotating(log)
    lines_of(rotating)
    log.write_text("three\n")
    assert lines_of(rotating) == ["three"]
    assert rotating.lost == [f"{log} was emptied, and there is no copy of what was not read of it"]
    rotating.close()


@pytest.mark.parametrize("restart", [False, True])
def test_several_rotations_at_once_lose_nothing(log: Path, restart: bool) -> None:
    """Files that were begun and rotated between two looks are read in their order; older ones are not read again."""
    log.with_name("x.log.9").write_text("of old\n")
    older(log.with_name("x.log.9"), 100)
    older(log, 50)
    rotating = Rotating(log)
    assert lines_of(rotating) == ["one", "two"]
    for number, text in enumerate(("three\n", "four\n", "five\n")):
        append(log, text)
        older(log, 40 - 10 * number)
        log.rename(log.with_name(f"x.log-2026013{number}"))
    log.write_text("six\n")
    rotating = again(rotating) if restart else rotating
    assert lines_of(rotating) == ["three", "four", "five", "six"]
    assert lines_of(rotating, limits.FOLLOW_LINGER_SECONDS + 1) == []
    rotating = again(rotating)
    assert lines_of(rotating, limits.FOLLOW_LINGER_SECONDS + 1) == []
    rotating.close()


def test_a_rotated_file_that_is_gone_is_said(log: Path) -> None:
    """After a restart: nobody can read what was compressed meanwhile."""
    rotating = Rotating(log)
    lines_of(rotating)
    kept = rotating.cursors
    rotating.close()
    log.unlink()
    log.write_text("three\n")
    found = Rotating(log)
    found.restore(kept, [])
    assert lines_of(found) == ["three"]
    assert found.lost == [f"{log} was rotated, and what was not read of it is gone or compressed"]
    found.close()


def test_a_line_without_its_end_is_taken_when_its_file_is_left(log: Path) -> None:
    """Nobody will write the rest."""
    append(log, "three")
    rotating = Rotating(log)
    assert lines_of(rotating) == ["one", "two"]
    log.rename(log.with_name("x.log.1"))
    assert lines_of(rotating) == []
    assert lines_of(rotating, limits.FOLLOW_LINGER_SECONDS + 1) == ["three"]
    rotating.close()


def test_older_files_are_known_by_their_names() -> None:
    """logrotate's, with and without `dateext` and `extension`; and nobody else's."""
    names = rotated_names("x.log")
    assert all(map(names.fullmatch, ("x.log.1", "x.log-20260131", "x-20260131.log", "x.1.log", "x.log-20260131-1.2")))
    assert not any(map(names.fullmatch, ("x.log", "x.log.1.gz", "x.log.bak", "y.log.1", "x-y.log")))
    paths = [Path(each) for each in ("/a/x.log", "/a/x.log.1", "/a/y.log.1", "/b/x.log.1")]
    assert without_rotated(paths) == [paths[0], paths[2], paths[3]]


# --- what a line becomes ----------------------------------------------------------------------------------------------


def test_named_groups_become_data() -> None:
    """As text, but for those that are named as numbers; a line that does not match is nothing."""
    rule = Rule(
        FollowedFile(
            file="/var/log/auth.log",
            type="login.failed",
            pattern=r"Failed password for (?P<user>\S+) from (?P<ip>\S+) port (?P<port>\d+)",
            numbers=["port"],
            summary="{user} from {ip}",
            severity="warning",
            key="login {ip}",
        )
    )
    event = rule.event("a", Line(7, b"sshd: Failed password for romeo from 192.0.2.1 port 022"), Path("/x"))
    assert event == {
        "id": "a:7",
        "type": "login.failed",
        "severity": "warning",
        "summary": "romeo from 192.0.2.1",
        "key": "login 192.0.2.1",
        "data": {
            "text": "sshd: Failed password for romeo from 192.0.2.1 port 022",
            "file": "/x",
            "user": "romeo",
            "ip": "192.0.2.1",
            "port": 22,
        },
    }
    assert rule.event("a", Line(8, b"sshd: Accepted"), Path("/x")) is None


def test_bytes_that_are_no_text_stay_visible_and_numbers_stay_numbers() -> None:
    """And what is no number stays text."""
    event = Rule(FollowedFile(file="/x", type="t")).event(
        "a", Line(0, b"caf\xe9 \xf0\x9f\x8d\xba", cut=True), Path("/x")
    )
    assert event is not None
    assert event["data"] == {"text": "caf\\xe9 🍺", "file": "/x", "cut": True}
    assert [number_of(each) for each in ("12", "-1.5", ".5", "1e9", "nan", "9" * 30)] == [
        12,
        -1.5,
        0.5,
        "1e9",
        "nan",
        "9" * 30,
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pattern": "("}, "not a regular expression of RE2.*missing"),
        ({"pattern": "(?=a)"}, "no look-around"),
        ({"pattern": "(?P<a>x)", "summary": "{b}"}, "no group 'b'; there are a, file, text"),
        ({"pattern": "(?P<a>x)", "numbers": ["b"]}, "no group 'b'"),
        ({"pattern": "(?P<text>x)"}, "needs another name"),
        ({"severity": "loud"}, "no severity"),
    ],
)
def test_a_mistake_in_a_rule_is_said(options: dict[str, object], words: str) -> None:
    """In words that say what to do."""
    with pytest.raises(ValueError, match=words):
        Rule(FollowedFile(file="/x", type="t", **options))  # type: ignore[arg-type]  # the wrong ones are the point


def test_one_file_can_be_followed_for_several_types() -> None:
    """And for each of them once."""
    one, two = FollowedFile(file="/x", type="a"), FollowedFile(file="/x", type="b")
    assert not named_twice([one, two])
    assert named_twice([one, two, one]) == "/x"


def test_a_pattern_takes_time_in_proportion_to_the_line() -> None:
    """One that would keep a backtracking engine busy for longer than the universe is old."""
    rule = Rule(FollowedFile(file="/x", type="t", pattern=r"^(\w+\s?)*$"))
    assert rule.event("a", Line(0, b"a" * (limits.FOLLOW_LINE_BYTES - 1) + b"!"), Path("/x")) is None


def test_without_the_extra_lines_still_come_and_a_pattern_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line for a shell."""
    monkeypatch.setitem(sys.modules, "re2", None)
    assert Rule(FollowedFile(file="/x", type="t"))
    with pytest.raises(ValueError, match=r"pip install 'xmppbus\[follow\]'"):
        Rule(FollowedFile(file="/x", type="t", pattern="a"))


def test_very_many_files_are_told_from_older_ones() -> None:
    """None is compared with every other, which would take hours, and hold the daemon's end up for as long."""
    names = [f"host{number}{end}" for number in range(10_000) for end in (".log", ".log.1", "-20260131.log", "")]
    paths = [Path("/var/log/hosts") / each for each in names]
    assert without_rotated(paths) == [each for each in paths if each.suffix != ".1" and "-" not in each.name]


@pytest.mark.parametrize("seed", range(20))
def test_older_names_are_found_from_both_ends(seed: int) -> None:
    """Which file is an older one of which does not depend on whose name one begins with."""
    dice = random.Random(seed)
    parts = ["a", "x", ".log", ".1", "-20260131", ".2026-01-31T10", "-", ".", "_1", "٣", ".txt", ".٣"]
    names = {"".join(dice.choices(parts, k=dice.randrange(1, 5))) for _ in range(60)}
    for name in names:
        expected = {each for each in names if each != name and rotated_names(each).fullmatch(name)}
        assert current_names(name) & names == expected


async def test_a_file_whose_disk_fails_does_not_hold_the_others_up(tmp_path: Path, log: Path) -> None:
    """It is in the status, and said once; the others are read on."""
    bad = Path("/proc/self/mem")  # a plain file whose beginning can't be read
    accepted: list[str] = []

    async def accept(sent: Any, *, time: str = "") -> Any:
        accepted.extend(each["data"]["text"] for each in sent)
        return [Accepted(Result.NEW, time, 1, 1) for _ in sent]

    files = [FollowedFile(file=str(each), type="t", begin="start") for each in (bad, log)]
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        found = FollowInput(cast("Any", SimpleNamespace(journal=journal)), FollowOptions(files=files))
        for _ in range(2):
            await found._round(accept)
        assert found.status()["reason"] == "can't read /proc/self/mem: Input/output error"
        assert accepted == ["one", "two"]
    for each in found._followed.values():
        each.rotating.close()


def test_so_many_files_are_followed_and_one_more_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`limits.FOLLOW_FILES`: each is a descriptor."""
    monkeypatch.setattr(limits, "FOLLOW_FILES", 2)
    for name in "abc":
        (tmp_path / f"{name}.log").touch()
    files = [FollowedFile(file=str(tmp_path / "*.log"), type="t"), FollowedFile(file=str(tmp_path / "c.log"), type="u")]
    found = FollowInput(cast("Any", None), FollowOptions(files=files))
    found._look()
    assert found.status()["files"] == 2
    assert found.status()["reason"] == f"2 files are followed, and {tmp_path / 'c.log'} is one too many: name fewer"
    alone = FollowInput(cast("Any", None), FollowOptions(files=files[:1]))
    alone._look()
    assert "c.log is one too many" in alone.status()["reason"]
    for each in (*found._followed.values(), *alone._followed.values()):
        each.rotating.close()
