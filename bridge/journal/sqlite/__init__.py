"""The journal in one SQLite file, for one process: one writer thread, WAL, every commit on disk when it returns."""

from bridge.journal.sqlite.books import SqliteBooks, open_sqlite_books
from bridge.journal.sqlite.office import SqliteOffice, open_sqlite_office
from bridge.journal.sqlite.store import SqliteJournal, open_sqlite_journal

__all__ = [
    "SqliteBooks",
    "SqliteJournal",
    "SqliteOffice",
    "open_sqlite_books",
    "open_sqlite_journal",
    "open_sqlite_office",
]
