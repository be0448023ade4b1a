"""Files and connections: where the journal lies, who may hold it, and how it is opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from bridge.errors import JournalLocked, OperatorError
from bridge.journal.sqlite.failures import translate_at_start
from bridge.journal.sqlite.schema import require_current, upgrade

BUSY_SECONDS = 5.0
"""How long a stranger (a backup, a SQLite shell) may hold the file before a write gives up."""

LOOK_SECONDS = 0.001

FOLD_ATTEMPTS = 50
FOLD_PAUSE_SECONDS = 0.02

OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables; RETURNING and UPDATE … FROM are older."""

_WRITER_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit that returned has survived a power cut
    "secure_delete = ON",  # erased means erased, on disk too
    "journal_size_limit = 67108864",  # a long read lets the WAL grow; give the space back afterwards
    "cache_size = -16000",  # KiB: the upper pages of every index
    "temp_store = MEMORY",  # savepoints keep old pages; on disk they would cost file operations
)

_VISITOR_PRAGMAS = (
    "cache_size = -262144",  # KiB: an import touches every page of every index
    "wal_autocheckpoint = 4000",  # pages: few enough that the bridge, should its turn come first, is not held up
)


class JournalLock:
    """The one holder of a journal: an flock on `<file>.lock`, which dies with the process, whatever kills it."""

    def __init__(self, journal: Path) -> None:
        # appended to the resolved name, so that two links to one journal meet at one lock
        path = journal.with_name(f"{journal.name}.lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise JournalLocked(
                f"process {holder or 'unknown'} holds the journal {journal}: "
                "stop it, or give this bridge its own storage.url"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have the journal; the file stays, because removing it would race with the next holder."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def claim_file(path: Path) -> tuple[Path, JournalLock]:
    """Create folder and file if need be, readable by their owner only, and lock the journal; return its real path."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path.resolve()
        lock = JournalLock(path)
    except OSError as error:
        raise _cannot_create(path, error) from error
    try:
        # SQLite gives -wal and -shm the mode of the file they belong to
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        lock.release()
        raise _cannot_create(path, error) from error
    return path, lock


def _cannot_create(path: Path, error: OSError) -> OperatorError:
    return OperatorError(
        f"the journal {path} cannot be created or opened for writing ({error.strerror}): "
        "make its folder writable for the bridge, or change storage.url"
    )


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the one writing connection, whose transactions begin with `begin`."""
    connection = _connect_durably(path)
    connection.execute("PRAGMA busy_timeout = 0")  # it is `begin` that waits; nothing after it meets a lock in WAL mode
    return connection


def _connect_durably(path: Path) -> sqlite3.Connection:
    """Open a connection in WAL mode, every commit of which is on disk before it returns."""
    connection = _connect(path, "rw")
    try:
        for pragma in _WRITER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write; raise OperatorError when there is no journal this version can read."""
    return _open(path, lambda path: _connect(path, "ro"), require_current)


def connect_visitor(path: Path) -> sqlite3.Connection:
    """Open a connection for short writes beside the bridge; raise OperatorError when its version is another."""
    connection = _open(path, _connect_durably, require_current)
    for pragma in _VISITOR_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Begin to write; where a visitor holds the file, look every millisecond, because SQLite knows no queue.

    SQLite's own waiting looks ever more rarely, up to ten times a second: a visitor that writes again and again would
    always be there first.
    """
    end = time.monotonic() + BUSY_SECONDS
    while not _begin_at_once(connection, may_fail=time.monotonic() < end):
        time.sleep(LOOK_SECONDS)


def fold(connection: sqlite3.Connection) -> None:
    """Move everything from the WAL into the file at the end; readers and visitors are waited for a while."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fold_beside(path: Path) -> bool:
    """Move everything from the WAL into the file beside the writer, and empty it; return False if it was never free.

    It waits for nobody with the file in its hands: a long read must not hold up the writes.
    """
    with contextlib.closing(_connect(path, "rw")) as connection:
        connection.execute("PRAGMA busy_timeout = 0")
        for _ in range(FOLD_ATTEMPTS):
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return True
            time.sleep(FOLD_PAUSE_SECONDS)
    return False


def _begin_at_once(connection: sqlite3.Connection, *, may_fail: bool) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not may_fail or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # BUSY_RECOVERY is BUSY, too
            raise
        return False
    return True


def prepare(path: Path) -> sqlite3.Connection:
    """Open the writing connection on a journal of the newest version, upgraded if need be."""
    return _open(path, _connect_durably, upgrade)


def _open(
    path: Path, connect: Callable[[Path], sqlite3.Connection], check: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """Connect and check what is there; nothing stays open when the check fails."""
    with translated_at_start(path):
        connection = connect(path)
        try:
            check(connection)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def translated_at_start(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into what the operator can act on, naming the journal."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate_at_start(error, path) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise OperatorError(f"this Python comes with SQLite {sqlite3.sqlite_version}: use one with 3.37 or newer")
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # transactions are ours to begin and end
        cached_statements=256,
        check_same_thread=False,  # opened by one thread, then used by exactly one other
    )
