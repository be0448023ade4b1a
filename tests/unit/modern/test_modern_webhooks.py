from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modern import reading
from bridge.modern.webhooks import Webhook, read_webhook, verify_signature


def sign(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@given(st.binary(max_size=50), st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9))
def test_any_valid_secret_verifies(body: bytes, old: str, new: str) -> None:
    """During rotation either secret verifies, with or without the prefix."""
    assert verify_signature(body, sign(body, old), [new, old])
    assert verify_signature(body, "sha256=" + sign(body, new), [new, old])
    assert verify_signature(body, sign(body, old).upper(), [old])


@given(st.binary(max_size=50), st.text(min_size=1, max_size=9), st.text(max_size=70))
def test_nothing_else_verifies(body: bytes, secret: str, header: str) -> None:
    """A signature of another body, another secret, or free text, is refused without an error."""
    assert not verify_signature(body + b"x", sign(body, secret), [secret])
    assert not verify_signature(body, sign(body, secret + "x"), [secret])
    assert not verify_signature(body, header, [secret])


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"sha256=\xe6", "æ".encode()])
def test_a_header_of_any_bytes_verifies_nothing(raw: bytes) -> None:
    """HTTP hands over what is not UTF-8 as lone surrogates."""
    assert not verify_signature(b"x", raw.decode("utf-8", "surrogateescape"), ["s"])


@pytest.mark.parametrize(("raw", "read"), [(b"k\xff1", "kÿ1"), ("kø".encode(), "kø"), (b"k\xe6\xc3\xa6", "kæÃ¦")])
def test_a_key_of_any_bytes_can_be_kept(raw: bytes, read: str) -> None:
    """Equal bytes give equal keys, and every key is text that can be written down."""
    found = read_webhook({"idempotencykey": raw.decode("utf-8", "surrogateescape")}, b"{}")

    assert found.idempotency_key == read
    assert found.idempotency_key.encode()


def test_an_empty_secret_never_verifies() -> None:
    """Without a secret there is nothing to verify by; an empty one could be signed by anybody."""
    assert not verify_signature(b"x", sign(b"x", ""), [""])
    assert not verify_signature(b"x", "", [])
    assert not verify_signature(b"x", "æ", ["s"])


def test_the_documented_webhook_is_read() -> None:
    """BATCH_COMPLETED gives event, organization and batch; the header carries the delivery's key."""
    body = {"id": "e1", "type": "BATCH_COMPLETED", "source": "COLLECTION", "timeStamp": "2025-03-09T14:30:00Z"}
    data = {"batchId": "b", "organizationId": "o", "status": "SUCCESS"}
    read = read_webhook(
        {"idempotencykey": "k", "X-Amili-Event": "BATCH_COMPLETED"}, json.dumps(body | {"data": data}).encode()
    )
    assert read == Webhook("BATCH_COMPLETED", "o", "b", "k", status="SUCCESS", at=1_741_530_600.0)


def test_the_other_spellings_are_read() -> None:
    """The body may call the event eventType and the organization orgId; its id stands in for a missing header."""
    body = json.dumps({"id": "e1", "eventType": "case", "data": {"orgId": "o"}}).encode()
    assert read_webhook({}, body) == Webhook("CASE", "o", "", "e1")


SETTLED = {
    "settlementId": "s1",
    "organizationId": "o",
    "settlementDate": "2025-03-09",
    "invoiceId": "i1",
    "invoiceNumber": "17",
    "caseNumber": "178452",
}
CASE = {"orgId": "o", "caseId": "c1", "caseNumber": "178452", "status": "paused", "invoices": ["i1", "i2"]}


def test_a_settlement_is_read() -> None:
    """SETTLEMENT_CREATED names the settlement, its day, and the claim it is about."""
    read = read_webhook({}, json.dumps({"type": "SETTLEMENT_CREATED", "data": SETTLED}).encode())
    assert read == Webhook(
        "SETTLEMENT_CREATED",
        "o",
        case_number="178452",
        invoice_ids=("i1",),
        invoice_number="17",
        settlement_id="s1",
        settlement_date="2025-03-09",
    )


def test_a_change_of_a_case_is_read() -> None:
    """CASE_UPDATED names the case by both ids, its invoices, its status, and what changed."""
    body = {"eventType": "CASE_UPDATED", "timeStamp": "1970-01-01T00:01:00Z", "data": CASE | {"fields": ["status"]}}
    assert read_webhook({}, json.dumps(body).encode()) == Webhook(
        "CASE_UPDATED",
        "o",
        case_id="c1",
        case_number="178452",
        status="PAUSED",
        invoice_ids=("i1", "i2"),
        fields=("status",),
        at=60.0,
    )


def test_the_header_names_the_event() -> None:
    """Where header and body disagree the header counts; an event nobody knows keeps its name and what it tells."""
    body = json.dumps({"type": "CASE_UPDATED", "data": {"orgId": "o", "caseNumber": 17}}).encode()
    read = read_webhook({"x-amili-event": "case_closed"}, body)
    assert (read.event, read.organization, read.case_number) == ("CASE_CLOSED", "o", "17")


@pytest.mark.parametrize(
    ("told", "read"),
    [(["i1", "", None, {"invoiceId": "i2"}, {"id": "i1"}, 3], ("i1", "3", "i2")), ("i1", ()), (None, ())],
)
def test_invoices_are_read_as_ids_or_objects(told: object, read: tuple[str, ...]) -> None:
    """Each invoice once, whether the list holds ids or objects; anything else reads as none."""
    body = json.dumps({"data": CASE | {"invoices": told}}).encode()
    assert read_webhook({}, body).invoice_ids == read


@pytest.mark.parametrize(
    ("told", "day"),
    [("2025-03-09T23:00:00Z", "2025-03-09"), ("9 March", ""), ("2025-02-30", ""), ({}, ""), (None, "")],
)
def test_a_day_is_a_day_of_the_calendar(told: object, day: str) -> None:
    """A date-time keeps its date; what is no date reads as nothing."""
    body = json.dumps({"data": SETTLED | {"settlementDate": told}}).encode()
    assert read_webhook({}, body).settlement_date == day


MOMENTS = st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2025-03-09", "now", "24:00"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | MOMENTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "invoiceId", "x"]), inner),
    max_leaves=5,
)
NAMES = ("orgId", "caseId", "caseNumber", "status", "invoices", "invoiceId", "settlementDate", "fields", "batchId")


@given(
    st.fixed_dictionaries({}, optional={"id": VALUES, "type": VALUES, "eventType": VALUES, "timeStamp": VALUES}),
    VALUES | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)),
)
def test_no_json_is_too_strange(content: dict[str, object], data: object) -> None:
    """Whoever can reach the receiver can send anything: it is read before its signature is checked."""
    read = read_webhook({}, json.dumps(content | {"data": data}).encode())
    assert "" not in read.invoice_ids + read.fields
    assert read.settlement_date == "" or len(read.settlement_date) == 10


@given(st.binary(max_size=60))
def test_no_bytes_are_too_strange(noise: bytes) -> None:
    """Bytes that are no JSON, or no text, say nothing and never raise."""
    read_webhook({}, noise)
    read_webhook({}, b'{"data": {"caseNumber": "1" "type": "' + noise + b'"}}')


@pytest.mark.parametrize("indent", [2, None])
def test_the_comma_that_the_vendors_samples_lack_is_put_back(indent: int | None) -> None:
    """Both case samples on the page lack the comma after caseNumber: such an event says what it means all the same."""
    good = json.dumps({"eventType": "CASE", "id": "e1", "data": CASE}, indent=indent).encode()
    broken = good.replace(b'"178452",', b'"178452"')
    assert reading.decode(broken) is None
    assert read_webhook({}, broken) == read_webhook({}, good)


@given(st.text(max_size=30))
def test_a_body_that_is_json_is_never_repaired(text: str) -> None:
    """The comma is looked for only where the body cannot be read: a text that looks like the defect stays as it is."""
    told = f'"caseNumber": "1" "{text}'
    body = json.dumps({"id": told, "data": {"caseId": told, "status": '"caseNumber":"1""'}}).encode()
    read = read_webhook({}, body)
    assert (read.idempotency_key, read.case_id) == (told.strip(), told.strip())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"data": {"caseNumber": "1", "caseId": "2" "type": "X"}}',
        b'{"data": {"caseNumber": 1 "type": "X"}}',
        b'{"data": {"caseNumber": "1" "type"',
        b"[]",
        b'{"data": [1], "id": {}}',
        b'{"id": "\xff"}',
    ],
)
def test_a_body_that_cannot_be_read_says_nothing(body: bytes) -> None:
    """No other defect is guessed at; the headers still tell the event."""
    assert read_webhook({"X-AMILI-EVENT": "Case_Updated"}, body) == Webhook("CASE_UPDATED")
