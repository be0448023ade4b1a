"""What each error of PostgreSQL means to the bridge: one table by SQLSTATE, the longest prefix first.

Only words of our own and the names of constraints reach a message: the server's own texts quote stored values.
"""

from __future__ import annotations

from enum import Enum

import asyncpg

from bridge.errors import BridgeError, CannotTakeNow, OperatorError


class Failure(Enum):
    """Whose fault an error is, and what helps."""

    CHANGE = "this change cannot be stored; its neighbours can"
    AGAIN = "nothing is wrong; the same transaction may go through at once"
    STORE = "nothing can be stored now; the same connection may be used again when the cause is gone"
    CONNECTION = "nothing can be stored now, and the connection is lost"
    PROGRAM = "a fault of the program"


MEANINGS: dict[str, tuple[Failure, str]] = {
    "08": (Failure.CONNECTION, "the server cannot be reached: check that it runs, and the network"),
    "22": (Failure.CHANGE, "the change holds a value that PostgreSQL does not take"),
    "23": (Failure.CHANGE, "the change breaks a rule of the journal"),
    "25006": (Failure.CONNECTION, "the server is read-only: point storage.url at the primary"),
    "25P03": (Failure.CONNECTION, "the server ended a transaction that stood still"),
    "28": (Failure.CONNECTION, "the server does not let the bridge in: check user, password and pg_hba.conf"),
    "3D": (Failure.CONNECTION, "the database does not exist: create it"),
    "40": (Failure.AGAIN, "another replica was in the way"),
    "42501": (Failure.STORE, "the user may not do this: make it the owner of the database or of the schema bridge"),
    "42P01": (Failure.STORE, "a table is gone: restore a backup"),
    "53100": (Failure.STORE, "the server's disk is full: free some space"),
    "53200": (Failure.STORE, "the server is out of memory"),
    "53300": (Failure.CONNECTION, "the server has no connection left: raise max_connections"),
    "53": (Failure.STORE, "the server is short of something: look at its log"),
    "54": (Failure.CHANGE, "the change is larger than PostgreSQL takes"),
    "55P03": (Failure.AGAIN, "a lock was held for too long"),
    "57014": (Failure.STORE, "the statement was cancelled"),
    "57P": (Failure.CONNECTION, "the server is stopping or starting"),
    "58": (Failure.STORE, "the server's disk reports an error: look at its log"),
    "F0": (Failure.STORE, "the server's configuration is in error: look at its log"),
    "XX": (Failure.STORE, "the server reports damage or a fault of its own: look at its log"),
}

LOST = (Failure.CONNECTION, "the server cannot be reached: check that it runs, and the network")
# a connection that the server ended a moment ago answers the next statement with InternalClientError
_LOSSES = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
FOREIGN = (asyncpg.PostgresError, *_LOSSES)
"""Everything that asyncpg lets through when the server, or the way to it, is in trouble."""


def classify(error: BaseException) -> Failure:
    """Say whose fault an error is."""
    return _look_up(error)[0]


def translate(error: Exception) -> Exception:
    """Return what the callers of the journal see instead of a foreign error; any other stays as it is."""
    failure, remedy = _look_up(error)
    if failure is Failure.PROGRAM:
        return error
    if failure is Failure.CHANGE:
        name = getattr(error, "constraint_name", None)
        return ValueError(f"{remedy}: {name}" if name else remedy)
    return CannotTakeNow(f"the journal cannot be used now: {remedy}")


def translate_at_start(error: Exception, place: str) -> Exception:
    """Return what stops the start, or a command, when the journal at `place` cannot be opened."""
    failure, remedy = _look_up(error)
    if isinstance(error, BridgeError) or failure is Failure.PROGRAM:
        return error
    return OperatorError(f"the journal {place} cannot be opened: {remedy}")


def _look_up(error: BaseException) -> tuple[Failure, str]:
    state = getattr(error, "sqlstate", None)
    if (isinstance(error, asyncpg.DataError) and state is None) or isinstance(error, UnicodeEncodeError):
        return MEANINGS["22"]
    if state is not None:
        found = (MEANINGS[state[:length]] for length in (5, 3, 2) if state[:length] in MEANINGS)
        return next(found, (Failure.PROGRAM, ""))
    return LOST if isinstance(error, _LOSSES) else (Failure.PROGRAM, "")
