from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert read == Webhook("BATCH_COMPLETED", "o", "b", "k")


def test_the_other_spellings_are_read() -> None:
    """The body may call the event eventType and the organization orgId; its id stands in for a missing header."""
    body = json.dumps({"id": "e1", "eventType": "case", "data": {"orgId": "o"}}).encode()
    assert read_webhook({}, body) == Webhook("CASE", "o", "", "e1")


@pytest.mark.parametrize("body", [b"", b'{"data": {"caseNumber": "1" "type": "X"}}', b"[]", b'{"data": [1], "id": {}}'])
def test_a_body_that_cannot_be_read_says_nothing(body: bytes) -> None:
    """The vendor's own samples are not valid JSON; the headers still tell the event."""
    assert read_webhook({"X-AMILI-EVENT": "Case_Updated"}, body) == Webhook("CASE_UPDATED")
