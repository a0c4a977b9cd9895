"""Tokens: made once, kept as hashes, asked for in constant time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from xmppbus.errors import ConfigInvalid
from xmppbus.web import tokens
from xmppbus.web.tokens import Tokens, add_token, make_token, parse, remove_token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_LOOK_SECONDS", 0.0)


def test_a_token_that_was_added_is_known(file: Path) -> None:
    """By its name, with its scopes."""
    token = add_token(file, "website", ["publish:user.#", "read:*"])
    found = Tokens(file).check(token)
    assert found
    assert found.name == "website"
    assert found.scopes == (("publish", "user.#"), ("read", "*"))


def test_the_file_holds_no_token_and_is_private(file: Path) -> None:
    """Only its hash; and nobody else may read it."""
    token = add_token(file, "website", ["publish:#"])
    text = file.read_text()
    assert token not in text
    assert token.rpartition(".")[2] not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert file.stat().st_mode & 0o777 == 0o600


def _another_group() -> int:
    """One that we may give a file to: root any, others one that they are in."""
    return 1 if os.geteuid() == 0 else next((each for each in os.getgroups() if each != os.getegid()), os.getegid())


def test_who_could_read_the_file_can_read_it_after_a_change(file: Path) -> None:
    """Root changes it, and the daemon reads it, as a user of its own."""
    first = add_token(file, "first", ["publish:#"])
    os.chown(file, -1, _another_group())
    file.chmod(0o640)
    add_token(file, "second", ["publish:#"])
    assert (file.stat().st_gid, file.stat().st_mode & 0o777) == (_another_group(), 0o640)
    assert remove_token(file, "first")
    assert (file.stat().st_gid, file.stat().st_mode & 0o777) == (_another_group(), 0o640)
    assert Tokens(file).check(first) is None


@pytest.mark.parametrize(("mode", "made"), [(0o640, 0o640), (0o600, 0o600)])
def test_a_new_file_can_be_read_by_the_group_that_may_read_the_config(file: Path, mode: int, made: int) -> None:
    """The daemon's, where it is not root; nobody else's."""
    config = file.with_name("xmppbus.yaml")
    config.touch(mode=mode)
    os.chown(config, -1, _another_group())
    add_token(file, "website", ["publish:#"], config)
    assert file.stat().st_mode & 0o777 == made
    assert file.stat().st_gid == (_another_group() if mode & 0o040 else os.getegid())


def test_two_tokens_are_never_alike() -> None:
    """256 random bits each."""
    made = {make_token("a", ["publish:#"])[0] for _ in range(100)}
    assert len(made) == 100
    assert all(len(token.rpartition(".")[2]) == 43 for token in made)


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "x",
        "xmppbus.website.",
        "xmppbus.website.x",
        "xmppbus.nobody.x",
        "a.b.c.d",
        "..",
        "\udcff.\udcff.\udcff",
        "é",
    ],
)
def test_what_is_not_a_token_is_not_known(file: Path, presented: str) -> None:
    """Whatever it looks like."""
    add_token(file, "website", ["publish:#"])
    assert Tokens(file).check(presented) is None


def test_scopes_are_patterns_of_types(file: Path) -> None:
    """`*` is one word, `#` any number; publishing and reading are two things."""
    secret = add_token(file, "website", ["publish:user.*", "read:disk.#"])
    found = Tokens(file).check(secret)
    assert found
    assert found.may("publish", "user.signup")
    assert not found.may("publish", "user")
    assert not found.may("publish", "user.signup.mail")
    assert not found.may("read", "user.signup")
    assert found.may("read", "disk")
    assert found.may_at_all("read")


def test_a_token_counts_as_soon_as_it_is_made(file: Path) -> None:
    """Even right after the file was looked at: whoever makes one uses it at once."""
    add_token(file, "first", ["publish:#"])
    known = Tokens(file)
    for number in range(20):
        made = add_token(file, f"token{number}", ["publish:#"])
        assert known.check(made), number


def test_a_token_that_was_removed_is_refused_without_a_restart(file: Path) -> None:
    """And one that was added is known."""
    first = add_token(file, "first", ["publish:#"])
    known = Tokens(file)
    assert known.check(first)
    assert remove_token(file, "first")
    assert known.check(first) is None
    second = add_token(file, "second", ["publish:#"])
    assert known.check(second)
    assert not remove_token(file, "first")


def test_a_file_that_goes_bad_lets_nobody_in_and_nobody_out(file: Path) -> None:
    """What was read before holds, and the problem is said."""
    token = add_token(file, "website", ["publish:#"])
    known = Tokens(file)
    file.write_text("nonsense\n")
    assert known.check(token)
    assert "the old one holds" in known.warning
    os.unlink(file)
    assert known.check(token)
    assert "the old one holds" in known.warning


def test_comments_and_other_lines_stay_as_they_are(file: Path) -> None:
    """A person's file is a person's file."""
    file.write_text("# the shop\n\n   # more\n")
    add_token(file, "a", ["publish:#"])
    add_token(file, "b", ["publish:#"])
    remove_token(file, "a")
    lines = file.read_text().splitlines()
    assert lines[:3] == ["# the shop", "", "   # more"]
    assert [line.split()[0] for line in lines[3:]] == ["b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("website", "a token has a name, a hash and at least one scope"),
        ("website sha256:" + "0" * 64, "at least one scope"),
        ("web site sha256:" + "0" * 64 + " publish:#", "the hash is not sha256:"),
        ("web/site sha256:" + "0" * 64 + " publish:#", "is not a name"),
        ("website sha256:" + "0" * 63 + " publish:#", "the hash is not sha256:"),
        ("website sha256:" + "0" * 64 + " write:#", "is not publish:PATTERN, read:PATTERN or metrics"),
        ("website sha256:" + "0" * 64 + " publish:user..x", "is not publish:PATTERN, read:PATTERN or metrics"),
        ("good sha256:" + "0" * 64 + " publish:#", "two tokens are named good"),
    ],
)
def test_a_bad_line_is_named_with_its_place(line: str, reason: str) -> None:
    """As `file:line:column`."""
    good = "good sha256:" + "0" * 64 + " publish:#\n"
    with pytest.raises(ConfigInvalid) as raised:
        parse(good + line, "tokens")
    assert str(raised.value).startswith("tokens:2:1: ")
    assert reason in str(raised.value)


def test_a_token_that_stands_where_its_hash_belongs_is_not_repeated() -> None:
    """The message goes to a terminal or a log."""
    token, _ = make_token("website", ["publish:#"])
    with pytest.raises(ConfigInvalid) as raised:
        parse(f"website {token} publish:#", "tokens")
    assert token not in str(raised.value)


@pytest.mark.parametrize(("name", "scopes"), [("a b", ["publish:#"]), ("a", []), ("a", ["publish"]), ("", ["read:#"])])
def test_a_token_without_a_proper_name_or_scope_is_not_made(file: Path, name: str, scopes: list[str]) -> None:
    """And the file is left alone."""
    with pytest.raises(ValueError, match=r"name|scope|publish"):
        add_token(file, name, scopes)
    assert not file.exists()


def test_a_name_is_taken_once(file: Path) -> None:
    """Else nobody knew which one a name means."""
    add_token(file, "a", ["publish:#"])
    with pytest.raises(ValueError, match="already"):
        add_token(file, "a", ["publish:#"])


@pytest.mark.parametrize(("mode", "words"), [(0o600, ""), (0o640, ""), (0o644, "read by"), (0o666, "written")])
def test_a_file_that_others_can_touch_is_warned_of(file: Path, mode: int, words: str) -> None:
    """Written is worse than read."""
    add_token(file, "a", ["publish:#"])
    file.chmod(mode)
    warning = Tokens(file).warning
    assert (words in warning) if words else not warning


def test_a_missing_file_is_a_config_error_that_says_how_to_make_it(file: Path) -> None:
    """At start; later it is a warning."""
    with pytest.raises(ConfigInvalid, match="xmppbus token add"):
        Tokens(file)


def test_a_token_for_metrics_is_for_nothing_else(file: Path) -> None:
    """Its scope has no pattern: figures are not about types."""
    token = add_token(file, "prometheus", ["metrics"])
    found = Tokens(file).check(token)
    assert found
    assert found.words == ["metrics"]
    assert found.may_at_all("metrics")
    assert not found.may_at_all("read")
    assert not found.may_at_all("publish")


def test_who_may_read_everything_may_not_read_figures(file: Path) -> None:
    """Scopes are written as they were given."""
    token = add_token(file, "website", ["publish:user.#", "read:#"])
    found = Tokens(file).check(token)
    assert found
    assert found.words == ["publish:user.#", "read:#"]
    assert not found.may_at_all("metrics")
