"""From `storage.url` to a journal. The seam for other stores: a scheme is added here, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bridge.errors import OperatorError, SettingsFault
from bridge.journal.interface import Books, Journal, Office
from bridge.journal.sqlite import open_sqlite_books, open_sqlite_journal, open_sqlite_office

_FORMS = "sqlite:///relative/to/this/file.db or sqlite:////absolute/path.db"


async def open_journal(url: str, *, base: Path) -> Journal:
    """Open the journal that `storage.url` names, for this process alone; `base` is the folder of the config file.

    Raises SettingsFault for a URL this bridge cannot read, JournalLocked, JournalTooNew or another OperatorError.
    """
    return open_sqlite_journal(locate_journal(url, base=base))


def open_books(url: str, *, base: Path) -> Books:
    """Open the same journal for reading only, also beside a running bridge; raises OperatorError when there is none."""
    return open_sqlite_books(locate_journal(url, base=base))


def open_office(url: str, *, base: Path) -> Office:
    """Open the same journal for reading and for placing orders, also beside a running bridge."""
    return open_sqlite_office(locate_journal(url, base=base))


def locate_journal(url: str, *, base: Path) -> Path:
    """Return the file that `storage.url` names."""
    parts = urlsplit(url)
    if parts.scheme in {"postgresql", "postgres"}:
        raise OperatorError(f"storage.url: this version stores in SQLite only; write {_FORMS}")
    path = unquote(parts.path)
    is_file = parts.scheme == "sqlite" and url.startswith("sqlite:///") and len(path) > 1 and not path.endswith("/")
    if not is_file or parts.query or parts.fragment:
        raise SettingsFault(f"storage.url: expected {_FORMS}")
    return base / path[1:]
