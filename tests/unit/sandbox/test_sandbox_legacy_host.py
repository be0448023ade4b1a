"""The stand-in for the legacy host: batches worked at once, read back, doubled never, and struck by faults."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox import LIMITS, ScriptFault, load_script, read_script
from bridge.sandbox.legacy_books import LegacyBooks
from bridge.sandbox.legacy_reading import UnreadableError, read_batch
from bridge.sandbox.script import LegacyBehaviour

SCRIPT = Path(__file__).parents[3] / "config" / "sandbox" / "legacy.toml"
CREDENTIALS = {"Authorization": "Basic ZXJwMTpkZW1v"}


def invoice(number: str = "10240", **more: Any) -> dict[str, Any]:
    row = {"invoiceNumber": number, "originalInvoiceAmount": "1 250,00", "dueDate": "2024-02-15"}
    return {name: value for name, value in (row | more).items() if value is not None}


def payment(number: str = "10240", **more: Any) -> dict[str, Any]:
    return {"invoiceNumber": number, "amount": 250.00, "date": "2024-02-20"} | more


def batch(*invoices: dict[str, Any], batchid: str = "", **more: Any) -> dict[str, Any]:
    return {"batchid": batchid, "invoice": list(invoices)} | more


async def send(client: Any, body: Any, path: str = "/webapi/api/Batch?senderid=ERP-1", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.request("POST", client.sandbox.url + path, data=data, headers=CREDENTIALS | headers)


async def ask(client: Any, query: str = "") -> Any:
    return await client.request("GET", f"{client.sandbox.url}/webapi/api/Batch?{query}", headers=CREDENTIALS)


async def shown(client: Any) -> Any:
    return (await client.admin("GET", "/legacy")).json


# --- batches --------------------------------------------------------------------------------------------------------


async def test_a_batch_is_answered_at_once_row_by_row(client: Any) -> None:
    """Every row is in the answer once, under its address and by the reference the ERP knows it by."""
    answer = await send(
        client,
        batch(
            invoice(ledgerref="erp-1"),
            invoice("10241", dueDate=None),
            creditor=[{"idnumber": "984842252"}],
            payment=[payment(uniqueSourcePaymentId="p-1")],
            action=[{"actiontype": 1, "ledgerref": "erp-1"}, {"actiontype": 1, "ledgerref": "nobody"}],
        ),
    )
    assert answer.status == 200
    assert answer.json == {
        "statuscode": 1,
        "errors": [
            {"objectname": "invoice", "objectindex": 1, "message": "dueDate mangler"},
            {"objectname": "action", "objectindex": 1, "message": "finner ikke saken"},
        ],
        "responses": [
            {"objectname": "creditor", "objectindex": 0, "ledgerref": "984842252", "status_statuscode": "OK"},
            {"objectname": "invoice", "objectindex": 0, "ledgerref": "erp-1", "status_statuscode": "OK"},
            {"objectname": "payment", "objectindex": 0, "ledgerref": "p-1", "status_statuscode": "OK"},
            {"objectname": "action", "objectindex": 0, "ledgerref": "erp-1", "status_statuscode": "OK"},
        ],
    }
    accepted = {"creditor": 1, "invoice": 1, "payment": 1, "action": 1}
    assert await shown(client) == {"cases": 1, "settlements": 1, "accepted": accepted, "doubled": []}
    case = client.sandbox.legacy.find("10240")
    assert (case.original, case.paid, case.remaining) == (Decimal("1250.00"), Decimal("250.0"), Decimal("1000.00"))
    assert (case.creditor, case.actions) == ("984842252", ["1"])


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, 0), (batch(), 0), (batch(invoice()), 0), (batch(invoice(dueDate="")), 2), ({"invoice": None}, 0)],
)
async def test_the_status_code_sums_the_rows_up(client: Any, body: Any, code: int) -> None:
    """0 all accepted, which an empty batch is, too; 2 all refused."""
    assert (await send(client, body)).json["statuscode"] == code


@pytest.mark.parametrize("path", ["/webapi/api/Batch", "/WebAPI/API/batch/", "/webapi/api/BATCH?SenderId=ERP-1"])
async def test_letter_case_matters_nowhere(client: Any, path: str) -> None:
    """Paths and property names match in any letter case; of two spellings of one property the last one counts."""
    body = (
        b'{"INVOICE": [{"invoicenumber": "wrong", "INVOICENUMBER": "F-1", "DueDate": 1, "ORIGINALinvoiceAMOUNT": 1}]}'
    )
    answer = await send(client, body, path)
    assert answer.json["responses"][0]["ledgerref"] == "F-1"


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "utf-16"])
async def test_the_declared_charset_is_read(client: Any, charset: str) -> None:
    """Old ERPs send other charsets than UTF-8."""
    body = json.dumps(batch(invoice(ledgerref="Ærø")), ensure_ascii=False).encode(charset)
    answer = await send(client, body, **{"Content-Type": f"application/json; charset={charset}"})
    assert answer.json["responses"][0]["ledgerref"] == "Ærø"


async def test_a_byte_order_mark_and_compression_are_read(client: Any) -> None:
    """A body may begin with a byte-order mark, and come compressed."""
    body = gzip.compress(b"\xef\xbb\xbf" + json.dumps(batch(invoice())).encode())
    answer = await send(client, body, **{"Content-Encoding": "gzip"})
    assert answer.json["statuscode"] == 0


# --- what a caller can get wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"<batch/>", {}),
        (b"[]", {}),
        (b'"text"', {}),
        (b'{"invoice": {}}', {}),
        (b'{"invoice": "F-1"}', {}),
        (b'{"invoice": 0}', {}),
        (b'{"invoice": [null]}', {}),
        (b'{"invoice": [[]]}', {}),
        (b'{"more": ' + b"[" * 400 + b"]" * 400 + b"}", {}),
        (b'{"more": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}),
        (b'{"batchid": "\xff"}', {}),
        (b"{}", {"Content-Type": "application/json; charset=nowhere"}),
        (b"{}", {"Content-Type": "application/json; charset=undefined"}),
        (b'{"batchid": "\\ud800"}', {"Content-Type": "application/json; charset=unicode_escape"}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
    ],
)
async def test_an_unreadable_batch_answers_400(client: Any, body: bytes, headers: dict[str, str]) -> None:
    """What is no batch is refused as a whole, in the host's own words; nothing is taken."""
    answer = await send(client, body, **headers)
    assert (answer.status, answer.json["title"]) == (400, "One or more validation errors occurred.")
    assert (await shown(client))["cases"] == 0


@pytest.mark.parametrize(
    ("amount", "is_taken"),
    [
        ("1250.00", True),
        (9007199254740993.01, True),
        ("999999999999999999.999999", True),
        (0, True),
        (-1, True),
        ("1.0000001", False),
        ("1E18", False),
        ("1E-999999", False),
        ("0E+999999", False),
        ("NaN", False),
        ("Infinity", False),
        ("sNaN", False),
        ("two", False),
        (True, False),
        ([1], False),
        ({"a": 1}, False),
    ],
)
async def test_an_amount_is_read_exactly_or_refused(client: Any, amount: Any, is_taken: bool) -> None:
    """An amount that no sum could hold exactly is refused like one that is none."""
    reply = (await send(client, batch(invoice(originalInvoiceAmount=amount)))).json
    assert [entry["message"] for entry in reply["errors"]] == ([] if is_taken else ["beløpet er ugyldig"])
    assert (await ask(client)).status == 200


@pytest.mark.parametrize("number", [0, False, [], {}, [1], 1.5, "0"])
async def test_an_invoice_number_of_any_kind_names_a_claim(client: Any, number: Any) -> None:
    """Whatever stands where a number should be is taken as text."""
    reply = (await send(client, batch(invoice(invoiceNumber=number)))).json
    assert reply["statuscode"] == 0
    assert reply["responses"][0]["ledgerref"] == str(number)


@pytest.mark.parametrize("last", ["", "x", "²", "-1", "9" * 5000, "0"])
async def test_a_settlement_number_that_is_none_counts_as_none(client: Any, last: str) -> None:
    """`lastsettlementid` is read when it is a number, and is nothing otherwise."""
    await send(client, batch(invoice(), payment=[payment()]))
    assert len((await ask(client, f"lastsettlementid={last}")).json["settlement"]) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_credentials_are_asked_for(client: Any, method: str) -> None:
    """Without credentials the answer is 401; any will do."""
    answer = await client.request(method, client.sandbox.url + "/webapi/api/Batch", data=b"{}")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="AutoCollect"')


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "invoiceNumber",
    "originalInvoiceAmount",
    "dueDate",
    "amount",
    "ledgerref",
    "actiontype",
    "idnumber",
    "creditorid",
)
ROWS = st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), max_size=3)


@given(
    bodies=st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(("creditor", "invoice", "payment", "action"), ROWS)),
        max_size=2,
    )
)
def test_every_row_is_answered_exactly_once_whatever_it_holds(bodies: list[dict[str, Any]]) -> None:
    """No row is lost or answered twice, and no value makes the host stumble."""
    books = LegacyBooks()
    for body in bodies:
        document = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        reply = books.work(read_batch(document), {}, LegacyBehaviour(), 1_700_000_000.0)
        answered = [(one["objectname"], one["objectindex"]) for one in reply["errors"] + reply["responses"]]
        assert sorted(answered) == sorted((name, index) for name, rows in body.items() for index in range(len(rows)))
    assert (
        sum(books.rows.values())
        == books.describe()["cases"] + len(books.settlements) + books.rows["creditor"] + books.rows["action"]
    )


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_batch_or_unreadable(body: bytes) -> None:
    """Reading ends in a batch or in UnreadableError, whatever the bytes are."""
    try:
        read_batch(body)
    except UnreadableError:
        return


# --- the same thing twice -------------------------------------------------------------------------------------------


async def test_a_batch_that_comes_again_is_answered_as_before(start: Any, fake_time: Any) -> None:
    """By default a batchid with the same content gets the same bytes, and nothing is doubled."""
    client = await start({"behaviour": {"legacy": {"extra_fields": ["processedAt"]}}}, clock=fake_time)
    body = batch(invoice(), batchid="B-1", payment=[payment()])
    first = await send(client, body)
    fake_time.seconds += 60
    assert (await send(client, body)).text == first.text
    assert (await shown(client))["settlements"] == 1


async def test_a_batchid_that_comes_again_with_other_content_is_worked(client: Any) -> None:
    """Only the same content under the same batchid of the same sender is the same batch."""
    await send(client, batch(invoice("F-1"), batchid="B-1"))
    assert (await send(client, batch(invoice("F-2"), batchid="B-1"))).json["statuscode"] == 0
    other = await send(client, batch(invoice("F-1"), batchid="B-1"), "/webapi/api/Batch?senderid=ERP-2")
    assert other.json["errors"][0]["message"] == "F-1 er allerede registrert"


async def test_a_row_that_was_accepted_before_is_refused(client: Any) -> None:
    """An invoice is known by its unique id, else by its number, a payment by its unique id."""
    await send(client, batch(invoice(uniqueSourceInvoiceId="u-1"), payment=[payment(uniqueSourcePaymentId="p-1")]))
    again = batch(invoice("10299", uniqueSourceInvoiceId="u-1"), payment=[payment(uniqueSourcePaymentId="p-1")])
    reply = (await send(client, again)).json
    assert [entry["message"] for entry in reply["errors"]] == [
        "u-1 er allerede registrert",
        "p-1 er allerede registrert",
    ]


async def test_two_payments_without_an_id_are_two_payments(client: Any) -> None:
    """Payments on one invoice are alike and still not the same."""
    reply = (await send(client, batch(invoice(), payment=[payment(), payment()]))).json
    assert reply["statuscode"] == 0
    assert (await shown(client))["accepted"]["payment"] == 2


async def test_doubled_rows_are_shown(start: Any) -> None:
    """A host that accepts everything doubles what comes twice, and the books say so."""
    client = await start({"behaviour": {"legacy": {"resends": "work", "duplicates": "accept"}}})
    for _ in range(2):
        await send(client, batch(invoice(), batchid="B-1", creditor=[{"idnumber": "984842252"}]))
    assert (await shown(client))["doubled"] == [{"objectname": "invoice", "id": "10240", "times": 2}]


# --- reading back ---------------------------------------------------------------------------------------------------


async def test_claims_and_settlements_are_read_back(start: Any, fake_time: Any) -> None:
    """Reading answers in the classic shape; money has every digit it came with."""
    client = await start(clock=fake_time)
    row = invoice(creditorid="984842252", customerref="C-1", currency="NOK")
    await send(client, batch(row, payment=[payment(amount="0,10")]))
    assert (await ask(client)).json == {
        "batchid": None,
        "offline": False,
        "creditor": [{"idnumber": "984842252"}],
        "case": [
            {
                "customerref": "C-1",
                "ledgerref": "10240",
                "referencenumber": "10240",
                "casenumber": "700001",
                "currencycode": "NOK",
                "regdate": "2023-11-14T22:13:20.000Z",
                "duedate": "2024-02-15",
                "originalsum": Decimal("1250.00"),
                "paidsum": Decimal("0.10"),
                "remainingsum": Decimal("1249.90"),
                "status_statuscode": "OPEN",
                "history": [],
            }
        ],
        "settlement": [
            {
                "settlementid": "1",
                "creditorid": "984842252",
                "ledgerref": "10240",
                "casenumber": "700001",
                "amount": Decimal("0.10"),
                "settlementdate": "2023-11-14T22:13:20.000Z",
            }
        ],
    }


@pytest.mark.parametrize(
    ("query", "cases", "settlements"),
    [
        ("CreditorId=1", ["F-1"], ["1"]),
        ("customerref=C-2", ["F-2"], ["2"]),
        ("ledgerref=F-1&creditorid=", ["F-1"], ["1"]),
        ("ledgerref=F-1&creditorid=2", [], []),
        ("lastsettlementid=1", ["F-1", "F-2"], ["2"]),
    ],
)
async def test_what_is_asked_for_is_read(client: Any, query: str, cases: Any, settlements: Any) -> None:
    """Parameters narrow the answer down; all of them must fit."""
    rows = [invoice("F-1", creditorid="1", customerref="C-1"), invoice("F-2", creditorid="2", customerref="C-2")]
    await send(client, batch(*rows, payment=[payment("F-1"), payment("F-2")]))
    told = (await ask(client, query)).json
    assert [one["ledgerref"] for one in told["case"]] == cases
    assert [one["settlementid"] for one in told["settlement"]] == settlements


async def test_attachments_come_back_and_the_host_says_that_it_is_there(client: Any) -> None:
    """An attachment is echoed, a question for one answered with a few bytes, and Ping needs no credentials."""
    url = client.sandbox.url + "/webapi/api/"
    assert (await client.request("POST", url + "Attachment/7", data=b"%PDF-1.4 mine")).text == "%PDF-1.4 mine"
    assert (await client.request("GET", url + "attachment?id=7")).text == "%PDF-1.4 sandbox"
    assert (await client.request("GET", url + "ping")).json == {"status": "OK"}
    broken = await client.request("POST", url + "Attachment", data=b"not gzip", headers={"Content-Encoding": "gzip"})
    assert broken.status == 400


# --- the script -----------------------------------------------------------------------------------------------------


def strike(kind: str, operation: str = "legacy-batch", **more: Any) -> dict[str, Any]:
    return {"fault": [{"kind": kind, "operation": operation, **more}]}


async def test_a_script_refuses_rows_by_their_fields_as_written(start: Any) -> None:
    """`where` names fields as the ERP writes them; an empty text refuses, too."""
    client = await start(strike("refuse", where={"invoiceNumber": "BAD-*", "debtors.name": "K*"}, text=""))
    rows = [
        invoice("BAD-1", debtors=[{"name": "Kari"}]),
        invoice("BAD-2", debtors=[{"name": "Ola"}]),
        invoice(invoiceNumber=None, invoicenumber="BAD-3", debtors=[{"name": "Kari"}]),
    ]
    reply = (await send(client, batch(*rows))).json
    assert reply["errors"] == [{"objectname": "invoice", "objectindex": 0, "message": ""}]
    assert (await shown(client))["cases"] == 2


@pytest.mark.parametrize("operation", ["legacy-batch", "legacy"])
async def test_a_failing_host_takes_nothing(start: Any, operation: str) -> None:
    """A fail fault answers its status in the host's shape, and the batch was not worked."""
    client = await start(strike("fail", operation, status=503, text="nede", retry_after_seconds=7))
    answer = await send(client, batch(invoice()))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert answer.json["errors"] == [{"objectname": "batch", "objectindex": 0, "message": "nede"}]
    assert (await shown(client))["cases"] == 0
    (exchange,) = client.sandbox.requests.newest(operation="legacy-batch")
    assert (exchange.status, exchange.faults, exchange.rows) == (503, ("fail",), 1)


async def test_an_answer_may_get_lost_although_the_batch_was_worked(start: Any) -> None:
    """A reset after the batch was taken leaves the caller without an answer and the row with the host."""
    client = await start(strike("reset", when="after"))
    with pytest.raises(aiohttp.ClientError):
        await send(client, batch(invoice()))
    assert (await shown(client))["cases"] == 1
    (exchange,) = client.sandbox.requests.newest(operation="legacy-batch")
    assert exchange.status is None


async def test_an_answer_may_be_slow_or_garbage(start: Any, fake_time: Any) -> None:
    """The other faults of answers strike here as they do on the modern side."""
    slow_and_garbled = strike("slow", seconds=3)["fault"] + strike("garbage", "legacy", body="html")["fault"]
    client = await start({"fault": slow_and_garbled}, clock=fake_time, sleep=fake_time.sleep)
    answer = await send(client, batch(invoice()))
    assert (answer.status, answer.headers["Content-Type"], fake_time.slept) == (200, "text/html", [3])
    assert (await ask(client)).headers["Content-Type"] == "text/html"


async def test_faults_of_the_modern_side_leave_the_legacy_host_alone(start: Any) -> None:
    """`*` means the modern API."""
    client = await start(strike("fail", "*", status=500))
    assert (await send(client, batch(invoice()))).status == 200


@pytest.mark.parametrize("kind", ["unmention", "reorder", "finish", "lag", "webhook", "circle"])
def test_a_fault_that_could_never_strike_is_refused(kind: str) -> None:
    """What the legacy host does not play may not stand in a script for it."""
    with pytest.raises(ScriptFault, match="the legacy host plays only refuse, fail, reset, slow and garbage"):
        read_script(strike(kind, seconds=1) if kind == "lag" else strike(kind), source="script")


async def test_more_of_a_script_leaves_what_it_does_not_mention(start: Any) -> None:
    """Adding to a script changes only the behaviour it states, of the legacy host as well."""
    client = await start({"behaviour": {"legacy": {"extra_fields": ["caseNumber"]}}})
    more = read_script({"behaviour": {"legacy": {"accepted_text": "GREIT"}}}, source="script")
    client.sandbox.play(more, append=True)
    (entry,) = (await send(client, batch(invoice()))).json["responses"]
    assert (entry["status_statuscode"], entry["caseNumber"]) == ("GREIT", "700001")


async def test_the_example_script_says_more_than_any_page_shows(start: Any, fake_time: Any) -> None:
    """config/sandbox/legacy.toml: fields beyond the documented ones, other words, resends worked anew."""
    client = await start(clock=fake_time, sleep=fake_time.sleep)
    client.sandbox.play(load_script(SCRIPT))
    body = batch(invoice(), invoice("F-1-AVVIST"), batchid="B-1")
    reply = (await send(client, body)).json
    assert reply["responses"] == [
        {
            "objectname": "invoice",
            "objectindex": 0,
            "ledgerref": "10240",
            "status_statuscode": "REGISTRERT",
            "caseNumber": "700001",
            "processedAt": "2023-11-14T22:13:20.050Z",
        }
    ]
    assert reply["errors"] == [{"objectname": "invoice", "objectindex": 1, "message": "kunden er sperret"}]
    again = (await send(client, body)).json
    assert [entry["message"] for entry in again["errors"]] == ["10240 er allerede registrert", "kunden er sperret"]


async def test_the_same_seed_clock_and_requests_give_the_same_answers(start: Any, fake_time: Any) -> None:
    """Chances are drawn from the seed; everything else repeats."""
    script = strike("refuse", share=0.5) | {"behaviour": {"legacy": {"extra_fields": ["caseNumber", "processedAt"]}}}
    one, other = [await start(script, seed=7, clock=fake_time) for _ in range(2)]
    body = batch(*(invoice(f"F-{number}") for number in range(40)))
    replies = [(await send(client, body)).text for client in (one, other)]
    assert replies[0] == replies[1]
    assert 0 < len(json.loads(replies[0])["errors"]) < 40


async def test_a_reset_forgets_the_legacy_host_too(client: Any) -> None:
    """DELETE /sandbox/state empties its books and forgets its answers."""
    body = batch(invoice(), batchid="B-1")
    await send(client, body)
    await client.admin("DELETE", "/state")
    assert (await shown(client))["cases"] == 0
    assert (await send(client, body)).json["statuscode"] == 0
    assert (await shown(client))["cases"] == 1


def test_the_limits_tell_of_the_legacy_host() -> None:
    """Everything about the legacy host is assumed, and said to be."""
    assert "legacy host" in LIMITS
