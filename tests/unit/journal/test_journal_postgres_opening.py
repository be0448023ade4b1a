"""Which databases are opened, by whom, and what an operator is told when one cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from bridge.batch import Address
from bridge.errors import CannotTakeNow, JournalTooNew, OperatorError, SettingsFault
from bridge.journal import Claim, HandedOver, HandOver, LearnClaims, SetSwitch
from bridge.journal.opening import open_books, open_journal, open_office
from bridge.journal.postgres import PostgresBooks, PostgresOffice, open_postgres_journal, schema
from bridge.journal.postgres.connections import WRITING, connect, describe
from bridge.journal.postgres.failures import MEANINGS, Failure, classify, translate, translate_at_start
from bridge.modes import Mode, Switch

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make

SECRET = "correct horse"

OLD_BATCH = """
INSERT INTO batch (id, sender, identity, profile, batchid, content, received_at, offline, row_count, addresses,
    finished_at, reply) VALUES ('b1', 'ERP-1', 'batchid:W1', 'p', 'W1', '', 5.0, false, 1, 'invoice 0', 6.0, '{}');
INSERT INTO row (batch, objectname, objectindex, position, verdict, message, ledgerref, organization, operation,
    unique_id) SELECT number, 'invoice', 0, 0, 'refused', 'why', 'r', 'nordlys', '', '' FROM batch
"""


@pytest.fixture
def execute(postgres_url: str) -> Callable[[str], Awaitable[Any]]:
    async def run(statement: str) -> Any:
        connection = await asyncpg.connect(postgres_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return run


async def test_a_journal_is_opened_by_url_and_its_books_beside_it(postgres_url: str, make: Make) -> None:
    """Books are read while the bridge runs, and after it has stopped."""
    journal = await open_journal(postgres_url, base=Path())
    await journal.write(make.opening())
    books = open_books(postgres_url, base=Path())
    assert await books.open_batches() == ["b1"]
    await journal.close()
    assert (await books.ledger()).accepted == 1
    await books.close()
    assert isinstance(open_office(postgres_url, base=Path()), PostgresOffice)


def test_a_url_without_a_database_is_refused() -> None:
    """The message names the forms there are, and not what was written."""
    with pytest.raises(SettingsFault, match=r"postgresql://user@host/database$"):
        open_books(f"postgresql://bridge:{SECRET}@db/", base=Path())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://bridge:{SECRET}@db:5433/journal", "postgresql://bridge@db:5433/journal"),
        (f"postgresql://db/journal?user=x&password={SECRET}", "postgresql://db/journal"),
        (f"postgres://bridge:{SECRET}@/journal?host=/run/pg", "postgresql://bridge@/run/pg/journal"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Wherever it stands."""
    assert describe(url) == shown


async def test_replicas_that_start_together_make_one_journal(postgres_url: str) -> None:
    """They take turns with the migrations."""
    journals = await asyncio.gather(*(open_postgres_journal(postgres_url) for _ in range(5)))
    assert len({journal._life.number for journal in journals}) == 5
    await asyncio.gather(*(journal.close() for journal in journals))
    for journal in journals:
        await journal.close()


async def test_books_of_a_database_without_a_journal_are_told(postgres_url: str) -> None:
    """A command creates nothing."""
    books = PostgresBooks(postgres_url)
    with pytest.raises(OperatorError, match="holds no journal yet"):
        await books.open_batches()
    with pytest.raises(OperatorError, match="holds no journal yet"):
        await PostgresOffice(postgres_url).write()


async def test_a_journal_of_a_newer_version_is_left_alone(
    postgres_url: str, execute: Callable[[str], Awaitable[Any]]
) -> None:
    """An older bridge says which version it knows."""
    await (await open_postgres_journal(postgres_url)).close()
    await execute("UPDATE bridge.journal_version SET version = 99")
    with pytest.raises(JournalTooNew, match="version 99, this bridge knows up to"):
        await open_postgres_journal(postgres_url)
    with pytest.raises(JournalTooNew):
        await PostgresBooks(postgres_url).open_batches()


async def test_tables_of_another_program_are_left_alone(
    postgres_url: str, execute: Callable[[str], Awaitable[Any]]
) -> None:
    """A schema called bridge may be somebody else's; other schemas do not matter."""
    await execute("CREATE TABLE customers (name text)")
    await execute("CREATE SCHEMA bridge")
    await (await open_postgres_journal(postgres_url)).close()  # an empty schema is what an administrator prepares
    await execute("DROP TABLE bridge.journal_version")
    with pytest.raises(OperatorError, match="belongs to another program"):
        await open_postgres_journal(postgres_url)


async def test_an_older_journal_is_upgraded_by_a_bridge_and_only_by_it(
    postgres_url: str, execute: Callable[[str], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each migration runs once, in order; a reader asks for the bridge to be started."""
    await (await open_postgres_journal(postgres_url)).close()
    newer = (*schema.MIGRATIONS, "ALTER TABLE creditor ADD COLUMN note text; CREATE TABLE extra (x integer)")
    monkeypatch.setattr(schema, "MIGRATIONS", newer)
    with pytest.raises(OperatorError, match="start the bridge once, it upgrades the journal"):
        await PostgresBooks(postgres_url).open_batches()
    connection = await connect(postgres_url, WRITING)
    for _ in range(2):
        await schema.upgrade(connection, newer)
    broken = (*newer, "CREATE TABLE more (x integer)", "CREATE TABLE extra (x integer)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await schema.upgrade(connection, broken)
    await connection.close()
    assert await execute("SELECT version FROM bridge.journal_version") == len(newer)
    assert await execute("SELECT to_regclass('bridge.more')") is None


async def test_what_an_older_version_erased_is_due_once_more(
    postgres_url: str, execute: Callable[[str], Awaitable[Any]]
) -> None:
    """Before version 2 retention left messages in rows and answers, which may be the modern system's words."""
    connection = await connect(postgres_url, WRITING)
    await schema.upgrade(connection, schema.MIGRATIONS[:1])
    await execute(
        "INSERT INTO bridge.batch (id, sender, identity, profile, batchid, content, received_at, offline, row_count,"
        " addresses, finished_at, kept) VALUES ('b', 's', 'i', 'p', '', '', 1, false, 0, '', 2, false)"
    )
    await schema.upgrade(connection)
    await connection.close()
    assert await execute("SELECT kept FROM bridge.batch") is True


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
async def test_the_claims_of_an_older_journal_are_found_and_completed(postgres_url: str, version: int) -> None:
    """Whatever the version that learnt them."""
    connection = await connect(postgres_url, WRITING)
    await schema.upgrade(connection, schema.MIGRATIONS[:version])
    await connection.execute(
        "INSERT INTO claim (organization, invoice_id, invoice_number, unique_source_invoice_id, ledgerref, case_number,"
        " case_id, batch_id, objectindex) VALUES ('nordlys', 'i1', '1001', 'u1', 'r', 'c1', '', 'b1', 4)"
    )
    await connection.close()
    journal = await open_postgres_journal(postgres_url)
    old = Claim("nordlys", "i1", "1001", "u1", "r", "c1", "", "b1", 4)
    assert await journal.find_claims("c1") == [old]
    await journal.write(LearnClaims([Claim("nordlys", "i1", case_id="case-1", modern_batch="m1")]))
    assert await journal.find_claims("m1") == [replace(old, case_id="case-1", modern_batch="m1")]
    await journal.close()


@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
async def test_an_older_journal_takes_part_in_a_cutover(postgres_url: str, version: int) -> None:
    """The batches it holds are found by organization and time, and their rows can be carried to the legacy system."""
    connection = await connect(postgres_url, WRITING)
    await schema.upgrade(connection, schema.MIGRATIONS[:version])
    await connection.execute(OLD_BATCH)
    await connection.close()
    journal = await open_postgres_journal(postgres_url)
    assert (await journal.switches(), await journal.samples("nordlys")) == ([], [])
    assert await journal.observations("nordlys", 0.0) == []
    assert await journal.passed("ERP-1", "batchid:W1") is None
    assert await journal.batches_of("nordlys", 5.0) == ["b1"]
    carried = HandOver("e", "nordlys", [("b1", Address("invoice", 0))], "k", 9.0)
    await journal.write(SetSwitch(Switch("nordlys", Mode.LEGACY), 0), carried)
    assert await journal.handed_over("nordlys") == [HandedOver("b1", Address("invoice", 0), "e", 9.0)]
    assert (await journal.ledger()).unaccounted == ()
    await journal.close()


async def test_a_server_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """The message names the place and the remedy, and no password."""
    url = f"postgresql://bridge:{SECRET}@/journal?host={tmp_path}&port=1"
    with pytest.raises(OperatorError, match="cannot be opened: the server cannot be reached") as told:
        await open_journal(url, base=Path())
    assert SECRET not in str(told.value)
    assert told.value.__suppress_context__


async def test_a_database_that_is_not_there_stops_the_start(postgres_url: str) -> None:
    """The operator learns that it must be created."""
    with pytest.raises(OperatorError, match="the database does not exist: create it"):
        await open_journal(postgres_url.replace("bridge_test_", "no_"), base=Path())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (asyncpg.DiskFullError, "disk is full"),
        (asyncpg.OutOfMemoryError, "out of memory"),
        (asyncpg.ReadOnlySQLTransactionError, "read-only"),
        (asyncpg.TooManyConnectionsError, "max_connections"),
        (asyncpg.CannotConnectNowError, "stopping or starting"),
        (asyncpg.AdminShutdownError, "stopping or starting"),
        (asyncpg.InvalidPasswordError, "user, password"),
        (asyncpg.exceptions.PostgresIOError, "disk reports an error"),
        (asyncpg.InsufficientResourcesError, "short of something"),
        (asyncpg.exceptions.DataCorruptedError, "damage"),
        (asyncpg.QueryCanceledError, "cancelled"),
        (asyncpg.DeadlockDetectedError, "in the way"),
        (asyncpg.InterfaceError, "cannot be reached"),
        (ConnectionRefusedError, "cannot be reached"),
        (TimeoutError, "cannot be reached"),
    ],
)
def test_errors_of_the_server_become_cannot_take_now(error: type[Exception], words: str) -> None:
    """In words of our own: the server's may quote what is stored."""
    translated = translate(error(SECRET))
    assert isinstance(translated, CannotTakeNow)
    assert words in str(translated)
    assert SECRET not in str(translated)
    assert isinstance(translate_at_start(error(SECRET), "there"), OperatorError)


def test_errors_of_a_change_and_of_the_program_stay_apart_from_those_of_the_server() -> None:
    """The caller's fault is a ValueError; a fault of the program is not dressed up."""
    for error in (asyncpg.UniqueViolationError(SECRET), asyncpg.CharacterNotInRepertoireError(SECRET)):
        assert isinstance(translate(error), ValueError)
        assert SECRET not in str(translate(error))
    for fault in (asyncpg.PostgresSyntaxError("x"), KeyError("x"), asyncpg.PostgresError("x")):
        assert classify(fault) is Failure.PROGRAM
        assert translate(fault) is fault
        assert translate_at_start(fault, "there") is fault


def test_every_class_of_errors_has_a_meaning_or_is_the_programs() -> None:
    """A class that a new asyncpg brings fails here, and gets its line in the table."""
    program = {"00", "01", "02", "03", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "25", "26"} | {
        *("27", "2B", "2D", "2F", "34", "38", "39", "3B", "3F", "42", "44", "55", "57", "72", "HV", "P0")
    }
    errors = [each for each in vars(asyncpg.exceptions).values() if isinstance(each, type)]
    states = {state[:2] for each in errors if (state := getattr(each, "sqlstate", None))}
    assert states - program <= {key[:2] for key in MEANINGS}


async def test_what_the_server_cannot_hold_is_told_without_quoting_it(postgres_url: str, make: Make) -> None:
    """Its neighbours in the group are stored; a NUL is shown by its symbol."""
    journal = await open_postgres_journal(postgres_url)
    outcomes = await asyncio.gather(
        journal.write(make.opening("b1", batchid="Kari \ud800")),
        journal.write(make.opening("b2", identity="a\0b", batchid="x\0")),
        *(journal.write(make.opening(f"n{number}")) for number in range(5)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], ValueError)
    assert "Kari" not in str(outcomes[0])
    assert outcomes[1:] == [None] * 6
    found = await journal.find("ERP-1", "a\0b")
    assert found is not None
    assert (found.id, found.batchid) == ("b2", "x\u2400")
    await journal.close()
