"""What an organization owes to the legacy host: each row once, as its caller wrote it, or named with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import LEGACY, Address, CallState, Verdict
from bridge.debts.catch_up import Dialect, OwedRow, Place, Why, write_catch_up
from bridge.debts.owed import Debt, Period, Reckoner, find_period
from bridge.journal import BatchRecord, CallRecord, RowRecord, StoredBatch
from bridge.modes import Mode, Switch

ORG, OTHER = "nordlys", "fjellheim"
ROWS = ("invoice", "payment", "action")
DIALECT = Dialect({"creditor": "idnumber", **dict.fromkeys(ROWS, "creditorid")}, ("idnumber",))
OPERATIONS = {"invoice": "create_invoices", "payment": "create_payments", "action": "pause"}


def store(name: str, body: Mapping[str, Any], **more: Any) -> StoredBatch:
    """Return a finished batch of ORG's, every row accepted by the modern system; `rows` are changes by address."""
    changes = more.pop("rows", {})
    rows = []
    for objectname in ("creditor", *ROWS):
        for index, _ in enumerate(body.get(objectname, ())):
            address = Address(objectname, index)
            row = RowRecord(address, Verdict.ACCEPTED, ledgerref=f"L{index}")
            if objectname != "creditor":
                unique_id = f"{name}-{objectname}-{index}"
                row = replace(row, organization=ORG, operation=OPERATIONS[objectname], unique_id=unique_id)
            rows.append(replace(row, **changes.get(address, {})))
    batch = BatchRecord(
        id=name,
        sender="ERP-1",
        profile="autocollect",
        batchid="",
        identity=name,
        content="",
        received_at=0.0,
        offline=False,
        row_count=len(rows),
        payload=json.dumps(body).encode(),
    )
    return StoredBatch(replace(batch, **more), tuple(rows), ())


def reckon(*batches: StoredBatch, creditors: Sequence[str] = ("1",), carried: Sequence[Place] = ()) -> Debt:
    reckoner = Reckoner(ORG, creditors, {"autocollect": DIALECT}, frozenset(carried))
    for batch in batches:
        reckoner.take(batch)
    return reckoner.reckon()


def written(debt: Debt) -> Any:
    return json.loads(write_catch_up("e1", debt.rows))


# --- since when ----------------------------------------------------------------------------------------------------

L, S, M = Mode.LEGACY, Mode.SHADOW, Mode.MODERN


def switch(at: float, mode: Mode, percent: float = 0.0) -> Switch:
    return Switch(ORG, mode, M if percent else None, percent, at=at)


@pytest.mark.parametrize(
    ("first", "history", "expected"),
    [
        (L, [], None),
        (L, [switch(1, S), switch(2, L)], None),
        (M, [], Period(0.0, None)),
        (M, [switch(100, L)], Period(0.0, 100.0)),
        (L, [switch(100, M)], Period(100.0, None)),
        (L, [switch(100, S, 5), switch(200, M), switch(300, S, 10), switch(400, L)], Period(100.0, 400.0)),
        (L, [switch(100, M), switch(200, L), switch(300, S), switch(400, M)], Period(400.0, None, 200.0)),
        (M, [switch(100, S), switch(900, M), switch(1000, S)], Period(900.0, 1000.0, 100.0)),
    ],
)
def test_the_last_period_in_which_any_row_went_to_the_bridge(
    first: Mode, history: list[Switch], expected: Period | None
) -> None:
    """A percentage counts as well; the first mode is in force until somebody switches."""
    assert find_period(history, first) == expected


@pytest.mark.parametrize(
    ("period", "since"),
    [(Period(0.0, None), 0.0), (Period(400.0, None, 200.0), 340.0), (Period(230.0, None, 200.0), 200.0)],
)
def test_clocks_of_two_machines_may_be_a_minute_apart(period: Period, since: float) -> None:
    """A batch that was taken just before the switch, by another clock, belongs to the period."""
    assert period.since == since


# --- which rows ----------------------------------------------------------------------------------------------------


def test_rows_are_repeated_as_they_were_sent() -> None:
    """Digit for digit, with fields that nobody knows; invoices, payments and actions each in the order they came."""
    raw = b'{"invoice": [{"ledgerref":"A","amount": 10.500,"odd":{"x":[1e2]}}], "action": [{"ledgerref": "B"}]}'
    first = replace(store("b1", json.loads(raw)), batch=replace(store("b1", {}).batch, payload=raw))
    second = store("b2", {"invoice": [{"ledgerref": "C"}], "payment": [{"ledgerref": "D"}]})
    debt = reckon(first, second)
    assert [str(row.address) for row in debt.rows] == ["invoice 0", "action 0", "invoice 0", "payment 0"]
    assert b'{"ledgerref":"A","amount": 10.500,"odd":{"x":[1e2]}}' in write_catch_up("e1", debt.rows)
    found = written(debt)
    assert (found["batchid"], found["offline"]) == ("bridge-catch-up-e1", False)
    assert [row["ledgerref"] for row in found["invoice"]] == ["A", "C"]
    assert debt.senders == ["ERP-1"]


def test_what_the_legacy_host_has_or_never_got_is_no_debt() -> None:
    """Rows it decided itself, other organizations' rows, creditor rows, and refused ones, which are counted."""
    debt = reckon(
        store(
            "b1",
            {"creditor": [{"idnumber": "1"}], "invoice": [{}, {}, {}, {"ledgerref": "mine"}]},
            rows={
                Address("invoice", 0): {"operation": LEGACY.name},
                Address("invoice", 1): {"organization": OTHER},
                Address("invoice", 2): {"verdict": Verdict.REFUSED},
            },
        )
    )
    assert [row.address for row in debt.rows] == [Address("invoice", 3)]
    assert (debt.refused, debt.unwritten) == (1, ())


def test_undecided_rows_are_named() -> None:
    """Pending and in doubt: nobody knows yet whether the modern system has them."""
    pending = {"verdict": Verdict.PENDING}
    stored = store(
        "b1",
        {"invoice": [{}, {}, {}]},
        rows={
            Address("invoice", 0): pending,
            Address("invoice", 1): {**pending, "call_id": "c1"},
            Address("invoice", 2): {**pending, "operation": LEGACY.name},
        },
    )
    call = CallRecord("c1", "b1", ORG, "create_invoices", "/", (Address("invoice", 1),), CallState.IN_DOUBT)
    found = reckon(replace(stored, calls=(call,))).unwritten
    assert [(one.why, one.rows) for one in found] == [
        (Why.PENDING, ((Address("invoice", 0), "L0"),)),
        (Why.IN_DOUBT, ((Address("invoice", 1), "L1"),)),
    ]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"payload": None}, Why.ERASED),
        ({"profile": "gone"}, Why.NO_PROFILE),
        ({"payload": b"[]"}, Why.UNREADABLE),
        ({"payload": b"{}"}, Why.UNREADABLE),
    ],
)
def test_rows_that_cannot_be_taken_from_their_batch_are_named(more: dict[str, Any], why: Why) -> None:
    """With the reason; none is lost in silence."""
    debt = reckon(store("b1", {"invoice": [{}, {}]}, **more))
    assert debt.rows == ()
    assert [(one.why, [row.ledgerref for row in one.rows]) for one in debt.unwritten] == [(why, ["L0", "L1"])]


def test_a_row_that_was_carried_is_not_carried_again() -> None:
    """It is known as carried; one that came twice under one unique id is one entity, whenever it was carried."""
    twin = {Address("invoice", 0): {"unique_id": "same"}}
    first, second = (store(name, {"invoice": [{}]}, rows=twin) for name in ("b1", "b2"))
    debt = reckon(first, second)
    assert [row.batch_id for row in debt.rows] == ["b1"]
    assert [(one.why, one.batch_id, one.rows) for one in debt.unwritten] == [
        (Why.TWIN, "b2", ((Address("invoice", 0), "L0"),))
    ]
    after = reckon(first, second, carried=[("b1", Address("invoice", 0))])
    assert (after.rows, [row.batch_id for row in after.carried]) == ((), ["b1"])
    assert [one.batch_id for one in after.unwritten] == ["b2"]


def test_an_entity_that_was_carried_from_an_earlier_period_is_not_carried_again() -> None:
    """Its batch only has to be remembered."""
    place = "b1", Address("invoice", 0)
    twin = {Address("invoice", 0): {"unique_id": "same"}}
    reckoner = Reckoner(ORG, ("1",), {"autocollect": DIALECT}, frozenset({place}))
    reckoner.remember(store("b1", {"invoice": [{}, {}]}, rows=twin))
    reckoner.take(store("b2", {"invoice": [{}, {}]}, rows=twin))
    assert [row.address for row in reckoner.reckon().rows] == [Address("invoice", 1)]


def test_a_creditor_that_is_not_back_is_owed_nothing() -> None:
    """Its rows are named; one that was carried before stays carried."""
    stored = store("b1", {"invoice": [{"creditorid": "1"}, {"creditorid": "2"}, {"creditorid": "2"}]})
    carried = frozenset({("b1", Address("invoice", 2))})
    reckoner = Reckoner(ORG, ("1", "2"), {"autocollect": DIALECT}, carried, lambda creditor: creditor == "1")
    reckoner.take(stored)
    debt = reckoner.reckon()
    assert [row.creditor for row in debt.rows] == ["1"]
    assert [(one.why, one.rows) for one in debt.unwritten] == [(Why.STILL_MODERN, ((Address("invoice", 1), "L1"),))]
    assert [row.address for row in debt.carried] == [Address("invoice", 2)]


# --- whose row -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Creditors of the organization, creditor rows of the batch, the row, and the row in the file (None: named)."""

    creditors: Sequence[str]
    sent: Sequence[str]
    row: str
    expected: str | None


@pytest.mark.parametrize(
    "case",
    [
        Case(["1"], [], '{"a": 1}', '{"a": 1}'),
        Case(["1"], ["1"], '{"a": 1}', '{"creditorid":"1","a":1}'),
        Case(["1"], ["1", "9"], '{"a": 1}', '{"creditorid":"1","a":1}'),
        Case(["1", "2"], ["2"], '{"a": 1.50}', '{"creditorid":"2","a":1.50}'),
        Case(["1", "2"], ["2"], '{"CreditorID": null, "a": 1}', '{"creditorid":"2","a":1}'),
        Case(["1", "2"], ["2"], '{"creditorId": "1", "a": 1}', '{"creditorId": "1", "a": 1}'),
        Case(["1", "2"], [], '{"a": 1}', None),
        Case(["1", "2"], ["1", "2"], '{"a": 1}', None),
        Case(["1", "2"], ["2"], "[]", None),
    ],
)
def test_a_row_names_its_creditor_where_its_batch_did(case: Case) -> None:
    """In the catch-up batch it stands beside rows of other batches, where their creditor rows prove nothing."""
    creditors = ",".join(json.dumps({"idnumber": number}) for number in case.sent)
    payload = f'{{"creditor": [{creditors}], "payment": [{case.row}]}}'.encode()
    stored = store("b1", {"creditor": [{}] * len(case.sent), "payment": [{}]}, payload=payload)
    debt = reckon(stored, creditors=case.creditors)
    if case.expected is None:
        assert [one.why in {Why.NO_CREDITOR, Why.UNREADABLE} for one in debt.unwritten] == [True]
    else:
        assert [row.raw.decode() for row in debt.rows] == [case.expected]


def test_each_creditor_of_the_rows_has_one_row() -> None:
    """As it was sent last; creditors without a row in the file have none there."""
    batches = [
        store(
            name,
            {"creditor": [{"idnumber": "1", "fullname": name}, {"idnumber": "2"}], "payment": [{"creditorid": "1"}]},
        )
        for name in ("b1", "b2")
    ]
    assert written(reckon(*batches, creditors=["1", "2"]))["creditor"] == [{"idnumber": "1", "fullname": "b2"}]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (None, False),
        (b'{"target":"invoice","keys":[]}', False),
        (b'{"invoice_id":"x"}', True),
        (b'{"case_id":"x"}', True),
    ],
)
def test_a_row_that_names_its_claim_by_a_modern_id_is_known(reference: bytes | None, expected: bool) -> None:
    """The legacy host may not know that id."""
    debt = reckon(store("b1", {"payment": [{}]}, rows={Address("payment", 0): {"reference": reference}}))
    assert [row.by_modern_id for row in debt.rows] == [expected]


# --- always --------------------------------------------------------------------------------------------------------

FATED: Mapping[str, dict[str, Any]] = {
    "refused": {"verdict": Verdict.REFUSED},
    "pending": {"verdict": Verdict.PENDING},
    "legacy": {"operation": LEGACY.name},
    "other": {"organization": OTHER},
}
FATES = st.sampled_from(["accepted", "accepted", "accepted", "refused", "pending", "legacy", "other"])
BATCHES = st.tuples(
    st.lists(st.tuples(st.sampled_from(ROWS), FATES, st.integers(0, 9)), min_size=1, max_size=6),
    st.sampled_from([{}, {}, {"payload": None}, {"profile": "gone"}, {"sender": "ERP-2"}]),
)
STEPS = st.lists(st.one_of(BATCHES, st.just("export")), max_size=14)


def make(number: int, rows: Sequence[tuple[str, str, int]], more: Mapping[str, Any]) -> StoredBatch:
    body: dict[str, list[dict[str, str]]] = {}
    changes: dict[Address, dict[str, Any]] = {}
    for objectname, fate, entity in rows:
        some = body.setdefault(objectname, [])
        address = Address(objectname, len(some))
        some.append({"ledgerref": f"{number}-{address}"})
        unique_id = f"u{entity}" if entity > 3 else f"{number}-{address}"
        changes[address] = {"unique_id": unique_id, **FATED.get(fate, {})}
    return store(f"b{number}", body, rows=changes, **more)


@given(STEPS)
def test_every_row_is_in_exactly_one_export_or_named(steps: Sequence[Any]) -> None:
    """Whatever is sent, and whenever somebody exports: no entity twice, no row lost."""
    batches: list[StoredBatch] = []
    exported: list[OwedRow] = []
    for number, step in enumerate([*steps, "export"]):
        if step == "export":
            exported += reckon(*batches, carried=[row.place for row in exported]).rows
        else:
            batches.append(make(number, *step))
    entities = [(row.operation, row.unique_id) for row in exported]
    assert len(set(entities)) == len(entities)
    owed = {
        (stored.batch.id, row.address)
        for stored in batches
        for row in stored.rows
        if row.verdict is Verdict.ACCEPTED and row.organization == ORG and row.operation != LEGACY.name
    }
    last = reckon(*batches, carried=[row.place for row in exported])
    named = [
        (one.batch_id, row.address)
        for one in last.unwritten
        if one.why not in {Why.PENDING, Why.IN_DOUBT}
        for row in one.rows
    ]
    assert last.rows == ()
    assert sorted([*named, *(row.place for row in exported)]) == sorted(owed)
    assert [row.raw for row in last.carried] == [
        row.raw for row in sorted(exported, key=lambda each: [one.place for one in last.carried].index(each.place))
    ]
