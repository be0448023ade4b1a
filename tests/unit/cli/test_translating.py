"""`bridge translate`: a dry run of one legacy payload."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.losses import list_undeclared

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "config" / "samples"
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


@pytest.fixture
def payload(tmp_path: Path) -> Callable[..., Path]:
    def write(content: bytes | dict[str, Any]) -> Path:
        path = tmp_path / "batch.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


def invoice(number: str, **more: Any) -> dict[str, Any]:
    return {"invoiceNumber": number, "originalInvoiceAmount": 10, "dueDate": "2024-02-15", **more}


def test_seed_batch(run: Run, config: Path) -> None:
    """The sample becomes an invoice call, then a payment call, then a pause, each after what it waits for."""
    report = run("translate", SAMPLES / "seed-batch.json", "-c", config, "--json").json
    assert [call["operation"] for call in report["calls"]] == ["create_invoices", "create_payments", "pause"]
    assert [call["path"] for call in report["calls"]] == [
        f"/orgs/{ORG}/invoices",
        f"/orgs/{ORG}/payments",
        f"/orgs/{ORG}/cases/{{caseId}}/pause",
    ]
    assert [call["after"] for call in report["calls"]] == [
        [],
        ["after invoice 0 of this batch"],
        ["after invoice 0 of this batch"],
    ]
    assert report["calls"][1]["body"]["payments"][0]["invoiceId"] == "{invoiceId of invoice 0 of this batch}"
    assert report["calls"][2]["body"]["until"] == "2024-03-15T00:00:00Z"
    assert report["refused"] == []
    assert report["accepted_without_call"] == [{"objectname": "creditor", "objectindex": 0}]


def test_not_carried(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """Every field that goes nowhere is told with its rows and its reason, the creditor's and unknown ones included."""
    rows = {"creditor": [{"idnumber": "984842252", "swift": "X"}], "invoice": [invoice("1", shoeSize=43)], "extra": 1}
    report = run("translate", payload(rows), "-c", config, "--json").json
    swift, shoe = report["not_carried"]
    assert (swift["field"], swift["known"]) == ("swift", True)
    assert "settlements" in swift["reason"]
    assert (shoe["field"], shoe["known"]) == ("shoeSize", False)
    assert shoe["rows"] == [{"objectname": "invoice", "objectindex": 0}]
    assert report["unknown_properties"] == ["extra"]


def test_mixed_faults(run: Run, config: Path) -> None:
    """Rows that would be refused are told with the same messages, others with what must be looked up."""
    ran = run("translate", SAMPLES / "mixed-faults.json", "-c", config, "--sender", "ERP-1")
    assert ran.code == 0
    assert "dueDate: not a valid date" in ran.out
    assert "after looking up invoiceNumber 77777" in ran.out
    assert "actiontype: code 9 is not a code this profile knows" in ran.out
    assert "unknown to this profile" in ran.out
    assert "for invoice 0, 2, 4" in ran.out


def test_nothing_to_tell(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """A batch without losses and refusals says so."""
    ran = run("translate", payload({"invoice": [invoice("1")]}), "-c", config)
    assert ran.out.count("  none\n") == 2


def test_unknown_property(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """A property of the batch that nobody reads is told to people, too."""
    ran = run("translate", payload({"batchname": "x"}), "-c", config)
    assert "the batch itself  unknown to the bridge  batchname" in ran.out


def test_one_line_a_reason(run: Run, config: Path) -> None:
    """People see one line a reason with all its fields; those of one object stand together."""
    ran = run("translate", SAMPLES / "seed-batch.json", "-c", config)
    (contacts,) = [line for line in ran.out.splitlines() if "the creditor's contacts" in line]
    assert "contact.{fullname, workphone, email, " in contacts
    assert "contact2.{fullname, " in contacts
    (street,) = [line for line in ran.out.splitlines() if "street, city" in line and "who the creditor is" in line]
    assert street.startswith("  creditor 0 ")
    assert "another profile" not in ran.out


def test_wrong_profile(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """Unknown fields of rows that are refused while reading are told, too: that is how a wrong profile shows."""
    debtor = {"Name": "x", "shoeSize": 43, "hatSize": None, "emails": [{"kind": "x"}, {"kind": "y"}]}
    row = {"ORIGINALSUM": 1, "DueDate": {"never": 1}, "debtors": [debtor, "x"], "duedate2": None}
    report = run("translate", payload({"invoice": [row, 7, invoice("1")]}), "-c", config, "--json").json
    assert [one["objectindex"] for one in report["refused"]] == [0, 1]
    assert [(one["field"], one["known"]) for one in report["not_carried"]] == [
        ("ORIGINALSUM", False),
        ("debtors[].shoeSize", False),
        ("debtors[].emails[].kind", False),
    ]
    assert all(one["rows"] == [{"objectname": "invoice", "objectindex": 0}] for one in report["not_carried"])
    ran = run("translate", payload({"invoice": [row]}), "-c", config)
    assert "unknown to this profile  ORIGINALSUM, debtors[].shoeSize, debtors[].emails[].kind" in ran.out
    assert "another profile" in ran.out


@pytest.mark.parametrize("row", [b"[" * 3000, rb'{"a": "\ud800"}', b"7"], ids=["deep", "not Unicode", "no object"])
def test_undeclared_fields_of_an_unreadable_row(row: bytes) -> None:
    """A row that cannot be decoded has no fields to tell."""
    assert list_undeclared(row, ()) == ()


def test_dependents(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """A payment of a refused invoice, and one whose invoice cannot be told, are refused in the dry run as well."""
    rows = {
        "invoice": [invoice("1", dueDate="x"), invoice("2"), invoice("2")],
        "payment": [{"invoiceNumber": "1", "amount": 1}, {"invoiceNumber": "2", "amount": 1}],
    }
    report = run("translate", payload(rows), "-c", config, "--json").json
    messages = [one["message"] for one in report["refused"]]
    assert "belongs to invoice 0 of this batch, which was refused" in messages[1]
    assert "names several invoices of this batch" in messages[2]


def test_known_ids(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """A payment that carries the modern id waits for nothing; amounts keep their digits."""
    body = b'{"payment": [{"invoiceId": "4f163819-178d-470c-a246-d6768476a6ec", "amount": 9007199254740993.01}]}'
    ran = run("translate", payload(body), "-c", config, "--json")
    (call,) = ran.json["calls"]
    assert call["after"] == []
    assert "9007199254740993.01" in ran.out


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("Bodø".encode("iso-8859-1"), ("--charset", "iso-8859-1")),
        ("Bodø".encode(), ()),
    ],
)
def test_charset(
    run: Run, config: Path, payload: Callable[..., Path], content: bytes, charset: tuple[str, ...]
) -> None:
    """A payload is read in the charset the ERP would declare."""
    head = b'{"invoice": [{"invoiceNumber": "1", "originalInvoiceAmount": 1, "dueDate": "2024-02-15", "description": "'
    report = run("translate", payload(head + content + b'"}]}'), "-c", config, "--json", *charset).json
    assert report["calls"][0]["body"]["invoices"][0]["description"] == "Bodø"


def test_stdin(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads stdin; a byte-order mark is no obstacle."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'\xef\xbb\xbf{"invoice": []}')))
    assert run("translate", "-", "-c", config, "--json").json["calls"] == []


def test_unreadable(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """A batch that cannot be read as a whole gets the endpoint's message and status."""
    ran = run("translate", payload(b'{"invoice": 1}'), "-c", config)
    assert ran.code == 1
    assert "HTTP 400" in ran.err
    assert "invoice: not an array" in ran.err


def test_no_file(run: Run, config: Path, tmp_path: Path) -> None:
    """A file that is not there is named."""
    ran = run("translate", tmp_path / "nowhere.json", "-c", config)
    assert ran.code == 1
    assert "nowhere.json: cannot be read" in ran.err


@pytest.mark.parametrize("sender", [(), ("--sender", "ERP-9")])
def test_sender_must_be_known(run: Run, sender: tuple[str, ...]) -> None:
    """With several senders one must be named, and be there; the message lists them."""
    ran = run("translate", SAMPLES / "seed-batch.json", "-c", ROOT / "config" / "local.toml", *sender)
    assert ran.code == 2
    assert "ERP-1, ERP-2" in ran.err


def test_same_ids_as_the_endpoint(run: Run, config: Path, payload: Callable[..., Path]) -> None:
    """The dry run shows the unique ids that the real batch would be given: the same every time."""
    batch = {"batchid": "1", "invoice": [invoice("1")]}
    first, second = (run("translate", payload(batch), "-c", config).out for _ in range(2))
    assert first == second
    assert "bridge-" in first


def test_no_identity(run: Run, configure: Callable[..., Path], payload: Callable[..., Path]) -> None:
    """A sender without a resend window gets ids all the same."""
    config = configure(more="resend_window_hours = 0\n")
    assert "bridge-" in run("translate", payload({"invoice": [invoice("1")]}), "-c", config).out
