"""The inbox of webhooks: each is kept once, by its key."""

from __future__ import annotations

import sqlite3


def keep_hook(connection: sqlite3.Connection, key: str, modern_batch: str, at: float) -> bool:
    """Keep a webhook; return False when its key was kept before."""
    kept = connection.execute(
        "INSERT INTO hook (key, modern_batch, at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (key, modern_batch, at),
    )
    return kept.rowcount == 1
