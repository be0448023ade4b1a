"""Rows find their claims, wait for other batches, or are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.batch import Address, Operation, Outcome, Reference, RowRefused, Verdict
from bridge.claims.expecting import Expecting, Waiting
from bridge.claims.references import NoSuchClaim, References
from bridge.errors import ModernRefused
from bridge.journal import Claim
from bridge.plan import BatchClaims, PlannedRow
from bridge.workshop.completing import Completer

PAYMENTS = Operation("create_payments", "/payments", "payments")


@dataclass
class Known:
    """What is known of claims: by the name of a row's invoice, at the first look and at the second."""

    first: dict[str, Claim | Exception] = field(default_factory=dict)
    second: dict[str, Claim | Exception] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)

    async def resolve_patiently(self, organization: str, reference: Reference, *, again: bool = False) -> Claim:
        ((_, name),) = reference.keys
        self.steps.append(f"{'again' if again else 'look'} {name}")
        found = (self.second if again else self.first).get(name, NoSuchClaim(reference))
        if isinstance(found, Exception):
            raise found
        return found

    async def find(self, organization: str, rows: list[tuple[PlannedRow, Reference]]) -> list[Waiting]:
        self.steps.append("ask")
        return [
            Waiting(row, {("b", row.address): "it"}) for row, reference in rows if reference.keys[0][1] in self.coming
        ]


@pytest.fixture
def known() -> Known:
    return Known()


def row(index: int, name: str = "") -> PlannedRow:
    reference = Reference("invoice", into="invoiceId", keys=(("invoiceNumber", name),)) if name else None
    return PlannedRow(Address("payment", index), "org", PAYMENTS, b'{"amount":1}', reference=reference)


async def complete(known: Known, *rows: PlannedRow, refusals: dict[Address, str] | None = None) -> Any:
    completer = Completer(cast("References", known), cast("Expecting", known))
    batch: Any = SimpleNamespace(claims=BatchClaims(), outcomes={}, unique_ids={})
    return await completer.complete(batch, rows, refusals or {})


async def test_a_wave_of_rows_that_are_found_asks_no_more(known: Known) -> None:
    """The question about other batches is put before a refusal only."""
    known.first = {"1": Claim("org", invoice_id="i")}
    completed = await complete(known, row(0, "1"), row(1))
    assert [(one.address.objectindex, one.invoice_id) for one in completed.ready] == [(0, "i"), (1, "")]
    assert known.steps == ["look 1"]


async def test_other_batches_are_asked_about_once_and_after_every_look_up(known: Known) -> None:
    """Else one action could be found while another one on the same case, just asked for, still waits."""
    known.first, known.coming = {"3": Claim("org", invoice_id="i")}, {"1", "4"}
    completed = await complete(known, *(row(index, str(index)) for index in range(1, 5)))
    assert known.steps == ["look 1", "look 2", "look 3", "look 4", "ask", "again 2"]
    assert [one.row.address.objectindex for one in completed.waiting] == [1, 4]
    assert [one.address.objectindex for one in completed.ready] == [3]
    assert [one.address.objectindex for one in completed.refused] == [2]


async def test_an_invoice_decided_between_the_two_questions_is_found(known: Known) -> None:
    """It was not there yet at the first, and is not pending any more at the second."""
    known.second = {"1": Claim("org", invoice_id="i")}
    completed = await complete(known, row(0, "1"), row(1))
    assert [(one.address.objectindex, one.invoice_id) for one in completed.ready] == [(0, "i"), (1, "")]
    assert completed.refused == []


async def test_the_better_reason_is_told(known: Known) -> None:
    """That its invoice was refused says more than that there is no such claim, but not of a row that has one."""
    known.first = {"2": Claim("org", invoice_id="i")}
    refusals = {Address("payment", index): "its invoice was refused" for index in (0, 2)}
    completed = await complete(known, row(0, "0"), row(1, "1"), row(2, "2"), refusals=refusals)
    assert [one.message.split(":")[0] for one in completed.refused] == ["its invoice was refused", "invoiceNumber"]
    assert [one.address.objectindex for one in completed.ready] == [2]


@pytest.mark.parametrize(
    ("failure", "told"), [(RowRefused("fits 2 claims"), "fits 2 claims"), (ModernRefused(status=403), "HTTP 403")]
)
async def test_any_other_refusal_stands(known: Known, failure: Exception, told: str) -> None:
    """Nobody waits for an invoice when the name is known, or the question was refused; also at the second look."""
    known.first, known.second = {"1": failure}, {"2": failure}
    completed = await complete(known, row(0, "1"), row(1, "2"))
    assert all(told in one.message and one.verdict is Verdict.REFUSED for one in completed.refused)
    assert isinstance(completed.refused[0], Outcome)
    assert len(completed.refused) == 2
