"""What a stand-in is started with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """All settings of one stand-in; the fault script says the rest."""

    host: str = "127.0.0.1"
    port: int = 8090
    """0 takes any free port."""
    seed: int = 1
    script: Path | None = None
    """TOML file with behaviour and faults to start with."""
    webhook_url: str = ""
    """Where events are sent, those that the script names; empty: nowhere."""
    webhook_secret: str = field(default="", repr=False)
    """Signs webhooks; empty: they carry no signature."""
    webhook_timeout_seconds: float = 10.0
    idempotency_header: str = "Idempotency-Key"
    token_lifetime_seconds: float = 3600.0
    clients: Mapping[str, str] = field(default_factory=dict, repr=False)
    """client_id → client_secret; empty: any id and secret that are not empty."""
    organizations: frozenset[str] = frozenset()
    """Organizations that exist (UUIDs); empty: every UUID is one."""
    page_size: int = 50
    """Rows of a page when the caller names no PageSize."""
    log_size: int = 10_000
    """Requests remembered for GET /sandbox/requests."""
    log_body_bytes: int = 64 * 1024 * 1024
    """Bodies remembered beside them, all together; the oldest go first. 0 keeps none."""
    max_body_bytes: int = 256 * 1024 * 1024
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits; belongs to the clock."""
