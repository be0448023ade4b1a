"""The cross-reference from the command line, beside a running bridge, and what rows find through it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.__main__ import main
from bridge.journal import Claim

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@pytest.fixture(autouse=True)
def _leave_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)


@pytest.fixture
def bridge(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run one command line beside the running bridge; return exit code and output."""

    async def run(world: Any, *words: object) -> tuple[int, str]:
        capsys.readouterr()
        arguments = ["xref", *map(str, words), "--config", str(world.folder / "bridge.toml")]
        code = await asyncio.to_thread(main, arguments)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


async def plant(world: Any, count: int, *, prefix: str = "P-", organization: str = ORG_A, **fields: object) -> None:
    """Put claims into the modern system as the legacy host had created them."""
    order = {"organization": organization, "count": count, "prefix": prefix, "invoice": fields}
    async with world.session.post(f"{world.sandbox.url}/sandbox/claims", json=order) as response:
        assert response.status == 201, await response.text()


async def tell(world: Any, event: dict[str, Any]) -> None:
    """Send a webhook as the vendor does."""
    body = json.dumps(event).encode()
    signature = hmac.new(b"hook-secret", body, hashlib.sha256).hexdigest()
    headers = {"X-Amili-Event": event["eventType"], "X-Webhook-Signature": signature, "IdempotencyKey": "h-1"}
    async with world.session.post(world.url + "/hooks/amili", data=body, headers=headers) as response:
        assert response.status == 200


def claims_file(folder: Path, *lines: str) -> Path:
    path = folder / "claims.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


# --- rebuild -------------------------------------------------------------------------------------------------------


async def test_a_rebuild_reads_every_claim_of_one_organization(world: Any, bridge: Callable[..., Any]) -> None:
    """All pages, by the organization's name; another organization's claims stay unknown."""
    await plant(world, 450)
    await plant(world, 3, prefix="F-", organization=ORG_B)
    code, said = await bridge(world, "rebuild", "nordlys energi as")
    assert code == 0, said
    assert "450 claims read, 450 of them new" in said
    assert [one.organization for one in await world.books.find_claims("P-450")] == [ORG_A]
    assert await world.books.find_claims("F-1") == []
    code, said = await bridge(world, "rebuild", ORG_A)
    assert "450 claims read, 0 of them new" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_rebuild_that_is_killed_goes_on(
    world: Any, bridge: Callable[..., Any], wait_until: Callable[..., Any], number: int
) -> None:
    """What was read is kept, and the next run reads the rest only."""
    await plant(world, 900)
    world.sandbox.play({"fault": [{"operation": "cases", "kind": "slow", "page": 3, "seconds": 60}]})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "xref", "rebuild", ORG_A, "--config", world.folder / "bridge.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "BRIDGE__MODERN__REQUEST_TIMEOUT_SECONDS": "60"},
    )
    await wait_until(lambda: sum(one.operation == "cases" for one in world.sandbox.requests.newest()) == 3, 30)
    process.send_signal(number)
    said = (await process.communicate())[0].decode()
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert ("Interrupted after 400 claims" in said) == (number == signal.SIGINT)
    assert "Traceback" not in said
    world.sandbox.play({})
    code, said = await bridge(world, "rebuild", ORG_A)
    assert code == 0
    assert "Going on where an earlier reading stopped, after 400 claims." in said
    assert "500 claims read (900 with what was read before), 500 of them new" in said


async def test_a_place_the_vendor_has_forgotten_leads_to_the_start(world: Any, bridge: Callable[..., Any]) -> None:
    """The run says so, and reads everything."""
    await plant(world, 450)
    world.sandbox.play({"fault": [{"operation": "cases", "kind": "fail", "page": 2, "status": 403}]})
    assert (await bridge(world, "rebuild", ORG_A))[0] == 1
    world.sandbox.play({"fault": [{"operation": "cases", "kind": "fail", "page": 2, "status": 400, "times": 1}]})
    code, said = await bridge(world, "rebuild", ORG_A)
    assert code == 0
    assert "does not know that place any more: reading from the start" in said
    assert "450 claims read, 250 of them new" in said


async def test_a_rebuild_that_may_be_left_starts_over(world: Any, bridge: Callable[..., Any]) -> None:
    """--from-start does not ask how far the last one came."""
    await plant(world, 250)
    world.sandbox.play({"fault": [{"operation": "cases", "kind": "fail", "page": 2, "status": 403, "times": 1}]})
    assert (await bridge(world, "rebuild", ORG_A))[0] == 1
    code, said = await bridge(world, "rebuild", ORG_A, "--from-start")
    assert (code, "250 claims read, 50 of them new" in said) == (0, True)


async def test_credentials_that_are_refused_are_told(world: Any, bridge: Callable[..., Any]) -> None:
    """Whose they are and what to correct, without a stack trace."""
    world.sandbox.play({"fault": [{"operation": "token", "kind": "fail", "status": 401}]})
    code, said = await bridge(world, "rebuild", ORG_A)
    assert code == 1
    assert f"bridge: {ORG_A} (Nordlys Energi AS): stopped after 0 claims" in said
    assert "credentials refused: check client_id and client_secret of the organization" in said
    assert "Traceback" not in said


async def test_an_unknown_organization_is_told_with_the_known_ones(world: Any, bridge: Callable[..., Any]) -> None:
    """A wrong word on the command line names what could stand there."""
    code, said = await bridge(world, "rebuild", "Sydlys")
    assert code == 2
    assert "no such organization" in said
    assert ORG_A in said.replace("\n", "")


# --- import --------------------------------------------------------------------------------------------------------


async def test_an_imported_claim_is_found_by_what_the_erp_calls_it(world: Any, bridge: Callable[..., Any]) -> None:
    """Known by ledgerref and invoice number alone, it is looked up once; payment and action reach the right claim."""
    await plant(world, 3)
    file = claims_file(world.folder, "ledgerref;invoiceNumber", "L-1;P-1", "L-2;P-2")
    code, said = await bridge(world, "import", file, "--organization", "Nordlys Energi AS")
    assert (code, "2 rows imported" in said) == (0, True), said
    reply = await world.post({"action": [{"ledgerref": "L-2", "actiontype": 1}]})
    assert reply.states == {("action", 0): "OK"}
    reply = await world.post({"action": [{"ledgerref": "L-2", "actiontype": 2}]})
    assert reply.states == {("action", 0): "OK"}
    account = world.sandbox.state.account(ORG_A)
    (claim,) = await world.books.find_claims("L-2")
    (invoice,) = account.invoices_by_number["P-2"]
    assert (claim.invoice_id, claim.case_id, claim.invoice_number) == (invoice.id, invoice.case.id, "P-2")
    asked = [one for one in world.sandbox.requests.newest() if one.operation == "invoice-list"]
    assert len(asked) == 1


async def test_a_payment_finds_an_imported_claim(open_world: Any, bridge: Callable[..., Any]) -> None:
    """A classic payment row names its claim by ledgerref."""
    async with open_world(more=CLASSIC) as world:
        await plant(world, 3)
        file = claims_file(world.folder, "invoiceNumber,ledgerref", "P-2,L-2")
        assert (await bridge(world, "import", file, "--organization", ORG_A))[0] == 0
        row = {"ledgerref": "L-2", "sum": 100, "currencycode": "NOK", "paymentdate": "2024-03-01"}
        reply = await world.post({"payment": [row]}, bearer="token-classic")
        assert reply.states == {("payment", 0): "OK"}, reply.body
        (invoice,) = world.sandbox.state.account(ORG_A).invoices_by_number["P-2"]
        assert invoice.paid == 100


async def test_an_import_changes_nothing_the_second_time(world: Any, bridge: Callable[..., Any]) -> None:
    """The same rows again, in another order and encoding, are the same claims."""
    lines = ["L-1;1001;77", "L-Å;1002;78"]
    first = claims_file(world.folder, "ledgerref;invoiceNumber;caseNumber", *lines)
    assert (await bridge(world, "import", first, "--organization", ORG_A))[0] == 0
    known = await world.books.claims(ORG_A, "ledgerref", "L-Å")
    first.write_text("\n".join(["ledgerref;invoiceNumber;caseNumber", *reversed(lines)]), encoding="latin-1")
    arguments = ("import", first, "--organization", ORG_A, "--charset", "iso-8859-1")
    assert (await bridge(world, *arguments))[0] == 0
    assert await world.books.claims(ORG_A, "ledgerref", "L-Å") == known
    assert known == [Claim(ORG_A, ledgerref="L-Å", invoice_number="1002", case_number="78")]


async def test_nothing_of_a_faulty_file_is_imported(world: Any, bridge: Callable[..., Any]) -> None:
    """Faults are told by line and column; the good lines before them are not imported either."""
    file = claims_file(world.folder, "ledgerref;invoiceId", "L-1;", *["L-2;x"] * 22)
    code, said = await bridge(world, "import", file, "--organization", ORG_A)
    assert code == 1
    assert "22 faults; nothing was imported" in said
    assert "line 3, invoiceId: expected an id of the modern system" in said
    assert "… and 2 more" in said
    assert await world.books.find_claims("L-1") == []


async def test_a_dry_run_imports_nothing(world: Any, bridge: Callable[..., Any]) -> None:
    """It says what it found."""
    file = claims_file(world.folder, "ledgerref", "L-1")
    code, said = await bridge(world, "import", file, "--organization", ORG_A, "--dry-run")
    assert (code, "one row, no fault; nothing was imported" in said) == (0, True)
    assert await world.books.find_claims("L-1") == []


@pytest.mark.parametrize("charset", ["klingon", "utf-16", "hex"])
async def test_a_charset_that_cannot_be_read_line_by_line_is_refused(
    world: Any, bridge: Callable[..., Any], charset: str
) -> None:
    """The message names the usual ones."""
    code, said = await bridge(world, "import", claims_file(world.folder, "ledgerref"), "--charset", charset)
    assert code == 2
    assert "expected utf-8" in said


# --- find ----------------------------------------------------------------------------------------------------------


async def test_every_id_of_a_claim_leads_to_all_others(
    world: Any, bridge: Callable[..., Any], invoice: Callable[..., Any]
) -> None:
    """A claim that came through the bridge is found by any of them, with its row and the command to look at it."""
    reply = await world.post({"batchid": "B-7", "invoice": [invoice("1"), invoice("2")]})
    batch = reply.headers["x-bridge-batch"]
    (claim,) = await world.books.find_claims("erp-2")
    names = (claim.invoice_id, claim.case_number, claim.invoice_id.upper(), "erp-2")
    for name in names:
        code, said = await bridge(world, "find", name)
        assert code == 0
        assert f"{batch}, row invoice:1: bridge batches show {batch}" in said
        assert f"{ORG_A} (Nordlys Energi AS)" in said
        assert claim.modern_batch in said
    for name in ("B-7", batch, claim.modern_batch):
        code, said = await bridge(world, "find", name)
        assert (code, "Claim 2 of 2" in said) == (0, True), name


async def test_the_history_of_a_single_claim_is_shown(world: Any, bridge: Callable[..., Any]) -> None:
    """What webhooks told about its case; as JSON for scripts."""
    await plant(world, 1)
    await bridge(world, "rebuild", ORG_A)
    (claim,) = await world.books.find_claims("P-1")
    data = {"orgId": ORG_A, "caseId": claim.case_id, "caseNumber": claim.case_number, "status": "PAUSED"}
    data |= {"invoices": [claim.invoice_id], "fields": ["status"]}
    await tell(world, {"eventType": "CASE_UPDATED", "timeStamp": "2024-05-01T12:00:00Z", "data": data})
    _, said = await bridge(world, "find", "P-1")
    assert "What webhooks told about its case" in said
    assert "2024-05-01 12:00:00  CASE_UPDATED  PAUSED  status" in said
    _, said = await bridge(world, "find", "P-1", "--json")
    assert '"event": "CASE_UPDATED"' in said


async def test_nothing_found_says_where_else_to_look(world: Any, bridge: Callable[..., Any]) -> None:
    """Exit code 1, and the ways to teach the cross-reference."""
    code, said = await bridge(world, "find", "nowhere")
    assert code == 1
    assert "knows no claim by nowhere" in said
    assert "bridge xref rebuild" in said


async def test_claims_of_several_organizations_are_told_apart(world: Any, bridge: Callable[..., Any]) -> None:
    """One name need not be one claim."""
    await plant(world, 1)
    await plant(world, 1, organization=ORG_B)
    for organization in (ORG_A, ORG_B):
        await bridge(world, "rebuild", organization)
    _, said = await bridge(world, "find", "P-1")
    assert "Claim 2 of 2" in said
    assert "several organizations" in said


# --- creditors -----------------------------------------------------------------------------------------------------


async def test_creditors_that_rows_name_are_registered(world: Any, invoice: Callable[..., Any]) -> None:
    """Known or not, with the fields that named them; sending a batch again is no new mention."""
    batch = {
        "batchid": "C-1",
        "invoice": [invoice("1", creditorid="984842252")],
        "action": [{"creditorid": "999", "ledgerref": "1", "actiontype": 1}],
    }
    await world.post(batch)
    await world.post(batch)
    seen = {one.idnumber: one for one in await world.books.creditors()}
    assert {name: (one.known, one.fields) for name, one in seen.items()} == {
        "984842252": (True, ("invoice.creditorid",)),
        "999": (False, ("action.creditorid",)),
    }
    assert all(one.first_seen == one.last_seen for one in seen.values())


CLASSIC = f"""
[[sender]]
id = "CLASSIC"
profile = "classic"
organizations = ["{ORG_A}"]
bearer = "token-classic"
"""
