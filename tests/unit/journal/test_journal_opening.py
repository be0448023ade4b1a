"""Where the journal lies, who may hold it, and which versions are opened."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address
from bridge.errors import JournalLocked, JournalTooNew, OperatorError, SettingsFault
from bridge.journal import Claim, HandedOver, HandOver, LearnClaims, SetSwitch
from bridge.journal.opening import locate_journal, open_books, open_journal
from bridge.journal.sqlite import open_sqlite_journal, schema
from bridge.journal.sqlite.books import open_sqlite_books
from bridge.modes import Mode, Switch

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make

OLD_CLAIM = """
INSERT INTO claim (organization, invoice_id, invoice_number, unique_source_invoice_id, ledgerref, case_number, case_id,
    batch_id, objectindex) VALUES ('nordlys', 'i1', '1001', 'u1', 'r', 'c1', '', 'b1', 4)
"""

OLD_BATCH = """
INSERT INTO batch (number, id, sender, identity, profile, batchid, content, received_at, offline, row_count, addresses,
    finished_at, reply) VALUES (7, 'b1', 'ERP-1', 'batchid:W1', 'p', 'W1', '', 5.0, 0, 1, 'invoice 0', 6.0, x'7b7d');
INSERT INTO row (batch, objectname, objectindex, position, verdict, message, ledgerref, organization, operation,
    unique_id) VALUES (7, 'invoice', 0, 0, 'refused', 'why', 'r', 'nordlys', '', '');
SELECT 1
"""

HOLD = """
import asyncio, sys
from pathlib import Path
from bridge.journal.sqlite import open_sqlite_journal
journal = open_sqlite_journal(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///var/bridge.db", "/etc/bridge/var/bridge.db"),
        ("sqlite:////var/lib/bridge/journal.db", "/var/lib/bridge/journal.db"),
        ("sqlite:///my%20journal.db", "/etc/bridge/my journal.db"),
    ],
)
def test_three_slashes_are_relative_to_the_configuration_and_four_absolute(url: str, expected: str) -> None:
    """The URL names one file."""
    assert locate_journal(url, base=Path("/etc/bridge")) == Path(expected)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "var/bridge.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///var/",
        "sqlite://host/bridge.db",
        "sqlite:bridge.db",
        "sqlite:///bridge.db?mode=ro",
        "mysql://user@host/db",
    ],
)
def test_any_other_url_is_refused_naming_what_is_allowed(url: str) -> None:
    """A fault of the settings says which forms there are."""
    with pytest.raises(
        SettingsFault, match=r"storage\.url: expected sqlite:///relative.*, sqlite:////absolute.* or postgresql"
    ):
        locate_journal(url, base=Path())


async def test_a_journal_is_opened_by_url_and_its_books_beside_it(tmp_path: Path, make: Make) -> None:
    """Books need no lock: they are read while the bridge runs, and after it has stopped."""
    journal = await open_journal("sqlite:///var/bridge.db", base=tmp_path)
    await journal.write(make.opening())
    beside = open_books("sqlite:///var/bridge.db", base=tmp_path)
    assert await beside.open_batches() == ["b1"]
    await journal.write(make.opening("b2"))
    assert (await beside.ledger()).accepted == 2
    await beside.close()
    await journal.close()
    afterwards = open_books("sqlite:///var/bridge.db", base=tmp_path)
    assert await afterwards.open_batches() == ["b1", "b2"]
    await afterwards.close()


async def test_files_are_readable_by_their_owner_only(path: Path, make: Make) -> None:
    """The journal holds payloads, so nobody else may read it, whatever the umask says."""
    umask = os.umask(0)
    try:
        journal = open_sqlite_journal(path)
        await journal.write(make.opening())
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await journal.close()
    finally:
        os.umask(umask)
    names = ("bridge.db", "bridge.db-wal", "bridge.db-shm", "bridge.db.lock")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_second_process_is_refused_with_path_and_pid(path: Path, make: Make) -> None:
    """The lock names its holder, also through a link, and dies with it even when it is killed."""
    path.parent.mkdir()
    link = path.with_name("link.db")
    link.symlink_to(path)
    holder = start_holder(path)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for name in (path, link):
            with pytest.raises(JournalLocked, match=rf"process {holder.pid} holds the journal {path}"):
                open_sqlite_journal(name)
    finally:
        holder.kill()
        holder.communicate()
    journal = open_sqlite_journal(path)
    await journal.write(make.opening())
    await journal.close()


async def test_one_process_does_not_open_a_journal_twice(path: Path) -> None:
    """The lock also keeps a second journal of the same process out, and a refused opening releases nothing of it."""
    journal = open_sqlite_journal(path)
    for _ in range(2):
        with pytest.raises(JournalLocked, match=f"process {os.getpid()} holds"):
            open_sqlite_journal(path)
    await journal.close()
    await open_sqlite_journal(path).close()


def test_a_journal_that_is_not_there_is_told(path: Path) -> None:
    """`bridge ledger` creates nothing."""
    with pytest.raises(OperatorError, match="there is no journal at"):
        open_sqlite_books(path)
    assert not path.parent.exists()


def test_an_empty_file_is_not_a_journal_yet(path: Path) -> None:
    """Only a starting bridge makes a journal."""
    path.parent.mkdir()
    path.touch()
    with pytest.raises(OperatorError, match="not a journal yet: start the bridge once"):
        open_sqlite_books(path)


@pytest.mark.parametrize("opening", [open_sqlite_journal, open_sqlite_books])
def test_a_journal_of_a_newer_version_is_left_alone(path: Path, opening: Callable[[Path], object]) -> None:
    """An older bridge says which version it knows."""
    path.parent.mkdir()
    execute(path, f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = 99; CREATE TABLE t (x)")
    with pytest.raises(JournalTooNew, match="version 99, this bridge knows up to"):
        opening(path)


@pytest.mark.parametrize("opening", [open_sqlite_journal, open_sqlite_books])
def test_a_database_of_another_program_is_left_alone(path: Path, opening: Callable[[Path], object]) -> None:
    """A wrong storage.url must not migrate somebody else's tables."""
    path.parent.mkdir()
    execute(path, "CREATE TABLE customers (name)")
    with pytest.raises(OperatorError, match="a database of another program"):
        opening(path)
    assert execute(path, "SELECT name FROM sqlite_master") == [("customers",)]


@pytest.mark.parametrize("opening", [open_sqlite_journal, open_sqlite_books])
def test_a_file_that_is_no_database_is_told(path: Path, opening: Callable[[Path], object]) -> None:
    """The message names the file and the remedy."""
    path.parent.mkdir()
    path.write_text("creditor;invoice;payment\n" * 1000)
    with pytest.raises(OperatorError, match=rf"{path} cannot be opened: the file is not a SQLite database"):
        opening(path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the folder should be, and a folder where the file should be."""
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="cannot be created or opened for writing"):
        open_sqlite_journal(tmp_path / "file" / "bridge.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OperatorError, match="cannot be created or opened for writing"):
        open_sqlite_journal(tmp_path / "folder")


def test_an_older_journal_is_upgraded_by_the_bridge_and_only_by_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each migration runs once, in order; a reader asks for the bridge to be started."""
    execute_all_steps_of(path, schema.MIGRATIONS)
    newer = (*schema.MIGRATIONS, "ALTER TABLE creditor ADD COLUMN note TEXT; CREATE TABLE extra (x)")
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    with pytest.raises(OperatorError, match="start the bridge once, it upgrades the journal"):
        open_sqlite_books(path)
    execute_all_steps_of(path, newer)
    execute_all_steps_of(path, newer)
    assert execute(path, "PRAGMA user_version") == [(len(newer),)]


def test_what_an_older_version_erased_is_due_once_more(path: Path) -> None:
    """Before version 3 retention left messages in rows and answers, which may be the modern system's words."""
    execute_all_steps_of(path, schema.MIGRATIONS[:2])
    execute(
        path,
        "INSERT INTO batch (id, sender, identity, profile, batchid, content, received_at, offline, row_count,"
        " addresses, finished_at, kept) VALUES ('b', 's', 'i', 'p', '', '', 1, 0, 0, '', 2, 0)",
    )
    execute_all_steps_of(path, schema.MIGRATIONS)
    assert execute(path, "SELECT kept FROM batch") == [(1,)]


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
async def test_the_claims_of_an_older_journal_are_found_and_completed(path: Path, version: int) -> None:
    """Whatever the version that learnt them."""
    execute_all_steps_of(path, schema.MIGRATIONS[:version])
    execute(path, OLD_CLAIM)
    journal = open_sqlite_journal(path)
    old = Claim("nordlys", "i1", "1001", "u1", "r", "c1", "", "b1", 4)
    assert await journal.find_claims("c1") == [old]
    await journal.write(LearnClaims([Claim("nordlys", "i1", case_id="case-1", modern_batch="m1")]))
    assert await journal.find_claims("m1") == [replace(old, case_id="case-1", modern_batch="m1")]
    await journal.close()


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
async def test_an_older_journal_takes_part_in_a_cutover(path: Path, version: int) -> None:
    """The batches it holds are found by organization and time, and their rows can be carried to the legacy system."""
    execute_all_steps_of(path, schema.MIGRATIONS[:version])
    execute(path, OLD_BATCH)
    journal = open_sqlite_journal(path)
    assert (await journal.switches(), await journal.samples("nordlys")) == ([], [])
    assert await journal.observations("nordlys", 0.0) == []
    assert await journal.passed("ERP-1", "batchid:W1") is None
    assert await journal.batches_of("nordlys", 5.0) == ["b1"]
    carried = HandOver("e", "nordlys", [("b1", Address("invoice", 0))], "k", 9.0)
    await journal.write(SetSwitch(Switch("nordlys", Mode.LEGACY), 0), carried)
    assert await journal.handed_over("nordlys") == [HandedOver("b1", Address("invoice", 0), "e", 9.0)]
    assert (await journal.ledger()).unaccounted == ()
    await journal.close()


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path) -> None:
    """A step is all or nothing, so a failed upgrade can be tried again."""
    broken = (*schema.MIGRATIONS, "CREATE TABLE extra (x); CREATE TABLE extra (x)")
    with pytest.raises(sqlite3.OperationalError):
        execute_all_steps_of(path, broken)
    assert execute(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    assert execute(path, "SELECT * FROM sqlite_master WHERE name = 'extra'") == []


async def test_a_write_is_on_disk_before_it_returns(path: Path) -> None:
    """The connection that writes is set to WAL and to syncing every commit."""
    journal = open_sqlite_journal(path)
    connection = journal._writer._connection
    assert connection is not None
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    await journal.close()


async def test_closing_twice_is_harmless(path: Path) -> None:
    """The second close must not let go of what somebody else holds by then."""
    journal = open_sqlite_journal(path)
    await journal.close()
    again = open_sqlite_journal(path)
    await journal.close()
    with pytest.raises(JournalLocked):
        open_sqlite_journal(path)
    await again.close()


def test_a_sqlite_that_is_too_old_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old systems come with a SQLite that lacks what the journal needs; the lock is let go of for the next try."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    for _ in range(2):
        with pytest.raises(OperatorError, match=r"use one with 3\.37 or newer"):
            open_sqlite_journal(path)


def start_holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def execute(path: Path, script: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        *before, last = script.split(";")
        for statement in before:
            connection.execute(statement)
        found = connection.execute(last).fetchall()
        connection.commit()
        return found
    finally:
        connection.close()


def execute_all_steps_of(path: Path, migrations: tuple[str, ...]) -> None:
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        schema.upgrade(connection, migrations)
    finally:
        connection.close()
