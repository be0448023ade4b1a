"""From `storage.url` to a journal. The seam for other stores: a scheme is added here, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bridge.errors import SettingsFault
from bridge.journal.interface import Books, Journal, Office
from bridge.journal.sqlite import open_sqlite_books, open_sqlite_journal, open_sqlite_office

_FORMS = "sqlite:///relative/to/this/file.db, sqlite:////absolute/path.db or postgresql://user@host/database"


async def open_journal(url: str, *, base: Path) -> Journal:
    """Open the journal that `storage.url` names; `base` is the folder of the config file.

    A SQLite journal is opened for this process alone, a PostgreSQL one as another replica. Raises SettingsFault for a
    URL this bridge cannot read, JournalLocked, JournalTooNew or another OperatorError.
    """
    if is_postgres(url):
        from bridge.journal.postgres import open_postgres_journal  # noqa: PLC0415 - asyncpg only where it is needed

        return await open_postgres_journal(url)
    return open_sqlite_journal(locate_journal(url, base=base))


def open_books(url: str, *, base: Path) -> Books:
    """Open the same journal for reading only, also beside a running bridge.

    Raises OperatorError when there is none; where a server must be asked, the first question does.
    """
    if is_postgres(url):
        from bridge.journal.postgres import PostgresBooks  # noqa: PLC0415 - as above

        return PostgresBooks(url)
    return open_sqlite_books(locate_journal(url, base=base))


def open_office(url: str, *, base: Path) -> Office:
    """Open the same journal for reading and for placing orders, also beside a running bridge."""
    if is_postgres(url):
        from bridge.journal.postgres import PostgresOffice  # noqa: PLC0415 - as above

        return PostgresOffice(url)
    return open_sqlite_office(locate_journal(url, base=base))


def is_postgres(url: str) -> bool:
    """Tell whether a server keeps the journal; raises SettingsFault for a URL that names no database on it."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        return False
    if not parts.path.strip("/"):
        raise SettingsFault(f"storage.url: expected {_FORMS}")
    return True


def locate_journal(url: str, *, base: Path) -> Path:
    """Return the file that `storage.url` names."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    is_file = parts.scheme == "sqlite" and url.startswith("sqlite:///") and len(path) > 1 and not path.endswith("/")
    if not is_file or parts.query or parts.fragment:
        raise SettingsFault(f"storage.url: expected {_FORMS}")
    return base / path[1:]
