"""What stays and what goes in single texts and documents."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bridge.recording import Redactor, Terms
from bridge.recording.plain import GROUPS, TOLD, TREATMENTS, Treatment
from bridge.recording.words import NAMES_AS_WELL, all_words

VOWELS = re.compile("[aeiouyæøåAEIOUYÆØÅ]")
COMMON_NAMES = set(
    re.findall(
        r"\w+",
        """
    anne inger kari marit ingrid liv eva maria hilde berit astrid bjørg solveig nina anita randi kristin
    jan bjørn odd tor svein kjell ole hans geir knut morten terje thomas arne lars erik martin anders rune
    nora emma olivia ella sofie maja frida jakob lucas filip oskar noah emil john peter mark bill grant rose will june
    hansen johansen olsen larsen andersen pedersen nilsen kristiansen jensen karlsen johnsen pettersen eriksen berg
    haugen hagen johannessen bakken dahl lund moen smith jones miller baker cook king young
    """,
    )
)


def redact(redactor: Redactor, request: Any, reply: Any = None) -> tuple[Any, Any]:
    redacted = redactor.redact(json.dumps(request).encode(), 200, json.dumps(reply or {}).encode())
    return json.loads(redacted.request or b"null"), json.loads(redacted.reply or b"null")


def invoice(redactor: Redactor, **fields: Any) -> Any:
    return redact(redactor, {"invoice": [fields]})[0]["invoice"][0]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "PAYMENT_REMINDER", "currency": "NOK", "vat": True, "fees": None},
        {"invoiceNumber": "10234", "uniqueSourceInvoiceId": "erp-order-9981", "ledgerref": "L-10234"},
        {"invoiceNumber": 20240115, "ledgerref": "20240115"},
        {"originalInvoiceAmount": 12345678.50, "remainingAmount": "1 250,00"},
        {"dueDate": "2024-02-15", "invoiceDate": "/Date(1707955200000)/", "collectionNoticeDate": "31.02.2024"},
        {"invoiceId": "4f163819-178d-470c-a246-d6768476a6ec", "creditorid": "984842252"},
        {"countrycode": "Norway", "actiontype": 4, "statuscode": 2},
        {"customerNumber": "", "name": "  ", "email": None, "claims": [], "debtors": {}},
    ],
)
def test_what_is_harmless_stays(redactor: Redactor, fields: dict[str, Any]) -> None:
    """Codes, references, amounts, days, countries and creditors stay as they are, and so does emptiness."""
    assert invoice(redactor, **fields) == fields


@pytest.mark.parametrize(
    ("field", "value", "shape"),
    [
        ("firstname", "Kari", r"[A-Z][a-z]{4}"),
        ("name", "Nordmann, Kari-Anne", r"[A-Z][a-z]+, [A-Z][a-z]{4}-[A-Z][a-z]{4}"),
        ("street", "Storgata 17B", r"[A-Z][a-z]+ [1-9]\d[A-Z]"),
        ("zipcode", "0155", r"0[1-9]\d\d"),
        ("customerNumber", 5501, r"[1-9]\d{3}"),
        ("email", "kari.nordmann@firma.no", r"[a-z]+\.[a-z]+@[a-z]+\.no"),
        ("phone", "+47 415 28 837", r"\+47 41\d \d\d \d{3}"),
        ("bankaccountno", "1503.00.12345", r"[1-9]\d{3}\.\d\d\.\d{5}"),
        ("ocrReferenceNumber", "0001023400017", r"000[1-9]\d{9}"),
        ("dateOfBirth", "1970-01-01", r"197\d-\d\d-\d\d"),
        ("dateOfBirth", "1970-01-01T00:00:00+01:00", r"197\d-\d\d-\d\dT00:00:00\+01:00"),
        ("dateOfBirth", "/Date(0)/", r"/Date\(-?\d+\)/"),
        ("dateOfBirth", "1970-13-01", r"\d{4}-00-00"),
        ("birthdate", "01.02.1970", r"\d\d\.\d\d\.197\d"),
        ("description", "Strøm, januar", r"[A-Z][a-z]+, [a-z]+"),
        ("customerNumber", -12.50, r"-[1-9]\d\.\d"),
        ("customerNumber", 1e30, r"[1-9](\.0)?e\+30"),
        ("dateOfBirth", "/Date(999999999999999)/", r"/Date\(999999999999999\)/"),
        ("customerNumber", "٧٧١٢٠٩٣", r"[1-9]\d{6}"),
        ("originalInvoiceAmount", "15108695088", r"1\d{10}"),
        ("originalInvoiceAmount", 15108695088, r"1\d{10}"),
        ("ledgerref", "order NO93 8601 1117 947", r"order NO\d\d \d{4} \d{4} \d{3}"),
        ("ledgerref", "NO9386011117947", r"NO\d{13}"),
        ("ledgerref", "sk9live8Zx7Qw6Er5Ty4Ui3Op2x²", r".{28,}"),
        ("invoiceNumber", "kari@ola", r"[a-z]{5}@[a-z]{5}"),
        ("invoiceNumber", "12 15108695088", r"\d\d 1\d{10}"),
        ("invoiceNumber", "415 28 837", r"41\d \d\d \d{3}"),
        ("password", "hunter2", "redacted"),
        ("token", 12345, "0"),
    ],
)
def test_what_is_personal_keeps_its_shape_only(redactor: Redactor, field: str, value: Any, shape: str) -> None:
    """Words become words without vowels, digits digits, days days; punctuation and blanks stay."""
    found = invoice(redactor, **{field: value})[field]
    assert found != value or "99999" in str(value)
    assert type(found) is type(value) or field == "customerNumber"
    assert re.fullmatch(shape, found if isinstance(found, str) else json.dumps(found))


def test_a_value_is_the_same_everywhere(redactor: Redactor) -> None:
    """One person has one pseudonym: in two fields, two records, and in what the host says of them."""
    first, told = redact(
        redactor,
        {"invoice": [{"name": "Kari Nordmann", "identificationNumber": "15108695088"}]},
        {"errors": [{"message": "Kari Nordmann (151086 95088) finnes ikke"}]},
    )
    second, _ = redact(redactor, {"action": [{"message": "NORDMANN og Kari, 15108695088!"}]})
    row, message = first["invoice"][0], second["action"][0]["message"]
    first_name, last_name = row["name"].split()
    national_id = row["identificationNumber"]
    assert told["errors"][0]["message"] == f"{row['name']} ({national_id[:6]} {national_id[6:]}) finnes ikke"
    assert message.startswith(last_name.upper())
    assert first_name in message
    assert national_id in message


def test_a_personal_number_goes_from_plain_fields_too(redactor: Redactor) -> None:
    """A customer number that the record holds stands in no reference, amount or message of it."""
    asked, told = redact(
        redactor,
        {"invoice": [{"customerNumber": "7712093", "ledgerref": "A-7712093-1", "originalInvoiceAmount": 7712093}]},
        {"errors": [{"message": "7712093 and 99771209300", "ledgerref": "x7712093"}]},
    )
    assert "7712093" not in json.dumps(told)
    assert "7712093" not in asked["invoice"][0]["ledgerref"]
    assert asked["invoice"][0]["originalInvoiceAmount"] == 7712093  # seven digits are too few to tell an amount


def test_a_personal_number_of_the_answer_goes_from_the_request(redactor: Redactor) -> None:
    """What only the host calls personal is replaced on both sides."""
    asked, _ = redact(redactor, {"invoice": [{"ledgerref": "7712093"}]}, {"customer": "7712093"})
    assert asked["invoice"][0]["ledgerref"] != "7712093"


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("dueDate: not a valid date; actiontype: code 9 is not a code this profile knows", True),
        ("Faktura 10234 finnes ikke på kreditor 984842252", True),
        ("invoice 3 of this batch, which was refused (HTTP 409)", True),
        ("ugyldig beløp 4500.00 per 2024-02-15", True),
        ("the debtor Will may be moved", False),
        ("MAY: unknown", False),
        ("purret 8812 ganger", False),
        ("forfalt 1999-12-31", False),
    ],
)
def test_messages_keep_words_of_the_vocabulary(redactor: Redactor, message: str, kept: bool) -> None:
    """Harmless words, short numbers and what the request's plain fields hold stay; anything else goes."""
    request = {"invoice": [{"invoiceNumber": "10234", "creditorid": "984842252", "originalInvoiceAmount": 4500.00}]}
    request["invoice"][0]["dueDate"] = "2024-02-15"
    told = redact(redactor, request, {"errors": [{"message": message}]})[1]["errors"][0]["message"]
    assert (told == message) is kept


def test_names_of_properties(redactor: Redactor) -> None:
    """Declared names stay in any letter case, and those made of words of the vocabulary; others get pseudonyms."""
    found = invoice(redactor, INVOICENUMBER="1", caseNumber="2", shoeSize=43, **{"Kari Nordmann": 1, "15108695088": 2})
    kept, others = list(found)[:2], list(found)[2:]
    assert kept == ["INVOICENUMBER", "caseNumber"]
    assert not any(VOWELS.search(name) for name in others)
    assert "15108695088" not in found


def test_names_that_come_twice_stay_twice(redactor: Redactor) -> None:
    """Order, doubled names and the digits of numbers are those of the original."""
    redacted = redactor.redact(
        b'{"invoice": [{"type":1.50,"TYPE": "A" , "x":1e400,"vat":9007199254740993.01}]}', 200, b""
    )
    assert re.fullmatch(
        rb'{"invoice":\[{"type":1.50,"TYPE":"A","x":[1-9]e400,"vat":9007199254740993.01}\]}', redacted.request or b""
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>Kari</html>", "not JSON (17 bytes)"),
        (b"", "no body"),
        (b"  ", "no body"),
        (b'{"a":"\xff"}', "not JSON (9 bytes)"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply (10000 bytes)"),
        (b'"' + b"a" * (16 << 20) + b'"', "larger than 16 MB (16777218 bytes)"),
    ],
)
def test_what_cannot_be_read_is_not_stored(redactor: Redactor, body: bytes, why: str) -> None:
    """Of an unreadable body nothing is kept but that it was one; an unreadable answer leaves the request."""
    assert redactor.redact(body, 200, b"{}").notice == f"request not stored: {why}"
    assert redactor.redact(body, 200, b"{}").request is None
    answered = redactor.redact(b"{}", 502, body)
    assert (answered.request, answered.reply, answered.notice) == (b"{}", None, f"answer 502 not stored: {why}")


def test_the_operator_adds_plain_fields() -> None:
    """`[recording] plain_fields` lets a field pass, whatever its case; a secret stays one."""
    redactor = Redactor(b"key", ["CustomerNumber", "password"])
    found = invoice(redactor, customernumber="5501", PASSWORD="abc", name="Kari")
    assert found["customernumber"] == "5501"
    assert found["PASSWORD"] == "redacted"
    assert found["name"] != "Kari"


def test_profiles_add_codes_and_words() -> None:
    """What mapping files declare as a code, a reference or a word of a table stays."""
    redactor = Redactor(b"key", (), Terms(frozenset({"art"}), frozenset({"Strekning"}), frozenset({"LANGTUR"})))
    found = invoice(redactor, art="langtur", Strekning="langtur")
    assert found["art"] == "langtur"
    assert found["Strekning"] != "langtur"


def test_a_key_is_needed() -> None:
    """Pseudonyms without a key could be made by everybody."""
    with pytest.raises(ValueError, match="key"):
        Redactor(b"")


def test_no_name_is_in_the_vocabulary() -> None:
    """Common Norwegian and English names are no words that stay, but for a few, in small letters only."""
    assert COMMON_NAMES & all_words() == set()
    assert {"tor", "will"} >= COMMON_NAMES & NAMES_AS_WELL
    assert NAMES_AS_WELL & all_words() == set()


def test_the_lists_are_consistent() -> None:
    """Every field stands in one group only, in lower case; messages of answers are concealed in requests."""
    names = [name for group in GROUPS for name in group.names.split()]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in (*names, *TOLD))
    assert TREATMENTS["message"] is Treatment.CONCEAL


def test_a_large_body_is_worked_in_slices(redactor: Redactor) -> None:
    """Whoever has an event loop gets it back many times on the way."""
    rows = [{"name": f"Kari {number}", "invoiceNumber": str(number)} for number in range(2000)]
    assert sum(1 for _ in redactor.steps(json.dumps({"invoice": rows}).encode(), 200, b"{}")) > 100


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
@pytest.mark.parametrize(
    "text",
    [
        "a-" * 50_000,
        "1 " * 50_000,
        "@" * 100_000,
        "a" * 100_000,
        "eyJ" * 30_000,
        "1a" * 50_000,
        "aa11" * 25_000,
        "aa11 " * 20_000,
    ],
)
def test_no_text_takes_long(redactor: Redactor, text: str) -> None:
    """A text made to keep patterns busy takes time in proportion to its length."""
    asked = json.dumps({"action": [{"message": text, "ledgerref": text}]}).encode()
    assert redactor.redact(asked, 200, json.dumps({"message": text}).encode()).reply


def test_a_message_repeats_numbers_of_the_request_only(redactor: Redactor) -> None:
    """What an answer calls a reference may be anybody's number: its own messages may not repeat it on its word."""
    answer = {"errors": [{"referencenumber": "445566", "message": "ref 445566 of 2024-01-05"}]}
    _, told = redact(redactor, {"invoice": [{"invoiceNumber": "1"}]}, answer)
    assert "445566" not in told["errors"][0]["message"]
    _, told = redact(redactor, {"invoice": [{"invoiceNumber": "445566"}]}, answer)
    assert "445566" in told["errors"][0]["message"]


def test_names_of_properties_are_scrubbed_unless_they_are_declared_or_plain_words(redactor: Redactor) -> None:
    """An answer may call its members anything, persons included."""
    assert [redactor.scrub_name(name) for name in ("ledgerref", "statusText")] == ["ledgerref", "statusText"]
    assert "Nordmann" not in redactor.scrub_name("KariNordmann")
    assert "01017012345" not in redactor.scrub_name("person 01017012345")


def test_decimals_of_a_concealed_number_are_digits_of_it(redactor: Redactor) -> None:
    """A number in a field nobody knows may hide another one behind its point."""
    (asked, _) = redact(redactor, {"invoice": [{"shoeSize": 43.48123456}]}, {})
    assert "48123456" not in json.dumps(asked)


def test_samples_of_large_requests_lose_their_numbers(redactor: Redactor) -> None:
    """Where it would take long to learn which numbers are harmless, none stays."""
    rows = [{"invoiceNumber": "10234"}] * 10_000
    assert redactor.scrub("invoice 10234", json.dumps({"invoice": rows[:10]}).encode()) == "invoice 10234"
    assert redactor.scrub("invoice 10234", json.dumps({"invoice": rows}).encode()) != "invoice 10234"
    assert redactor.scrub("code 9", b"no JSON") == "code 9"


@pytest.mark.parametrize(
    "reply", ['"Kari"', '["Kari", ["Kari"]]', '{"type": [{"type": "x"}, ["Kari"]]}', '{"errors": {"Kari": ["Kari"]}}']
)
def test_any_json_can_be_an_answer(redactor: Redactor, reply: str) -> None:
    """A host may answer anything; what it says is judged by the nearest name."""
    redacted = redactor.redact(b"[]", 500, reply.encode())
    assert b"Kari" not in (redacted.reply or b"Kari")


@pytest.mark.parametrize(
    "written",
    [
        "".join(f"%{sign:02X}" for sign in b"Kari"),
        "\\u004b\\u0061\\u0072\\u0069",
        "&#75;&#97;&#114;&#105;",
        "&#x4B;&#x61;&#x72;",
    ],
)
def test_names_spelled_by_their_codes(redactor: Redactor, written: str) -> None:
    """A text that is escaped once more than JSON asks for is no way in."""
    asked, told = redact(redactor, {"batchid": written}, {"message": written})
    assert written not in (asked["batchid"], told["message"])
