"""Whom the refusal of a whole call is about: single rows, which are worth isolating, or everything sent so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bridge.calls.live import LiveCall
from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern.answers import Refused, Scope
from bridge.modern.results import ModernBatch
from bridge.modern.tokens import Access

FORBIDDEN_PARTS = 16
"""So many parts of one call, each forbidden and none taken: writing is forbidden altogether, though reading is not."""
SHUT_OUT = frozenset({401, 403, 404, 410})
"""Statuses by which the list of an organization's batches says that there is no such organization for us."""


class Batches(Protocol):
    """The question that tells whether an organization is served at all."""

    async def batches(self, access: Access, *, created_since: float | None = None) -> Sequence[ModernBatch]:
        """List batches created since a moment."""
        ...


class Refusals:
    """Tell refusals of everything from those that may be about rows, without ever sending anything for it."""

    def __init__(self, modern: Batches, *, clock: Callable[[], float]) -> None:
        self._modern = modern
        self._clock = clock

    async def explain_for_all(self, access: Access, call: LiveCall, answer: Refused) -> str:
        """Return why every row of a call is refused, or nothing when the rows must be told apart."""
        if answer.scope is Scope.REQUEST:
            return _explain("the modern system takes no such requests", answer, "modern.base_url and the mapping")
        if answer.scope is not Scope.ORGANIZATION:
            return ""
        if not call.trials.refused and await self._is_shut_out(access):
            return _explain(
                "the modern system turns this organization away altogether", answer, "its id and its credentials"
            )
        call.trials.refused += 1
        if answer.status == 403 and call.trials.refused >= FORBIDDEN_PARTS and not call.trials.taken:
            return _explain(
                "the modern system forbids every write of this kind", answer, "what its credentials are allowed"
            )
        return ""

    async def _is_shut_out(self, access: Access) -> bool:
        """Ask for something that has nothing to do with any row: the newest batches of the organization."""
        try:
            await self._modern.batches(access, created_since=self._clock())
        except ModernRefused as refused:
            return refused.status in SHUT_OUT
        except ModernUnreachable:
            return False  # unknown: isolating rows costs calls, and refuses none wrongly
        return False


def _explain(what: str, answer: Refused, check: str) -> str:
    said = f", saying: {answer.text}" if answer.text else ""
    return f"{what} (HTTP {answer.status}{said}); have the operator check {check}, then send the row again"
