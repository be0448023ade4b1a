"""Switches on a running bridge: obeyed within a second, by every replica, and from the first request on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.modes import Mode

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
WORD = ("--actor", "Kari", "--reason", "ticket 12")
OBEYED_SECONDS = 1.0

Invoice = Callable[..., dict[str, Any]]


async def run_command(config: Path, *words: str) -> None:
    """Run a command as a process of its own, and wait for its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", *words, "--config", str(config), stdout=-3, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_a_switch_by_another_process_is_obeyed_within_a_second(
    open_world: Any, tables: Any, invoice: Invoice, legacy_says: Any, seconds_until: Any
) -> None:
    """To the legacy host and back, on SQLite, where processes tell each other nothing; and nobody restarts."""
    async with open_world(more=tables("modern")) as world:
        names = iter(range(1000))

        async def is_legacy() -> bool:
            name = str(next(names))
            reply = await world.post({"batchid": name, "invoice": [invoice(name)]})
            return bool(reply.body == legacy_says)

        assert not await is_legacy()
        config = world.folder / "bridge.toml"
        await run_command(config, "mode", "set", ORG_A, "legacy", *WORD)
        assert await seconds_until(is_legacy) < OBEYED_SECONDS

        async def is_modern() -> bool:
            return not await is_legacy()

        await run_command(config, "mode", "set", ORG_A, "modern", *WORD)
        assert await seconds_until(is_modern) < OBEYED_SECONDS
        assert [(one.mode, one.actor, one.reason) for one in await world.books.switch_history(ORG_A)] == [
            (Mode.LEGACY, "Kari", "ticket 12"),
            (Mode.MODERN, "Kari", "ticket 12"),
        ]


async def test_every_replica_obeys_within_a_second(
    open_world: Any,
    tables: Any,
    invoice: Invoice,
    postgres_url: str,
    two_replicas: Any,
    switch: Any,
    legacy_says: Any,
    seconds_until: Any,
) -> None:
    """Two replicas over PostgreSQL; both hear of it, whoever is asked next."""
    async with open_world(more=tables("modern")) as world, two_replicas(world) as replicas:
        names = iter(range(1000))

        async def both_are_legacy() -> bool:
            replies = [await one.ask({"batchid": str(next(names)), "invoice": [invoice("1")]}) for one in replicas]
            return replies == [legacy_says] * 2

        assert not await both_are_legacy()
        await switch(postgres_url, Mode.LEGACY)
        assert await seconds_until(both_are_legacy) < OBEYED_SECONDS


async def test_a_start_obeys_from_the_first_request_on(
    open_world: Any, tables: Any, invoice: Invoice, switch: Any, legacy_says: Any
) -> None:
    """What was switched while no bridge ran is known before the first caller is answered."""
    async with open_world(more=tables("modern")) as world:
        url = f"sqlite:///{world.folder}/bridge.db"
    await switch(url, Mode.LEGACY)
    async with open_world(more=tables("modern")) as world:
        assert (await world.post({"invoice": [invoice("1")]})).body == legacy_says
        figures = await (await world.session.get(world.url + "/metrics")).text()
    assert f'bridge_mode_percent{{mode="legacy",organization="{ORG_A}"}} 100.0' in figures
