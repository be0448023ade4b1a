"""Which line of the mapping files makes the bridge say what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.batch import RowRefused
from bridge.mapping import Profile, load_profile
from bridge.organizations import UNSETTLED, Directory
from bridge.origins import NO_RULE, NOT_MADE, ROUTING, trace_origins
from bridge.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
AUTOCOLLECT = trace_origins(load_profile(ROOT / "mappings" / "autocollect"))
CLASSIC = trace_origins(load_profile(ROOT / "mappings" / "classic"))
EXTENDED = trace_origins(load_profile(ROOT / "mappings" / "autocollect-modern"))


@pytest.mark.parametrize(
    ("objectname", "field", "said", "origin"),
    [
        ("batch", "statuscode", "1", "autocollect/reply.toml: [codes] some_refused"),
        ("batch", "statuscode", "17", "autocollect/reply.toml: [codes]"),
        ("invoice", "ledgerref", "A-1", "autocollect/invoice.toml: reply_reference"),
        ("action", "status_statuscode", "OK", "autocollect/reply.toml: [texts] accepted"),
        ("action", "verdict", "PENDING", "autocollect/reply.toml: [texts] pending"),
        ("invoice", "verdict", "dueDate: required", "autocollect/invoice.toml: require dueDate"),
        ("invoice", "message", "dueDate: not a date", "autocollect/invoice.toml: [fields] dueDate = datetime"),
        (
            "invoice",
            "message",
            "debtors[12].dateOfBirth: not a date",
            "autocollect/invoice.toml: [fields] debtors[].dateOfBirth = date",
        ),
        ("invoice", "message", "debtors: not an array", "autocollect/invoice.toml: [fields] debtors"),
        ("invoice", "message", "shoeSize: unknown field", 'autocollect/invoice.toml: unknown = "reject"'),
        (
            "action",
            "verdict",
            "actiontype: code 4 is refused: write to Amili instead",
            'autocollect/action.toml: table "operation" code "4"',
        ),
        (
            "action",
            "verdict",
            "actiontype: code 17 is not a code this profile knows",
            'autocollect/action.toml: table "operation", unmapped',
        ),
        ("action", "verdict", "actiontype: required", "autocollect/action.toml: require actiontype"),
        (
            "payment",
            "message",
            "invoiceId: required to find the invoice, or uniqueSourceInvoiceId",
            "autocollect/payment.toml: [reference]",
        ),
        (
            "payment",
            "message",
            "invoiceNumber: names several invoices of this batch (invoice 0, invoice 1); use one that is unique",
            "autocollect/payment.toml: [reference]",
        ),
        (
            "invoice",
            "message",
            "dueDate: required; vat: not true or false",
            "autocollect/invoice.toml: require dueDate; autocollect/invoice.toml: [fields] vat = boolean",
        ),
        ("invoice", "verdict", "the modern system refused it: closed", NO_RULE),
        ("payment", "verdict", "not submitted: it belongs to invoice 3 of this batch, which was refused", NO_RULE),
        ("invoice", "message", "", NO_RULE),
        ("invoice", "caseNumber", "", NOT_MADE),
        ("invoice", "row", "", NOT_MADE),
        ("batch", "traceId", "", NOT_MADE),
        ("batch", "message", "the body is not JSON", NO_RULE),
        ("http", "status", "400", NO_RULE),
    ],
)
def test_origins(objectname: str, field: str, said: str, origin: str) -> None:
    """Every field of the reply and every fault leads to the line that makes it, or to the word that none does."""
    assert AUTOCOLLECT(objectname, field, said) == origin


def test_many_faults() -> None:
    """Of a message with many faults the first rules are named, each once."""
    fields = ("type", "invoiceNumber", "invoiceNumber", "description", "currency")
    said = "; ".join(f"{field}: not a text" for field in fields)
    assert AUTOCOLLECT("invoice", "message", said).count("[fields]") == 3


def test_transforms() -> None:
    """What a transform expected leads to the rule that holds it, what a table refuses to the table."""
    assert CLASSIC("invoice", "message", "billdate: expected a date such as 2024-02-15") == (
        'classic/invoice.toml: rule to "invoiceDate"'
    )
    assert CLASSIC("invoice", "message", "invoicetype: code 99 is not a code this profile knows") == (
        'classic/invoice.toml: table "invoicetype", unmapped'
    )
    assert AUTOCOLLECT("invoice", "message", "dueDate: expected a date such as 2024-02-15") == (
        'autocollect/invoice.toml: carry "dueDate"'
    )
    assert AUTOCOLLECT("invoice", "message", "creditorid: expected something") == (
        "autocollect/invoice.toml: [fields] creditorid = text"
    )
    assert AUTOCOLLECT("invoice", "message", "dueDate: code 3 is refused: x") == (
        "autocollect/invoice.toml: [fields] dueDate"
    )


def test_demands(profile_of: Callable[..., Profile]) -> None:
    """A field that is required by a rule, or to choose an operation, leads there."""
    text = """
    [fields]
    kind = "text"
    name = "text"
    both = "text"
    [choose]
    field = "kind"
    table = "kinds"
    [table.kinds]
    rows = [{ code = 1, value = "send", evidence = "assumed" }]
    [[rule]]
    from = "name"
    to = "title"
    required = true
    evidence = "assumed"
    [[drop]]
    fields = ["both"]
    reason = "unused"
    evidence = "assumed"
    """
    origin = trace_origins(profile_of(text))
    assert origin("invoice", "verdict", "kind: required") == "small/invoice.toml: [choose] kind"
    assert origin("invoice", "verdict", "name: required") == 'small/invoice.toml: rule to "title"'
    assert origin("invoice", "verdict", "both: required") == "small/invoice.toml: [fields] both"


def test_files_of_another_profile() -> None:
    """A rule that a profile takes from another one is told with the file it stands in."""
    assert EXTENDED("invoice", "ledgerref", "x") == "autocollect/invoice.toml: reply_reference"


def test_routing() -> None:
    """What the room for organizations says leads to the configuration, in the words it really says it."""
    settings = load_settings(ROOT / "config" / "local.toml", {})
    with pytest.raises(RowRefused) as refusal:
        Directory(settings).route(settings.senders[0], "17", [])
    assert AUTOCOLLECT("invoice", "verdict", str(refusal.value)) == ROUTING
    assert AUTOCOLLECT("invoice", "message", UNSETTLED) == ROUTING
    said = "idnumber: creditor 17 is not configured for this sender; ask the operator to onboard it"
    assert AUTOCOLLECT("creditor", "verdict", said) == ROUTING
