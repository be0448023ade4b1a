"""The journal in a PostgreSQL database, for any number of replicas: the same rows as in SQLite, shared by all."""

from bridge.journal.postgres.books import PostgresBooks
from bridge.journal.postgres.office import PostgresOffice
from bridge.journal.postgres.store import PostgresJournal, open_postgres_journal

__all__ = ["PostgresBooks", "PostgresJournal", "PostgresOffice", "open_postgres_journal"]
