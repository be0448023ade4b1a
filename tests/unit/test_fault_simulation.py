"""The rule of durability, section 2, over many small batches in virtual time: nothing doubled, nothing lost.

Workshop, worker, submitter, reconciler, delivery and the SQL of the SQLite journal are the real ones. The modern API
takes whatever comes, twice if need be, loses answers, accepts late, lists late; the legacy host, which decides some
rows of some batches, does as much, and lists nothing; the process dies at any step.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import pytest
from structlog.testing import capture_logs

from bridge.batch import LEGACY, Address, CallState, Operation, Reference, Verdict
from bridge.calls.delivery import Delivery
from bridge.calls.dispatch import Dispatch
from bridge.calls.gates import Gates, GateTerms
from bridge.calls.live import LiveCall, Outcomes
from bridge.calls.reconcile import Finding, NeverArrived, Patience, Reconciler
from bridge.calls.refusals import Refusals
from bridge.calls.relay import Answer as HostAnswer
from bridge.calls.relay import Replied, Sub
from bridge.calls.submission import Submitter, Terms
from bridge.calls.verdicts import Judge
from bridge.claims.expecting import Expecting
from bridge.claims.references import References, teach_through
from bridge.errors import CannotTakeNow, ModernUnreachable
from bridge.intake.desk import Intake
from bridge.journal import Attempt, BatchRecord, Change, Claim, News, Order, PendingInvoice, StoredBatch
from bridge.journal.patient import PatientJournal
from bridge.journal.sqlite import reading
from bridge.journal.sqlite.applying import apply_changes
from bridge.journal.sqlite.crossreference import find_claims
from bridge.journal.sqlite.proof import prove
from bridge.journal.sqlite.schema import upgrade
from bridge.lobby import Lobby
from bridge.mapping import ReplyTable
from bridge.modern.answers import Answer, NotTaken, Refused, Taken, Unknown
from bridge.modern.lists import ModernInvoice
from bridge.modern.results import ModernBatch
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.plan import PlannedRow
from bridge.workshop.completing import Completer
from bridge.workshop.open_batches import Limits
from bridge.workshop.telling import Teller
from bridge.workshop.work import Worker, open_work
from bridge.workshop.workshop import Workshop

T = TypeVar("T")

START = 1_700_000_000.0
TIMEOUT_SECONDS, SETTLE_SECONDS = 5.0, 12.0
LATE_SECONDS, LAG_SECONDS = 8.0, 3.0
"""The worst late acceptance and the worst lag of the lists; together less than the settle time."""
INVOICES = Operation(
    "create_invoices", "/orgs/{organizationId}/invoices", "invoices", "uniqueSourceInvoiceId", ("invoiceNumber",)
)
PAYMENTS = Operation(
    "create_payments", "/orgs/{organizationId}/payments", "payments", "uniqueSourcePaymentId", ("invoiceId",)
)
CORRECTIONS = Operation("create_corrections", "/orgs/{organizationId}/corrections", "corrections", "", ("invoiceId",))
DESK: Any = SimpleNamespace(
    names_in=lambda *_: (),
    profile=SimpleNamespace(
        reply=ReplyTable(0, 1, 2, 3, "OK", "PENDING"),
        objects={
            "invoice": SimpleNamespace(operations={INVOICES.name: INVOICES}),
            "payment": SimpleNamespace(operations={PAYMENTS.name: PAYMENTS, CORRECTIONS.name: CORRECTIONS}),
        },
    ),
)
CROWD = 25
"""How many batches are open in one process."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # the loop's own heap
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        if not self._ready:  # type: ignore[attr-defined]
            assert timers, "everybody waits for somebody else"
            self._now = max(self._now, timers[0].when())
        super()._run_once()  # type: ignore[misc]  # part of every loop of the standard library


def now() -> float:
    return START + asyncio.get_running_loop().time()


# --- the modern side ------------------------------------------------------------------------------------------------


@dataclass
class Held:
    """One batch of the modern system."""

    shown: ModernBatch
    invoices: tuple[ModernInvoice, ...]
    listed_at: float
    finished_at: float


@dataclass
class Modern:
    """An API that protects nobody: it knows no keys and no duplicates, and may list by key or not."""

    chance: random.Random
    lists_by_key: bool = True
    late_seconds: float = LATE_SECONDS
    held: dict[str, Held] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)
    """How often each row was accepted, by its mark."""
    fates: Counter[str] = field(default_factory=Counter)

    async def submit(
        self, access: Access, path: str, body: bytes, key: str, *, expects_batch: bool, **_: Any
    ) -> Answer:
        """Do one of the things that happen to a write."""
        rows = next(iter(msgspec.json.decode(body).values()))
        await self._travel()
        if any(row["kind"] == "wrong" for row in rows):
            return Refused(422, "one of the rows is wrong")
        fates = {"taken": 60, "not taken": 10, "answer lost": 10, "late": 10, "never": 10}
        (fate,) = self.chance.choices(list(fates), list(fates.values()))
        self.fates[fate] += 1
        if fate == "taken":
            return Taken(self._accept(rows, key))
        if fate == "not taken":
            return NotTaken("HTTP 503", self.chance.choice([None, 1.0]))
        if fate == "answer lost":
            self._accept(rows, key)
        if fate == "late":
            late = self.chance.uniform(0.0, self.late_seconds)
            asyncio.get_running_loop().call_later(late, self._accept, rows, key)
        await asyncio.sleep(self.chance.choice([0.0, TIMEOUT_SECONDS]))
        return Unknown("no answer")

    async def glance(self, access: Access, batch_id: str) -> ModernBatch:
        """Show one batch."""
        await self._travel_unsafely()
        held = self.held[batch_id]
        return held.shown if held.finished_at <= now() else ModernBatch(batch_id, status="QUEUED")

    async def batches(
        self, access: Access, *, idempotency_key: str | None = None, created_since: float | None = None
    ) -> Sequence[ModernBatch]:
        """List batches, late."""
        await self._travel_unsafely()
        listed = [held.shown for held in self.held.values() if held.listed_at <= now()]
        if idempotency_key is None or not self.lists_by_key:
            return listed
        return [batch for batch in listed if batch.idempotency_key == idempotency_key]

    async def invoices(
        self, access: Access, *, unique_source_invoice_id: str | None = None, invoice_number: str | None = None
    ) -> Sequence[ModernInvoice]:
        """List invoices, late."""
        await self._travel_unsafely()
        listed = itertools.chain.from_iterable(one.invoices for one in self.held.values() if one.listed_at <= now())
        return [invoice for invoice in listed if invoice.unique_source_invoice_id == unique_source_invoice_id]

    async def _travel(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.01, 0.1))

    async def _travel_unsafely(self) -> None:
        await self._travel()
        if self.chance.random() < 0.02:
            raise ModernUnreachable("the connection broke")

    def _accept(self, rows: Sequence[dict[str, str]], key: str) -> str:
        """Take rows, refuse the bad ones among them, and open a batch."""
        batch_id = f"modern-{len(self.held)}"
        created_at = datetime.fromtimestamp(now(), UTC).isoformat()
        entries = [(_entry(index, row), row) for index, row in enumerate(rows)]
        good = [row for row in rows if row["kind"] == "good"]
        self.accepted.update(row["mark"] for row in good)
        shown = ModernBatch(
            batch_id,
            status="PARTIAL",
            succeeded=tuple(entry for entry, row in entries if row["kind"] == "good"),
            failed=tuple(entry | {"message": "bad"} for entry, row in entries if row["kind"] != "good"),
            created_at=created_at,
            idempotency_key=key if self.lists_by_key else "",
        )
        invoices = tuple(
            ModernInvoice(f"i-{row['mark']}", row["invoiceNumber"], row["uniqueSourceInvoiceId"], created_at=created_at)
            for row in good
            if "uniqueSourceInvoiceId" in row
        )
        listed_at = now() + self.chance.uniform(0.0, LAG_SECONDS)
        self.held[batch_id] = Held(shown, invoices, listed_at, now() + self.chance.uniform(0.0, 2.0))
        return batch_id


def _entry(index: int, row: dict[str, str]) -> dict[str, Any]:
    """Return what a result says of one row: the documented names of an invoice, the unique id of a payment."""
    if "uniqueSourceInvoiceId" in row:
        return {"index": index, "invoiceid": f"i-{row['mark']}", "invoicenumber": row["invoiceNumber"]}
    return {"index": index, "uniquesourcepaymentid": row.get("uniqueSourcePaymentId", "")}


# --- the legacy host ------------------------------------------------------------------------------------------------


@dataclass
class Host:
    """A host that takes whatever comes, and never tells what it has."""

    chance: random.Random
    accepted: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)

    async def send(self, sub: Sub, authorization: str) -> HostAnswer:
        """Do one of the things that happen to a sub-batch."""
        assert authorization == "Basic ours"
        rows = msgspec.json.decode(sub.body)
        await asyncio.sleep(self.chance.uniform(0.01, 0.1))
        fates = {"answered": 70, "host busy": 10, "host silent": 8, "host slow": 4, "host down": 8}
        (fate,) = self.chance.choices(list(fates), list(fates.values()))
        self.fates[fate] += 1
        if fate == "answered":
            return self._accept(rows)
        if fate == "host busy":
            return NotTaken("HTTP 503", self.chance.choice([None, 1.0]))
        if fate == "host silent":
            self._accept(rows)
        if fate == "host slow":
            asyncio.get_running_loop().call_later(self.chance.uniform(0.0, LATE_SECONDS), self._accept, rows)
        await asyncio.sleep(self.chance.choice([0.0, TIMEOUT_SECONDS]))
        return Unknown("no answer")

    def _accept(self, rows: dict[str, Any]) -> HostAnswer:
        placed = [(_line(name, at), row) for name in ("invoice", "payment") for at, row in enumerate(rows[name])]
        self.accepted.update(row["mark"] for _, row in placed if row["kind"] == "good")
        answer = {
            "StatusCode": 1,
            "Errors": [line | {"message": "bad"} for line, row in placed if row["kind"] != "good"],
            "Responses": [line | {"ledgerref": "x"} for line, row in placed if row["kind"] == "good"],
        }
        return Replied(200, msgspec.json.encode(answer))


def _line(name: str, index: int) -> dict[str, Any]:
    return {"ObjectName": name.title(), "ObjectIndex": str(index)}


# --- the books, and a process that dies -----------------------------------------------------------------------------


class Shelf:
    """The SQLite journal without its threads, which know nothing of virtual time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        upgrade(connection)

    def taken(self) -> set[str]:
        return {name for (name,) in self.connection.execute("SELECT id FROM batch")}

    def write(self, changes: Sequence[Change]) -> None:
        self.connection.execute("BEGIN")
        try:
            apply_changes(self.connection, changes)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")


class Process:
    """One life of the bridge; everything it does to the outside is a step, and any step may be its last."""

    def __init__(self, shelf: Shelf, modern: Modern, host: Host, chance: random.Random, deadliness: float) -> None:
        self.shelf = shelf
        self.died = asyncio.Event()
        self._modern = modern
        self._host = host
        self._chance = chance
        self._deadliness = deadliness
        self._free = reading.list_open(shelf.connection)

    async def _step(self) -> None:
        if self._chance.random() < self._deadliness:
            self.died.set()
        if self.died.is_set():
            await asyncio.get_running_loop().create_future()  # until its task is swept away

    def _fail_now_and_then(self) -> None:
        if self._chance.random() < 0.01:
            raise CannotTakeNow

    async def submit(
        self, access: Access, path: str, body: bytes, key: str, *, expects_batch: bool, **_: Any
    ) -> Answer:
        """Send a write, which goes on without us."""
        await self._step()
        sent = asyncio.ensure_future(self._modern.submit(access, path, body, key, expects_batch=expects_batch))
        answer = await asyncio.shield(sent)
        await self._step()
        return answer

    async def send(self, sub: Sub, authorization: str) -> HostAnswer:
        """Send a sub-batch, which goes on without us."""
        await self._step()
        answer = await asyncio.shield(asyncio.ensure_future(self._host.send(sub, authorization)))
        await self._step()
        return answer

    # the journal, as far as a batch needs it

    async def write(self, *changes: Change) -> None:
        await self._step()
        self._fail_now_and_then()
        self.shelf.write(changes)
        await self._step()

    async def take_over(self) -> list[str]:
        free, self._free = self._free, []
        return free

    async def load(self, batch_id: str) -> StoredBatch | None:
        return reading.load_batch(self.shelf.connection, batch_id)

    async def attempts(self, batch_id: str) -> list[Attempt]:
        return reading.list_attempts(self.shelf.connection, batch_id)

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        self._fail_now_and_then()
        return find_claims(self.shelf.connection, organization, kind, value)

    async def pending_invoices(self, organization: str, names: Collection[tuple[str, str]]) -> list[PendingInvoice]:
        self._fail_now_and_then()
        return reading.list_pending_invoices(self.shelf.connection, organization, names)

    async def invoice_verdicts(self, batch_id: str) -> dict[Address, Verdict]:
        self._fail_now_and_then()
        return reading.invoice_verdicts(self.shelf.connection, batch_id)

    async def pending_orders(self) -> list[Order]:
        return []

    def may_send(self, seconds: float) -> bool:
        return True

    def tell(self, news: News, name: str) -> None:
        """There is nobody to be told."""


class BlindDelivery(Delivery):
    """The mechanism switched off: what was interrupted is sent again."""

    async def carry(self, call: LiveCall, *about: Any) -> Outcomes:
        if call.record.state is CallState.SUBMITTING:
            call = await self._move(call, CallState.PLANNED)
        return await super().carry(call, *about)


class BlindReconciler(Reconciler):
    """The mechanism switched off: what was not answered is sent again."""

    async def settle(self, access: Access, call: LiveCall) -> Finding:
        return NeverArrived()


async def _find(batch_id: str, sender_id: str) -> str:
    return "Basic ours"


KEYRING = SimpleNamespace(find=_find, drop=lambda batch_id: None)
NOBODY: Any = SimpleNamespace(
    batch_taken=lambda *_: None,
    batch_finished=lambda *_: None,
    rows_decided=lambda *_: None,
    batch_answered=lambda *_: None,
)


@dataclass
class Simulation:
    """A modern API, a journal, and one process after the other between them."""

    chance: random.Random
    modern: Modern
    host: Host
    shelf: Shelf
    deadliness: float = 0.004
    settle_seconds: float = SETTLE_SECONDS
    reconciler: type[Reconciler] = Reconciler
    delivery: type[Delivery] = Delivery
    lives: int = 0
    parked: set[str] = field(default_factory=set)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def new_id(self) -> str:
        return f"id-{next(self._ids)}"

    def compose(self, process: Process) -> Workshop:
        """Put a bridge together around a process."""
        journal: Any = process
        modern: Any = self.modern
        patience = Patience(TIMEOUT_SECONDS, self.settle_seconds)
        reconciler = self.reconciler(modern, journal, patience, clock=now)
        loop = asyncio.get_running_loop()
        patient = PatientJournal(journal, clock=now, sleep=asyncio.sleep)
        gates = Gates(GateTerms(concurrency=8, failures_to_break=10**9), clock=loop.time)
        dispatch = Dispatch(patient, journal, gates, _access)
        submitter = Submitter(
            patient,
            dispatch,
            Waiter(self.modern.glance, clock=loop.time, jitter=self.chance.random),
            reconciler,
            Judge(reconciler, ["duplicate"]),
            Refusals(modern, clock=now),
            access=_access,
            terms=Terms(retry_seconds=86_400),
            clock=now,
            new_id=self.new_id,
            chance=self.chance,
        )
        teach = teach_through(journal)
        references = References(
            journal, modern, _access, teach=teach, settle_seconds=self.settle_seconds, clock=loop.time
        )
        keyring: Any = KEYRING
        settings: dict[str, Any] = {"retry_seconds": 86_400, "clock": now, "new_id": self.new_id, "chance": self.chance}
        delivery = self.delivery(patient, journal, dispatch.traffic, keyring, gates.of("the legacy host"), **settings)
        worker = Worker(patient, submitter, Completer(references, Expecting(journal)), delivery, max_rows_per_call=50)
        limits = Limits(10**6, 10**6, 10**6)
        lobby = Lobby(clock=now)
        teller = Teller({"profile": DESK}, journal)
        return Workshop(
            teller, journal, patient, worker, lobby, observer=NOBODY, scorer=NOBODY, limits=limits, clock=now
        )

    async def run(self, names: Sequence[str]) -> None:
        """Have every batch taken and brought to its end, in as many lives as it takes."""
        while not self._is_over(names):
            assert now() < START + 86_400, "this comes to no end"
            process = Process(self.shelf, self.modern, self.host, self.chance, self.deadliness)
            self.lives += 1
            await self._live(process, names)
            await asyncio.sleep(self.chance.uniform(0.0, 30.0))

    def _is_over(self, names: Sequence[str]) -> bool:
        return len(self.shelf.taken()) == len(names) and set(reading.list_open(self.shelf.connection)) <= self.parked

    async def _live(self, process: Process, names: Sequence[str]) -> None:
        workshop, taken = self.compose(process), self.shelf.taken()
        tasks = [asyncio.create_task(workshop.take_over())]
        tasks += [asyncio.create_task(self._send(workshop, name)) for name in names if name not in taken]
        death = asyncio.create_task(process.died.wait())
        while not death.done() and not self._is_over(names):
            await asyncio.wait({death}, timeout=1.0)
            self.parked |= {work.record.id for work in workshop.works if work.parked}
        process.died.set()  # whoever wakes up now finds that there is nothing left to do
        for task in (death, *tasks):
            task.cancel()
        await asyncio.gather(death, *tasks, return_exceptions=True)
        await workshop.close()

    async def _send(self, workshop: Workshop, name: str) -> None:
        """Send one batch, and again while the bridge cannot take it."""
        taken = False
        while not taken:
            await asyncio.sleep(self.chance.uniform(0.0, 20.0))
            with suppress(CannotTakeNow):
                await self._send_once(workshop, name)
                taken = True

    async def _send_once(self, workshop: Workshop, name: str) -> None:
        intake = compose_rows(random.Random(name), name)
        record = BatchRecord(name, "ERP-1", "profile", name, name, name, now(), False, len(intake.rows), None)
        await workshop.open(open_work(record, DESK, intake), intake.rows, b"{}", "", ())

    def judge(self, names: Sequence[str]) -> Judgement:
        """Compare what the books say of every row with what the modern side accepted."""
        judgement = Judgement()
        for name in names:
            stored = reading.load_batch(self.shelf.connection, name)
            assert stored is not None
            for row in stored.rows:
                item = msgspec.json.decode(row.item or b"")
                system = self.host if row.operation == LEGACY.name else self.modern
                times = (self.modern.accepted + self.host.accepted)[item["mark"]]
                assert times == system.accepted[item["mark"]], "a row went to the other system"
                judgement.add(item["mark"], item["kind"], row.verdict, times)
        ledger = prove(self.shelf.connection)
        assert (ledger.unaccounted, ledger.in_doubt) == ((), len(judgement.parked))
        return judgement


@dataclass
class Judgement:
    """Rows, by their marks, by what became of them; the first three must stay empty."""

    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Not accepted, though the answer says so or nothing was wrong with it."""
    denied: list[str] = field(default_factory=list)
    """Accepted, though the answer says otherwise."""
    parked: list[str] = field(default_factory=list)
    fine: int = 0

    def add(self, mark: str, kind: str, verdict: Verdict, times: int) -> None:
        if times > 1:
            self.doubled.append(mark)
        elif verdict is Verdict.PENDING:
            self.parked.append(mark)
        elif verdict is Verdict.REFUSED and times:
            self.denied.append(mark)
        elif (verdict is Verdict.ACCEPTED, bool(times)) != (kind == "good",) * 2:
            self.lost.append(mark)
        else:
            self.fine += 1


def compose_rows(chance: random.Random, name: str) -> Intake:
    """Make a batch of a few invoices, some with a payment or correction; whoever decides them finds fault with some.

    Every third batch has rows that the legacy host decides.
    """
    intake = Intake()
    for index in range(chance.randint(1, 4)):
        (kind,) = chance.choices(["good", "bad", "wrong"], [90, 6, 4])
        unique_id = f"erp-{name}-{index}"
        names = (("uniqueSourceInvoiceId", unique_id), ("invoiceNumber", f"{name}-{index}"))
        about = _plan(intake, Address("invoice", index), INVOICES, name, kind, names=names)
        if chance.random() < 0.6:
            operation = chance.choice([PAYMENTS, PAYMENTS, CORRECTIONS])
            _plan(intake, Address("payment", len(intake.rows) - index - 1), operation, name, kind, about=about)
    invoices = index + 1
    for more in range(chance.choice([0, 0, 1, 1, 5]) * (chance.random() < 0.6)):
        address = Address("invoice", invoices + more)
        item = {"mark": f"{name}-legacy-{address}", "kind": chance.choice(["good", "good", "good", "bad"])}
        intake.relay(PlannedRow(address, "other org", LEGACY, msgspec.json.encode(item)), "", ())
    intake.rows.sort(key=lambda row: row.address)
    return intake


def _plan(
    intake: Intake,
    address: Address,
    operation: Operation,
    name: str,
    kind: str,
    *,
    names: tuple[tuple[str, str], ...] = (),
    about: tuple[tuple[str, str], ...] = (),
) -> tuple[tuple[str, str], ...]:
    """Plan one row; return the names by which others refer to it."""
    item = {"mark": f"{name}-{address}", "kind": kind, **dict(names)}
    if operation.unique_id:
        item.setdefault(operation.unique_id, f"pay-{name}-{address.objectindex}")
    row = PlannedRow(
        address,
        "org",
        operation,
        msgspec.json.encode(item),
        unique_id=item.get(operation.unique_id, ""),
        invoice_number=item.get("invoiceNumber", ""),
        reference=Reference("invoice", "invoiceId", keys=about) if about else None,
        reference_target="invoice" if about else "",
        keys=names,
    )
    intake.plan(row, "")
    return names


def _access(organization: str) -> Access:
    return Access(organization, "client", "secret")


def simulate(seed: int, batches: int, **settings: Any) -> tuple[Judgement, Counter[str]]:
    """Run a simulation; return what became of the rows, and what happened to writes and processes."""
    total, happened = Judgement(), Counter[str]()
    by_key = settings.pop("lists_by_key", True)
    for crowd in range(batches // CROWD):
        chance = random.Random(f"{seed} {crowd}")
        names = [f"b{crowd}-{number}" for number in range(CROWD)]
        with (
            closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
            asyncio.Runner(loop_factory=VirtualLoop) as runner,
            capture_logs(),
        ):
            simulation = Simulation(chance, Modern(chance, by_key), Host(chance), Shelf(connection), **settings)
            runner.run(simulation.run(names))
            judgement = simulation.judge(names)
        happened += simulation.modern.fates + simulation.host.fates + Counter(death=simulation.lives - 1)
        total.doubled += judgement.doubled
        total.lost += judgement.lost
        total.denied += judgement.denied
        total.parked += judgement.parked
        total.fine += judgement.fine
    return total, happened


SIZES = [pytest.param(300), pytest.param(5_000, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])]


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
@pytest.mark.parametrize("batches", SIZES)
@pytest.mark.parametrize("lists_by_key", [True, False], ids=["by key", "without keys"])
def test_the_rule_loses_nothing_and_doubles_nothing(batches: int, lists_by_key: bool) -> None:
    """Refusals, lost answers, late acceptance, late lists, deaths: each row is there once, or stays in doubt."""
    judgement, happened = simulate(1, batches, lists_by_key=lists_by_key)
    assert (judgement.doubled, judgement.lost, judgement.denied) == ([], [], [])
    lookable = [mark for mark in judgement.parked if "invoice" in mark and "legacy" not in mark]
    assert not lookable, "an invoice of the modern system can be looked up"
    assert judgement.fine > 8 * len(judgement.parked)
    expected = {"taken", "not taken", "answer lost", "late", "never", "death"}
    assert min(happened[what] for what in expected) > batches // 50
    assert min(happened[f"host {what}"] for what in ("busy", "silent", "slow", "down")) > 0


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
@pytest.mark.parametrize(
    "settings",
    [{"reconciler": BlindReconciler}, {"settle_seconds": 0.5}, {"delivery": BlindDelivery, "deadliness": 0.02}],
    ids=["sent again blindly", "settled before the last moment of acceptance", "sent to the legacy host blindly"],
)
def test_without_the_rule_rows_are_doubled(settings: dict[str, Any]) -> None:
    """The same simulation with its mechanism off, or its patience too short, finds doubled rows: it can fail."""
    judgement, _ = simulate(1, 300, **settings)
    assert len(judgement.doubled) > 5
