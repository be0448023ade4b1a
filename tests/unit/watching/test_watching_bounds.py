"""Whatever comes in, memory stays bounded, and nothing personal gets out."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from bridge.batch import Reference
from bridge.comparing.paths import BEYOND
from bridge.errors import CannotTakeNow
from bridge.exchanges import Message
from bridge.journal import Claim, Observation, Observe, Sample
from bridge.modes import Mode
from bridge.steering.observing import MOST_SUBJECTS, Observatory, Topic
from bridge.watching.memory import ENTRY_BYTES, Answers, ShadowClaims
from bridge.watching.noise import Noise
from bridge.watching.paths import Paths

NORDLYS = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ROW = {"type": "PAYMENT_REMINDER", "originalInvoiceAmount": 100, "currency": "NOK", "dueDate": "2026-01-01"}


class Books:
    """A journal with or without trouble."""

    def __init__(self, *observed: Observation, away: bool = False) -> None:
        self.observed = observed
        self.away = away

    async def observations(self, organization: str, since: float, topics: Any = ()) -> list[Observation]:
        if self.away:
            raise CannotTakeNow
        return [one for one in self.observed if one.organization == organization and one.topic in topics]

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        if self.away:
            raise CannotTakeNow
        return []


def reference(number: str) -> Reference:
    return Reference("case", "", "", (("invoiceNumber", number),))


# --- answers and claims ----------------------------------------------------------------------------------------------


def test_answers_are_remembered_while_there_is_room() -> None:
    """By their size: the oldest go first, and one that is very large is not remembered at all."""
    answers = Answers(most_bytes=(100 + ENTRY_BYTES) * 8)
    for number in range(9):
        assert answers.exchange("ERP", str(number), 200, b"x" * 100) is None
    assert answers.exchange("ERP", "8", 200, b"y") == (200, b"x" * 100)
    assert answers.exchange("ERP", "0", 200, b"y") is None
    assert answers.exchange("ERP", "large", 200, b"x" * 10_000) is None
    assert answers.exchange("ERP", "large", 200, b"y") is None


def test_answers_are_a_senders_own() -> None:
    """Two callers may well send the same."""
    answers = Answers()
    answers.exchange("ERP", "content", 200, b"x")
    assert answers.exchange("OTHER", "content", 200, b"x") is None


async def test_the_older_half_of_the_claims_goes_when_there_are_too_many() -> None:
    """The newest are always known."""
    claims = ShadowClaims(Books(), most_names=10)
    for number in range(100):
        claims.remember("org", (("invoiceNumber", str(number)),))
        assert await claims.knows("org", reference(str(number)))
    known = [number for number in range(100) if await claims.knows("org", reference(str(number)))]
    assert 5 <= len(known) <= 10
    assert not await claims.knows("other", reference("99"))


async def test_nothing_is_known_while_nobody_can_be_asked() -> None:
    """A row that cannot be predicted is excused; the comparison goes on."""
    claims = ShadowClaims(Books(away=True))
    assert not await claims.knows("org", reference("1"))
    claims.remember("org", (("invoiceNumber", "\ud800"),))
    assert await claims.knows("org", reference("\ud800"))


# --- paths and noise -------------------------------------------------------------------------------------------------


def test_names_of_members_are_scrubbed_unless_somebody_declared_them() -> None:
    """The legacy host may call a member anything; what the bridge itself calls fields stays."""
    paths = Paths(lambda name: f"<{name}>", plain=["caseNumber"])
    assert paths.tell("invoice.ledgerref") == "invoice.ledgerref"
    assert paths.tell("invoice.verdict") == "invoice.verdict"
    assert paths.tell("invoice.CASENUMBER") == "invoice.CASENUMBER"
    assert paths.tell("invoice.ids[].Kari[][].x") == "invoice.<ids>[].<Kari>[][].<x>"


def test_too_many_paths_are_put_together() -> None:
    """A host that makes names up fills no memory and no journal."""
    paths = Paths(lambda name: name, most=2)
    told = [paths.tell(f"invoice.made-up-{number}") for number in range(4)]
    assert told == ["invoice.made-up-0", "invoice.made-up-1", f"invoice.{BEYOND}", f"invoice.{BEYOND}"]
    assert paths.tell("invoice.made-up-1") == "invoice.made-up-1"


def make_noise(most: int = 5) -> tuple[Noise, list[tuple[str, ...]]]:
    seen: list[tuple[str, ...]] = []

    class Notebook:
        def see(self, organization: str, topic: Topic, subject: tuple[str, ...], count: int = 1) -> None:
            seen.append((organization, topic.value, *subject))

    return Noise(Notebook(), Paths(str.upper, most=4).tell, most=most), seen  # type: ignore[arg-type]  # it only sees


async def test_noise_is_learnt_noted_and_recalled() -> None:
    """Under the name by which it may be kept; another replica knows it by the same."""
    noise, seen = make_noise()
    noise.learn("org", "invoice.at")
    assert ("org", "invoice.at") in noise
    assert ("other", "invoice.at") not in noise
    assert seen == [("org", "noise", "invoice.AT")]
    other, _ = make_noise()
    kept = Observation("org", 0.0, "noise", ("invoice.AT",), 1)
    assert await other.recall(Books(kept), ["org", "nobody"], 0.0)
    assert ("org", "invoice.at") in other
    assert list(other) == [("org", "invoice.AT")]
    assert not await other.recall(Books(away=True), ["org"], 0.0)


def test_noise_is_bounded_and_never_about_fields_put_together() -> None:
    """Or one field that changes would excuse all that have no name of their own."""
    noise, _ = make_noise(most=3)
    for number in range(10):
        noise.learn("org", f"invoice.f{number}")
    assert len(noise) == 3
    wide, _ = make_noise(most=100)
    for number in range(10):
        wide.learn("org", f"invoice.f{number}")
    assert len(wide) == 4
    assert ("org", "invoice.f9") not in wide


# --- what is observed ------------------------------------------------------------------------------------------------


async def test_an_hour_knows_so_many_subjects_and_no_more(stage: Any) -> None:
    """Callers may name any number of fields; the next hour begins anew."""
    for number in range(MOST_SUBJECTS + 10):
        stage.observatory.see("org", Topic.UNKNOWN, ("autocollect", "invoice", f"field-{number}"))
    stage.observatory.see("other", Topic.UNKNOWN, ("autocollect", "invoice", "field"))
    assert sum(one.organization == "org" for one in await stage.observations()) == MOST_SUBJECTS
    stage.observatory.see("org", Topic.UNKNOWN, ("autocollect", "invoice", "one more"))
    stage.observatory.see("org", Topic.UNKNOWN, ("autocollect", "invoice", "field-1"))
    stage.clock[0] += 3600
    stage.observatory.see("org", Topic.UNKNOWN, ("autocollect", "invoice", "one more"))
    assert sum(one.organization == "org" for one in await stage.observations()) == MOST_SUBJECTS + 2


async def test_a_store_that_is_away_for_long_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are gathered up to a bound, whichever of them were taken back from failed writes."""
    monkeypatch.setattr("bridge.steering.observing.MOST_KINDS", 10)
    monkeypatch.setattr("bridge.steering.observing.MOST_SAMPLES", 10)
    now = [0.0]

    class Away:
        async def write(self, *_: object) -> None:
            raise CannotTakeNow

    one = Observatory(Away(), clock=lambda: now[0])  # type: ignore[arg-type]  # it only writes
    for minute in range(100):
        now[0] = 60.0 * minute
        one.see("org", Topic.PAIR, ("compared",))
        await one.flush()
    assert len(one._counts) == 10
    one.see("org", Topic.PAIR, ("left_out",))
    assert len(one._counts) == 10
    for _ in range(11):
        one.keep(Sample("org", "invoice.ledgerref", "value", 0.0, "ERP", None, "1", "2"))
    assert len(one._samples) == 10


async def test_a_write_that_was_begun_is_ended_before_the_last_one() -> None:
    """A bridge that stops in the middle of a write loses nothing of it, and writes nothing twice."""
    written: list[int] = []
    began, go = asyncio.Event(), asyncio.Event()

    class Slow:
        async def write(self, seen: Observe, _: object) -> None:
            began.set()
            await go.wait()
            written.extend(one.count for one in seen.observations)

    one = Observatory(Slow(), clock=lambda: 0.0, flush_seconds=0)  # type: ignore[arg-type]  # it only writes
    running = asyncio.create_task(one.run())
    one.see("org", Topic.PAIR, ("compared",), 3)
    await asyncio.wait_for(began.wait(), 5)
    one.see("org", Topic.PAIR, ("compared",), 4)
    running.cancel()
    await asyncio.wait([running], timeout=0.01)
    go.set()
    await asyncio.gather(running, return_exceptions=True)
    assert written == [3, 4]


async def test_a_fault_while_writing_costs_that_write() -> None:
    """It is logged; what comes next is written."""
    written: list[object] = []

    class Odd:
        async def write(self, *changes: object) -> None:
            written.append(changes)
            if len(written) == 1:
                raise RuntimeError("a fault of the program")

    one = Observatory(Odd(), clock=lambda: 0.0, flush_seconds=0)  # type: ignore[arg-type]  # it only writes
    running = asyncio.create_task(one.run())
    async with asyncio.timeout(5):
        while len(written) < 2:
            one.see("org", Topic.PAIR, ("compared",))
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# --- looking ---------------------------------------------------------------------------------------------------------


async def test_only_exchanges_that_somebody_wants_are_looked_at(stage: Any, exchanged: Any) -> None:
    """The legacy half of a divided batch is shown whatever its mode."""
    one = exchanged({"invoice": []}, {})
    assert stage.watcher.wants(one)
    stage.switches.set(NORDLYS, Mode.LEGACY)
    assert not stage.watcher.wants(one)
    stage.switches.set(NORDLYS, Mode.LEGACY, recording=True)
    assert stage.watcher.wants(one)
    assert not stage.watcher.wants(exchanged({}, {}, sender="GONE"))


async def test_a_large_batch_is_looked_at_in_slices(stage: Any, exchanged: Any) -> None:
    """Others get a turn every few dozen rows, in every step on the way."""
    rows = [{**ROW, "invoiceNumber": str(number), "uniqueSourceInvoiceId": f"e-{number}"} for number in range(2000)]
    entries = [{"objectname": "invoice", "objectindex": n, "ledgerref": "x"} for n in range(2000)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await stage.watcher.look(exchanged({"invoice": rows}, {"responses": entries, "errors": [], "statuscode": 0}))
    beside.cancel()
    assert turns > 4 * 2000 / 50
    assert await stage.rows() == {"different": 2000}


async def test_samples_are_short_and_scrubbed_with_their_own_row(stage: Any, exchanged: Any) -> None:
    """Not with the whole batch, which may be megabytes."""
    contexts: list[bytes] = []
    scrub = stage.scribe.scrub

    def note_and_scrub(text: str, request: bytes) -> str:
        contexts.append(request)
        return str(scrub(text, request))

    stage.scribe.scrub = note_and_scrub
    rows = [{**ROW, "invoiceNumber": str(number), "padding": "x" * 9_000} for number in range(3)]
    reply = {"statuscode": 0, "errors": [], "responses": [
        {"objectname": "invoice", "objectindex": 1, "ledgerref": "1", "status_statuscode": "y" * 100_000}]}  # fmt: skip
    await stage.watcher.look(exchanged({"invoice": rows}, reply))
    samples = {one.path: one for one in await stage.samples()}
    assert samples["invoice.status_statuscode"].legacy == "scrubbed 501"
    assert {len(one) < 10_000 for one in contexts} == {True}
    assert msgspec.json.encode(rows[1]) in contexts


async def test_a_creditor_nobody_knows_is_recorded_for_the_only_organization(stage: Any, exchanged: Any) -> None:
    """Its traffic shows what is still to be onboarded."""
    stage.switches.set(NORDLYS, Mode.LEGACY, recording=True)
    await stage.watcher.look(exchanged({"invoice": [{**ROW, "creditorid": "999"}]}, {}))
    assert [organizations for organizations, _, _ in stage.scribe.recorded] == [(NORDLYS,)]


async def test_an_answer_that_is_no_json_is_compared_as_what_it_is(stage: Any, exchanged: Any) -> None:
    """Halves of surrogate pairs included."""
    reply = Message(b'{"responses":[{"objectname":"invoice","objectindex":0,"Kari":"\\ud800"}]}', "application/json")
    await stage.watcher.look(exchanged({"invoice": [{**ROW, "invoiceNumber": "1"}]}, reply))
    assert "http.body" in {subject[0] for _, topic, subject in await stage.seen() if topic == "difference"}


async def test_names_in_answers_are_scrubbed_before_they_are_counted(stage: Any, exchanged: Any) -> None:
    """Observations are kept for months, and shown."""
    reply = {"Kari Nordmann": 1, "statuscode": 0, "errors": [], "responses": []}
    await stage.watcher.look(exchanged({"invoice": [{**ROW, "invoiceNumber": "1"}]}, reply))
    paths = {subject[0] for _, topic, subject in await stage.seen() if topic == "difference"}
    assert "batch.someone" in paths
    assert not any("Kari" in path for path in paths)


# --- the shadow target -----------------------------------------------------------------------------------------------


class Failing:
    """A shadow target that fails in one way or another."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def serves(self, organization: str) -> bool:
        return True

    async def answer(self, sender: str, body: bytes) -> Any:
        raise self.fault


@pytest.mark.parametrize(
    "fault", [CannotTakeNow("away"), RuntimeError("a fault of the program")], ids=["away", "fault"]
)
async def test_a_target_that_fails_costs_that_exchange(
    make_target_stage: Any, exchanged: Any, fault: Exception
) -> None:
    """It is left out, and counted; nothing breaks, and the next one is asked about."""
    stage = make_target_stage(Failing(fault))
    for _ in range(2):
        await stage.watcher.look(exchanged({"invoice": [{**ROW, "invoiceNumber": "1"}]}, {}))
        await asyncio.gather(*stage.watcher._questions._pending)
    assert (await stage.seen())[NORDLYS, "pair", ("left_out",)] == 2


async def test_large_batches_wait_for_the_target_one_at_a_time(
    make_target_stage: Any, slow_target: Any, exchanged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits there is bounded in memory, too; one alone may always go."""
    monkeypatch.setattr("bridge.watching.asking.MOST_PENDING_BYTES", 100)
    stage = make_target_stage(slow_target())
    for _ in range(3):
        await stage.watcher.look(exchanged({"invoice": [{**ROW, "invoiceNumber": "1"}]}, {}))
    assert len(stage.watcher._questions) == 1
    assert (await stage.seen())[NORDLYS, "pair", ("left_out",)] == 2
    await stage.watcher.close()
    assert (await stage.seen())[NORDLYS, "pair", ("left_out",)] == 3
