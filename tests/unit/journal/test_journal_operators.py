"""What stands beside the batches in every store: who works them, operators' orders, the inbox of webhooks, the news."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow, OperatorError
from bridge.journal import (
    DecideRows,
    FinishBatch,
    FulfilOrder,
    Hook,
    MoveCall,
    News,
    Office,
    Order,
    PlaceOrder,
    Settlement,
)
from bridge.journal.opening import open_office
from bridge.journal.postgres import PostgresOffice
from bridge.journal.sqlite.connections import connect_writer

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

Until = Callable[[Callable[[], bool]], Awaitable[None]]

FIRST, SECOND = Address("invoice", 0), Address("invoice", 1)
ORDER = PlaceOrder("o1", "b1", (FIRST,), Settlement.ACCEPTED, "kari", "seen in the portal", 5.0)


async def put_in_doubt(journal: Store, make: Make) -> None:
    """Open a batch of two rows, the first of them in doubt."""
    await journal.write(make.opening(rows=2), make.planning(state=CallState.SUBMITTING))
    await journal.write(MoveCall("c1", CallState.SUBMITTING, CallState.IN_DOUBT, 2.0))


def as_order(change: PlaceOrder) -> Order:
    return Order(change.id, change.batch_id, change.rows, change.settlement, change.actor, change.reason, change.at)


# --- who works what ------------------------------------------------------------------------------------------------


async def test_batches_left_open_are_handed_out_once(
    journal: Store, open_store: Callable[[], Awaitable[Store]], make: Make
) -> None:
    """The next life takes them over, oldest first; its own are not handed out, nor what is finished."""
    await journal.write(make.opening("late", received_at=2.0))
    await journal.write(make.opening("early", received_at=1.0))
    await journal.write(make.opening("done", rows=0), FinishBatch("done", b"", 1.0))
    assert await journal.take_over() == []
    await journal.close()
    again = await open_store()
    await again.write(make.opening("own"))
    assert await again.take_over() == ["early", "late"]
    assert await again.take_over() == []
    await again.close()


async def test_a_batch_that_was_let_go_is_handed_out_again(journal: Store, make: Make) -> None:
    """Unless it was finished before."""
    await journal.write(make.opening(), make.opening("done", rows=0), FinishBatch("done", b"", 1.0))
    await journal.let_go("b1")
    await journal.let_go("done")
    assert await journal.take_over() == ["b1"]
    assert await journal.take_over() == []


async def test_our_batches_stay_ours_for_as_long_as_a_request_takes(journal: Store, until: Until) -> None:
    """A journal that was just opened may soon be sent from."""
    await until(lambda: journal.may_send(2.0))


# --- orders --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def office(journal: Store, storage_url: str) -> Office:
    """The command line's way in, beside the running bridge."""
    return open_office(storage_url, base=Path("/"))


async def test_an_order_is_recorded_and_carried_out(journal: Store, office: Office, make: Make) -> None:
    """It is pending until the bridge notes what became of it; the first note stands."""
    await put_in_doubt(journal, make)
    await office.write(ORDER)
    assert await journal.orders("b1") == await journal.pending_orders() == [as_order(ORDER)]
    await journal.write(FulfilOrder("o1", 6.0, "settled"))
    await journal.write(FulfilOrder("o1", 7.0, "settled again"))
    assert await journal.pending_orders() == []
    assert await office.orders("b1") == [replace(as_order(ORDER), fulfilled_at=6.0, result="settled")]
    assert await office.orders("b2") == []
    await office.close()


async def test_an_order_is_recorded_once(journal: Store, office: Office, make: Make) -> None:
    """Whoever does not know whether it arrived may place it again."""
    await put_in_doubt(journal, make)
    for _ in range(2):
        await office.write(ORDER)
    await journal.write(replace(ORDER, reason="another"))
    assert await journal.orders("b1") == [as_order(ORDER)]
    await office.close()


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (replace(ORDER, rows=(FIRST, SECOND)), "not in doubt: invoice 1"),
        (replace(ORDER, rows=(Address("action", 7),)), "not in doubt: action 7"),
        (replace(ORDER, rows=()), "names no row"),
        (replace(ORDER, batch_id="b9"), "b9 is not in the journal"),
    ],
)
async def test_an_order_on_what_is_not_in_doubt_is_refused(
    journal: Store, office: Office, make: Make, order: PlaceOrder, words: str
) -> None:
    """All or none: a good order beside it is not recorded either."""
    await put_in_doubt(journal, make)
    for writer in (journal, office):
        with pytest.raises(ValueError, match=words):
            await writer.write(replace(ORDER, id="o0"), order)
    assert await journal.orders("b1") == []
    await office.close()


async def test_an_order_that_does_not_exist_is_not_carried_out(journal: Store) -> None:
    """A note on nothing is a fault of the program."""
    with pytest.raises(ValueError, match="o9 is not in the journal"):
        await journal.write(FulfilOrder("o9", 6.0, ""))


async def test_orders_come_in_the_order_they_were_placed(journal: Store, office: Office, make: Make) -> None:
    """Whatever their ids and clocks say."""
    await put_in_doubt(journal, make)
    placed = [replace(ORDER, id=name, at=at) for name, at in (("z", 3.0), ("a", 2.0), ("m", 1.0))]
    for order in placed:
        await office.write(order)
    assert await journal.pending_orders() == [as_order(order) for order in placed]
    await office.close()


async def test_an_order_can_be_placed_while_no_bridge_runs(
    journal: Store, open_store: Callable[[], Awaitable[Store]], office: Office, make: Make
) -> None:
    """The next start finds it."""
    await put_in_doubt(journal, make)
    await journal.close()
    await office.write(ORDER)
    await office.close()
    again = await open_store()
    assert await again.take_over() == ["b1"]
    assert await again.pending_orders() == [as_order(ORDER)]
    await again.close()


async def test_an_order_is_heard_within_a_second(journal: Store, office: Office, make: Make, until: Until) -> None:
    """The bridge that works the batch need not look for it."""
    await put_in_doubt(journal, make)
    heard: asyncio.Queue[tuple[News, str]] = asyncio.Queue()
    await until(lambda: journal.may_send(0.0))  # before it hears, or it hears that its store is there
    journal.listen(lambda news, name: heard.put_nowait((news, name)))
    await office.write(ORDER)
    async with asyncio.timeout(1.5):
        assert await heard.get() == (News.ORDERED, "b1")
    await office.close()


# --- webhooks and news ---------------------------------------------------------------------------------------------


async def test_a_webhook_is_kept_and_told_once(journal: Store) -> None:
    """A second delivery has no effect, also beside the first."""
    heard: list[tuple[News, str]] = []
    journal.listen(lambda news, name: heard.append((news, name)))
    assert await journal.note_hook(Hook("k1", 10.0, modern_batch="m1"))
    assert not await journal.note_hook(Hook("k1", 11.0, modern_batch="m1"))
    second = Hook("k2", 12.0, modern_batch="m2")
    both = await asyncio.gather(journal.note_hook(second), journal.note_hook(second))
    assert sorted(both) == [False, True]
    await asyncio.sleep(0)
    assert [each for each in heard if each[0] is not News.BACK] == [(News.HINT, "m1"), (News.HINT, "m2")]


async def test_a_webhook_is_known_for_as_long_as_payloads_are_kept(
    journal: Store, open_store: Callable[[], Awaitable[Store]]
) -> None:
    """A restart forgets nothing; retention does."""
    await journal.note_hook(Hook("old", 10.0, modern_batch="m1"))
    await journal.note_hook(Hook("young", 20.0, modern_batch="m2"))
    await journal.close()
    again = await open_store()
    assert await again.erase(15.0, lambda reply, rows, text: reply) == 0
    assert await again.note_hook(Hook("old", 21.0, modern_batch="m1"))
    assert not await again.note_hook(Hook("young", 21.0, modern_batch="m2"))
    await again.close()


async def test_a_final_answer_is_told(journal: Store, make: Make) -> None:
    """To every listener, after the write."""
    heard: list[list[tuple[News, str]]] = [[], []]
    journal.listen(lambda news, name: heard[0].append((news, name)))
    journal.listen(lambda news, name: heard[1].append((news, name)))
    await journal.write(make.opening(rows=1))
    await journal.write(DecideRows("b1", [Outcome(FIRST, Verdict.REFUSED, "x")]), FinishBatch("b1", b"", 1.0))
    await asyncio.sleep(0)
    assert [[each for each in list_ if each[0] is not News.BACK] for list_ in heard] == [[(News.FINISHED, "b1")]] * 2


# --- the office of a file ------------------------------------------------------------------------------------------


def test_an_office_needs_a_journal(path: Path) -> None:
    """The command line creates none."""
    with pytest.raises(OperatorError, match="there is no journal at"):
        open_office(f"sqlite:///{path}", base=Path("/"))


@pytest.mark.parametrize("store", ["sqlite"])
async def test_an_office_that_cannot_write_says_so(
    journal: Store, office: Office, make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When somebody keeps the file locked, an operator is told to try again."""
    monkeypatch.setattr("bridge.journal.sqlite.connections.BUSY_SECONDS", 0.05)
    await put_in_doubt(journal, make)
    stranger = connect_writer(path)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(CannotTakeNow, match="another program keeps the file locked"):
        await office.write(ORDER)
    stranger.close()
    await office.close()


@pytest.mark.parametrize("store", ["postgres"])
@pytest.mark.parametrize("failures", [1, 2])
async def test_an_office_whose_answer_was_lost_asks_again(
    journal: Store, office: PostgresOffice, make: Make, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """What had arrived is not recorded twice; when the server stays away, the operator is told."""
    await put_in_doubt(journal, make)
    place, losses = office._place, [asyncpg.ConnectionDoesNotExistError("gone")] * failures

    async def place_and_lose(changes: tuple[PlaceOrder, ...]) -> None:
        await place(changes)
        if losses:
            raise losses.pop()

    monkeypatch.setattr(office, "_place", place_and_lose)
    if failures == 1:
        await office.write(ORDER)
    else:
        with pytest.raises(OperatorError, match="the server cannot be reached"):
            await office.write(ORDER)
    assert await journal.orders("b1") == [as_order(ORDER)]
    losses.append(asyncpg.DiskFullError("full"))  # type: ignore[arg-type]
    with pytest.raises(CannotTakeNow, match="disk is full"):
        await office.write(ORDER)
    await office.close()
