"""A log that cannot be written costs its lines, and no caller an answer."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

REPLY = (
    '{"statuscode":0,"errors":[],'
    '"responses":[{"objectname":"creditor","objectindex":0,"ledgerref":"984842252","status_statuscode":"OK"}]}'
)


async def test_a_bridge_without_a_log_answers_as_ever(
    launch: Callable[..., Any], write_config: Callable[..., Path], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """It starts, takes a batch, says in its metrics that lines were lost, and stops in order."""
    port = free_port()
    config = write_config(tmp_path, port=port)
    full_disk = ("sh", "-c", 'exec "$@" 2>/dev/full', "sh")
    bridge = await asyncio.to_thread(launch, "serve", "--config", str(config), port=port, wrapper=full_disk)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        batch = {"creditor": [{"idnumber": "984842252"}]}
        login = {"Authorization": "Bearer token1"}
        async with session.post(bridge.url + "/webapi/api/Batch", json=batch, headers=login) as answer:
            assert (answer.status, await answer.text()) == (200, REPLY)
        async with session.get(bridge.url + "/metrics") as answer:
            metrics = await answer.text()
    (lost,) = [line.split()[1] for line in metrics.splitlines() if line.startswith("bridge_log_lines_lost ")]
    assert float(lost) >= 3
    bridge.send(signal.SIGTERM)
    assert await asyncio.to_thread(bridge.wait, 10) == 0
