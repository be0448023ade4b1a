"""A group of writes applied in one transaction, wave by wave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bridge.journal.changes import (
    CountUnknown,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    HandOver,
    Hook,
    KeepSamples,
    LearnClaims,
    MoveCall,
    NotePassed,
    NoteRebuild,
    Observe,
    OpenBatch,
    PlaceOrder,
    PlanCall,
    RegisterSettlements,
    SeeCreditor,
    SetSwitch,
)
from bridge.journal.postgres.crossreference import learn_claims
from bridge.journal.postgres.handing_over import hand_over
from bridge.journal.postgres.inbox import keep_hooks
from bridge.journal.postgres.moving import decide_rows, finish_batches, move_calls
from bridge.journal.postgres.noting import count_unknown, fulfil_orders, place_orders, see_creditors
from bridge.journal.postgres.observing import keep_samples, observe
from bridge.journal.postgres.opening_batches import open_batches, plan_calls
from bridge.journal.postgres.session import Refused, Session
from bridge.journal.postgres.settlements import note_rebuilds, register_settlements
from bridge.journal.postgres.switching import note_passed, set_switches
from bridge.journal.postgres.waves import Placed, Step, order_waves

Apply = Callable[[Session, Sequence[Placed]], Awaitable[None]]

APPLY: Mapping[type[Step], Apply] = {
    OpenBatch: open_batches,
    PlanCall: plan_calls,
    MoveCall: move_calls,
    DecideRows: decide_rows,
    LearnClaims: learn_claims,
    FinishBatch: finish_batches,
    CountUnknown: count_unknown,
    SeeCreditor: see_creditors,
    Hook: keep_hooks,
    PlaceOrder: place_orders,
    FulfilOrder: fulfil_orders,
    RegisterSettlements: register_settlements,
    NoteRebuild: note_rebuilds,
    NotePassed: note_passed,
    Observe: observe,
    KeepSamples: keep_samples,
    HandOver: hand_over,
    SetSwitch: set_switches,
}


async def apply_group(session: Session, writes: Sequence[Sequence[Step]]) -> None:
    """Carry out the changes of all writes; raises Refused naming writes that cannot be, or an error of the server.

    After any error nothing of the transaction may be kept.
    """
    for kind, wave in order_waves(writes):
        try:
            await APPLY[kind](session, wave)
        except ValueError as error:  # the law speaks of one change, and does not know whose it is
            if len(writes) > 1:
                raise Undecided from error
            raise Refused({0: error}) from error


class Undecided(Exception):
    """One of several writes cannot be made; each must be tried by itself to tell which."""
