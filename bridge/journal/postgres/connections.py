"""How PostgreSQL is reached: one set of session settings for each of the bridge's uses."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SCHEMA = "bridge"
CONNECT_SECONDS = 2.0
STATEMENT_SECONDS = 10.0
"""How long the server may take over one statement before the connection counts as lost."""

_ALWAYS = {
    "application_name": "autocollect-bridge",
    "search_path": SCHEMA,
    "timezone": "UTC",
    "jit": "off",  # every statement is short
    # a server that cannot reach a replica any more must not keep its locks for longer than its lease
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
}
WRITING = {
    "synchronous_commit": "on",  # a commit that returned has survived a power cut
    "idle_in_transaction_session_timeout": "2s",  # a frozen replica gives its locks back before its lease ends
    "lock_timeout": "5s",
    # every statement of the writer finds its rows by key; a plan made while tables were small must not scan them later
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
READING = {
    "synchronous_commit": "off",  # what is sent here besides questions is news, and lost news harms nobody
    "idle_in_transaction_session_timeout": "10s",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}
LIVING = {"synchronous_commit": "off", "lock_timeout": "5s"}
"""The lifeline's: a lease that is a moment too old after a crash of the server is no loss."""
PROVING = {"synchronous_commit": "off"}
"""The ledger's: it reads everything, and may take minutes."""


async def connect(
    url: str, purpose: dict[str, str], *, statement_seconds: float | None = STATEMENT_SECONDS
) -> Connection:
    """Open a connection for one purpose; errors are asyncpg's own, to be translated by whoever asked."""
    return await asyncpg.connect(
        url, timeout=CONNECT_SECONDS, command_timeout=statement_seconds, server_settings=_ALWAYS | purpose
    )


def describe(url: str) -> str:
    """Return the address for messages: no password, nor anything else that a URL may hide in its query."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    query = dict(parse_qsl(parts.query))
    host = parts.netloc.rpartition("@")[2] or query.get("host", "")
    return f"postgresql://{user}{host}{parts.path}"
