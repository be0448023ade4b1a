"""What the bridge would answer, without asking anybody."""

from __future__ import annotations

from typing import Any

import msgspec

from bridge.batch import Address, Reference, Verdict
from bridge.intake.desk import Desk
from bridge.legacy.body import split
from bridge.predicting import predict
from bridge.senders import Sender

INVOICE = {
    "type": "PAYMENT_REMINDER",
    "invoiceNumber": "1",
    "originalInvoiceAmount": 100,
    "currency": "NOK",
    "dueDate": "2026-01-01",
    "ledgerref": "L-1",
}
PAYMENT = {"ledgerref": "L-1", "amount": 5, "currency": "NOK", "date": "2026-01-02"}


async def foresee(desk: Desk, erp: Sender, batch: dict[str, Any], known: tuple[str, ...] = ()) -> Any:
    async def knows(_organization: str, reference: Reference) -> bool:
        return any(value in known for _, value in reference.keys)

    return await predict(desk, erp, split(msgspec.json.encode(batch)), knows)


async def test_a_batch_that_is_all_good_is_accepted(desk: Desk, erp: Sender) -> None:
    """A payment for an invoice of the same batch is sure: the invoice will be there."""
    found = await foresee(desk, erp, {"invoice": [INVOICE], "payment": [PAYMENT]})
    assert {one.verdict for one in found.outcomes.values()} == {Verdict.ACCEPTED}
    assert found.unsure == frozenset()
    reply = msgspec.json.decode(found.reply)
    assert reply["statuscode"] == 0
    assert [line["ledgerref"] for line in reply["responses"]] == ["L-1", "L-1"]


async def test_a_payment_is_refused_with_its_invoice(desk: Desk, erp: Sender) -> None:
    """Its message names the invoice's place, as the bridge's answer would."""
    found = await foresee(desk, erp, {"invoice": [INVOICE | {"dueDate": "soon"}], "payment": [PAYMENT]})
    refused = found.outcomes[Address("payment", 0)]
    assert refused.verdict is Verdict.REFUSED
    assert "invoice 0" in refused.message


async def test_a_claim_from_elsewhere_is_unsure_unless_somebody_knows_it(desk: Desk, erp: Sender) -> None:
    """It is answered as accepted, and said to be a guess."""
    place = Address("payment", 0)
    assert (await foresee(desk, erp, {"payment": [PAYMENT]})).unsure == {place}
    assert (await foresee(desk, erp, {"payment": [PAYMENT]}, known=("L-1",))).unsure == frozenset()


async def test_a_name_that_fits_two_invoices_of_the_batch_is_refused(desk: Desk, erp: Sender) -> None:
    """A payment on the wrong claim is worse than a refused one."""
    twice = [INVOICE, INVOICE | {"invoiceNumber": "2"}]
    found = await foresee(desk, erp, {"invoice": twice, "payment": [PAYMENT]})
    assert found.outcomes[Address("payment", 0)].verdict is Verdict.REFUSED


async def test_every_row_has_an_outcome_and_stands_in_the_answer_once(desk: Desk, erp: Sender) -> None:
    """Rows that cannot be read or routed as well."""
    batch = {"creditor": [{"idnumber": "1"}], "invoice": [INVOICE, 7, {}], "payment": [PAYMENT], "action": [{}]}
    found = await foresee(desk, erp, batch)
    reply = msgspec.json.decode(found.reply)
    told = [(line["objectname"], line["objectindex"]) for line in (*reply["errors"], *reply["responses"])]
    assert sorted(told) == sorted(map(tuple, found.outcomes)) == sorted(set(told))
    assert len(told) == 6


async def test_an_offline_batch_is_answered_as_pending(desk: Desk, erp: Sender) -> None:
    """Its caller does not wait: only what reading alone decides is final in its answer."""
    found = await foresee(desk, erp, {"offline": True, "invoice": [INVOICE, INVOICE | {"dueDate": "soon"}]})
    reply = msgspec.json.decode(found.reply)
    assert [line["status_statuscode"] for line in reply["responses"]] == ["PENDING"]
    assert [line["objectindex"] for line in reply["errors"]] == [1]
    assert found.outcomes[Address("invoice", 0)].verdict is Verdict.ACCEPTED
