"""What is learnt from one exchange with the legacy host after the other."""

from __future__ import annotations

import asyncio
import gzip
import tomllib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bridge.comparing import Answer
from bridge.exchanges import Message
from bridge.journal import Claim, CountUnknown, SeeCreditor
from bridge.mapping.examples import list_parts
from bridge.modes import Mode

NORDLYS = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
FJELLHEIM = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def invoice(number: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "type": "PAYMENT_REMINDER",
        "invoiceNumber": number,
        "originalInvoiceAmount": 100,
        "currency": "NOK",
        "dueDate": "2026-01-01",
        "uniqueSourceInvoiceId": f"erp-{number}",
        **more,
    }


def taken(*places: tuple[str, int, str], code: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "statuscode": code,
        "errors": [],
        "responses": [
            {"objectname": name, "objectindex": index, "ledgerref": ref, "status_statuscode": "OK", **more}
            for name, index, ref in places
        ],
    }


async def test_equal_answers_are_counted_as_same(stage: Any, exchanged: Any) -> None:
    """A row that both systems answer alike is one that is the same, and nothing differs."""
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, taken(("invoice", 0, "erp-1"))))
    assert await stage.rows() == {"same": 1}
    assert (NORDLYS, "pair", ("compared",)) in await stage.seen()
    assert await stage.samples() == []


async def test_a_difference_is_counted_with_its_origin_and_a_sample(stage: Any, exchanged: Any) -> None:
    """The tree is made of these counts; the sample is scrubbed before anybody sees it."""
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, taken(("invoice", 0, "L-77"))))
    assert await stage.rows() == {"different": 1}
    subject = ("invoice.ledgerref", "value", "different", "", "autocollect/invoice.toml: reply_reference")
    assert (await stage.seen())[NORDLYS, "difference", subject] == 1
    (sample,) = await stage.samples()
    assert (sample.path, sample.sender, sample.address) == ("invoice.ledgerref", "ERP-1", ("invoice", 0))
    assert sample.legacy.startswith("scrubbed")
    assert sample.bridge.startswith("scrubbed")


async def test_few_samples_are_scrubbed_however_often_something_differs(stage: Any, exchanged: Any) -> None:
    """Counts are cheap, samples are not: five that differ among themselves are enough for people."""
    for number in range(9):
        for _ in range(2):
            batch = {"invoice": [invoice(str(number))]}
            await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "L-77"))))
    assert await stage.rows() == {"different": 18}
    assert len(await stage.samples()) == 5


async def test_what_the_bridge_would_refuse_is_a_difference_of_verdict(stage: Any, exchanged: Any) -> None:
    """A row that the legacy host takes and the bridge refuses names the rule that refuses it."""
    batch = {"invoice": [invoice(dueDate="31.02.2024")]}
    await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "erp-1"))))
    found = [subject for _, topic, subject in await stage.seen() if topic == "difference"]
    verdict = next(subject for subject in found if subject[0] == "invoice.verdict")
    assert verdict[1] == "verdict"
    assert "dueDate" in verdict[4]


async def test_only_rows_of_shadowed_organizations_count(stage: Any, exchanged: Any) -> None:
    """In a batch for two organizations, the one in legacy mode is left alone."""
    stage.switches.set(FJELLHEIM, Mode.LEGACY)
    batch = {"invoice": [invoice("1", creditorid="984842252"), invoice("2", creditorid="971274190")]}
    reply = taken(("invoice", 0, "other"), ("invoice", 1, "other"))
    await stage.watcher.look(exchanged(batch, reply, sender="ERP-2"))
    assert await stage.rows(NORDLYS) == {"different": 1}
    assert {who for who, _, _ in await stage.seen()} == {NORDLYS}
    assert sum(count for (_, topic, _), count in (await stage.seen()).items() if topic == "difference") == 1


async def test_an_organization_in_legacy_mode_is_only_recorded(stage: Any, exchanged: Any) -> None:
    """Recording needs no comparison, and gets the decoded bodies."""
    stage.switches.set(NORDLYS, Mode.LEGACY, recording=True)
    batch = {"invoice": [invoice(shoeSize=43)]}
    request = Message(gzip.compress(msgspec.json.encode(batch)), "application/json", "gzip")
    await stage.watcher.look(exchanged(request, taken(("invoice", 0, "erp-1"))))
    ((organizations, body, reply),) = stage.scribe.recorded
    assert organizations == (NORDLYS,)
    assert msgspec.json.decode(body) == batch
    assert msgspec.json.decode(reply)["statuscode"] == 0
    assert (await stage.seen(), stage.store.changes) == ({}, []), "nobody works a batch that is not shadowed"


async def test_nothing_is_recorded_that_nobody_asked_for(stage: Any, exchanged: Any) -> None:
    """A shadowed organization is compared and not recorded."""
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, taken(("invoice", 0, "erp-1"))))
    assert stage.scribe.recorded == []


async def test_a_batch_that_cannot_be_read_is_counted_as_such(stage: Any, exchanged: Any) -> None:
    """It does not vanish from the figures."""
    await stage.watcher.look(exchanged(Message(b"not json", "application/json"), {}))
    await stage.watcher.look(exchanged(Message(b"{}", "text/html"), {}))
    assert (await stage.seen())[NORDLYS, "pair", ("unreadable",)] == 2


async def test_an_error_page_of_the_legacy_host_is_compared_as_what_it_is(stage: Any, exchanged: Any) -> None:
    """A 502 with HTML differs from the bridge's answer in status and body."""
    page = Message(b"<html>Bad Gateway</html>", "text/html")
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, page, status=502))
    paths = {subject[0] for _, topic, subject in await stage.seen() if topic == "difference"}
    assert {"http.status", "http.body"} <= paths


async def test_a_payment_for_an_earlier_shadowed_invoice_is_predicted(stage: Any, exchanged: Any) -> None:
    """The modern system does not have that invoice, because nothing was written; it would have it after a switch."""
    payment = {"invoiceNumber": "1", "amount": 5, "currency": "NOK", "date": "2026-01-02"}
    asked = exchanged({"payment": [payment]}, taken(("payment", 0, "1")))
    await stage.watcher.look(asked)
    assert await stage.rows() == {"excused": 1}
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, taken(("invoice", 0, "erp-1"))))
    await stage.watcher.look(asked)
    assert await stage.rows() == {"excused": 1, "same": 2}


async def test_a_payment_for_a_claim_of_the_cross_reference_is_predicted(stage: Any, exchanged: Any) -> None:
    """Imported claims are known, too."""
    stage.store.known.append(Claim(NORDLYS, invoice_number="9"))
    payment = {"invoiceNumber": "9", "amount": 5, "currency": "NOK", "date": "2026-01-02"}
    await stage.watcher.look(exchanged({"payment": [payment]}, taken(("payment", 0, "9"))))
    assert await stage.rows() == {"same": 1}


async def test_fields_that_two_legacy_answers_disagree_about_are_noise(stage: Any, exchanged: Any) -> None:
    """Learnt from a caller's own resend; from then on they are excused, and counted as noise."""
    batch = {"invoice": [invoice()]}
    await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "made-up-1"))))
    assert await stage.rows() == {"different": 1}
    await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "made-up-2"))))
    assert await stage.rows() == {"different": 1, "excused": 1}
    assert (await stage.seen())[NORDLYS, "noise", ("invoice.ledgerref",)] == 1


async def test_noise_in_rows_that_nobody_shadows_is_not_learnt(stage: Any, exchanged: Any) -> None:
    """Counts belong to an organization; a row of somebody in legacy mode has none here."""
    stage.switches.set(FJELLHEIM, Mode.LEGACY)
    batch = {"invoice": [invoice("1", creditorid="984842252"), invoice("2", creditorid="971274190")]}
    for made_up in ("x", "y"):
        answer = taken(("invoice", 0, "erp-1"), ("invoice", 1, made_up))
        await stage.watcher.look(exchanged(batch, answer, sender="ERP-2"))
    seen = await stage.seen()
    assert (NORDLYS, "compared", ("same",)) in seen
    assert {(who, topic) for who, topic, _ in seen if topic == "noise" or not who} == set()


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.LEGACY])
async def test_a_creditor_nobody_knows_is_noted_although_its_whole_batch_is_nobodys(
    stage: Any, exchanged: Any, mode: Mode
) -> None:
    """Of a sender with several organizations nothing is compared then; readiness hears of it while one is in shadow."""
    stage.switches.set(NORDLYS, mode)
    stage.switches.set(FJELLHEIM, Mode.LEGACY, recording=True)
    batch = {"invoice": [invoice("1", creditorid="999")]}
    await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "erp-1")), sender="ERP-2"))
    noted = [one.idnumber for one in stage.store.changes if isinstance(one, SeeCreditor) and not one.known]
    assert noted == (["999"] if mode is Mode.SHADOW else [])
    counted = {(NORDLYS, "pair", ("unreadable",)): 1} if mode is Mode.SHADOW else {}
    assert await stage.seen() == counted
    assert len(stage.scribe.recorded) == 1


async def test_mapping_parts_that_traffic_uses_are_counted_for_its_organization(stage: Any, exchanged: Any) -> None:
    """Readiness asks which rules real traffic never exercised."""
    batch = {"invoice": [invoice("1", creditorid="971274190")], "action": []}
    await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "erp-1")), sender="ERP-2", profile="autocollect"))
    used = {(who, subject) for who, topic, subject in await stage.seen() if topic == "rule"}
    assert {who for who, _ in used} == {FJELLHEIM}
    assert any("dueDate" in part for _, (_, objectname, part) in used if objectname == "invoice")
    assert (FJELLHEIM, ("autocollect", "invoice", 'operation "create_invoices"')) in used


async def test_unknown_fields_and_creditors_are_noted_as_if_the_bridge_had_taken_the_batch(
    stage: Any, exchanged: Any
) -> None:
    """An operator sees them before the switch, not after it."""
    batch = {"creditor": [{"idnumber": "999"}], "invoice": [invoice(shoeSize=43)]}
    await stage.watcher.look(exchanged(batch, taken(("creditor", 0, "999"), ("invoice", 0, "erp-1"))))
    assert any(isinstance(one, SeeCreditor) and one.idnumber == "999" and not one.known for one in stage.store.changes)
    await stage.watcher.look(exchanged({"invoice": [invoice(shoeSize=43)]}, taken(("invoice", 0, "erp-1"))))
    assert any(isinstance(one, CountUnknown) and "shoeSize" in one.counts for one in stage.store.changes)
    assert (await stage.seen())[NORDLYS, "unknown", ("autocollect", "invoice", "shoeSize")] >= 1


async def test_a_store_in_trouble_costs_the_notes_and_nothing_else(stage: Any, exchanged: Any) -> None:
    """The comparison goes on, and is written when the store is back."""
    stage.store.broken = True
    await stage.watcher.look(exchanged({"invoice": [invoice(shoeSize=43)]}, taken(("invoice", 0, "erp-1"))))
    assert await stage.rows() == {}
    stage.store.broken = False
    assert await stage.rows() == {"same": 1}


async def test_a_sender_that_is_not_configured_any_more_is_left_alone(stage: Any, exchanged: Any) -> None:
    """Its organizations are nobody's."""
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, taken(), sender="GONE"))
    assert await stage.seen() == {}


# --- a target that really takes batches ------------------------------------------------------------------------------


async def settle(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is about things that tell nobody
            await asyncio.sleep(0)


async def test_a_shadow_target_gives_the_answer_in_place_of_the_prediction(
    make_target_stage: Any, slow_target: Any, exchanged: Any
) -> None:
    """Even what cannot be predicted is then compared."""
    answer = Answer(200, msgspec.json.encode(taken(("payment", 0, "1"))))
    target = slow_target(answer)
    stage = make_target_stage(target)
    payment = {"invoiceNumber": "1", "amount": 5, "currency": "NOK", "date": "2026-01-02"}
    await stage.watcher.look(exchanged({"payment": [payment]}, taken(("payment", 0, "1"))))
    target.go.set()
    await settle(lambda: not stage.watcher._questions._pending)
    assert target.asked == ["ERP-1"]
    assert await stage.rows() == {"same": 1}


async def test_a_hanging_target_holds_nothing_up(make_target_stage: Any, slow_target: Any, exchanged: Any) -> None:
    """A few batches wait for it; the rest is left out and counted, and looking goes on at once."""
    target = slow_target()
    stage = make_target_stage(target)
    one = exchanged({"invoice": [invoice()]}, taken(("invoice", 0, "erp-1")))
    async with asyncio.timeout(5):
        for _ in range(20):
            await stage.watcher.look(one)
    assert (await stage.seen())[NORDLYS, "pair", ("left_out",)] == 12
    target.go.set()
    await settle(lambda: not stage.watcher._questions._pending)
    assert (await stage.seen())[NORDLYS, "pair", ("left_out",)] == 20


async def test_closing_waits_for_no_target(make_target_stage: Any, slow_target: Any, exchanged: Any) -> None:
    """A bridge that stops does not wait for a shadow."""
    stage = make_target_stage(slow_target())
    await stage.watcher.look(exchanged({"invoice": [invoice()]}, taken(("invoice", 0, "erp-1"))))
    async with asyncio.timeout(5):
        await stage.watcher.close()


@pytest.mark.parametrize("sender", ["ERP-2"])
async def test_an_organization_without_stand_in_is_predicted(
    make_target_stage: Any, slow_target: Any, exchanged: Any, sender: str
) -> None:
    """A batch goes to the target only if all its shadowed organizations have one there."""
    target = slow_target()
    stage = make_target_stage(target)
    batch = {"invoice": [invoice("1", creditorid="971274190")]}
    await stage.watcher.look(exchanged(batch, taken(("invoice", 0, "erp-1")), sender=sender, profile="autocollect"))
    assert await stage.rows(FJELLHEIM) == {"same": 1}
    both = {"invoice": [invoice("1", creditorid="984842252"), invoice("2", creditorid="971274190")]}
    await stage.watcher.look(exchanged(both, taken(("invoice", 0, "erp-1"), ("invoice", 1, "erp-2")), sender=sender))
    assert target.asked == []
    assert await stage.rows(NORDLYS) == {"same": 1}


async def test_rows_of_an_organization_that_is_not_shadowed_do_not_reach_the_target(
    make_target_stage: Any, slow_target: Any, exchanged: Any
) -> None:
    """Its batches are nobody's to try out, also where it has a stand-in; what is shadowed beside them is predicted."""
    target = slow_target()
    target.serves = lambda _organization: True
    stage = make_target_stage(target)
    stage.switches.set(FJELLHEIM, Mode.LEGACY)
    both = {"invoice": [invoice("1", creditorid="984842252"), invoice("2", creditorid="971274190")]}
    await stage.watcher.look(exchanged(both, taken(("invoice", 0, "erp-1"), ("invoice", 1, "x")), sender="ERP-2"))
    assert target.asked == []
    assert await stage.rows(NORDLYS) == {"same": 1}


@pytest.mark.parametrize("objectname", ["invoice", "payment", "action"])
async def test_every_part_that_the_examples_prove_is_noted(
    stage: Any, exchanged: Any, shipped_profiles: Any, objectname: str
) -> None:
    """Rules, operations, defaults and rows of code tables, under the very names that readiness asks for."""
    profile = shipped_profiles["autocollect"]
    examples = tomllib.loads(
        profile.home(f"{objectname}.examples.toml").joinpath(f"{objectname}.examples.toml").read_text()
    )
    rows = [one["row"] for one in examples["example"]]
    await stage.watcher.look(exchanged({objectname: rows}, {}))
    noted = {subject[2] for _, topic, subject in await stage.seen() if topic == "rule" and subject[1] == objectname}
    wanted = {part for part in list_parts(profile.objects[objectname]) if not part.startswith("drop ")}
    assert wanted - noted == set()
