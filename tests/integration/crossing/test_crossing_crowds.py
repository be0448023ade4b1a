"""Batches that leave faster than one can be recognized in each turn of the loop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from bridge.crossing.beside import Beside


class Left:
    """A batch that has left."""

    sender = SimpleNamespace(id="ERP-1")
    is_taken = True

    def __init__(self) -> None:
        self.recognized = asyncio.Event()

    def recognize(self, *_: object, **__: object) -> None:
        """Take it."""


async def test_what_waits_to_be_recognized_stays_as_small_as_what_leaves_in_a_turn(monkeypatch: Any) -> None:
    """Else the notes come later and later, and the memory fills, for as long as the crowd lasts."""

    async def recognize(*_: object) -> str:
        return ""

    monkeypatch.setattr(Beside, "_recognize", recognize)
    monkeypatch.setattr("bridge.crossing.beside.GATHER_SECONDS", 0)
    nobody = cast("Any", None)
    beside = Beside(nobody, nobody, nobody, nobody, nobody, clock=lambda: 0.0)
    leaving_in_a_turn, most = 10, 0

    for _ in range(500):
        for _ in range(leaving_in_a_turn):
            beside.read_later(cast("Any", Left()))
        await asyncio.sleep(0)
        most = max(most, len(beside._unread))
    assert most < 6 * leaving_in_a_turn
    await beside.close()
    assert not beside._unread
