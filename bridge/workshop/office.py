"""What operators ordered about rows in doubt, carried out for the batches of this replica."""

from __future__ import annotations

from collections.abc import Callable

from bridge.journal import FulfilOrder, Journal, LostBatch, Order, StaleCall
from bridge.journal.patient import PatientJournal
from bridge.logs import Event, get_log
from bridge.workshop.orders import CarriedOut, carry_out
from bridge.workshop.workshop import Workshop

log = get_log()


class Office:
    """Stops a batch's work, writes down what the order means, and lets the work go on from there."""

    def __init__(
        self,
        workshop: Workshop,
        store: Journal,
        journal: PatientJournal,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._workshop = workshop
        self._store = store
        self._journal = journal
        self._clock = clock
        self._new_id = new_id

    async def carry_out_orders(self) -> None:
        """Do what is ordered; what cannot be done just now is left for the next round."""
        for order in await self._store.pending_orders():
            if await self._workshop.pause(order.batch_id):
                await self._carry_out(order)

    async def _carry_out(self, order: Order) -> None:
        """Carry out an order on a paused batch; whatever comes of it, the work goes on if the batch is still ours."""
        is_ours = True
        try:
            await self._fulfil(order)
        except StaleCall:
            log.warning(Event.ROUND_FAILED, batch=order.batch_id, why="the batch moved on while it was settled")
        except LostBatch:
            is_ours = False
            log.warning(Event.BATCH_LOST, batch=order.batch_id)
        finally:
            if is_ours:
                await self._workshop.go_on(order.batch_id)

    async def _fulfil(self, order: Order) -> None:
        """Write down what an order means for its batch as it stands now."""
        now = self._clock()
        done = await self._read(order, now)
        try:
            await self._journal.write(*done.changes, FulfilOrder(order.id, now, done.result))
        except ValueError as reason:  # an order that can never be carried out must not be tried for ever
            await self._journal.write(FulfilOrder(order.id, now, f"nothing done: {reason}"))
        log.info(Event.ORDER_CARRIED_OUT, batch=order.batch_id, state=order.settlement.value, count=len(order.rows))

    async def _read(self, order: Order, now: float) -> CarriedOut:
        stored = await self._store.load(order.batch_id)
        if stored is None:
            return CarriedOut([], "nothing done: there is no such batch")
        return carry_out(stored, order, now, self._new_id)
