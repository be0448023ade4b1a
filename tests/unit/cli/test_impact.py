"""`bridge impact`: exactly the rows that two versions of the mappings treat differently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.recording import Redactor, make_line, write_line

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
REDACTOR = Redactor(b"key")


def write(path: Path, *batches: dict[str, Any], sender: str = "ERP-1") -> Path:
    with path.open("ab") as file:
        for number, batch in enumerate(batches):
            redacted = REDACTOR.redact(json.dumps(batch).encode(), 200, b"{}")
            file.write(
                write_line(
                    make_line(
                        redacted,
                        id=f"{path.name}-{number}",
                        at=1.0,
                        sender=sender,
                        profile="autocollect",
                        organizations=(),
                        status=200,
                        seconds=0.1,
                    )
                )
            )
    return path


def invoice(number: str, **more: Any) -> dict[str, Any]:
    return {"invoiceNumber": number, "originalInvoiceAmount": 10, "dueDate": "2024-02-15", **more}


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """A copy of the mappings, to be changed."""
    return Path(shutil.copytree(ROOT / "mappings", tmp_path / "after"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / "autocollect" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def impact(run: Run, config: Path, after: Path, *more: object) -> Any:
    return run("impact", *more, "-c", config, "--before", ROOT / "mappings", "--after", after)


def test_nothing_changes(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """The same mappings change no row, and --fail has nothing to fail about."""
    file = write(tmp_path / "r.jsonl", {"invoice": [invoice("1"), {}]})
    ran = impact(run, config, after, file, "--fail")
    assert ran.code == 0, ran.err
    assert "0 of 2 rows in 1 exchanges change" in ran.out


def test_exactly_the_rows_that_change(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """Each is told by file, line and address, with every field that differs, and no other row is."""
    edit(after, "invoice.toml", 'fields = ["type", "currency"]\ntransform = "upper"', 'fields = ["type", "currency"]')
    quiet, loud = invoice("1", currency="NOK"), invoice("2", currency="nok", type="private")
    file = write(tmp_path / "r.jsonl", {"invoice": [quiet]}, {"invoice": [quiet, loud, quiet]})
    report = impact(run, config, after, file, "--json").json
    assert report["rows_changed"] == [
        {
            "file": str(file),
            "line": 2,
            "objectname": "invoice",
            "objectindex": 1,
            "changes": [
                {"what": "item.type", "before": '"PRIVATE"', "after": '"private"'},
                {"what": "item.currency", "before": '"NOK"', "after": '"nok"'},
            ],
        }
    ]
    assert (report["lines"], report["rows"], report["changed"]) == (2, 4, 1)
    assert report["kinds"] == {"item.type": 1, "item.currency": 1}
    ran = impact(run, config, after, file, "--fail")
    assert ran.code == 1
    assert f"{file}:2  invoice 1\n    item.type: " in ran.out
    assert "1 of 4 rows in 2 exchanges change" in ran.out


def test_verdict_operation_reference_and_organization(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """A row that was refused and is not any more is told with all it would become."""
    edit(
        after,
        "action.toml",
        '{ code = 4, refused = "a message to the case handler',
        '{ code = 44, refused = "a message',
    )
    edit(
        after,
        "action.toml",
        "{ code = 5, value =",
        '{ code = 4, value = "pause", evidence = "assumed" },\n  { code = 5, value =',
    )
    file = write(tmp_path / "r.jsonl", {"action": [{"actiontype": 4, "ledgerref": "L-7"}]})
    changes = {
        one["what"]: (one["before"], one["after"])
        for one in impact(run, config, after, file, "--json").json["rows_changed"][0]["changes"]
    }
    assert changes["verdict"] == ("refused", "accepted")
    assert changes["operation"] == ("-", "pause")
    assert changes["refers to"] == ("-", "case by ledgerref L-7")
    assert "message" in changes
    assert "organization" in changes


def test_names_by_which_a_row_is_known(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """An invoice that other rows find by another name changes, and so does the payment that found it."""
    edit(after, "invoice.toml", 'ledgerref = "ledgerref"\n\n[[operation]]', "\n[[operation]]")
    batch = {
        "invoice": [invoice("1", ledgerref="L-1", debtors=[{"name": "Kari"}])],
        "payment": [{"ledgerref": "L-1", "amount": 1}],
    }
    by_id = {"payment": [{"invoiceId": "4f163819-178d-470c-a246-d6768476a6ec", "amount": 1}]}
    rows = impact(run, config, after, write(tmp_path / "r.jsonl", batch, by_id), "--json").json["rows_changed"]
    assert [(row["objectname"], [one["what"] for one in row["changes"]]) for row in rows] == [("invoice", ["known by"])]


def test_fields_of_arrays_are_counted_together(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """What changes is summed up by its path, wherever in an array it stands."""
    edit(
        after,
        "invoice.toml",
        '"debtors[].type", "claims[].type"]\ntransform = "upper"',
        '"debtors[].type", "claims[].type"]',
    )
    file = write(tmp_path / "r.jsonl", {"invoice": [invoice("1", claims=[{"type": "a"}, {"type": "p"}])]})
    assert impact(run, config, after, file, "--json").json["kinds"] == {"item.claims[].type": 1}


def test_what_cannot_be_judged_is_told(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """Broken lines and strangers are left out and counted; a batch refused as a whole under both changes nothing."""
    file = write(tmp_path / "r.jsonl", {"invoice": 5})
    write(file, {"invoice": []}, sender="ERP-9")
    with file.open("ab") as stream:
        stream.write(b"{")
    ran = impact(run, config, after, file)
    assert "0 of 0 rows in 1 exchanges change" in ran.out
    assert "1 lines that cannot be read" in ran.out
    assert "1 lines that are of a sender nobody knows" in ran.out


def test_nothing_to_look_at(run: Run, config: Path, after: Path, tmp_path: Path) -> None:
    """A file without an exchange fails, with --fail and without: a pipeline must not take it for no change."""
    file = tmp_path / "r.jsonl"
    file.write_bytes(b"my notes\n")
    ran = impact(run, config, after, file)
    assert (ran.code, "Nothing could be looked at" in ran.out) == (1, True)


def test_folders_are_checked(run: Run, config: Path, tmp_path: Path) -> None:
    """A folder that is none, or lacks the profile, is told."""
    file = write(tmp_path / "r.jsonl", {"invoice": [invoice("1")]})
    assert "--after: there is no folder" in impact(run, config, tmp_path / "nowhere", file).err
    (tmp_path / "empty").mkdir()
    ran = impact(run, config, tmp_path / "empty", file)
    assert (ran.code, "autocollect" in ran.err, "Traceback" in ran.err) == (1, True, False)
