"""The demo's question, and when it is not answered as it should."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from bridge.cli.recollections import Recollection, show_recollection
from bridge.cli.screen import Screen

CASE = {"paidsum": 12.50, "closuredate": None, "contact": {"fullname": None}}


def recall(status: int = 200, **parts: Any) -> Recollection:
    reply = {"batchid": None, "offline": False, "creditor": [], "case": [CASE], "settlement": [{"amount": 12.50}]}
    return Recollection("3.", "ledgerref=L", status, json.dumps(reply | parts).encode(), (), 0.1)


@pytest.mark.parametrize(
    ("told", "complete"),
    [
        (recall(), True),
        (recall(status=503), False),
        (recall(case=[]), False),
        (recall(case=[CASE, CASE]), False),
        (recall(settlement=[]), False),
        (recall(settlement=[{"amount": 12.51}]), False),
    ],
    ids=["as it should", "an error", "no claim", "two claims", "no settlement", "another amount"],
)
def test_a_claim_is_back_when_its_payment_is(told: Recollection, complete: bool) -> None:
    """One claim, and the settlement of what was paid on it."""
    assert told.is_complete == complete
    out = io.StringIO()
    show_recollection(Screen(out), told)
    assert ("the claim came back" in out.getvalue()) == complete


def test_what_is_null_is_counted_and_left_out() -> None:
    """Amounts keep their digits."""
    out = io.StringIO()
    show_recollection(Screen(out), recall())
    assert '"case": [{"paidsum": 12.5}]' in out.getvalue()
    assert "left out here: 3 of 6 fields" in out.getvalue()
