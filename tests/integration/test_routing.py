"""Whose row is it: the first rule that applies decides, and a reference that leads nowhere refuses the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ORG_A, ORG_B = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
A, B = "984842252", "971274190"
ERP_2 = {"senderid": "ERP-2", "Authorization": "Basic ZXJwMjpwYXNzMg=="}
Invoice = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("on_row", "creditors", "organization"),
    [(B, [], ORG_B), (B, [A], ORG_B), (None, [A], ORG_A), (None, [B], ORG_B), (f" {A} ", [A, B], ORG_A)],
)
async def test_a_row_goes_to_the_organization_of_its_creditor(
    world: Any, invoice: Invoice, on_row: str | None, creditors: list[str], organization: str
) -> None:
    """The creditor on the row, else the only creditor row of the batch."""
    rows = [{"idnumber": creditor} for creditor in creditors]
    reply = await world.post({"creditor": rows, "invoice": [invoice("1", creditorid=on_row)]}, **ERP_2)
    assert reply.code == 0
    assert world.accepted("invoices", organization) == {"erp-1": 1}


@pytest.mark.parametrize(
    ("on_row", "creditors", "names"),
    [
        (None, [], "creditorid"),
        (None, [A, B], "creditorid"),
        (None, ["000"], "creditor row"),
        ("000", [A], "creditorid"),
        (None, [""], "creditor row"),
    ],
)
async def test_a_row_that_cannot_be_routed_is_refused(
    world: Any, invoice: Invoice, on_row: str | None, creditors: list[str], names: str
) -> None:
    """Nothing is sent, the message says what would settle it, and no later rule is tried."""
    rows = [{"idnumber": creditor} for creditor in creditors]
    reply = await world.post({"creditor": rows, "invoice": [invoice("1", creditorid=on_row)]}, **ERP_2)
    assert names in reply.errors["invoice", 0]
    assert world.writes() == []


async def test_a_sender_of_one_organization_need_not_name_it(world: Any, invoice: Invoice) -> None:
    """There is nothing to choose from; another sender's creditor is refused all the same."""
    reply = await world.post({"invoice": [invoice("1"), invoice("2", creditorid=B)]})
    assert reply.states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED"}
    assert world.accepted("invoices", ORG_B) == {}


async def test_the_trouble_of_one_organization_stays_its_own(open_world: Any, invoice: Invoice) -> None:
    """One organization's call is refused as a whole, the other's rows are accepted."""
    async with open_world() as world:
        forbidden = {"operation": "invoices", "kind": "fail", "status": 403, "where": {"invoiceNumber": "2"}}
        world.sandbox.play({"fault": [forbidden]})
        rows = [invoice("1", creditorid=A), invoice("2", creditorid=B), invoice("3", creditorid=A)]
        reply = await world.post({"invoice": rows}, **ERP_2)
        assert reply.states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED", ("invoice", 2): "OK"}


async def test_creditor_rows_are_accepted_when_configured_and_kept_in_a_register(world: Any) -> None:
    """An unknown one is refused, and both are listed for the operator, with the names of their fields only."""
    rows = [{"idnumber": A, "fullname": "Nordlys"}, {"idnumber": "000", "iban": "NO93"}, {"fullname": "x"}]
    reply = await world.post({"creditor": rows})
    assert reply.states == {("creditor", 0): "OK", ("creditor", 1): "REFUSED", ("creditor", 2): "REFUSED"}
    seen = {one.idnumber: (one.known, one.fields) for one in await world.books.creditors()}
    assert seen[A] == (True, ("fullname", "idnumber"))
    assert seen["000"] == (False, ("iban", "idnumber"))
    assert "Nordlys" not in str(seen)


async def test_unknown_fields_are_counted_and_do_not_refuse_the_row(world: Any, invoice: Invoice) -> None:
    """What nobody reads is reported per sender."""
    row = invoice("1", shoeSize=43)
    row["debtors"][0]["nickname"] = "x"
    reply = await world.post({"invoice": [row, invoice("2", shoeSize=44)]})
    assert reply.code == 0
    counted = {one.field: (one.sender, one.count) for one in await world.books.unknown_fields()}
    assert counted == {"shoeSize": ("ERP-1", 2), "debtors[].nickname": ("ERP-1", 1)}
