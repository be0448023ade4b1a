"""`bridge batches settle`: an operator's word on rows in doubt."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.cli import settling
from bridge.journal import (
    BatchRecord,
    CallRecord,
    Change,
    DecideRows,
    FulfilOrder,
    MoveCall,
    OpenBatch,
    Order,
    PlaceOrder,
    PlanCall,
    RowRecord,
    Settlement,
)
from bridge.journal.opening import open_books, open_journal, open_office

Run = Callable[..., Any]
WORD = ("--by", "Kari", "--because", "seen in the portal")
URL = "sqlite:///journal.db"


class Person(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def give(text: str) -> None:
        monkeypatch.setattr("sys.stdin", Person(text))

    return give


def read_orders(config: Path) -> list[Order]:
    async def read() -> list[Order]:
        books = open_books(URL, base=config.parent)
        try:
            return await books.orders("b-1")
        finally:
            await books.close()

    return asyncio.run(read())


def write(config: Path, *changes: Change) -> None:
    """Write as the bridge would."""

    async def run() -> None:
        journal = await open_journal(URL, base=config.parent)
        try:
            await journal.take_over()
            await journal.write(*changes)
        finally:
            await journal.close()

    asyncio.run(run())


@pytest.mark.parametrize("settlement", ["accepted", "refused", "resend"])
def test_settle(run: Run, taken: Path, settlement: str) -> None:
    """The word is recorded with name, reason and time, for every row in doubt; what happens next is told."""
    before = time.time()
    ran = run("batches", "settle", "b-1", f"--{settlement}", *WORD, "--yes", "-c", taken)
    assert (ran.code, ran.err) == (0, "")
    assert f"Recorded: invoice 3 {settlement}, by Kari." in ran.out
    assert "within seconds, otherwise the next one to start does" in ran.out
    assert settling.MEANINGS[Settlement(settlement)] in ran.out
    (order,) = read_orders(taken)
    assert (order.rows, order.settlement) == ((Address("invoice", 3),), Settlement(settlement))
    assert (order.actor, order.reason, order.fulfilled_at) == ("Kari", "seen in the portal", None)
    assert before <= order.at <= time.time()


def test_settle_beside_a_bridge(run: Run, taken: Path) -> None:
    """A bridge that holds the journal does not stand in the way."""

    async def settle() -> Any:
        journal = await open_journal(URL, base=taken.parent)
        try:
            arguments = ("batches", "settle", "b-1", "--accepted", *WORD, "--yes", "-c", taken)
            return await asyncio.to_thread(run, *arguments)
        finally:
            await journal.close()

    assert asyncio.run(settle()).code == 0
    assert len(read_orders(taken)) == 1


def test_settle_json(run: Run, taken: Path) -> None:
    """Scripts get the order as it was recorded."""
    arguments = ("--resend", *WORD, "--row", "invoice:3", "--row", "invoice:3", "--yes", "--json")
    report = run("batches", "settle", "b-1", *arguments, "-c", taken).json
    (order,) = read_orders(taken)
    assert report.pop("at").endswith("+00:00")
    assert report == {
        "batch": "b-1",
        "id": order.id,
        "by": "Kari",
        "settlement": "resend",
        "because": "seen in the portal",
        "rows": [{"objectname": "invoice", "objectindex": 3}],
        "fulfilled_at": None,
        "result": "",
        "next": settling.NEXT,
    }


def test_asks_first(run: Run, taken: Path, answer: Callable[[str], None]) -> None:
    """At a terminal it says what is meant and what follows from it, and waits for a yes."""
    answer("y\n")
    ran = run("batches", "settle", "b-1", "--resend", *WORD, "-c", taken)
    assert ran.code == 0
    assert "Batch b-1 of ERP-1, in doubt: invoice 3" in ran.err
    assert settling.MEANINGS[Settlement.RESEND] in ran.err
    assert "Only when you know that it did not arrive" in ran.err
    assert len(read_orders(taken)) == 1


@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_no_is_no(run: Run, taken: Path, answer: Callable[[str], None], text: str) -> None:
    """Anything but a yes records nothing, and the exit code tells."""
    answer(text)
    assert run("batches", "settle", "b-1", "--accepted", *WORD, "-c", taken).code == 1
    assert read_orders(taken) == []


def test_nobody_to_ask(run: Run, taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, --yes is asked for, and nothing recorded."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ran = run("batches", "settle", "b-1", "--accepted", *WORD, "-c", taken)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert read_orders(taken) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (WORD, "exactly one"),
        (("--accepted", "--resend", *WORD), "exactly one"),
        (("--accepted", "--by", " ", "--because", "x"), "--by"),
        (("--accepted", "--by", "x", "--because", ""), "--because"),
        (("--accepted", "--because", "x"), "--by"),
        (("--accepted", *WORD, "--row", "invoice"), "invoice:0"),
        (("--accepted", *WORD, "--row", "batch:0"), "invoice:0"),
        (("--accepted", *WORD, "--row", "invoice:-1"), "invoice:0"),
    ],
)
def test_wrong_command_line(run: Run, taken: Path, arguments: tuple[str, ...], told: str) -> None:
    """Exactly one verdict, a name, a reason, and rows that can be read: or exit code 2, and nothing recorded."""
    ran = run("batches", "settle", "b-1", *arguments, "--yes", "-c", taken)
    assert ran.code == 2
    assert told in ran.err
    assert read_orders(taken) == []


@pytest.mark.parametrize(
    ("batch", "rows", "told"),
    [
        ("b-9", (), "b-9: there is no such batch"),
        ("b-1", ("--row", "invoice:0"), "b-1: invoice 0 is accepted, not in doubt; in doubt: invoice 3"),
        ("b-1", ("--row", "invoice:3", "--row", "invoice:2"), "b-1: invoice 2 is pending, not in doubt"),
        ("b-1", ("--row", "payment:0"), "b-1: payment 0 is not in this batch; in doubt: invoice 3"),
    ],
)
def test_not_in_doubt(run: Run, taken: Path, batch: str, rows: tuple[str, ...], told: str) -> None:
    """A row that is not in doubt, or not there, is told with those that are; nothing is recorded."""
    ran = run("batches", "settle", batch, "--accepted", *WORD, *rows, "--yes", "-c", taken)
    assert ran.code == 1
    assert told in ran.err
    assert read_orders(taken) == []


@pytest.mark.parametrize(("settlement", "code"), [("resend", 1), ("accepted", 0)])
def test_rows_of_one_call_are_sent_again_together(run: Run, taken: Path, settlement: str, code: int) -> None:
    """A part of a call cannot be sent again, because its rows arrived together or not at all; it can be answered."""
    rows = (Address("payment", 0), Address("payment", 1))
    records = [RowRecord(row, Verdict.PENDING, operation="create_payments") for row in rows]
    batch = BatchRecord("b-2", "ERP-1", "autocollect", "2", "batchid:2", "c0", 1_700_000_000.0, False, 2, b"{}")
    call = CallRecord("c-9", "b-2", "org", "create_payments", "/payments", rows, CallState.PLANNED)
    write(
        taken,
        OpenBatch(batch, records),
        PlanCall(call),
        MoveCall("c-9", CallState.PLANNED, CallState.SUBMITTING, 1_700_000_001.0),
        MoveCall("c-9", CallState.SUBMITTING, CallState.IN_DOUBT, 1_700_000_002.0),
    )
    arguments = ("batches", "settle", "b-2", f"--{settlement}", *WORD, "--yes", "-c", taken)
    ran = run(*arguments, "--row", "payment:1")
    assert ran.code == code
    assert ("b-2: payment 0 travelled in the same call" in ran.err) == (code == 1)
    if code:
        assert run(*arguments).code == 0


def test_nothing_in_doubt(run: Run, taken: Path) -> None:
    """A batch without rows in doubt has nothing to settle."""
    write(taken, DecideRows("b-1", [Outcome(Address("invoice", 3), Verdict.ACCEPTED)]))
    ran = run("batches", "settle", "b-1", "--accepted", *WORD, "--yes", "-c", taken)
    assert ran.code == 1
    assert "none of its rows is in doubt" in ran.err


def test_one_word_at_a_time(run: Run, taken: Path) -> None:
    """A row whose settlement still waits for the bridge takes no second one."""
    arguments = ("batches", "settle", "b-1", *WORD, "--yes", "-c", taken)
    assert run(*arguments, "--accepted").code == 0
    ran = run(*arguments, "--resend")
    assert ran.code == 1
    assert "invoice 3: Kari has settled this as accepted already" in ran.err
    assert len(read_orders(taken)) == 1


def test_an_order_that_came_to_nothing_does_not_bar_the_next(run: Run, taken: Path) -> None:
    """Once the bridge has answered an order, rows that are still in doubt can be settled again."""
    run("batches", "settle", "b-1", *WORD, "--yes", "-c", taken, "--resend")
    write(taken, FulfilOrder(read_orders(taken)[0].id, 1_700_000_010.0, "could not be"))
    assert run("batches", "settle", "b-1", *WORD, "--yes", "-c", taken, "--accepted").code == 0
    assert len(read_orders(taken)) == 2


def test_settled_by_itself_meanwhile(run: Run, taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that the bridge settles while the operator ponders is not settled twice."""

    def ponder(*_: object) -> None:
        move = MoveCall("c-3", CallState.IN_DOUBT, CallState.DONE, 1_700_000_005.0)
        write(taken, move, DecideRows("b-1", [Outcome(Address("invoice", 3), Verdict.ACCEPTED)]))

    monkeypatch.setattr(settling, "_confirm", ponder)
    ran = run("batches", "settle", "b-1", "--resend", *WORD, "-c", taken)
    assert ran.code == 1
    assert "b-1: not in doubt any more; see `bridge batches show b-1`" in ran.err
    assert read_orders(taken) == []


def test_show_tells_the_orders(run: Run, taken: Path) -> None:
    """A batch is shown with who said what, when and why, and what the bridge made of it."""
    assert "bridge batches settle b-1" in run("batches", "show", "b-1", "-c", taken).out
    order = PlaceOrder(
        "o-1", "b-1", (Address("invoice", 3),), Settlement.RESEND, "Kari", "asked Amili", 1_700_000_010.0
    )

    async def place() -> None:
        office = open_office(URL, base=taken.parent)
        await office.write(order)
        await office.close()

    asyncio.run(place())
    ran = run("batches", "show", "b-1", "-c", taken)
    assert "2023-11-14 22:13:30  Kari  invoice 3  resend      asked Amili  waits for the bridge" in ran.out
    assert "bridge batches settle" not in ran.out
    write(taken, FulfilOrder("o-1", 1_700_000_012.0, "sent again"))
    assert "sent again (2023-11-14 22:13:32)" in run("batches", "show", "b-1", "-c", taken).out
    assert run("batches", "show", "b-1", "-c", taken, "--json").json["orders"] == [
        {
            "id": "o-1",
            "at": "2023-11-14T22:13:30+00:00",
            "by": "Kari",
            "settlement": "resend",
            "because": "asked Amili",
            "rows": [{"objectname": "invoice", "objectindex": 3}],
            "fulfilled_at": "2023-11-14T22:13:32+00:00",
            "result": "sent again",
        }
    ]
