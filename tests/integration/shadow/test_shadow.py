"""Shadow mode by prediction: the legacy host answers, the bridge compares beside it, and nothing is sent anywhere."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.errors import CannotTakeNow
from bridge.journal import SetSwitch
from bridge.modes import Mode, Switch

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITOR_A, CREDITOR_B = "984842252", "971274190"
PAYMENT = {"ledgerref": "erp-1", "amount": 5, "currency": "NOK", "date": "2024-02-02"}
RECORDING = '[recording]\nfolder = "{folder}"\nkey = "a key for tests, nobody else has it"'


async def switch(shadowed: Any, organization: str, mode: Mode, **more: Any) -> None:
    """Switch an organization, as `bridge mode set` does."""
    number = {one.organization: one.number for one in await shadowed.world.books.switches()}.get(organization, 0)
    line = Switch(organization, mode, at=1.0, actor="test", reason="test", **more)
    await shadowed.world.books.write(SetSwitch(line, number))
    await shadowed.world.bridge.steering.switchboard.refresh()


# --- nothing is written ----------------------------------------------------------------------------------------------


async def test_a_shadowed_batch_causes_no_request_to_the_modern_system(open_shadow: Any, invoice: Any) -> None:
    """Not one: no write, no look-up, not even a token. With default settings there is nobody to be asked."""
    action = {"ledgerref": "erp-1", "type": "PAUSE"}
    batch = {
        "creditor": [{"idnumber": CREDITOR_A}],
        "invoice": [invoice("1")],
        "payment": [PAYMENT],
        "action": [action],
    }
    async with open_shadow() as shadowed:
        for _ in range(3):
            assert (await shadowed.post(batch))[0] == 200
        assert await shadowed.watched(3) == {("compared",): 3}
        assert shadowed.modern_requests == []
        assert await shadowed.world.books.ledger() is not None
        assert (await shadowed.world.ledger()).accepted == 0


async def test_answers_are_the_legacy_hosts_byte_for_byte(open_shadow: Any, answer: Any, invoice: Any) -> None:
    """Whatever the bridge thinks of them."""
    replies = [b'{"statuscode":\t0 ,"x":[1.50]}', b"\xff\x00 no JSON", b"", b'{"errors":[{}]}', b"[" * 100_000]
    async with open_shadow() as shadowed:
        for number, reply in enumerate(replies):
            shadowed.host.say = lambda _, reply=reply: answer(reply, status=202)
            assert await shadowed.post({"invoice": [invoice(str(number))]}) == (202, reply)
        assert (await shadowed.watched(len(replies))).total() == len(replies)


# --- what is found ---------------------------------------------------------------------------------------------------


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_three_planted_fields_of_a_thousand_pairs_are_three_leaves_with_exact_counts(
    open_shadow: Any, answer: Any, taken: Any, invoice: Any
) -> None:
    """Neither one more nor one less, row for row; everything else is the same."""

    def say(batch: dict[str, Any]) -> web.Response:
        number, reply = int(batch["invoice"][0]["invoiceNumber"]), taken(batch)
        row = reply["responses"][0]
        if number % 10 == 0:
            row["status_statuscode"] = "Registrert"
        if number % 25 == 0:
            row["ledgerref"] = f"L-{number}"
        if number % 4 == 0:
            row["caseNumber"] = number
        said: web.Response = answer(reply)
        return said

    async with open_shadow() as shadowed:  # with the default queue: a crowd of a thousand is looked at whole
        shadowed.host.say = say
        for start in range(0, 1000, 20):
            batches = ({"invoice": [invoice(str(number))]} for number in range(start, start + 20))
            assert {status for status, _ in await asyncio.gather(*map(shadowed.post, batches))} == {200}
        assert await shadowed.watched(1000) == {("compared",): 1000}
        leaves: Counter[tuple[str, str]] = Counter()
        for (path, kind, *_), count in (await shadowed.seen("difference")).items():
            leaves[path, kind] += count
        assert leaves == {
            ("invoice.status_statuscode", "value"): 100,
            ("invoice.ledgerref", "value"): 40,
            ("invoice.caseNumber", "missing"): 250,
        }
        differing = sum(number % 10 == 0 or number % 25 == 0 or number % 4 == 0 for number in range(1000))
        assert await shadowed.seen("compared") == {("same",): 1000 - differing, ("different",): differing}
        assert Counter(one.path for one in await shadowed.samples()) == {
            "invoice.caseNumber": 5,
            "invoice.ledgerref": 5,
            "invoice.status_statuscode": 1,
        }


async def test_the_legacy_half_of_a_divided_batch_is_compared(open_shadow: Any, invoice: Any) -> None:
    """A batch for a shadowed and a modern organization: the shadowed rows are watched on their way, the others not."""
    rows = [invoice("1", creditorid=CREDITOR_A), invoice("2", creditorid=CREDITOR_B)]
    async with open_shadow() as shadowed:
        await switch(shadowed, ORG_B, Mode.MODERN)
        assert (await shadowed.post({"invoice": rows}, "ERP-2"))[0] == 200
        await shadowed.watched(1)
        assert (await shadowed.seen("compared")).total() == 1
        assert await shadowed.seen("compared", ORG_B) == {}
        assert [len(one["invoice"]) for one in shadowed.host.batches] == [1]
        assert shadowed.world.accepted("invoices", ORG_A) == {}


async def test_noise_is_remembered_over_a_restart(
    open_shadow: Any, answer: Any, taken: Any, invoice: Any, wait_until: Any
) -> None:
    """Learnt from a resend; the next start, or another replica, reads it in the journal."""
    numbers = iter(range(1000))

    def say(batch: dict[str, Any]) -> web.Response:
        reply = taken(batch)
        reply["responses"][0]["ledgerref"] = f"made-up-{next(numbers)}"
        said: web.Response = answer(reply)
        return said

    async with open_shadow() as shadowed:
        shadowed.host.say = say
        for number in range(2):
            await shadowed.post({"invoice": [invoice("1")]})
            await shadowed.watched(number + 1)
        assert await shadowed.seen("noise") == {("invoice.ledgerref",): 1}
        assert await shadowed.seen("compared") == {("different",): 1, ("excused",): 1}
    async with open_shadow() as shadowed:
        shadowed.host.say = say
        await wait_until(lambda: len(shadowed.world.bridge.lookout._watcher._noise) == 1)
        await shadowed.post({"invoice": [invoice("2")]})
        await shadowed.watched(3)
        assert await shadowed.seen("compared") == {("different",): 1, ("excused",): 2}


# --- nothing personal is kept ----------------------------------------------------------------------------------------

NAME, NATIONAL_ID, TOKEN = "Gunnhild Ødegårdsvik", "01017012345", "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
HOSTILE = (
    {"statuscode": 0, NAME: {NATIONAL_ID: TOKEN}, "errors": [], "responses": []},
    {"statuscode": 0, "errors": [{"objectname": "invoice", "objectindex": 0, "message": f"{NAME} ({NATIONAL_ID})"}]},
    {"responses": [{"objectname": "invoice", "objectindex": 0, f"{NAME} {TOKEN}": [NAME], "ledgerref": NATIONAL_ID}]},
    {"responses": [{"objectname": NAME, "objectindex": 0}], "errors": [{"objectname": "batch", "message": NAME}]},
    f'{{"responses":[{{"objectname":"invoice","objectindex":0,"{NAME}\\ud800":"\\udfff{NATIONAL_ID}"}}]}}'.encode(),
    f"<html>{NAME} {NATIONAL_ID} {TOKEN}".encode(),
)


def read_files(folder: Path) -> dict[Path, bytes]:
    """Return everything that is stored in a folder, the configuration left aside."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".toml"}


@pytest.mark.parametrize("with_key", [True, False], ids=["recording", "not recording"])
async def test_nothing_personal_is_stored_whatever_the_legacy_host_says(
    open_shadow: Any, answer: Any, invoice: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], with_key: bool
) -> None:
    """Neither in what was observed, nor in samples, recordings or logs: names of members included."""
    more = RECORDING.format(folder=tmp_path / "recordings") if with_key else ""
    debtor = {"type": "PRIVATE", "name": NAME, "nationalId": NATIONAL_ID}
    async with open_shadow(more=more) as shadowed:
        if with_key:
            await switch(shadowed, ORG_A, Mode.SHADOW, recording=True)
        for number, reply in enumerate(HOSTILE):
            shadowed.host.say = lambda _, reply=reply: answer(reply)
            assert (await shadowed.post({"invoice": [invoice(f"{number}", debtors=[debtor])]}))[0] == 200
        assert (await shadowed.watched(len(HOSTILE)))["compared",] == len(HOSTILE)
        assert len(await shadowed.seen("difference")) > 5
        assert await shadowed.samples()
    output = capsys.readouterr()
    stored = read_files(tmp_path)
    assert any(path.suffix == ".jsonl" for path in stored) is with_key
    for planted in (*NAME.split(), NATIONAL_ID, *TOKEN.split(".")):
        assert planted not in output.out + output.err
        for path, content in stored.items():
            assert planted.encode() not in content, (planted, path.name)


async def test_recorded_exchanges_hold_pseudonyms_and_are_private(
    open_shadow: Any, invoice: Any, tmp_path: Path
) -> None:
    """What the bridge needs to judge a row again stays; the rest stands in for people."""
    folder = tmp_path / "recordings"
    async with open_shadow(more=RECORDING.format(folder=folder)) as shadowed:
        await switch(shadowed, ORG_A, Mode.LEGACY, recording=True)
        await shadowed.post({"invoice": [invoice("1001")]})
    (file,) = folder.glob("*.jsonl")
    assert file.stat().st_mode & 0o077 == 0
    line = file.read_text()
    assert '"invoiceNumber":"1001"' in line
    assert "Nordmann" not in line
    assert line.count("\n") == 1


# --- nobody is held up -----------------------------------------------------------------------------------------------


async def test_a_store_in_trouble_costs_callers_nothing(
    open_shadow: Any, invoice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts wait in memory until it is back; the answers do not."""
    async with open_shadow() as shadowed:
        journal = shadowed.world.books
        write = type(journal).write

        async def refuse(*_: object) -> None:
            raise CannotTakeNow

        monkeypatch.setattr(type(journal), "write", refuse)
        for number in range(5):
            assert (await shadowed.post({"invoice": [invoice(str(number))]}))[0] == 200
        await shadowed.world.bridge.steering.observatory.flush()
        monkeypatch.setattr(type(journal), "write", write)
        assert await shadowed.watched(5) == {("compared",): 5}


async def test_what_there_is_no_room_for_is_left_out_and_counted(open_shadow: Any, invoice: Any) -> None:
    """A burst is answered as ever."""
    async with open_shadow(cutover="watch_queue = 2") as shadowed:
        lookout = shadowed.world.bridge.lookout
        began, gate = asyncio.Event(), asyncio.Event()

        async def wait_and_look(exchange: Any) -> None:
            began.set()
            await gate.wait()
            await lookout._watcher.look(exchange)

        lookout._queue._look = wait_and_look
        await shadowed.post({"invoice": [invoice("first")]})
        await began.wait()
        batches = ({"invoice": [invoice(str(number))]} for number in range(9))
        answers = await asyncio.gather(*map(shadowed.post, batches))
        assert {status for status, _ in answers} == {200}
        gate.set()
        assert await shadowed.watched(10) == {("compared",): 3, ("left_out",): 7}
        async with shadowed.world.session.get(shadowed.world.url + "/metrics") as metrics:
            assert "bridge_exchanges_left_out_total 7.0" in await metrics.text()


async def test_a_stop_looks_at_what_waits_and_counts_it(open_shadow: Any, invoice: Any) -> None:
    """Nothing that was offered is forgotten: it is compared, or counted as left out."""
    async with open_shadow() as shadowed:
        for number in range(20):
            await shadowed.post({"invoice": [invoice(str(number))]})
    async with open_shadow() as shadowed:
        assert (await shadowed.seen("pair")).total() == 20


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_large_batches_hold_nobody_up(open_shadow: Any, invoice: Any) -> None:
    """While thousands of rows are compared, small calls are answered in between."""
    rows = [invoice(str(number)) for number in range(4000)]
    async with open_shadow() as shadowed:
        assert (await shadowed.post({"invoice": rows}))[0] == 200
        pings, began = 0, time.monotonic()
        while not await shadowed.seen("pair"):
            async with shadowed.world.session.get(shadowed.world.url + "/webapi/api/Ping") as ping:
                assert ping.status == 200
            pings += 1
        assert pings > 20, time.monotonic() - began
        assert await shadowed.seen("compared") == {("same",): 4000}
