"""Reading a batch that the legacy host shares: its rows are kept as they came, the others read as ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import LEGACY, OBJECTNAMES, Address, Verdict
from bridge.intake.desk import Desk, Intake
from bridge.legacy.body import split
from bridge.mapping import load_profile

ROOT = Path(__file__).parents[3]
SENDER: Any = SimpleNamespace(id="ERP")


class Anywhere:
    """A directory that sends every row to one organization, and notes how many creditors it heard of."""

    def __init__(self) -> None:
        self.creditors: list[Sequence[str]] = []

    def knows(self, sender: Any, idnumber: str) -> bool:
        return True

    def route(self, sender: Any, creditor: str, creditors: Sequence[str]) -> Any:
        self.creditors.append(list(creditors))
        return SimpleNamespace(id="modern org")


@pytest.fixture(scope="module")
def desk() -> Desk:
    directory: Any = Anywhere()
    return Desk(load_profile(ROOT / "mappings" / "autocollect"), directory)


async def take(desk: Desk, batch: bytes, legacy: Mapping[Address, str]) -> Intake:
    return await desk.take(SENDER, split(batch), "seed", legacy)


async def test_a_row_of_the_legacy_half_is_kept_as_it_came(desk: Desk) -> None:
    """Byte for byte, under the organization it was placed with, with nothing of it read into anything of ours."""
    row = b'{ "InvoiceNumber" : "7", "ledgerref":" L-7 ","amount":1.50, "unheardof": "\\u00f8" }'
    intake = await take(desk, b'{"invoice":[%b]}' % row, {Address("invoice", 0): "org"})
    (record,) = intake.rows
    assert (record.item, record.organization, record.operation) == (row, "org", LEGACY.name)
    assert (record.verdict, record.unique_id, record.reference) == (Verdict.PENDING, "", None)
    assert (intake.planned, intake.decided, intake.unknown) == ([], {}, {})
    (relayed,) = intake.relayed
    assert (relayed.address, relayed.item, relayed.operation) == (Address("invoice", 0), row, LEGACY)


@pytest.mark.parametrize(
    ("row", "ledgerref"),
    [
        (b'{"invoiceNumber":"7","dueDate":"not a date"}', "7"),
        (b'{"LEDGERREF":7,"claims":"none"}', "7"),
        (b"null", ""),
        (b"[1]", ""),
        (b'"text"', ""),
    ],
)
async def test_it_keeps_its_reference_whatever_is_wrong_with_it(desk: Desk, row: bytes, ledgerref: str) -> None:
    """What we could not read is the legacy host's to judge; its caller still knows it by its name."""
    intake = await take(desk, b'{"invoice":[%b]}' % row, {Address("invoice", 0): ""})
    assert [(one.ledgerref, one.item) for one in intake.rows] == [(ledgerref, row)]


async def test_creditors_of_the_legacy_half_count_for_the_routes_of_the_other(desk: Desk) -> None:
    """A batch with two creditor rows has two, wherever they go; the register hears of ours alone."""
    batch = b'{"creditor":[{"idnumber":"1"},{"idnumber":"2"}],"invoice":[{"invoiceNumber":"7"}]}'
    directory: Any = desk._directory
    intake = await take(desk, batch, {Address("creditor", 0): "org"})
    assert directory.creditors[-1] == ["1", "2"]
    assert [one.idnumber for one in intake.creditors] == ["2"]
    assert [row.operation for row in intake.rows] == [LEGACY.name, "", ""]


values = st.sampled_from([b"{}", b'{"a":1}', b"null", b'{"idnumber":"1"}', b'{"invoiceNumber":"7","amount":"x"}'])


@given(
    rows=st.fixed_dictionaries({name: st.lists(values, max_size=5) for name in OBJECTNAMES}),
    chosen=st.sets(st.builds(Address, st.sampled_from(OBJECTNAMES), st.integers(0, 4))),
)
async def test_every_row_is_in_one_half(desk: Desk, rows: dict[str, list[bytes]], chosen: set[Address]) -> None:
    """In request order, each once: with the legacy host exactly those that were placed there, as they came."""
    batch = b"{%b}" % b",".join(b'"%b":[%b]' % (name.encode(), b",".join(rows[name])) for name in OBJECTNAMES)
    intake = await take(desk, batch, dict.fromkeys(chosen, "org"))
    places = [Address(name, index) for name in OBJECTNAMES for index in range(len(rows[name]))]
    assert [row.address for row in intake.rows] == places
    relayed = {row.address: row.item for row in intake.relayed}
    assert relayed == {place: rows[place.objectname][place.objectindex] for place in places if place in chosen}
    ours = {row.address for row in intake.planned} | set(intake.decided)
    assert ours == set(places) - chosen
    assert msgspec.json.decode(batch)
