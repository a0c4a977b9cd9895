"""Journals of earlier versions: every one that was released is opened, with all that is in it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.journals import deliver_all, ids, read_all, routed, take
from tests.support.keeping import content, findings
from tests.support.people_nouns import JULIET, ROMEO
from xmppbus.errors import JournalFailed
from xmppbus.journal import State
from xmppbus.people.model import Status
from xmppbus.stores import opening, queries, snapshots
from xmppbus.stores.sqlite import SqliteJournal

FROZEN = {"schema_1": "0c824e4e6fd8c5a8", "schema_2": "e6889b3c76fd8a1f"}  # of version 0.1.0
RELEASED = sorted((Path(__file__).parent / "journals").glob("*.sql"))


def load(script: str | Path, path: Path) -> None:
    """A database as a script describes it."""
    script = script if isinstance(script, str) else script.read_text()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def schema(path: Path) -> dict[tuple[str, str], str]:
    """Every table and index, without what SQL does not mind."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").fetchall()
    found = {}
    for type_, name, text in rows:
        bare = re.sub(r"--[^\n]*", "", text)
        found[type_, name] = re.sub(r"\s+", " ", bare.replace('"', "")).replace("( ", "(").replace(" )", ")").strip()
    return found


async def opened(path: Path) -> None:
    async with SqliteJournal(path):
        pass


@pytest.fixture
async def fresh(tmp_path: Path) -> Path:
    """A journal that this version has made."""
    path = tmp_path / "fresh.db"
    await opened(path)
    return path


@pytest.mark.parametrize("script", RELEASED, ids=lambda path: path.stem)
async def test_a_released_journal_comes_to_the_schema_of_today(script: Path, tmp_path: Path, fresh: Path) -> None:
    """Built both ways: brought here step by step, or made at once."""
    old = tmp_path / "old.db"
    load(script, old)
    await opened(old)
    assert schema(old) == schema(fresh)
    with snapshots.reading(old) as connection:
        assert opening.check_version(old, connection) == opening.SCHEMAS
    assert findings(old) == []


@pytest.mark.parametrize("version", range(1, opening.SCHEMAS + 1))
async def test_every_step_leads_to_the_same(version: int, tmp_path: Path, fresh: Path) -> None:
    """From an empty journal of each schema that there ever was."""
    old = tmp_path / "old.db"
    scripts = "".join(queries.text(f"schema_{number}") for number in range(1, version + 1))
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    load(f"{scripts} PRAGMA user_version = {version}; PRAGMA application_id = {application};", old)
    await opened(old)
    assert schema(old) == schema(fresh)


@pytest.mark.parametrize("script", RELEASED, ids=lambda path: path.stem)
async def test_a_released_journal_has_everything_that_was_in_it(script: Path, tmp_path: Path) -> None:
    """Events, what has become of them, what waits, cursors, people, incidents; and it goes on."""
    path = tmp_path / "journal.db"
    load(script, path)
    async with SqliteJournal(path, keep_days=36_500) as journal:
        entries = await read_all(journal)
        assert [entry.event.id for entry in entries] == [
            *("opened", "delivered", "dead", "stopped", "waiting", "text", "retried"),
        ]
        assert entries[5].event.fields["data"] == {"text": "Straße 7 \U0001f600\r\n"}
        states = [fate.state for entry in entries for fate in await journal.fates(entry.sequence)]
        assert states == [*[State.DELIVERED] * 3, State.DEAD, *[State.WAITING] * 4]
        assert await journal.cursor("shell") == 3
        assert [each.owner for each in await journal.people.subscriptions()] == [ROMEO, JULIET]
        assert {each.jid for each in await journal.people.persons()} == {ROMEO, "ops@muc.example.org"}
        assert [each.key for each in await journal.people.incidents([Status.ACKNOWLEDGED], 9)] == ["web1"]
        assert len(await journal.people.messages_of(2)) == 1
        assert len(await journal.people.escalations()) == 1
        assert (await journal.append([routed("pruned")]))[0].result.value == "known"
        (new,) = await journal.append([routed("new")])
        assert new.sequence > entries[-1].sequence
        assert ids(await take(journal)) == ["stopped", "waiting", "text", "retried", "new"]
    async with SqliteJournal(path, keep_days=36_500) as journal:
        assert await deliver_all(journal) == ["stopped", "waiting", "text", "retried", "new"]


async def test_a_journal_of_a_newer_version_is_left_alone(fresh: Path) -> None:
    """It says what to do, and changes nothing."""
    newer = opening.SCHEMAS + 1
    load(f"PRAGMA user_version = {newer};", fresh)
    before = content(fresh)
    with pytest.raises(JournalFailed, match="newer xmppbus") as failed:
        await opened(fresh)
    assert "install that one again, or restore a backup" in str(failed.value)
    assert content(fresh) == before
    with pytest.raises(JournalFailed, match="newer xmppbus"), snapshots.reading(fresh):
        pass


def test_what_was_released_is_never_changed() -> None:
    """A new schema is a new step: journals that are out there have these behind them."""
    assert {name: _digest(queries.text(name)) for name in FROZEN} == FROZEN
    assert RELEASED


def _digest(script: str) -> str:
    """Of what SQLite sees of it."""
    return sha256(" ".join(re.sub(r"--[^\n]*", "", script).split()).encode()).hexdigest()[:16]
