"""An operator's word, turned into changes: for every batch and every order, only rows in doubt are touched."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address, CallState, Verdict, advance
from bridge.journal import (
    BatchRecord,
    CallRecord,
    DecideRows,
    MoveCall,
    Order,
    PlanCall,
    RowRecord,
    Settlement,
    StoredBatch,
)
from bridge.workshop.orders import CarriedOut, carry_out

NOW = 1000.0
OPEN = frozenset({CallState.PLANNED, CallState.SUBMITTING, CallState.SUBMITTED, CallState.IN_DOUBT})


def address(index: int) -> Address:
    return Address("payment", index)


def a_call(name: str, rows: tuple[Address, ...], state: CallState = CallState.IN_DOUBT) -> CallRecord:
    return CallRecord(name, "batch", "org", "create_payments", "/payments", rows, state, planned_at=1.0)


def a_batch(calls: list[CallRecord], verdicts: dict[Address, Verdict], rows: int) -> StoredBatch:
    tied = {row: call.id for call in calls for row in call.rows}  # a row belongs to its newest call
    batch = BatchRecord("batch", "ERP-1", "p", "", "id", "c", 0.0, offline=False, row_count=rows, payload=None)
    records = [
        RowRecord(address(index), verdicts.get(address(index), Verdict.PENDING), call_id=tied.get(address(index)))
        for index in range(rows)
    ]
    return StoredBatch(batch, tuple(records), tuple(calls))


def an_order(settlement: Settlement, *rows: Address) -> Order:
    return Order("order", "batch", rows, settlement, actor="Kari", reason="seen it", at=900.0)


def carry(stored: StoredBatch, order: Order) -> CarriedOut:
    ids = (f"new-{number}" for number in itertools.count())
    return carry_out(stored, order, NOW, lambda: next(ids))


def apply(stored: StoredBatch, done: CarriedOut) -> StoredBatch:
    """Do what a store does with the changes, as strictly as a store."""
    rows = {row.address: row for row in stored.rows}
    calls = {call.id: call for call in stored.calls}
    for change in done.changes:
        if isinstance(change, DecideRows):
            for outcome in change.outcomes:
                assert rows[outcome.address].verdict is Verdict.PENDING
                rows[outcome.address] = replace(rows[outcome.address], verdict=outcome.verdict, message=outcome.message)
        elif isinstance(change, MoveCall):
            assert calls[change.call_id].state is change.before
            calls[change.call_id] = replace(calls[change.call_id], state=advance(change.before, change.after))
        else:
            assert isinstance(change, PlanCall)
            assert change.call.id not in calls
            assert change.call.state is CallState.PLANNED
            calls[change.call.id] = change.call
            for tied in change.call.rows:
                rows[tied] = replace(rows[tied], call_id=change.call.id)
    return StoredBatch(stored.batch, tuple(rows.values()), tuple(calls.values()))


def in_doubt(stored: StoredBatch) -> set[Address]:
    doubtful = {call.id for call in stored.calls if call.state is CallState.IN_DOUBT}
    return {row.address for row in stored.rows if row.verdict is Verdict.PENDING and row.call_id in doubtful}


# --- whole calls and parts ------------------------------------------------------------------------------------------

WHOLE = a_batch([a_call("call", (address(0), address(1)))], {}, 2)
PARTLY = a_batch([a_call("call", (address(0), address(1), address(2)))], {address(1): Verdict.ACCEPTED}, 3)


def test_accepting_a_whole_call_ends_it() -> None:
    """The rows are accepted without a word, the call is done, and says who settled it."""
    done = carry(WHOLE, an_order(Settlement.ACCEPTED, address(0), address(1)))
    after = apply(WHOLE, done)
    assert [(row.verdict, row.message) for row in after.rows] == [(Verdict.ACCEPTED, "")] * 2
    assert [change for change in done.changes if isinstance(change, MoveCall)] == [
        MoveCall("call", CallState.IN_DOUBT, CallState.DONE, NOW, "settled as accepted by Kari")
    ]
    assert done.result == "accepted: payment 0, payment 1"


def test_refusing_a_whole_call_ends_it() -> None:
    """The caller is told why, and that the row may be sent again."""
    after = apply(WHOLE, carry(WHOLE, an_order(Settlement.REFUSED, address(1), address(0))))
    assert {row.verdict for row in after.rows} == {Verdict.REFUSED}
    assert all("send it again if it is wanted" in row.message for row in after.rows)
    assert [call.state for call in after.calls] == [CallState.REFUSED]


def test_a_word_on_a_part_of_a_call_leaves_the_rest_in_doubt() -> None:
    """The call stays in doubt until the last of its rows is settled; the second word may be another one."""
    after = apply(WHOLE, carry(WHOLE, an_order(Settlement.ACCEPTED, address(0))))
    assert in_doubt(after) == {address(1)}
    final = apply(after, carry(after, an_order(Settlement.REFUSED, address(1))))
    assert [row.verdict for row in final.rows] == [Verdict.ACCEPTED, Verdict.REFUSED]
    assert [call.state for call in final.calls] == [CallState.REFUSED]


def test_resending_a_whole_call_keeps_its_key() -> None:
    """It goes back to PLANNED as it was: same id, same rows."""
    done = carry(WHOLE, an_order(Settlement.RESEND, address(0), address(1)))
    assert done.changes == [MoveCall("call", CallState.IN_DOUBT, CallState.PLANNED, NOW, "settled as resend by Kari")]


def test_resending_what_is_left_of_a_call_takes_a_new_one() -> None:
    """The key stands for the body it was first used with; a decided row is not sent again."""
    after = apply(PARTLY, carry(PARTLY, an_order(Settlement.RESEND, address(2), address(0))))
    old, new = after.calls
    assert (old.state, new.state) == (CallState.REFUSED, CallState.PLANNED)
    assert (new.id, new.rows, new.path, new.planned_at) == ("new-0", (address(0), address(2)), "/payments", NOW)
    assert [row.call_id for row in after.rows] == ["new-0", "call", "new-0"]


def test_a_part_of_a_call_is_not_sent_again() -> None:
    """Its rows arrived together or not at all: the operator is told which ones to name as well."""
    done = carry(WHOLE, an_order(Settlement.RESEND, address(1)))
    assert done.changes == []
    assert done.result == "nothing done: these rows travelled in the same call, name them too: payment 0"


def test_a_part_among_whole_calls_stops_all_of_it() -> None:
    """An order is carried out as it was given, or not at all."""
    stored = a_batch([a_call("one", (address(0),)), a_call("two", (address(1), address(2)))], {}, 3)
    assert carry(stored, an_order(Settlement.RESEND, address(0), address(1))).changes == []


def test_an_order_that_comes_too_late_does_nothing() -> None:
    """One row was found meanwhile: the operator is told, and may look again."""
    done = carry(PARTLY, an_order(Settlement.REFUSED, address(0), address(1)))
    assert (done.changes, done.result) == ([], "nothing done: not in doubt any more: payment 1")
    unknown = carry(PARTLY, an_order(Settlement.REFUSED, address(7)))
    assert unknown.result.endswith("payment 7")


# --- every batch, every order ---------------------------------------------------------------------------------------


@st.composite
def batches(draw: st.DrawFn) -> StoredBatch:
    """Any batch the law of calls and rows allows: each row in at most one open call, decided or not."""
    count = draw(st.integers(1, 9))
    rows = draw(st.permutations([address(index) for index in range(count)]))
    calls: list[CallRecord] = []
    rest = list(rows)
    while draw(st.booleans()) and rest:
        size = draw(st.integers(1, len(rest)))
        taken, rest = tuple(rest[:size]), rest[size:]
        state = draw(st.sampled_from([CallState.IN_DOUBT, CallState.IN_DOUBT, *CallState]))
        if state is CallState.REFUSED and draw(st.booleans()):  # split: its rows went on in another call
            calls.append(a_call(f"call-{len(calls)}", taken, state))
            state = CallState.IN_DOUBT
        calls.append(a_call(f"call-{len(calls)}", taken, state))
    decided = draw(st.dictionaries(st.sampled_from(rows), st.sampled_from([Verdict.ACCEPTED, Verdict.REFUSED])))
    ended = {row for call in calls if call.state not in OPEN for row in call.rows}
    carried = {row for call in calls if call.state in OPEN for row in call.rows}
    decided |= {row: Verdict.ACCEPTED for row in ended - carried if row not in decided}
    return a_batch(calls, decided, count)


@given(st.data(), batches(), st.sampled_from(Settlement))
def test_only_rows_in_doubt_are_ever_touched(data: st.DataObject, stored: StoredBatch, settlement: Settlement) -> None:
    """Whatever is ordered: nothing or all of it is done, every other row and call stays as it is, no row is lost."""
    doubtful = sorted(in_doubt(stored))
    pool = (
        st.sampled_from(doubtful) if data.draw(st.booleans()) and doubtful else st.builds(address, st.integers(0, 10))
    )
    order = an_order(settlement, *data.draw(st.lists(pool, min_size=1, unique=True)))
    done = carry(stored, order)
    after = apply(stored, done)
    named = set(order.rows)

    before_rows = {row.address: row for row in stored.rows}
    after_rows = {row.address: row for row in after.rows}
    assert after_rows.keys() == before_rows.keys()
    assert {place for place, row in after_rows.items() if row != before_rows[place]} <= named
    untouched = [call for call in stored.calls if named.isdisjoint(call.rows) or call.state is not CallState.IN_DOUBT]
    assert [call for call in after.calls if call in untouched] == untouched

    if not done.changes:
        assert done.result.startswith("nothing done: ")
        partly = settlement is Settlement.RESEND and named <= in_doubt(stored)
        assert partly or not named <= in_doubt(stored)
        return
    assert named <= in_doubt(stored)
    assert in_doubt(after) == in_doubt(stored) - named
    if settlement is Settlement.RESEND:
        begun = [call for call in after.calls if call not in stored.calls and call.state is CallState.PLANNED]
        planned = [row for call in begun for row in call.rows]
        assert sorted(planned) == sorted(named), "each once, and nothing else"
        assert all(after_rows[row].verdict is Verdict.PENDING for row in named)
    else:
        assert {after_rows[row].verdict for row in named} == {Verdict(settlement.value)}
    open_calls = [call for call in after.calls if call.state in OPEN]
    assert all(
        any(after_rows[row].verdict is Verdict.PENDING for row in call.rows)
        for call in open_calls
        if call not in stored.calls
    )
