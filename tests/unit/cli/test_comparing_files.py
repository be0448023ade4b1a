"""`bridge compare`: recordings in, buckets and a tree out; nothing is asked, sent or kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Configure = Callable[..., Path]
Write = Callable[..., Path]

ORG, OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
TWO = f"""
[[organization]]
id = "{OTHER}"
name = "Fjellheim"
creditors = ["971274190"]
client_id = "fjellheim"
client_secret = "demo"

[[sender]]
id = "ERP-2"
organizations = ["{ORG}", "{OTHER}"]
bearer = "demo-2"
"""


def invoice(number: int = 0, **fields: Any) -> dict[str, Any]:
    row = {"invoiceNumber": f"N-{number}", "originalInvoiceAmount": 100, "dueDate": "2026-02-15T00:00:00Z"}
    return {**row, "uniqueSourceInvoiceId": f"U-{number}", **fields}


def taken(index: int = 0, ref: str = "U-0", objectname: str = "invoice", **fields: Any) -> dict[str, Any]:
    entry = {"objectname": objectname, "objectindex": index, "ledgerref": ref, "status_statuscode": "OK"}
    return {**entry, **fields}


def reply(*responses: Any, errors: tuple[Any, ...] = (), statuscode: int = 0, **fields: Any) -> dict[str, Any]:
    return {"statuscode": statuscode, "errors": list(errors), "responses": list(responses), **fields}


def line(request: Any, legacy: Any, *, status: int = 200, **fields: Any) -> dict[str, Any]:
    known = {"v": 1, "id": "p1", "at": 1.5, "sender": "ERP-1", "profile": "autocollect", "organizations": [ORG]}
    answers = {"request": request, "legacy": {"status": status, "body": legacy}, "seconds": 0.1}
    return {**known, **answers, **fields}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a recording."""

    def make(*lines: Any, name: str = "pairs.jsonl", tail: str = "") -> Path:
        file = tmp_path / name
        text = "".join(json.dumps(one) + "\n" for one in lines) + tail
        file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return file

    return make


def paths(report: Any) -> dict[str, int]:
    return {leaf["path"]: leaf["count"] for leaf in report["tree"]}


def test_no_difference(run: Run, config: Path, write: Write) -> None:
    """Where the predicted answer is the legacy one, nothing differs and the exit code is 0."""
    ran = run("compare", write(line({"invoice": [invoice()]}, reply(taken()))), "-c", config)
    assert ran.code == 0, ran.out + ran.err
    assert "Nowhere do they differ" in ran.out
    assert "1 pair: nothing differs without excuse" in ran.out


def test_three_planted_fields(run: Run, config: Path, write: Write) -> None:
    """Of 1,000 predicted pairs with three planted fields, the tree has exactly these leaves, counted and explained."""
    lines = []
    for number in range(1000):
        planted: dict[str, Any] = {}
        planted |= {"ledgerref": "X"} if number % 10 == 0 else {}
        planted |= {"status_statuscode": "Registered"} if number % 25 == 0 else {}
        planted |= {"caseNumber": number} if number % 40 == 0 else {}
        legacy = reply({**taken(ref=f"U-{number}"), **planted})
        lines.append(line({"batchid": f"B{number}", "invoice": [invoice(number)]}, legacy, id=f"p{number}"))
    file = write(*lines)
    ran = run("compare", file, "-c", config, "--json")
    assert ran.code == 1
    report = ran.json
    assert paths(report) == {"invoice.caseNumber": 25, "invoice.ledgerref": 100, "invoice.status_statuscode": 40}
    assert report["pairs"] == 1000
    assert report["rows"] == {"same": 880, "different": 120, "excused": 0}
    assert report["batches"] == {"same": 1000, "different": 0, "excused": 0}
    origins = {leaf["path"]: leaf["kinds"][0]["origin"] for leaf in report["tree"]}
    assert origins["invoice.ledgerref"] == "autocollect/invoice.toml: reply_reference"
    assert origins["invoice.status_statuscode"] == "autocollect/reply.toml: [texts] accepted"
    assert report["organizations"][0]["organization"] == ORG
    assert report["organizations"][0]["tree"] == report["tree"]

    shown = run("compare", file, "-c", config)
    assert shown.code == 1
    assert "  ├── ledgerref: 100 different (value)  ← autocollect/invoice.toml: reply_reference\n" in shown.out
    assert '  │   ├── e.g. p0 invoice 0: "X" → "U-0"\n' in shown.out
    assert "1,000 pairs: 120 rows and 0 batches as a whole differ without excuse" in shown.out


def test_the_same_report(run: Run, config: Path, write: Write) -> None:
    """The same recording gives the same report, to the byte."""
    file = write(*(line({"invoice": [invoice(number)]}, reply(taken(ref=str(number % 7)))) for number in range(50)))
    assert run("compare", file, "-c", config, "--json").out == run("compare", file, "-c", config, "--json").out


def test_a_refusal_names_its_rule(run: Run, config: Path, write: Write) -> None:
    """A row that only the bridge refuses is a verdict, with the rule of the mapping that refuses it."""
    row = invoice()
    del row["dueDate"]
    (leaf, code) = run("compare", write(line({"invoice": [row]}, reply(taken()))), "-c", config, "--json").json["tree"][
        ::-1
    ]
    assert leaf["path"] == "invoice.verdict"
    assert leaf["kinds"][0]["kind"] == "verdict"
    assert leaf["kinds"][0]["origin"] == "autocollect/invoice.toml: require dueDate"
    assert leaf["samples"][0]["bridge"] == '"refused: dueDate: required"'
    assert code["kinds"][0]["origin"] == "autocollect/reply.toml: [codes] all_refused"


def test_batches_refused_as_a_whole(run: Run, config: Path, write: Write) -> None:
    """A batch that neither takes is compared by status and message; nothing is predicted of its rows."""
    refused = {"objectname": "batch", "objectindex": 0, "message": "no"}
    report = run(
        "compare",
        write(line({"invoice": 1}, reply(errors=(refused,), statuscode=2), status=400)),
        "-c",
        config,
        "--json",
    ).json
    assert paths(report) == {"batch.message": 1}


def test_recorded_answers_are_used(run: Run, config: Path, write: Write) -> None:
    """An answer of the bridge that a replay recorded is compared as it is."""
    recorded = {"status": 200, "body": reply(taken(ref="replayed"))}
    report = run(
        "compare", write(line({"invoice": [invoice()]}, reply(taken()), bridge=recorded)), "-c", config, "--json"
    ).json
    assert report["tree"][0]["samples"][0]["bridge"] == '"replayed"'


def test_claims_of_earlier_batches(run: Run, config: Path, write: Write) -> None:
    """A payment for an invoice of an earlier recorded batch is predicted; one for a claim nobody saw is not."""
    payment = {"uniqueSourcePaymentId": "P", "amount": 10, "paymentDate": "2026-01-01T00:00:00Z", "type": "PAYMENT"}
    before = line({"batchid": "1", "invoice": [invoice(1)]}, reply(taken(ref="U-1")))
    errors = ({"objectname": "payment", "objectindex": 0, "message": "x"},)
    known = line({"batchid": "2", "payment": [{**payment, "invoiceNumber": "N-1"}]}, reply(errors=errors, statuscode=2))
    unknown = line(
        {"batchid": "3", "payment": [{**payment, "invoiceNumber": "N-9"}]}, reply(errors=errors, statuscode=2)
    )
    report = run("compare", write(before, known, unknown), "-c", config, "--json").json
    assert report["rows"] == {"same": 1, "different": 1, "excused": 1}
    assert report["not_predicted"] == 1
    assert "1 of the excused rows belong to claims" in run("compare", write(before, unknown), "-c", config).out


def test_two_organizations(run: Run, configure: Configure, write: Write) -> None:
    """Rows are counted under the organization they are routed to, also with a recorded answer; one can be asked for."""
    config = configure(more=TWO)
    rows = [invoice(0, creditorid="984842252"), invoice(1, creditorid="971274190"), invoice(2, creditorid="17")]
    legacy = reply(taken(0, "x"), taken(1, "x"), taken(2, "U-2"))
    own: dict[str, Any] = {"sender": "ERP-2", "organizations": [ORG, OTHER]}
    predicted = line({"invoice": rows}, legacy, **own)
    recorded = {"status": 200, "body": reply(taken(0, "U-0"), taken(1, "U-1"), taken(2, "U-2"))}
    for one in (predicted, {**predicted, "bridge": recorded}):
        file = write(one)
        report = run("compare", file, "-c", config, "--json").json
        rows_of = {part["organization"]: part["rows"]["different"] for part in report["organizations"]}
        assert (rows_of[ORG], rows_of[OTHER]) == (1, 1)
        other = run("compare", file, "-c", config, "--organization", "fjellheim", "--json").json
        assert paths(other) == {"invoice.ledgerref": 1}
        assert other["rows"] == {"same": 0, "different": 1, "excused": 0}
    unread = line({"invoice": 1}, reply(), bridge=recorded, **own)
    assert run("compare", write(unread), "-c", config, "--json").json["rows"]["different"] == 3
    alone = line({"invoice": [invoice()]}, reply(taken(ref="x")))
    assert run("compare", write(alone), "-c", config, "--organization", OTHER, "--json").json["pairs"] == 0


RULES = """
[fields]
undocumented = ["batch.traceId"]
[[rule]]
id = "refs"
path = "invoice.ledgerref"
does = "ignore"
owner = "migration team"
reason = "each has its own"
expires = 2026-06-30
[[rule]]
id = "trace"
path = "batch.traceId"
does = "ignore"
owner = "migration team"
reason = "nobody reads it"
expires = 2027-06-30
"""


def test_rules(run: Run, configure: Configure, write: Write, tmp_path: Path) -> None:
    """Rules of the configuration, or of a file that is named, excuse; used, unused and expired ones are listed."""
    rules = tmp_path / "differences.toml"
    rules.write_text(RULES, encoding="utf-8")
    file = write(line({"invoice": [invoice()]}, reply(taken(ref="x"))))
    config = configure(more='[cutover]\ndifferences = "differences.toml"\n')
    before = run("compare", file, "-c", config, "--on", "2026-06-30")
    assert before.code == 0
    assert "Rules that excused something" in before.out
    assert "Rules that excused nothing" in before.out
    assert "expired" not in before.out
    after = run("compare", file, "-c", config, "--on", "2026-07-01")
    assert after.code == 1
    assert "; expired: refs)" in after.out
    assert "Rules that have expired" in after.out

    bare = configure()
    assert run("compare", file, "-c", bare, "--json").json["rules"] == {"used": [], "unused": [], "expired": []}
    named = run("compare", file, "-c", bare, "--rules", rules, "--on", "2026-07-01", "--json").json["rules"]
    assert [(rule["id"], rule["would_excuse"]) for rule in named["expired"]] == [("refs", 1)]
    assert [rule["id"] for rule in named["unused"]] == ["trace"]
    used = run("compare", file, "-c", bare, "--rules", rules, "--on", "2026-01-01", "--json").json["rules"]["used"]
    assert [(rule["id"], rule["excused"], rule["owner"]) for rule in used] == [("refs", 1, "migration team")]


def test_faulty_rules(run: Run, config: Path, write: Write, tmp_path: Path) -> None:
    """A rules file with a fault stops the command, with every fault named."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES.replace("invoice.ledgerref", "invoice.legderref").replace('"trace"', '"noise"'))
    ran = run("compare", write(), "-c", config, "--rules", rules)
    assert (ran.code, ran.out) == (1, "")
    assert 'rule "refs": path: "invoice.legderref" cannot exist' in ran.err
    assert 'rule "noise": id: the bridge uses this word itself' in ran.err


def test_noise(run: Run, config: Path, write: Write) -> None:
    """What two legacy answers to one payload give differently excuses that field everywhere, before and after."""
    first = line({"batchid": "1", "invoice": [invoice(1)]}, reply(taken(ref="L-0")))
    asked = {"batchid": "2", "invoice": [invoice(2)]}
    sent, again = line(asked, reply(taken(ref="L-1"))), line(asked, reply(taken(ref="L-2"), late=True))
    same = line(asked, reply(taken(ref="L-1")))
    other_sender = line(asked, reply(taken(ref="L-9")), sender="ERP-2")
    ran = run("compare", write(first, sent, again, same, other_sender), "-c", config, "--json")
    assert ran.json["noise"] == ["invoice.ledgerref"]
    assert ran.json["resends"] == 2
    assert ran.json["rows"] == {"same": 0, "different": 0, "excused": 4}
    shown = run("compare", write(first, sent, again), "-c", config)
    assert "invoice.ledgerref: two legacy answers to one payload disagree here (1 resend looked at)" in shown.out
    assert "; noise)" in shown.out


def test_noise_of_several_organizations(run: Run, configure: Configure, write: Write) -> None:
    """Noise is the organization's whose row it was seen in."""
    rows = [invoice(0, creditorid="984842252"), invoice(1, creditorid="971274190")]
    own: dict[str, Any] = {"sender": "ERP-2", "organizations": [ORG, OTHER]}
    lines = [line({"invoice": rows}, reply(taken(0, ref), taken(1, "x"), traceId=ref), **own) for ref in ("L-1", "L-2")]
    report = run("compare", write(*lines), "-c", configure(more=TWO), "--json").json
    rows_of = {part["organization"]: part["rows"] for part in report["organizations"]}
    assert rows_of[ORG] == {"same": 0, "different": 0, "excused": 2}
    assert rows_of[OTHER] == {"same": 0, "different": 2, "excused": 0}


def test_what_is_left_out(run: Run, config: Path, write: Write, tmp_path: Path) -> None:
    """Lines, senders and pairs that cannot be compared are counted and told, never passed over in silence."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    good = line({"invoice": [invoice()]}, reply(taken()))
    write({**good, "sender": "ERP-9"}, {**good, "v": 2}, {**good, "request": None}, name="recordings/a.jsonl.gz")
    write(good, {**good, "legacy": None}, name="recordings/b.jsonl", tail='{"v": 1, "id": "cut of')
    ran = run("compare", folder, "-c", config)
    assert ran.code == 0, ran.out + ran.err
    assert "left out: 2 lines that are no recorded exchange" in ran.out
    assert "left out: 1 pairs of senders that are not configured" in ran.out
    assert "left out: 2 pairs of which a side could not be recorded" in ran.out
    assert "1 pair: nothing differs" in ran.out


def test_nothing_to_compare(run: Run, config: Path, tmp_path: Path) -> None:
    """A file of something else fails, and no rule is said to be idle because of it."""
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n")
    ran = run("compare", file, "-c", config)
    assert (ran.code, "nothing could be compared" in ran.out, "differ" in ran.out) == (1, True, False)
    assert "left out: 1 lines that are no recorded exchange" in ran.out


@pytest.mark.parametrize("typed", ["20.11.2026", "2026-13-40", "tomorrow"])
def test_a_day_is_written_in_one_way(run: Run, config: Path, tmp_path: Path, typed: str) -> None:
    """What is none is told, with how to write one."""
    ran = run("compare", tmp_path, "-c", config, "--on", typed)
    assert (ran.code, f"{typed}: is no day; write it as 2026-11-20" in ran.err) == (2, True)


def test_no_such_file(run: Run, config: Path, tmp_path: Path) -> None:
    """A file that is not there is named."""
    ran = run("compare", tmp_path / "none.jsonl", "-c", config)
    assert (ran.code, ran.out) == (1, "")
    assert "none.jsonl: cannot be read (No such file or directory); name recordings or a folder" in ran.err


def test_an_unreadable_answer_is_a_difference(run: Run, config: Path, write: Write) -> None:
    """An error page of the legacy host is no JSON, and told as that."""
    report = run("compare", write(line({"invoice": [invoice()]}, None, status=502)), "-c", config, "--json").json
    assert set(paths(report)) == {"http.status", "http.body", "batch.verdict", "invoice.row"}


def test_branches_with_several_ways(run: Run, config: Path, write: Write) -> None:
    """A field that differs in several ways tells each of them; long values are cut, and what is absent says so."""
    lines = [
        line({"batchid": "1", "invoice": [invoice()]}, reply({**taken(), "ledgerref": "x" * 200})),
        line({"batchid": "2", "invoice": [invoice()]}, reply({**taken(), "ledgerref": 17})),
        line({"batchid": "3", "invoice": [invoice()]}, reply({**taken(), "ids": {"a": None}})),
    ]
    out = run("compare", write(*lines), "-c", config).out
    assert "ledgerref: 1 different (type), 1 different (value)" in out
    assert "1 different (type)  ← autocollect/invoice.toml: reply_reference" in out
    assert 'e.g. p1 invoice 0: {"a":null} → (nothing)' in out
    assert "x" * 79 + "…" in out
