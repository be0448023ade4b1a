"""A redacted recording still matches: it is judged like the original, and differs from its answer where that did."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.comparing import Answer, Comparison, Judge, Rules, compare
from bridge.intake.desk import Desk
from bridge.legacy.body import split
from bridge.mapping import load_profile
from bridge.organizations import Directory
from bridge.predicting import Prediction, predict
from bridge.recording import Redactor
from bridge.senders import Sender
from bridge.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = load_settings(ROOT / "config" / "local.toml", {})
DIRECTORY = Directory(SETTINGS)
DESKS = {name: Desk(load_profile(ROOT / "mappings" / name), DIRECTORY) for name in ("autocollect", "classic")}
SENDERS = {
    one.profile: Sender(one.id, one.profile, one.organizations, 25, "unique", 24)
    for one in SETTINGS.senders
    if one.profile in DESKS
}

NAMES = st.sampled_from(
    ["Kari Nordmann", "Nordmann, Kari Anne", "Bo", "ØYVIND ÅS", "Å", "", "  ", "李 四", "O'Brien-Li"]
)
PHONES = st.sampled_from(
    [
        "22 22 55 55",
        "+47 415 28 837",
        "004741528837",
        "4741528837",
        "12345",
        "+46 70 123 45 67",
        "ring meg",
        "+1 212 555 0123",
        "41528837 (Kari)",
        "tlf 41528837",
        "0",
        "",
        22225555,
        "+4799",
    ]
)
DATES = st.sampled_from(
    [
        "2024-02-15",
        "2024-02-15T00:00:00",
        "31.02.2024",
        "2024-02-31",
        "/Date(1707955200000)/",
        "",
        None,
        "0001-01-01",
        "2024-02-15T23:30:00+02:00",
        20240215,
    ]
)
AMOUNTS = st.sampled_from(
    [4500.00, 1, 0, "1 250,00", "1,250", "Kari", -5, 1e30, "12345678901234567890123", None, "10000000"]
)
CODES = st.sampled_from(["private", "P", "C", "PAYMENT_REMINDER", 1, 2, 9, "CREDIT_NOTE", "Kari", "X", "", None, True])
REFERENCES = st.sampled_from(
    ["10234", "L-7", "erp-order-9981", "Kari-7", "Ola-7", "41528837", 10234, "15108695088", "", "AB-1", "CD-1"]
)
COUNTRIES = st.sampled_from(["NO", "no", "Norge", "N", "Sweden", "XX", "Kari", "", 47, "Bodø"])
NUMBERS = st.sampled_from(["15108695088", "15108695099", 15108695088, "986407111", "0", 12.50, "1e5", "7712093", "a b"])
FLAGS = st.sampled_from([True, False, "true", "1", 0, "kanskje", 7])


def some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


CREDITORS = some(
    {"idnumber": st.sampled_from(["984842252", "971274190", "999888777"]), "fullname": NAMES, "vattype": CODES}
)
DEBTORS = some(
    {
        "type": CODES,
        "name": NAMES,
        "firstname": NAMES,
        "identificationNumber": NUMBERS,
        "dateOfBirth": DATES,
        "customerNumber": NUMBERS,
        "emails": st.lists(some({"value": st.sampled_from(["kari@nordmann.no", "", 5])}), max_size=1),
        "phoneNumbers": st.lists(some({"originalValue": PHONES, "value": PHONES, "countryCode": PHONES}), max_size=1),
        "addresses": st.lists(some({"street": NAMES, "countryCode": COUNTRIES, "zipCode": NUMBERS}), max_size=1),
        "Kari Nordmann": NAMES,
    }
)
CREDITOR_IDS = st.sampled_from(["984842252", "984842252", "971274190", "999888777", ""])
AUTOCOLLECT = {
    "creditor": st.lists(CREDITORS, max_size=2),
    "invoice": st.lists(
        some(
            {
                "invoiceNumber": REFERENCES,
                "uniqueSourceInvoiceId": REFERENCES,
                "ledgerref": REFERENCES,
                "originalInvoiceAmount": AMOUNTS,
                "dueDate": DATES,
                "type": CODES,
                "vat": FLAGS,
                "currency": st.sampled_from(["NOK", "kari", ""]),
                "creditorid": CREDITOR_IDS,
                "ocrReferenceNumber": NUMBERS,
                "description": NAMES,
                "debtors": st.lists(DEBTORS, max_size=2),
                "shoeSize": NUMBERS,
            }
        ),
        max_size=4,
    ),
    "payment": st.lists(
        some({"invoiceNumber": REFERENCES, "ledgerref": REFERENCES, "amount": AMOUNTS, "date": DATES, "type": CODES}),
        max_size=3,
    ),
    "action": st.lists(
        some({"ledgerref": REFERENCES, "actiontype": CODES, "duedate": DATES, "message": NAMES}), max_size=2
    ),
}
CLASSIC = {
    "creditor": AUTOCOLLECT["creditor"],
    "invoice": st.lists(
        some(
            {
                "ledgerref": REFERENCES,
                "referencenumber": REFERENCES,
                "kid": NUMBERS,
                "invoicetype": CODES,
                "duedate": DATES,
                "originalsum": AMOUNTS,
                "customertype": CODES,
                "customername": NAMES,
                "birthdate": DATES,
                "birthno": NUMBERS,
                "phone": PHONES,
                "mobile": PHONES,
                "street": NAMES,
                "countrycode": COUNTRIES,
                "creditorid": CREDITOR_IDS,
            }
        ),
        max_size=4,
    ),
    "payment": st.just([]),
    "action": AUTOCOLLECT["action"],
}
BATCHES = {"autocollect": st.fixed_dictionaries(AUTOCOLLECT), "classic": st.fixed_dictionaries(CLASSIC)}


def foretell(profile: str, request: bytes) -> Prediction:
    return asyncio.run(predict(DESKS[profile], SENDERS[profile], split(request)))


def judge(legacy: bytes, prediction: Prediction) -> Comparison:
    rules = Judge(
        rules=Rules(()),
        origin=lambda *_: "",
        organization_of=lambda _: "",
        on=date(2024, 1, 1),
        unsure=prediction.unsure,
        noise=frozenset(),
    )
    return compare(Answer(200, legacy), Answer(200, prediction.reply), rules)


@pytest.mark.parametrize("profile", BATCHES)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_redacted_request_is_judged_alike(redactor: Redactor, profile: str, data: st.DataObject) -> None:
    """Every row gets the same verdict, in the same words but for pseudonyms, and goes the same way."""
    request = json.dumps(data.draw(BATCHES[profile])).encode()
    redacted = redactor.redact(request, 200, b"{}").request or b""
    before, after = foretell(profile, request), foretell(profile, redacted)

    assert {address: outcome.verdict for address, outcome in after.outcomes.items()} == {
        address: outcome.verdict for address, outcome in before.outcomes.items()
    }
    for address, outcome in before.outcomes.items():
        assert after.outcomes[address].message == redactor.scrub(outcome.message, request)
    assert [(row.address, row.organization, row.operation) for row in after.intake.rows] == [
        (row.address, row.organization, row.operation) for row in before.intake.rows
    ]
    assert after.unsure == before.unsure


@pytest.mark.parametrize("profile", BATCHES)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_redacted_pair_differs_alike(redactor: Redactor, profile: str, data: st.DataObject) -> None:
    """Original pair and redacted pair have the same differences: path, kind, place and bucket of each."""
    request = json.dumps(data.draw(BATCHES[profile])).encode()
    before = foretell(profile, request)
    legacy = change(json.loads(before.reply), data.draw(st.randoms(use_true_random=False)))
    redacted = redactor.redact(request, 200, legacy)
    assert redacted.reply is not None
    after = foretell(profile, redacted.request or b"")

    assert told(judge(redacted.reply, after)) == told(judge(legacy, before))


def change(reply: dict[str, Any], chance: Any) -> bytes:
    """Return the answer of a host that says some things otherwise."""
    for line in [*reply["errors"], *reply["responses"]]:
        match chance.randrange(8):
            case 0:
                line["ledgerref"] = "Nordmann 15108695088"
            case 1:
                line["message"] = "Kari Nordmann finnes ikke (15108695088)"
            case 2:
                line["caseid"] = 12345678
            case 3:
                line["debtor"] = {"name": "Kari", "age": 30}
            case 4:
                line.pop("status_statuscode", None)
            case _:
                pass
    return json.dumps(reply).encode()


def told(comparison: Comparison) -> list[tuple[object, ...]]:
    return sorted((str(one.address), one.path, one.kind, one.bucket) for one in comparison.differences)


def test_the_samples_match(redactor: Redactor) -> None:
    """The shipped sample with its many faults is refused in the very same rows."""
    request = (ROOT / "config" / "samples" / "mixed-faults.json").read_bytes()
    redacted = redactor.redact(request, 200, b"{}").request or b""
    before, after = foretell("autocollect", request), foretell("autocollect", redacted)
    assert [(a, o.verdict) for a, o in before.outcomes.items()] == [(a, o.verdict) for a, o in after.outcomes.items()]
