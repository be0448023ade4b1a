"""What the bridge reads and writes on the modern side is what the vendor's pages show."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from bridge.batch import Address, Verdict
from bridge.modern import reading
from bridge.modern.answers import Taken, read_write_answer
from bridge.modern.correlation import SentRow, correlate
from bridge.modern.lists import case_from, invoice_from, read_page, split_page
from bridge.modern.requests import assemble, encode_item
from bridge.modern.results import read_batch
from bridge.modern.tokens import read_token
from bridge.modern.webhooks import read_webhook
from bridge.modern.wire import CorrectionItem, InvoiceItem, PaymentItem

Sample = Callable[[str], Any]
ITEMS: dict[str, type[BaseModel]] = {
    "invoices": InvoiceItem,
    "payments": PaymentItem,
    "corrections": CorrectionItem,
}


def field_tree(model: type[BaseModel]) -> dict[str, Any]:
    """Return the names a model allows, nested as they are."""
    return {name: _inner_tree(field.annotation) for name, field in model.model_fields.items()}


def _inner_tree(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return field_tree(annotation)
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is tuple:
        inner = [_inner_tree(each) for each in typing.get_args(annotation)]
        return next((tree for tree in inner if tree), None)
    return None


def name_tree(value: Any) -> Any:
    """Return the names of a sample, nested as they are."""
    if isinstance(value, dict):
        return {name: name_tree(inner) for name, inner in value.items()}
    return name_tree(value[0]) if isinstance(value, list) else None


@pytest.mark.parametrize("kind", ITEMS)
def test_the_wire_models_have_exactly_the_documented_names(sample: Sample, kind: str) -> None:
    """No name is missing, none is invented, at any depth, and they stand in the page's order."""
    documented = name_tree(sample(f"create_{kind}.request")[kind])
    modelled = field_tree(ITEMS[kind])
    assert modelled == documented
    assert list(modelled) == list(documented)


@pytest.mark.parametrize("kind", ITEMS)
def test_the_wire_models_take_the_documented_sample(sample: Sample, kind: str) -> None:
    """The page's own values pass."""
    (item,) = sample(f"create_{kind}.request")[kind]
    assert ITEMS[kind].model_validate_json(json.dumps(item)).model_fields_set == item.keys()


@pytest.mark.parametrize("kind", ITEMS)
def test_a_call_is_laid_out_as_on_the_page(sample: Sample, kind: str) -> None:
    """The body of a call is the page's: one array under the documented name."""
    request = sample(f"create_{kind}.request")
    assert json.loads(assemble(kind, [encode_item(item) for item in request[kind]])) == request


def test_the_documented_acceptance_is_read(sample_bytes: Callable[[str], bytes], sample: Sample) -> None:
    """202 with the documented envelope: taken, under its batchId."""
    answer = read_write_answer(202, {}, sample_bytes("write.response"), now=0.0)
    assert answer == Taken(sample("write.response")["data"]["batchId"])


def test_the_documented_batch_is_read(sample_bytes: Callable[[str], bytes]) -> None:
    """GetBatchById: finished, with the invoice that succeeded under its ids."""
    batch = read_batch(sample_bytes("get_batch_by_id.response"))
    assert batch is not None
    assert (batch.id, batch.type, batch.status) == ("ae257e86-dc53-4865-9c97-5b125a3a5ac2", "INVOICE", "SUCCESS")
    assert batch.finished
    assert (batch.created_at, batch.finished_at) == ("2025-03-09T14:30:00Z", "2025-03-09T14:30:05Z")
    assert [entry["invoicenumber"] for entry in batch.succeeded] == ["INV-2025-001"]
    assert batch.failed == ()


def test_the_documented_success_entry_reaches_its_row(sample_bytes: Callable[[str], bytes]) -> None:
    """The entry carries no unique id and no position: the invoice number leads to the row, and the ids are kept."""
    batch = read_batch(sample_bytes("get_batch_by_id.response"))
    assert batch is not None
    row = SentRow(Address("invoice", 3), unique_id="erp-order-9981", invoice_number="INV-2025-001")
    outcome = correlate([row], batch).outcomes[row.address]
    assert outcome.verdict is Verdict.ACCEPTED
    assert (outcome.ids["invoiceId"], outcome.ids["caseNumber"]) == ("cfa69f56-2faf-4a1f-a011-1980d4e385b0", "178452")


def test_the_documented_token_is_read(sample_bytes: Callable[[str], bytes]) -> None:
    """The token lives until expires_on, which here is what expires_in says too."""
    token = read_token(sample_bytes("token.response"), asked_at=1_741_527_000.0)
    assert token is not None
    assert token.authorization == "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"
    assert token.expires_at == 1_741_530_600.0


ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
WEBHOOKS = {
    "webhook_batch_completed": ("BATCH_COMPLETED", ORG, "ae257e86-dc53-4865-9c97-5b125a3a5ac2"),
    "webhook_settlement_created": ("SETTLEMENT_CREATED", ORG, ""),
    "webhook_case": ("CASE", ORG, ""),
    "webhook_case_updated": ("CASE_UPDATED", ORG, ""),
}


@pytest.mark.parametrize("name", WEBHOOKS)
def test_the_documented_webhooks_are_read(sample_bytes: Callable[[str], bytes], name: str) -> None:
    """Event, organization and batch are found under either of the documented names."""
    hook = read_webhook({}, sample_bytes(name))
    assert (hook.event, hook.organization, hook.batch_id) == WEBHOOKS[name]
    assert hook.idempotency_key == "0b8f2c1e-3f66-4b57-9c5e-6a3f8f4d1c22"


def test_the_documented_settlement_event_is_read(sample_bytes: Callable[[str], bytes]) -> None:
    """SETTLEMENT_CREATED: the settlement, its day, and the claim under each of its names."""
    hook = read_webhook({}, sample_bytes("webhook_settlement_created"))
    assert (hook.settlement_id, hook.settlement_date) == ("5e2d9a44-1c07-4d0b-8d55-2f1f6f0f7a11", "2025-03-09")
    assert hook.invoice_ids == ("cfa69f56-2faf-4a1f-a011-1980d4e385b0",)
    assert (hook.invoice_number, hook.case_number) == ("INV-2025-001", "178452")
    assert hook.at == 1_741_530_605.0


@pytest.mark.parametrize("name", ["webhook_case", "webhook_case_updated"])
def test_the_case_samples_of_the_page_lack_a_comma(sample_bytes: Callable[[str], bytes], name: str) -> None:
    """They are not JSON, and say all that they mean to say: the case, its invoices, its status, and what changed."""
    broken = sample_bytes(f"{name}.as_on_the_page.txt")
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)
    hook = read_webhook({}, broken)
    assert hook == read_webhook({}, sample_bytes(name))
    assert (hook.case_id, hook.case_number) == ("7d444840-9dc0-11d1-b245-5ffdce74fad2", "178452")
    assert hook.invoice_ids == ("cfa69f56-2faf-4a1f-a011-1980d4e385b0",)
    assert (hook.status, hook.fields) == (("OPEN", ()) if name == "webhook_case" else ("PAUSED", ("status",)))


def test_the_documented_case_is_read(sample_bytes: Callable[[str], bytes]) -> None:
    """GetCasesByOrganization: the case under both its names, with the claim the ERP knows."""
    page = read_page(sample_bytes("get_cases.response"), case_from)
    assert page is not None
    (case,) = page.entries
    assert (case.id, case.number, case.status) == ("7d444840-9dc0-11d1-b245-5ffdce74fad2", "178452", "OPEN")
    assert case.invoices[0].unique_source_invoice_id == "erp-order-9981"


def test_the_documented_invoice_entry_is_read(sample_bytes: Callable[[str], bytes]) -> None:
    """GetInvoicesByOrganization calls the id `id` and the case number `collectionCaseNumber`."""
    page = read_page(sample_bytes("get_invoices.response"), invoice_from)
    assert page is not None
    (invoice,) = page.entries
    assert (invoice.id, invoice.case_number) == ("cfa69f56-2faf-4a1f-a011-1980d4e385b0", "178452")


@pytest.mark.parametrize("name", ["get_cases.response", "get_invoices.response"])
def test_the_documented_lists_are_read_as_they_are(
    sample_bytes: Callable[[str], bytes], sample: Sample, name: str
) -> None:
    """The catalogue changes no name and no value."""
    page = split_page(sample_bytes(name))
    assert page is not None
    assert [reading.decode_exactly(entry) for entry in page.entries] == sample(name)["data"]
