"""In which order the changes of many writes travel together: as few statements as possible, each write's order kept.

A group of writes is worked in waves. A wave takes changes of one kind from the heads of all writes, so that thirty
writes that each move a call become one statement. Pure: nothing here talks to the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bridge.journal.changes import (
    Change,
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

Step = Change | Hook
"""What a write consists of; a webhook comes by way of `note_hook`, and alone."""


class Placed(NamedTuple):
    """A change, and which write of the group it belongs to."""

    write: int
    change: Any


ORDER: tuple[type[Step], ...] = (
    *(OpenBatch, MoveCall, PlanCall, DecideRows, LearnClaims, CountUnknown, SeeCreditor, Hook, PlaceOrder),
    *(FulfilOrder, FinishBatch, NoteRebuild),
)
"""Which kind goes first when several stand at the heads; what usually ends a write waits for its neighbours."""
LAST: tuple[type[Step], ...] = (NotePassed, Observe, KeepSamples, HandOver, SetSwitch, RegisterSettlements)
"""The kinds that are done when all others are, each once, right before the commit.

They hold up other replicas: who counts the same, hands over or gives numbers waits until then. Always in this order,
those replicas never wait in a circle.
"""


def order_waves(writes: Sequence[Sequence[Step]]) -> Iterator[tuple[type[Step], list[Placed]]]:
    """Yield waves until every change of every write was in one."""
    queues = [deque(change for change in write if type(change) not in LAST) for write in writes]
    while heads := {type(queue[0]) for queue in queues if queue}:
        kind = next(each for each in ORDER if each in heads)
        yield kind, _take(queues, kind)
    late = [Placed(number, change) for number, write in enumerate(writes) for change in write if type(change) in LAST]
    for kind in LAST if late else ():
        if wave := [placed for placed in late if type(placed.change) is kind]:
            yield kind, wave


def _take(queues: Sequence[deque[Step]], kind: type[Step]) -> list[Placed]:
    """Take changes of one kind from the heads; a thing that two of them concern ends the wave for the second."""
    taken: list[Placed] = []
    concerned: set[str] = set()
    for number, queue in enumerate(queues):
        while queue and type(queue[0]) is kind and (key := _concerns(queue[0])) not in concerned:
            if key is not None:
                concerned.add(key)
            taken.append(Placed(number, queue.popleft()))
    return taken


def _concerns(change: Step) -> str | None:
    """Return the key of what a change concerns alone, None where a wave may hold any number."""
    match change:
        case OpenBatch():
            return f"{change.batch.sender}\0{change.batch.identity}"
        case MoveCall() | FinishBatch():
            return change.call_id if isinstance(change, MoveCall) else change.batch_id
        case Hook():
            return change.key
        case FulfilOrder():
            return change.order_id
        case NoteRebuild():
            return change.progress.organization
        case _:
            return None
