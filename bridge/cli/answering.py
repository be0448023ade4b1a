"""Who answers a replayed request: a prediction, a bridge to a sandbox of its own, or a bridge to the shadow target."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import msgspec

from bridge.cli.foretelling import Foreteller
from bridge.recording import Line, Side
from bridge.settings import Settings


class Answering(Protocol):
    """Answers recorded requests as a bridge would."""

    async def answer(self, line: Line) -> Side | None:
        """Return the bridge's answer; None when it does not know the sender."""
        ...


def open_answering(against: str, settings: Settings) -> AbstractAsyncContextManager[Answering]:
    """Return who answers; what is started for it stops at the end of the block."""
    if against == "translate":
        return _predict(settings)
    from bridge.cli import working  # noqa: PLC0415 - a whole bridge, which a prediction does without

    return working.open_staging(settings) if against == "staging" else working.open_sandbox(settings)


class Predicting:
    """Says what the bridge would answer; see `predicting`."""

    def __init__(self, settings: Settings) -> None:
        self._foreteller = Foreteller(settings)

    async def answer(self, line: Line) -> Side | None:
        """Return the prediction."""
        sender = self._foreteller.find_sender(line)
        if sender is None:
            return None
        asked = msgspec.structs.replace(line, bridge=None)  # an answer of an earlier replay is not what is asked for
        foretold = (await self._foreteller.foretell(asked, sender)).answer
        return Side(foretold.status, msgspec.Raw(foretold.body))


@asynccontextmanager
async def _predict(settings: Settings) -> AsyncIterator[Answering]:
    yield Predicting(settings)
