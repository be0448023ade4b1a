"""What callers may be told of a batch, whoever works it: its final answer, or what is known now."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import CannotTakeNow
from bridge.intake.desk import Desk
from bridge.journal import BatchRecord, Journal, News
from bridge.replying import render
from bridge.workshop.work import Work


class Teller:
    """Who looks up how batches stand."""

    def __init__(self, desks: Mapping[str, Desk], store: Journal) -> None:
        self._desks = desks
        self._store = store
        self._stranded: dict[str, str] = {}
        """Why a batch that is ours cannot be worked until the operator mends the mappings."""

    def desk_of(self, batch: BatchRecord) -> Desk:
        """Return the desk that reads a batch and words its answer; raises CannotTakeNow when there is none any more."""
        desk = self._desks.get(batch.profile)
        if desk is None:
            raise CannotTakeNow(f"this batch waits for the profile {batch.profile}, which no sender speaks any more")
        return desk

    def strand(self, batch_id: str, why: str) -> None:
        """Remember why a batch of ours cannot be worked: whoever asks for it is told."""
        self._stranded[batch_id] = why

    def is_parked(self, batch: Work | BatchRecord) -> bool:
        """Tell whether waiting for a batch is useless until an operator has settled its rows in doubt."""
        return isinstance(batch, Work) and batch.parked and not batch.lost

    def ask_if_parked(self, batch_id: str) -> None:
        """Have the replica that works a batch say so if waiting for it is useless; here `is_parked` tells."""
        self._store.tell(News.ASKED, batch_id)

    def tell_if_parked(self, work: Work | None) -> None:
        """Answer a replica that holds callers for a batch, if it is worked here."""
        if work is not None and work.parked:
            self._store.tell(News.PARKED, work.record.id)

    async def look(self, batch: Work | BatchRecord) -> bytes | None:
        """Return the final answer of a batch, wherever it is worked, if there is one.

        Raises CannotTakeNow, with the reason, for a batch that waits for the operator to mend its profile.
        """
        if isinstance(batch, Work) and not batch.lost:
            return batch.reply
        record = batch.record if isinstance(batch, Work) else batch
        if record.reply is not None:
            return record.reply
        if reason := self._stranded.get(record.id):
            raise CannotTakeNow(reason)
        found = await self._store.find(record.sender, record.identity)
        return found.reply if found is not None and found.id == record.id else None

    async def interim(self, batch: Work | BatchRecord) -> bytes:
        """Return the answer that the journal allows now, whoever works the batch.

        What is in memory may be behind what was told elsewhere, and take it back: a divided call tells its outcomes at
        its end, the answer to a commit may be late, and another replica may have taken the batch over.
        """
        record = batch.record if isinstance(batch, Work) else batch
        desk = self.desk_of(record)
        standing = await self._store.standing(record.id)
        if standing is None:
            raise CannotTakeNow("the journal does not know this batch any more: send it again")
        if standing.reply is not None:
            return standing.reply
        return await render(standing.rows, standing.outcomes, desk.profile.reply)

    async def remembered(self, work: Work) -> bytes:
        """Return the answer that memory allows: durable, but perhaps behind what others have been told."""
        return await render(work.rows, dict(work.outcomes), work.desk.profile.reply)
