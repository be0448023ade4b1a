"""The table of SQLite's errors is complete, and means what it says."""

from __future__ import annotations

import sqlite3

import pytest

from bridge.errors import CannotTakeNow, OperatorError
from bridge.journal.sqlite.failures import MEANINGS, Failure, classify, translate, translate_at_start

# results that are no errors, and the authorizer's actions, which share the prefix
NO_ERRORS = {"OK", "NOTICE", "WARNING", "ROW", "DONE"}
ACTIONS = {"DENY", "IGNORE", "READ", "SELECT", "TRANSACTION", "UPDATE", "ATTACH", "DETACH", "REINDEX", "ANALYZE"} | {
    *("FUNCTION", "SAVEPOINT", "RECURSIVE", "DELETE", "INSERT", "PRAGMA")
}


def primary_codes() -> dict[str, int]:
    """Return the primary result codes the library knows; extended ones have a second part in their names."""
    known = {name: value for name, value in vars(sqlite3).items() if name.startswith("SQLITE_")}
    words = {name: name.removeprefix("SQLITE_") for name in known}
    return {name: known[name] for name, word in words.items() if "_" not in word and word not in NO_ERRORS | ACTIONS}


def failure(code: int | None) -> sqlite3.Error:
    error = sqlite3.OperationalError("raw words")
    if code is not None:
        error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(("name", "code"), primary_codes().items())
def test_every_result_code_has_a_meaning(name: str, code: int) -> None:
    """A code that a new SQLite brings fails here, and gets its line in the table."""
    assert code in MEANINGS


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY_DBMOVED])
def test_errors_of_the_store_become_cannot_take_now(code: int) -> None:
    """An extended code means what its primary code means."""
    translated = translate(failure(code))
    assert isinstance(translated, CannotTakeNow)
    assert "raw words" not in str(translated)


def test_errors_of_a_change_and_of_the_program_stay_apart_from_those_of_the_store() -> None:
    """The caller's fault is a ValueError; a fault of the program is not dressed up."""
    assert isinstance(translate(failure(sqlite3.SQLITE_CONSTRAINT_UNIQUE)), ValueError)
    for code in (sqlite3.SQLITE_MISUSE, 250, None):
        error = failure(code)
        assert classify(error) is Failure.PROGRAM
        assert translate(error) is error
    other = KeyError("x")
    assert translate(other) is other


def test_errors_at_the_start_name_the_file() -> None:
    """The operator learns which file, and what to do."""
    translated = translate_at_start(failure(sqlite3.SQLITE_CORRUPT), "/var/bridge.db")
    assert isinstance(translated, OperatorError)
    assert str(translated) == (
        "the journal /var/bridge.db cannot be opened: the file is damaged: stop the bridge and restore a backup"
    )
    error = failure(sqlite3.SQLITE_ERROR)
    assert translate_at_start(error, "/var/bridge.db") is error
