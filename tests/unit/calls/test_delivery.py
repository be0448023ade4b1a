"""The call for the legacy host, step by step: nothing leaves before it is written down, nothing leaves twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bridge.batch import LEGACY, Address, CallState, Verdict
from bridge.calls.delivery import NO_CREDENTIALS, Delivery
from bridge.calls.gates import Gates, GateTerms
from bridge.calls.live import LiveCall, Outcomes
from bridge.calls.relay import Answer, Replied, Sub
from bridge.calls.traffic import Traffic
from bridge.journal import BatchRecord, Change, DecideRows, FinishBatch, MoveCall
from bridge.journal.patient import PatientJournal
from bridge.mapping import ReplyTable
from bridge.modern.answers import NotTaken, Unknown
from bridge.plan import PlannedRow

TABLE = ReplyTable(0, 1, 2, 3, "OK", "PENDING")
BATCH = BatchRecord("b", "ERP 1", "autocollect", "no 5", "i", "c", 1.0, offline=False, row_count=3, payload=None)
FIRST, SECOND = Address("invoice", 3), Address("payment", 0)
ROWS = [PlannedRow(FIRST, "org-1", LEGACY, b'{"a":1}'), PlannedRow(SECOND, "org-2", LEGACY, b'{"b":2}')]
GOOD = Replied(200, json.dumps({"statuscode": 0}).encode())


@dataclass
class Place:
    """A journal, a host that answers by script, and a keyring; `story` is what happened in which order."""

    script: list[Answer | Callable[[], Answer]] = field(default_factory=list)
    credentials: str | None = "Bearer x"
    leased: bool = True
    retry_seconds: float = 60.0
    failures_to_break: int = 100
    story: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    sent: list[tuple[Sub, str]] = field(default_factory=list)
    naps: list[float] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        outside: Any = self
        self.traffic = Traffic(outside, sleep=self.sleep)
        journal = PatientJournal(outside, clock=lambda: self.now, sleep=self.sleep)
        settings: dict[str, Any] = {"clock": lambda: self.now, "new_id": lambda: "call", "sleep": self.sleep}
        terms = GateTerms(2, failures_to_break=self.failures_to_break)
        self.gate = Gates(terms, clock=lambda: self.now, sleep=self.sleep).of("host")
        self.delivery = Delivery(
            journal, outside, self.traffic, outside, self.gate, retry_seconds=self.retry_seconds, **settings
        )

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds
        self.leased = True
        await asyncio.sleep(0)

    def may_send(self, seconds: float) -> bool:
        return self.leased

    async def write(self, *changes: Change) -> None:
        assert self.traffic.is_sending("b") or not any(
            isinstance(one, MoveCall) and one.after is CallState.SUBMITTING for one in changes
        )
        self.changes += changes
        self.story += [one.after.value for one in changes if isinstance(one, MoveCall)]

    async def send(self, sub: Sub, authorization: str) -> Answer:
        self.sent.append((sub, authorization))
        self.story.append("sent")
        assert self.traffic.is_sending("b")
        answer = self.script.pop(0)
        return answer() if callable(answer) else answer

    async def find(self, batch_id: str, sender_id: str) -> str | None:
        assert (batch_id, sender_id) == ("b", "ERP 1")
        return self.credentials

    def drop(self, batch_id: str) -> None:
        self.story.append(f"forgot {batch_id}")

    async def carry(self, state: CallState = CallState.PLANNED, **changes: Any) -> Outcomes:
        call = self.delivery.prepare(BATCH, ROWS)
        call = replace(call, record=replace(call.record, state=state), **changes)
        outcomes = await self.delivery.carry(call, BATCH, TABLE)
        assert not self.traffic.is_sending("b"), "whatever became of it, it is over"
        return outcomes

    @property
    def decided(self) -> dict[Address, str]:
        found = [one for change in self.changes if isinstance(change, DecideRows) for one in change.outcomes]
        return {one.address: one.message or one.verdict.value for one in found}


def test_a_call_names_every_row_and_no_organization() -> None:
    """Its rows may belong to several; its path says whose batch it is."""
    record = Place().delivery.prepare(BATCH, ROWS).record
    assert (record.organization, record.operation, record.rows) == ("", LEGACY.name, (FIRST, SECOND))
    assert (record.path, record.state) == ("/webapi/api/Batch?senderid=ERP+1", CallState.PLANNED)


async def test_the_intent_is_durable_before_the_first_byte_and_the_verdicts_after_the_answer() -> None:
    """PLANNED, SUBMITTING, sent, DONE with every verdict in one step, and whatever else belongs into it."""
    here = Place([GOOD])

    async def closing(outcomes: Outcomes) -> Sequence[Change]:
        assert set(outcomes) == {FIRST, SECOND}
        return (FinishBatch("b", b"{}", 1.0),)

    outcomes = await here.carry(closing=closing)
    assert here.story == ["SUBMITTING", "sent", "DONE"]
    assert {one.verdict for one in outcomes.values()} == {Verdict.ACCEPTED}
    assert [type(one) for one in here.changes] == [MoveCall, MoveCall, DecideRows, FinishBatch]
    ((sub, authorization),) = here.sent
    assert (sub.sender, sub.profile, authorization) == ("ERP 1", "autocollect", "Bearer x")
    assert json.loads(sub.body)["invoice"] == [{"a": 1}]


@pytest.mark.parametrize("state", [CallState.SUBMITTING, CallState.IN_DOUBT])
async def test_what_was_interrupted_is_never_sent(state: CallState) -> None:
    """It is in doubt, and stays so."""
    here = Place()
    assert await here.carry(state) == {}
    assert here.story == (["IN_DOUBT"] if state is CallState.SUBMITTING else [])


async def test_what_was_not_taken_goes_back_and_is_sent_again() -> None:
    """Each time later, or when the host asks for it; the intent is written anew each time."""
    script: list[Any] = [NotTaken("HTTP 503"), NotTaken("HTTP 503"), NotTaken("HTTP 429", 7.0), GOOD]
    here = Place(script)
    assert len(await here.carry()) == 2
    assert here.story == ["SUBMITTING", "sent", "PLANNED"] * 3 + ["SUBMITTING", "sent", "DONE"]
    first, second, asked = here.naps
    assert 0.25 <= first <= 0.5 <= second <= 1.0
    assert asked == 7.0


async def test_the_pauses_have_a_ceiling() -> None:
    """A host that is away for hours is asked every half minute."""
    script: list[Any] = [NotTaken("away")] * 12 + [GOOD]
    here = Place(script, retry_seconds=1e6)
    await here.carry()
    assert max(here.naps) <= 30.0
    assert min(here.naps[-3:]) >= 15.0


async def test_a_host_in_trouble_is_left_alone_by_all() -> None:
    """After some doubts in a row nobody sends for a while: one more batch in doubt helps nobody."""
    here = Place([Unknown("HTTP 502"), Unknown("HTTP 502"), GOOD], failures_to_break=2)
    await here.carry()
    await here.carry()
    assert (here.naps, here.gate.closed) == ([], True)
    await here.carry()
    assert here.naps == [1.0]
    assert here.story[-3:] == ["SUBMITTING", "sent", "DONE"]


async def test_only_so_many_are_with_the_host_at_a_time() -> None:
    """The others wait where nothing of them has left."""
    here = Place([GOOD] * 3)
    with await here.gate.enter(), await here.gate.enter():
        waiting = asyncio.create_task(here.carry())
        await asyncio.sleep(0.01)
        assert here.story == []
    await waiting
    assert here.story[-1] == "DONE"


async def test_nobody_tries_for_ever() -> None:
    """When its time is over its rows are refused, and the message says that nothing was sent."""
    here = Place([NotTaken("HTTP 503", 50.0)] * 3)
    await here.carry()
    assert here.story[-1] == "REFUSED"
    assert set(here.decided.values()) == {
        "not submitted: the legacy host did not take it in time (HTTP 503); send it again in a new batch"
    }
    assert len(here.sent) == 3


async def test_a_lease_that_ends_while_the_intent_is_written_lets_nothing_leave() -> None:
    """The batch may be another replica's by now; the call is planned again, and sent when it surely is ours."""
    here = Place([GOOD])
    write = here.write

    async def lose_lease(*changes: Change) -> None:
        await write(*changes)
        here.leased = here.story.count("SUBMITTING") != 1

    here.write = lose_lease  # type: ignore[method-assign]  # the lease ends at this very moment
    await here.carry()
    assert here.story == ["SUBMITTING", "PLANNED", "SUBMITTING", "sent", "DONE"]


async def test_an_unknown_fate_is_an_operators() -> None:
    """The answer was lost: in doubt, and nothing further is done."""
    here = Place([Unknown("HTTP 500")])
    assert await here.carry() == {}
    assert here.story == ["SUBMITTING", "sent", "IN_DOUBT"]
    assert here.decided == {}


async def test_an_answer_that_cannot_be_read_is_unknown_as_well() -> None:
    """HTTP 200 alone says nothing about rows."""
    here = Place([Replied(200, b"<html>")])
    assert await here.carry() == {}
    assert here.story[-1] == "IN_DOUBT"


async def test_rows_an_answer_leaves_open_are_in_doubt_and_the_others_final() -> None:
    """What was said is written down at once."""
    lines = [{"objectname": "payment", "objectindex": 0}]
    here = Place([Replied(200, json.dumps({"statuscode": 3, "responses": lines}).encode())])
    call = here.delivery.prepare(BATCH, ROWS)
    open_table = replace(TABLE, host_unmentioned=Verdict.PENDING)
    outcomes = await here.delivery.carry(call, BATCH, open_table)
    assert list(outcomes) == [SECOND]
    assert here.story[-1] == "IN_DOUBT"
    assert here.decided == {SECOND: "accepted"}


async def test_without_credentials_nothing_is_sent() -> None:
    """Rows that provably never left are refused, so that they may be sent again."""
    here = Place(credentials=None)
    await here.carry()
    assert here.story == ["REFUSED"]
    assert set(here.decided.values()) == {NO_CREDENTIALS}


async def test_a_caller_without_credentials_needs_none() -> None:
    """That nothing was shown is known; it is not the same as nobody knowing what was shown."""
    here = Place([GOOD], credentials="")
    await here.carry()
    assert [authorization for _, authorization in here.sent] == [""]


async def test_a_refusal_of_everything_is_told_in_the_hosts_words() -> None:
    """Where it has some; else by its status."""
    here = Place([Replied(400, b'{"errors":[{"objectname":"batch","objectindex":0,"message":"closed"}]}')])
    await here.carry()
    assert here.story[-1] == "REFUSED"
    assert set(here.decided.values()) == {"closed"}
    here = Place([Replied(404, b"not found")])
    await here.carry()
    assert set(here.decided.values()) == {"the legacy host refused it with HTTP 404"}


async def test_a_refusal_that_lists_rows_as_taken_is_read_row_by_row() -> None:
    """Were all of them refused, their sender would send the taken ones again, and the host would book them twice."""
    taken = {"objectname": "invoice", "objectindex": 0, "ledgerref": "L-1", "status_statuscode": "OK"}
    faulty = {"objectname": "payment", "objectindex": 0, "message": "no such claim"}
    here = Place([Replied(400, json.dumps({"statuscode": 1, "errors": [faulty], "responses": [taken]}).encode())])
    outcomes = await here.carry()
    assert (outcomes[FIRST].verdict, outcomes[FIRST].ledgerref) == (Verdict.ACCEPTED, "L-1")
    assert outcomes[SECOND].message == "no such claim"
    assert here.story[-1] == "DONE"


async def test_a_stopping_bridge_sends_nothing_more() -> None:
    """What is planned stays planned for the next start."""
    here = Place([GOOD])
    await here.traffic.quiesce(0.0)
    carrying = asyncio.create_task(here.carry())
    await asyncio.sleep(0.01)
    assert here.story == []
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)


def test_credentials_are_forgotten_with_the_batch() -> None:
    """Whoever ends a batch says so."""
    here = Place()
    here.delivery.forget("b")
    assert here.story == ["forgot b"]


def test_a_call_is_of_a_shape_with_others() -> None:
    """Workshop and worker treat it like any other."""
    assert isinstance(Place().delivery.prepare(BATCH, ROWS), LiveCall)
