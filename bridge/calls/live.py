"""A call on its way: its record in the journal together with the rows it carries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from bridge.batch import Address, CallState, Outcome, Verdict, advance
from bridge.journal import CallRecord, Change, Claim, DecideRows, LearnClaims, MoveCall
from bridge.modern.correlation import SentRow
from bridge.plan import Draft, PlannedRow

T = TypeVar("T")

BACKOFF_FIRST_SECONDS = 0.5

Outcomes = Mapping[Address, Outcome]
"""What became of rows; one that is missing is not decided yet."""


Closing = Callable[[Outcomes], Awaitable[Sequence[Change]]]
"""Asked when a call ends with verdicts: what else belongs into the same step, such as the answer of the whole batch."""


async def close_nothing(_: Outcomes) -> Sequence[Change]:
    """Add nothing to the end of a call."""
    return ()


@dataclass(slots=True)
class Trials:
    """What became so far of the parts of one call whose faulty rows are being isolated; shared by all of them."""

    refused: int = 0
    taken: bool = False


@dataclass(frozen=True, slots=True)
class LiveCall:
    """One call and its rows; `tried` tells that an earlier attempt may have arrived without our knowing."""

    record: CallRecord
    draft: Draft
    tried: bool = False
    closing: Closing = close_nothing
    trials: Trials = field(default_factory=Trials, compare=False)

    @property
    def id(self) -> str:
        """The call's id, which is its idempotency key as well."""
        return self.record.id

    @property
    def rows(self) -> tuple[PlannedRow, ...]:
        """The rows in the order of the call's body."""
        return self.draft.rows

    @property
    def sent_rows(self) -> list[SentRow]:
        """What the rows go by in the call's result."""
        return [SentRow(row.address, row.unique_id, row.invoice_number, row.invoice_id) for row in self.rows]

    def moved(self, after: CallState, at: float, *, why: str = "", modern_batch: str = "") -> tuple[LiveCall, MoveCall]:
        """Return the call in its next state, and the change that makes the step durable."""
        advance(self.record.state, after)
        change = MoveCall(self.id, self.record.state, after, at, why, modern_batch)
        submitted_at = at if after is CallState.SUBMITTING else self.record.submitted_at
        record = replace(
            self.record,
            state=after,
            why=why,
            submitted_at=submitted_at,
            modern_batch=modern_batch or self.record.modern_batch,
        )
        return replace(self, record=record), change


class Backoff:
    """Jittered pauses between attempts of one call, each up to twice as long as the one before."""

    def __init__(
        self, sleep: Callable[[float], Awaitable[None]], chance: random.Random, *, ceiling_seconds: float
    ) -> None:
        self._sleep = sleep
        self._chance = chance
        self._ceiling_seconds = ceiling_seconds
        self._pause = BACKOFF_FIRST_SECONDS

    async def rest(self) -> None:
        """Pause before the next attempt."""
        await self._sleep(self._pause * self._chance.uniform(0.5, 1.0))
        self._pause = min(self._pause * 2, self._ceiling_seconds)


def alike(call: LiveCall, verdict: Verdict, message: str = "") -> list[Outcome]:
    """Return the same verdict on every row of a call."""
    return [Outcome(row.address, verdict, message) for row in call.rows]


def learn(call: LiveCall, outcomes: Outcomes) -> list[Claim]:
    """Return what the outcomes of invoice rows tell about claims, for the cross-reference."""
    claims = []
    for row in call.rows:
        outcome = outcomes.get(row.address)
        if outcome is None or not row.keys or not outcome.ids.get("invoiceId"):
            continue
        keys = dict(row.keys)
        claims.append(
            Claim(
                organization=row.organization,
                invoice_id=outcome.ids["invoiceId"],
                invoice_number=row.invoice_number or outcome.ids.get("invoiceNumber", ""),
                unique_source_invoice_id=row.unique_id,
                ledgerref=keys.get("ledgerref", ""),
                case_number=outcome.ids.get("caseNumber", ""),
                case_id=outcome.ids.get("caseId", ""),
                batch_id=call.record.batch_id,
                objectindex=row.address.objectindex,
                modern_batch=call.record.modern_batch,
            )
        )
    return claims


def decisions(call: LiveCall, outcomes: Outcomes) -> list[Change]:
    """Return the changes that make verdicts durable, with what they taught about claims."""
    changes: list[Change] = []
    if outcomes:
        changes.append(DecideRows(call.record.batch_id, list(outcomes.values())))
    if claims := learn(call, outcomes):
        changes.append(LearnClaims(claims))
    return changes


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do several things side by side, each to its end, and only then raise what one of them raised.

    A write that is cut off because another one failed would be in doubt.
    """
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def side_by_side(works: Iterable[Coroutine[Any, Any, None]]) -> Coroutine[Any, Any, None]:
    """Do several things as `together` does; a single one is returned as it is, since thousands of batches wait here."""
    several = list(works)
    return several[0] if len(several) == 1 else _all(several)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    await together(works)
