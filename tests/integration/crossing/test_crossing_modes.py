"""Which way batches go while organizations are switched: a new one as modes say, a known one where it went first."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest

from bridge import passages
from bridge.bodies import Whole
from bridge.crossing import beside
from bridge.errors import CannotTakeNow
from bridge.exchanges import Exchange
from bridge.modes import Mode

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITOR_A, CREDITOR_B = "984842252", "971274190"
ERP_2 = {"bearer": "", "Authorization": "Basic ZXJwMjpwYXNzMg==", "senderid": "ERP-2"}
BEARERS = {"ERP-1": "token1", "LABEL": "token-label", "NOWINDOW": "token-nowindow"}


def post_as(crossed: Any, sender: str, body: Any) -> Any:
    """Send a batch as one of the senders with a token."""
    return crossed.world.post(body, bearer=BEARERS[sender], senderid=sender)


# --- where a batch goes --------------------------------------------------------------------------------------------


async def test_modes_decide_from_one_request_to_the_next(open_crossing: Any, batch: Any) -> None:
    """Legacy and shadow are answered by the legacy host, modern by the bridge."""
    async with open_crossing() as crossed:
        await post_as(crossed, "ERP-1", batch("B-1"))
        await crossed.switch(ORG_A, Mode.SHADOW)
        await post_as(crossed, "ERP-1", batch("B-2"))
        await crossed.switch(ORG_A, Mode.MODERN)
        reply = await post_as(crossed, "ERP-1", batch("B-3"))
        assert "x-bridge-batch" in reply.headers
        await crossed.switch(ORG_A, Mode.LEGACY)
        reply = await post_as(crossed, "ERP-1", batch("B-4"))
        assert "x-bridge-batch" not in reply.headers

    assert crossed.host.batchids == ["B-1", "B-2", "B-4"]
    assert crossed.modern == ["erp-B-3"]


async def test_without_a_legacy_host_nothing_changes(world: Any, invoice: Any) -> None:
    """The bridge answers, as it always did."""
    reply = await world.post({"batchid": "B-1", "invoice": [invoice("1")]})
    assert (reply.code, "x-bridge-batch" in reply.headers) == (0, True)


@pytest.mark.parametrize("sender", ["ERP-1", "LABEL"])
@pytest.mark.parametrize("name", ["B-1", ""])
async def test_a_batch_that_went_to_the_legacy_host_goes_there_again(
    open_crossing: Any, batch: Any, invoice: Any, sender: str, name: str
) -> None:
    """By its batchid, by its content, and by its content under a label; never to the modern system."""
    sent = batch(name, invoice("1", creditorid=CREDITOR_A))
    async with open_crossing() as crossed:
        await post_as(crossed, sender, sent)
        await crossed.switch(ORG_A, Mode.MODERN)
        reply = await post_as(crossed, sender, sent)
        assert reply.states == {("invoice", 0): "OK"}
        assert "x-bridge-batch" not in reply.headers
        assert len(crossed.host.arrived) == 2
        assert crossed.modern == []


@pytest.mark.parametrize("sender", ["ERP-1", "LABEL"])
@pytest.mark.parametrize("name", ["B-1", ""])
async def test_a_batch_that_the_bridge_took_is_the_bridges(
    open_crossing: Any, batch: Any, invoice: Any, sender: str, name: str
) -> None:
    """Sent again after the way back to legacy, it gets its answer again, and the legacy host sees nothing of it."""
    sent = batch(name, invoice("1", creditorid=CREDITOR_A))
    async with open_crossing(first_mode="modern") as crossed:
        first = await post_as(crossed, sender, sent)
        await crossed.switch(ORG_A, Mode.LEGACY)
        again = await post_as(crossed, sender, sent)
        assert (again.body, again.headers["x-bridge-replay"]) == (first.body, "true")
        assert crossed.host.arrived == []
        await post_as(crossed, sender, batch(name and "B-2", invoice("2", creditorid=CREDITOR_A)))
        assert len(crossed.host.arrived) == 1


async def test_it_is_recognized_however_it_is_packed(open_crossing: Any, batch: Any) -> None:
    """Compressed, in another charset, with other spellings: the same batch."""
    sent = json.dumps(batch("B-1"))
    async with open_crossing() as crossed:
        await crossed.world.post(gzip.compress(sent.encode()), senderid="ERP-1", **{"Content-Encoding": "gzip"})
        await crossed.switch(ORG_A, Mode.MODERN)
        wide = {"Content-Type": "application/json; charset=utf-16"}
        await crossed.world.post(sent.replace("batchid", "BatchId").encode("utf-16"), senderid="ERP-1", **wide)
        assert len(crossed.host.arrived) == 2
        assert crossed.modern == []


async def test_content_is_the_same_only_as_long_as_the_window_lasts(
    open_crossing: Any, batch: Any, invoice: Any, clock: Any
) -> None:
    """After the sender's `resend_window_hours` equal content is a new batch; a batchid names one batch for ever."""
    named, nameless = batch("B-1"), batch("", invoice("1", creditorid=CREDITOR_A))
    async with open_crossing(environment=clock.environment) as crossed:
        await post_as(crossed, "ERP-1", named)
        await post_as(crossed, "ERP-1", nameless)
        await crossed.switch(ORG_A, Mode.MODERN)
        clock.now += 25 * 3600
        await post_as(crossed, "ERP-1", named)
        await post_as(crossed, "ERP-1", nameless)
        assert len(crossed.host.arrived) == 3
        assert len(crossed.modern) == 1


async def test_a_sender_without_a_window_sends_new_batches_only(open_crossing: Any, batch: Any, invoice: Any) -> None:
    """What nothing can recognize is noted nowhere."""
    sent = batch("", invoice("1", creditorid=CREDITOR_A))
    async with open_crossing() as crossed:
        await post_as(crossed, "NOWINDOW", sent)
        await crossed.switch(ORG_A, Mode.MODERN)
        await post_as(crossed, "NOWINDOW", sent)
        assert (len(crossed.host.arrived), len(crossed.modern)) == (1, 1)


async def test_a_note_outlives_the_process(open_crossing: Any, batch: Any) -> None:
    """A restart forgets nothing that went to the legacy host."""
    async with open_crossing() as crossed:
        await post_as(crossed, "ERP-1", batch("B-1"))
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        await post_as(crossed, "ERP-1", batch("B-1"))
        assert crossed.host.batchids == ["B-1"]
        assert crossed.modern == []


async def test_a_note_is_every_replicas(open_crossing: Any, batch: Any, postgres_url: str, wait_until: Any) -> None:
    """What one replica has handed to the legacy host no other replica takes; and the other way round."""
    async with open_crossing(storage=postgres_url) as one:
        other_options = {"host": one.host, "sandbox": one.world.sandbox, "storage": postgres_url}
        async with open_crossing(**other_options) as other:
            await post_as(one, "ERP-1", batch("B-1"))
            await wait_until(lambda: not one.world.bridge.crossing.passages._waiting)
            await one.switch(ORG_A, Mode.MODERN)
            switchboard = other.world.bridge.steering.switchboard
            await wait_until(lambda: switchboard.current(ORG_A).mode is Mode.MODERN, 1)
            await post_as(other, "ERP-1", batch("B-1"))
            await post_as(other, "ERP-1", batch("B-2"))
            await other.switch(ORG_A, Mode.LEGACY)
            await post_as(one, "ERP-1", batch("B-2"))
            assert one.host.batchids == ["B-1", "B-1"]
            assert one.modern == ["erp-B-2"]


# --- what may go wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("past", [[], [Mode.MODERN, Mode.LEGACY]], ids=["passed unread", "read before"])
async def test_what_never_reached_the_legacy_host_is_not_noted(
    open_crossing: Any, batch: Any, past: list[Mode]
) -> None:
    """A host that cannot be reached has taken nothing; after the switch the bridge takes the batch."""
    async with open_crossing() as crossed:
        for mode in past:
            await crossed.switch(ORG_A, mode)
        crossed.host.go_away()
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).status == 502
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).code == 0
        assert crossed.modern == ["erp-B-1"]


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"500 Oops"])
async def test_what_strangers_send_in_a_senders_name_is_not_noted(
    open_crossing: Any, batch: Any, status: bytes
) -> None:
    """Whoever proves nothing cannot claim a batchid, unless the legacy host takes the batch."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % status
        stranger = {"batchid": "B-1", "invoice": []}
        reply = await crossed.world.post(stranger, bearer="wrong", senderid="ERP-1")
        assert reply.status == int(status[:3])
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).code == 0
        assert crossed.modern == ["erp-B-1"]


async def test_what_the_legacy_host_turns_away_is_not_noted(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that says at once that it has taken nothing leaves the batch to the bridge."""
    monkeypatch.setattr("bridge.passages.GROUP_SECONDS", 5)

    async def refuse(_: Any) -> bytes:
        await asyncio.sleep(0.05)
        return b"HTTP/1.1 503 Later\r\nContent-Length: 2\r\n\r\n{}"

    async with open_crossing() as crossed:
        crossed.host.behave = refuse
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).status == 503
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).code == 0


async def test_what_was_turned_away_before_it_was_recognized_is_not_noted(open_crossing: Any, batch: Any) -> None:
    """The legacy host may be faster than the recognizing."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: b"HTTP/1.1 503 Later\r\nContent-Length: 2\r\n\r\n{}"
        _, go = gate(crossed.world.bridge.crossing.beside, "_recognize")
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).status == 503
        go.set()
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).code == 0
        assert crossed.modern == ["erp-B-1"]


async def test_callers_whom_only_the_legacy_host_knows_are_noted_once_it_has_taken_their_batch(
    open_crossing: Any, batch: Any
) -> None:
    """A password that the bridge does not know does not keep a batch from being recognized."""
    async with open_crossing() as crossed:
        reply = await crossed.world.post(batch("B-1"), bearer="only-the-host-knows", senderid="ERP-1")
        assert reply.code == 0
        await crossed.switch(ORG_A, Mode.MODERN)
        await post_as(crossed, "ERP-1", batch("B-1"))
        assert crossed.host.batchids == ["B-1", "B-1"]


async def test_a_batch_too_large_to_be_kept_passes_all_the_same(open_crossing: Any) -> None:
    """What is kept beside a batch is bounded; that it could not be noted is counted."""
    large = b'{"batchid": "B-1", "x": "' + b"x" * 18_000_000 + b'"}'
    async with open_crossing(max_reading_mb=1) as crossed:
        reply = await crossed.world.post(large, senderid="ERP-1")
        assert reply.status == 200
        assert crossed.host.arrived[0].body == large
        assert b"bridge_passed_notes_lost_total 1.0" in crossed.world.bridge.metrics.render()


async def test_a_batch_there_is_no_room_to_recognize_is_counted(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes; that it could not be noted is told as with one that is too large by itself."""

    async def find_no_room(_: Whole) -> bytes:
        raise CannotTakeNow("too many large batches at once")

    async with open_crossing() as crossed:
        monkeypatch.setattr(beside, "SMALL_BYTES", 0)
        monkeypatch.setattr(Whole, "read_json", find_no_room)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).status == 200
        await crossed.world.bridge.crossing.beside.close()
        assert b"bridge_passed_notes_lost_total 1.0" in crossed.world.bridge.metrics.render()


class Eyes:
    """Sees what is shown."""

    def __init__(self) -> None:
        self.shown: list[Exchange] = []
        self.left_out: list[Exchange] = []
        self.offer, self.leave_out = self.shown.append, self.left_out.append


async def test_only_whole_exchanges_are_shown_and_what_was_too_large_is_counted(open_crossing: Any, batch: Any) -> None:
    """Half an answer is nothing to compare, and what nobody could keep must not look as if it had never been."""
    async with open_crossing(max_reading_mb=1) as crossed:
        await crossed.switch(ORG_A, Mode.SHADOW)
        eyes = crossed.world.bridge.crossing.beside._watch = Eyes()
        await post_as(crossed, "ERP-1", batch("B-1"))
        assert [(one.sender, one.status, len(one.reply.body) > 2) for one in eyes.shown] == [("ERP-1", 200, True)]
        crossed.host.behave = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await post_as(crossed, "ERP-1", batch("B-2"))
        crossed.host.behave = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        await crossed.world.post(b'{"batchid": "B-3", "x": "' + b"x" * 18_000_000 + b'"}', senderid="ERP-1")
        assert (len(eyes.shown), [one.sender for one in eyes.left_out]) == (1, ["ERP-1"])


async def test_what_is_kept_to_recognize_a_batch_is_let_go_when_it_has_left(
    open_crossing: Any, batch: Any, wait_until: Any
) -> None:
    """The legacy host may take its time; others that pass meanwhile need the room."""
    go = asyncio.Event()

    async def dawdle(_: Any) -> bytes:
        await go.wait()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    async with open_crossing() as crossed:
        crossed.host.behave = dawdle
        passing = asyncio.create_task(post_as(crossed, "ERP-1", batch("B-1")))
        await wait_until(lambda: crossed.host.arrived)
        assert crossed.world.bridge.crossing.beside.bodies.in_use == 0
        go.set()
        await passing


async def test_a_fault_while_a_batch_is_recognized_costs_that_one(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged; those behind it are recognized, also when the bridge stops just then."""
    async with open_crossing() as crossed:
        there = crossed.world.bridge.crossing.beside
        recognize, seen = there._recognize, []

        async def stumble(passing: Any) -> Any:
            seen.append(passing)
            if len(seen) == 1:
                raise RuntimeError("a fault of the program")
            return await recognize(passing)

        monkeypatch.setattr(there, "_recognize", stumble)
        came, go = gate(there, "_recognize")
        for name in ("B-1", "B-2"):
            assert (await post_as(crossed, "ERP-1", batch(name))).code == 0
        closing = asyncio.create_task(there.close())
        await asyncio.wait([closing], timeout=0.01)
        assert came.is_set()
        assert not closing.done()
        go.set()
        await closing
        sender = crossed.world.bridge.senders.find("ERP-1")
        known = [await crossed.world.bridge.crossing.passages.knows(sender, f"batchid:B-{n}") for n in (1, 2)]
        assert known == [False, True]


async def test_a_store_in_trouble_does_not_stop_legacy_mode(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches pass, and are noted once the store is back; meanwhile this replica remembers them."""
    async with open_crossing() as crossed:
        journal = crossed.world.bridge.pipeline._books
        write = journal.write

        async def fail(*_: Any) -> None:
            raise CannotTakeNow("the disk is full")

        monkeypatch.setattr(journal, "write", fail)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).code == 0
        await asyncio.sleep(0.1)
        monkeypatch.setattr(journal, "write", write)
        await crossed.switch(ORG_A, Mode.MODERN)
        await post_as(crossed, "ERP-1", batch("B-1"))
        assert crossed.host.batchids == ["B-1", "B-1"]


async def test_a_catch_up_batch_reaches_the_legacy_host_only(open_crossing: Any, batch: Any) -> None:
    """The modern system has what is in it: sent after the next switch, it would be there twice."""
    async with open_crossing() as crossed:
        assert (await post_as(crossed, "ERP-1", batch("bridge-catch-up-1"))).code == 0
        await crossed.switch(ORG_A, Mode.MODERN)
        reply = await post_as(crossed, "ERP-1", batch("bridge-catch-up-2"))
        assert (reply.status, reply.code) == (403, 2)
        assert crossed.host.batchids == ["bridge-catch-up-1"]
        assert crossed.modern == []


async def test_a_bridge_that_only_passes_is_ready_without_its_journal(
    open_crossing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer must not take away what works; one that has a modern organization needs its journal."""
    async with open_crossing() as crossed:
        url = f"{crossed.world.url}/health/ready"
        workshop = type(crossed.world.bridge.workshop)
        monkeypatch.setattr(workshop, "accepting", property(lambda _: False))
        async with crossed.world.session.get(url) as answer:
            assert answer.status == 200
        await crossed.switch(ORG_A, Mode.MODERN)
        async with crossed.world.session.get(url) as answer:
            assert answer.status == 503
        monkeypatch.undo()


async def test_who_is_not_told_what_became_of_a_batch_waits_for_its_note(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It will come again, perhaps to another replica: the journal has the note before the caller has the 502."""
    monkeypatch.setattr(passages, "GROUP_SECONDS", 0.3)
    async with open_crossing() as crossed:

        def hang_up(_: Any) -> bytes:
            raise ConnectionError

        crossed.host.behave = hang_up
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).status == 502
        journal = crossed.world.bridge.pipeline._books
        assert await journal.passed("ERP-1", "batchid:B-1") is not None


async def test_a_journal_that_cannot_be_read_answers_503_where_it_must_be_asked(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never risk a double: once an organization was modern, nobody guesses where a batch went first."""
    async with open_crossing() as crossed:
        journal = crossed.world.bridge.pipeline._books

        async def fail(*_: Any) -> None:
            raise CannotTakeNow("the disk cannot be read")

        for name in ("passed", "find"):
            monkeypatch.setattr(journal, name, fail)
        assert (await post_as(crossed, "ERP-1", batch("B-1"))).code == 0
        for mode in (Mode.MODERN, Mode.LEGACY):
            await crossed.switch(ORG_A, mode)
            reply = await post_as(crossed, "ERP-1", batch("B-2"))
            assert (reply.status, reply.headers["retry-after"]) == (503, "5")
        assert crossed.host.batchids == ["B-1"]


async def test_an_unreadable_body_goes_to_the_legacy_host_while_there_is_one_side(open_crossing: Any) -> None:
    """It may understand more; with all organizations modern the bridge says what is wrong."""
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await crossed.world.post(b"<xml/>")).status == 400
        await crossed.switch(ORG_A, Mode.LEGACY)
        crossed.host.behave = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        assert (await crossed.world.post(b"<xml/>")).body == {}
        assert crossed.host.arrived[0].body == b"<xml/>"


async def test_strangers_pass_where_the_operator_says_so(open_crossing: Any, batch: Any) -> None:
    """Callers whom the bridge does not know at all; a known sender with wrong credentials stays outside."""
    async with open_crossing(first_mode="modern", cutover="pass_strangers = true") as crossed:
        assert (await crossed.world.post(batch("B-1"), bearer="x", senderid="NOBODY")).code == 0
        assert (await crossed.world.post(batch("B-2"), bearer="x")).code == 0
        assert (await crossed.world.post(batch("B-3"), bearer="x", senderid="ERP-1")).status == 401
        assert crossed.host.batchids == ["B-1", "B-2"]
    async with open_crossing(first_mode="modern") as crossed:
        assert (await crossed.world.post(batch("B-4"), bearer="x", senderid="NOBODY")).status == 401


async def test_senders_without_senderid_are_known_by_their_credentials(open_crossing: Any, batch: Any) -> None:
    """Their batches pass as well, and are recognized again."""
    async with open_crossing() as crossed:
        await crossed.world.post(batch("B-1"))
        await crossed.switch(ORG_A, Mode.MODERN)
        await crossed.world.post(batch("B-1"))
        assert crossed.host.batchids == ["B-1", "B-1"]


async def test_the_same_batch_twice_at_once_goes_one_way(open_crossing: Any, batch: Any) -> None:
    """However the switch falls between them."""
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        for number in range(20):
            name = f"B-{number}"
            first = asyncio.create_task(post_as(crossed, "ERP-1", batch(name)))
            await asyncio.sleep(0.001 * (number % 4))
            await crossed.switch(ORG_A, Mode.LEGACY if number % 2 == 0 else Mode.MODERN)
            await asyncio.gather(first, post_as(crossed, "ERP-1", batch(name)), post_as(crossed, "ERP-1", batch(name)))
        there, here = set(crossed.host.batchids), {one.removeprefix("erp-") for one in crossed.modern}
        assert there | here == {f"B-{number}" for number in range(20)}
        assert there & here == set()


def gate(owner: Any, name: str) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold the first call of a method; return what tells that it came, and what lets it go on."""
    method, came, go = getattr(owner, name), asyncio.Event(), asyncio.Event()

    async def held(*arguments: Any, **options: Any) -> Any:
        if not came.is_set():
            came.set()
            await go.wait()
        return await method(*arguments, **options)

    setattr(owner, name, held)
    return came, go


async def resend_while_held(crossed: Any, batch: Any, owner: Any, name: str, mode: Mode) -> None:
    """Send a batch, hold it inside the bridge, switch, send it again, and let both go on."""
    came, go = gate(owner, name)
    first = asyncio.create_task(post_as(crossed, "ERP-1", batch("B-1")))
    await asyncio.wait_for(came.wait(), 5)
    await crossed.switch(ORG_A, mode)
    second = asyncio.create_task(post_as(crossed, "ERP-1", batch("B-1")))
    await asyncio.wait([second], timeout=0.1)
    go.set()
    assert [(await one).code for one in (first, second)] == [0, 0]


async def test_a_batch_that_is_being_taken_is_not_passed_on(open_crossing: Any, batch: Any) -> None:
    """While it is translated neither the journal nor the list of open batches knows it."""
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        desk = crossed.world.bridge.crossing.batches._desks["autocollect"]
        await resend_while_held(crossed, batch, desk, "take", Mode.LEGACY)
        assert (crossed.host.batchids, crossed.modern) == ([], ["erp-B-1"])


async def test_a_batch_that_is_about_to_leave_is_not_taken(open_crossing: Any, batch: Any) -> None:
    """While the connection to the legacy host is made."""
    async with open_crossing() as crossed:
        await crossed.switch(ORG_A, Mode.MODERN)
        await crossed.switch(ORG_A, Mode.LEGACY)
        await resend_while_held(crossed, batch, crossed.world.bridge.crossing.legacy_host, "forward", Mode.MODERN)
        assert (crossed.host.batchids, crossed.modern) == (["B-1", "B-1"], [])


async def test_a_batch_that_is_about_to_leave_unread_is_waited_for(open_crossing: Any, batch: Any) -> None:
    """The first switch ever finds batches on their way that nobody has read: they still count as gone."""
    async with open_crossing() as crossed:
        await resend_while_held(crossed, batch, crossed.world.bridge.crossing.legacy_host, "forward", Mode.MODERN)
        assert (crossed.host.batchids, crossed.modern) == (["B-1", "B-1"], [])


async def test_nobody_waits_for_ever_for_a_batch_that_does_not_leave(
    open_crossing: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes meanwhile is told to come again; once it has failed to leave, the next one is taken."""
    monkeypatch.setattr(beside, "CATCH_UP_SECONDS", 0.01)
    async with open_crossing() as crossed:
        came, go = gate(crossed.world.bridge.crossing.legacy_host, "_exchange")
        first = asyncio.create_task(post_as(crossed, "ERP-1", batch("B-1")))
        await asyncio.wait_for(came.wait(), 5)
        await crossed.switch(ORG_A, Mode.MODERN)
        assert (await post_as(crossed, "ERP-1", batch("B-2"))).status == 503
        monkeypatch.setattr(beside, "LEAVING_SECONDS", 0.0)
        assert (await post_as(crossed, "ERP-1", batch("B-3"))).code == 0
        go.set()
        assert (await first).code == 0
        assert (crossed.host.batchids, crossed.modern) == (["B-1"], ["erp-B-3"])


async def test_a_batch_that_left_is_waited_for_until_it_is_recognized(open_crossing: Any, batch: Any) -> None:
    """However long that takes."""
    async with open_crossing() as crossed:
        await resend_while_held(crossed, batch, crossed.world.bridge.crossing.beside, "_recognize", Mode.MODERN)
        assert (crossed.host.batchids, crossed.modern) == (["B-1", "B-1"], [])


async def test_a_drained_bridge_ends_what_passes_and_takes_no_more(
    open_crossing: Any, batch: Any, wait_until: Any
) -> None:
    """What is under way may end; new batches are put off, whatever the mode."""
    go = asyncio.Event()

    async def wait(_: Any) -> bytes:
        await go.wait()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    async with open_crossing() as crossed:
        crossed.host.behave = wait
        under_way = asyncio.create_task(post_as(crossed, "ERP-1", batch("B-1")))
        await wait_until(lambda: crossed.host.arrived)
        draining = asyncio.create_task(crossed.world.bridge.drain(5))
        await asyncio.sleep(0)
        late = await post_as(crossed, "ERP-1", batch("B-2"))
        assert (late.status, late.headers["retry-after"]) == (503, "30")
        assert not draining.done()
        go.set()
        assert (await under_way).status == 200
        await asyncio.wait_for(draining, 1)


# --- many at once --------------------------------------------------------------------------------------------------


async def test_switching_fifty_times_a_second_fails_no_request(open_crossing: Any, batch: Any, invoice: Any) -> None:
    """And only the organization that is switched is answered by somebody else."""
    async with open_crossing() as crossed:
        done = asyncio.Event()

        async def flip() -> None:
            while not done.is_set():
                for mode in (Mode.MODERN, Mode.SHADOW, Mode.LEGACY):
                    await crossed.switch(ORG_A, mode)
                    await asyncio.sleep(0.02)

        async def call(caller: int) -> None:
            for number in range(25):
                name = f"{caller}-{number}"
                reply = await post_as(crossed, "ERP-1", batch(name))
                assert (reply.status, reply.code) == (200, 0)
                rows = [invoice(f"b{name}", creditorid=CREDITOR_B)]
                reply = await crossed.world.post(batch(f"b{name}", *rows), **ERP_2)
                assert (reply.status, reply.code, "x-bridge-batch" in reply.headers) == (200, 0, False)

        flipping = asyncio.create_task(flip())
        await asyncio.gather(*map(call, range(4)))
        done.set()
        await flipping
        there, here = crossed.host.batchids, [one.removeprefix("erp-") for one in crossed.modern]
        wanted = [f"{caller}-{number}" for caller in range(4) for number in range(25)]
        assert sorted(one for one in there if not one.startswith("b")) != sorted(wanted)
        assert sorted(there + here) == sorted(wanted + [f"b{name}" for name in wanted])
