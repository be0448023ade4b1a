"""What each SQLite error means to the bridge: one table, by primary result code."""

from __future__ import annotations

import sqlite3
from enum import Enum

from bridge.errors import CannotTakeNow, OperatorError


class Failure(Enum):
    """Whose fault an error is, and what helps."""

    CHANGE = "this change cannot be stored; its neighbours can"
    SPACE = "this does not fit; something smaller may"
    STORE = "nothing can be stored now; the same connection may be used again when the cause is gone"
    CONNECTION = "nothing can be stored now, and the connection is not to be trusted any more"
    DAMAGE = "the file is not what we wrote; the connection is not to be trusted any more"
    PROGRAM = "a fault of the program"


MEANINGS: dict[int, tuple[Failure, str]] = {
    sqlite3.SQLITE_FULL: (Failure.SPACE, "the disk is full: free some space"),
    # SQLite opens a file that it may not write for reading only, and such a connection stays as it is for good
    sqlite3.SQLITE_READONLY: (Failure.CONNECTION, "the file or its disk is read-only: make it writable"),
    sqlite3.SQLITE_BUSY: (Failure.STORE, "another program keeps the file locked: stop it"),
    sqlite3.SQLITE_LOCKED: (Failure.STORE, "another program keeps the file locked: stop it"),
    sqlite3.SQLITE_NOMEM: (Failure.STORE, "the machine is out of memory"),
    sqlite3.SQLITE_INTERRUPT: (Failure.STORE, "the operation was interrupted"),
    sqlite3.SQLITE_ABORT: (Failure.STORE, "the operation was interrupted"),
    sqlite3.SQLITE_IOERR: (Failure.CONNECTION, "the disk reports an error: look at the system log"),
    sqlite3.SQLITE_CANTOPEN: (Failure.CONNECTION, "the file cannot be opened: check that it and its folder are there"),
    sqlite3.SQLITE_PERM: (Failure.CONNECTION, "the file may not be accessed: check its owner and mode"),
    sqlite3.SQLITE_AUTH: (Failure.CONNECTION, "the file may not be accessed: check its owner and mode"),
    sqlite3.SQLITE_PROTOCOL: (Failure.CONNECTION, "the file's locks do not work: put it on a local disk"),
    sqlite3.SQLITE_NOLFS: (Failure.CONNECTION, "the disk does not support files of this size"),
    sqlite3.SQLITE_CORRUPT: (Failure.DAMAGE, "the file is damaged: stop the bridge and restore a backup"),
    sqlite3.SQLITE_NOTADB: (Failure.DAMAGE, "the file is not a SQLite database: restore a backup, or move it away"),
    sqlite3.SQLITE_FORMAT: (Failure.DAMAGE, "the file is damaged: stop the bridge and restore a backup"),
    sqlite3.SQLITE_CONSTRAINT: (Failure.CHANGE, "the change breaks a rule of the journal"),
    sqlite3.SQLITE_MISMATCH: (Failure.CHANGE, "the change breaks a rule of the journal"),
    sqlite3.SQLITE_TOOBIG: (Failure.CHANGE, "the change holds a value larger than SQLite takes"),
    sqlite3.SQLITE_ERROR: (Failure.PROGRAM, ""),
    sqlite3.SQLITE_INTERNAL: (Failure.PROGRAM, ""),
    sqlite3.SQLITE_MISUSE: (Failure.PROGRAM, ""),
    sqlite3.SQLITE_RANGE: (Failure.PROGRAM, ""),
    sqlite3.SQLITE_NOTFOUND: (Failure.PROGRAM, ""),
    sqlite3.SQLITE_SCHEMA: (Failure.PROGRAM, ""),
    sqlite3.SQLITE_EMPTY: (Failure.PROGRAM, ""),
}


def classify(error: Exception) -> Failure:
    """Say whose fault an error is; one without a result code of SQLite is the program's."""
    return _look_up(error)[0]


def translate(error: Exception) -> Exception:
    """Return what the callers of the journal see instead of an error of SQLite; any other stays as it is."""
    failure, remedy = _look_up(error)
    if failure is Failure.PROGRAM:
        return error
    if failure is Failure.CHANGE:
        return ValueError(f"{remedy}: {error}")
    return CannotTakeNow(f"the journal cannot be used now: {remedy}")


def translate_at_start(error: Exception, path: object) -> Exception:
    """Return what stops the start, or a command, when the journal at `path` cannot be opened."""
    failure, remedy = _look_up(error)
    if failure in {Failure.PROGRAM, Failure.CHANGE}:
        return error
    return OperatorError(f"the journal {path} cannot be opened: {remedy}")


def _look_up(error: Exception) -> tuple[Failure, str]:
    # extended codes keep the primary one in their low byte
    code = getattr(error, "sqlite_errorcode", None)
    return (Failure.PROGRAM, "") if code is None else MEANINGS.get(code & 0xFF, (Failure.PROGRAM, ""))
