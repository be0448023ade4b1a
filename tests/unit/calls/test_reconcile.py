"""What became of a write whose answer was lost, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from bridge.batch import Address, CallState, Operation, Verdict
from bridge.calls.live import LiveCall
from bridge.calls.reconcile import Adopted, Found, NeverArrived, Parked, Patience, Reconciler
from bridge.errors import CannotTakeNow, ModernRefused, ModernUnreachable
from bridge.journal import CallRecord, Claim
from bridge.modern.lists import ModernCase, ModernInvoice
from bridge.modern.results import ModernBatch
from bridge.modern.tokens import Access
from bridge.plan import Draft, PlannedRow

START = 1_700_000_000.0
TIMEOUT, SETTLE = 30.0, 20.0
ACCESS = Access("org", "client", "secret")
INVOICES = Operation("create_invoices", "/invoices", "invoices", "uniqueSourceInvoiceId", ("invoiceNumber",))
PAYMENTS = Operation("create_payments", "/payments", "payments", "uniqueSourcePaymentId", ("invoiceId",))
CORRECTIONS = Operation("create_corrections", "/corrections", "corrections", "", ("invoiceId",))


@dataclass
class Time:
    """A clock that moves only when somebody sleeps."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@dataclass
class Modern:
    """A modern system whose lists show things from a certain time on."""

    time: Time
    listed: list[tuple[float, ModernBatch]] = field(default_factory=list)
    held: list[tuple[float, ModernInvoice]] = field(default_factory=list)
    honours_key: bool = True
    failures: list[Exception] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    known: list[Claim] = field(default_factory=list)

    async def batches(
        self, access: Access, *, idempotency_key: str | None = None, created_since: float | None = None
    ) -> Sequence[ModernBatch]:
        if self.failures:
            raise self.failures.pop()
        if idempotency_key == "call-1":
            self.looks.append(self.time.now)
        visible = [batch for at, batch in self.listed if at <= self.time.now]
        if idempotency_key is None or not self.honours_key:
            return visible
        return [batch for batch in visible if batch.idempotency_key == idempotency_key]

    async def invoices(
        self, access: Access, *, unique_source_invoice_id: str | None = None, invoice_number: str | None = None
    ) -> Sequence[ModernInvoice]:
        visible = [invoice for at, invoice in self.held if at <= self.time.now]
        return [invoice for invoice in visible if invoice.unique_source_invoice_id == unique_source_invoice_id]

    async def claims(self, organization: str, kind: str, value: str) -> Sequence[Claim]:
        """Answer as the cross-reference, which is in trouble now and then, too."""
        if self.failures:
            raise self.failures.pop()
        assert kind == "invoiceId"
        return [claim for claim in self.known if (claim.organization, claim.invoice_id) == (organization, value)]

    async def cases(
        self, access: Access, *, unique_source_invoice_id: str | None = None, case_number: str | None = None
    ) -> Sequence[ModernCase]:
        raise NotImplementedError


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def modern(time: Time) -> Modern:
    return Modern(time)


@pytest.fixture
def reconciler(time: Time, modern: Modern) -> Reconciler:
    return Reconciler(modern, modern, Patience(TIMEOUT, SETTLE), clock=time, sleep=time.sleep)


def make_call(operation: Operation = INVOICES, count: int = 2, *, tried: bool = True) -> LiveCall:
    """Return a call in doubt whose attempt began at START."""
    kind = "invoice" if operation is INVOICES else "payment"
    rows = tuple(
        PlannedRow(
            Address(kind, index),
            "org",
            operation,
            b"{}",
            unique_id=f"u{index}" if operation.unique_id else "",
            invoice_number=str(index) if operation is INVOICES else "",
        )
        for index in range(count)
    )
    addresses = tuple(row.address for row in rows)
    record = CallRecord(
        "call-1", "b", "org", operation.name, operation.path, addresses, CallState.IN_DOUBT, "", START, START
    )
    return LiveCall(record, Draft("org", operation, operation.path, rows), tried)


def batch(name: str, at: float = START, key: str = "call-1", named: Sequence[str] = ()) -> ModernBatch:
    entries = tuple({"uniquesourcepaymentid": unique_id} for unique_id in named)
    return ModernBatch(name, created_at=moment(at), idempotency_key=key, succeeded=entries)


def invoice(index: int, at: float = START + 1, number: str | None = None) -> ModernInvoice:
    return ModernInvoice(
        f"i{index}", str(index) if number is None else number, f"u{index}", f"c{index}", "", "", "", moment(at)
    )


async def test_absence_is_concluded_late_and_from_two_looks(time: Time, modern: Modern, reconciler: Reconciler) -> None:
    """Not before time-out + settle, and not before another settle interval has passed without a sign."""
    assert await reconciler.settle(ACCESS, make_call()) == NeverArrived()
    assert time.now >= START + TIMEOUT + 2 * SETTLE
    assert any(TIMEOUT + SETTLE <= look - START < TIMEOUT + SETTLE + 1 for look in modern.looks)


async def test_after_a_long_stop_the_two_looks_are_still_apart(
    time: Time, modern: Modern, reconciler: Reconciler
) -> None:
    """A call of yesterday is looked for twice as well, a settle interval apart."""
    time.now = began = START + 86_400
    assert await reconciler.settle(ACCESS, make_call()) == NeverArrived()
    assert modern.looks[0] == began
    assert modern.looks[-1] >= began + SETTLE


@pytest.mark.parametrize("visible_after", [0.0, 3.0, TIMEOUT + SETTLE + 1, TIMEOUT + 2 * SETTLE])
async def test_a_batch_under_our_key_is_adopted_whenever_it_shows_up(
    modern: Modern, reconciler: Reconciler, visible_after: float
) -> None:
    """Evidence of arrival is taken at once, and up to the last look."""
    modern.listed = [(START + visible_after, batch("m1"))]
    assert await reconciler.settle(ACCESS, make_call(CORRECTIONS)) == Adopted("m1")


async def test_of_several_batches_the_oldest_is_adopted_with_an_alarm(modern: Modern, reconciler: Reconciler) -> None:
    """Two batches under one key are a doubled call: an operator must hear of it."""
    modern.listed = [(START, batch("late", START + 5)), (START, batch("early", START + 1))]
    with capture_logs() as lines:
        assert await reconciler.settle(ACCESS, make_call()) == Adopted("early")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["doubled_batch"]


async def test_a_batch_older_than_the_call_is_not_its_own(modern: Modern, reconciler: Reconciler) -> None:
    """A server that ignores the filter shows batches of yesterday."""
    modern.listed = [(START, batch("m1", START - 86_400, key=""))]
    assert await reconciler.settle(ACCESS, make_call()) == NeverArrived()


@pytest.mark.parametrize(
    ("operation", "finding"), [(INVOICES, NeverArrived()), (PAYMENTS, Parked()), (CORRECTIONS, Parked())]
)
async def test_a_server_that_ignores_the_key_proves_nothing(
    modern: Modern, reconciler: Reconciler, operation: Operation, finding: object
) -> None:
    """Whatever it lists is anybody's; only invoices can be looked up all the same."""
    modern.honours_key = False
    modern.listed = [(START, batch("somebody's", START + 1, key=""))]
    assert await reconciler.settle(ACCESS, make_call(operation)) == finding


@pytest.mark.parametrize(("named", "finding"), [(["u0", "u1", "x"], Adopted("m1")), (["u0"], NeverArrived())])
async def test_payments_are_known_by_all_their_unique_ids(
    modern: Modern, reconciler: Reconciler, named: list[str], finding: object
) -> None:
    """Without its key a batch is ours when it names every row; one shared payment may be an older batch's."""
    modern.listed = [(START, batch("m1", START + 1, key="other", named=named))]
    assert await reconciler.settle(ACCESS, make_call(PAYMENTS)) == finding


async def test_corrections_are_never_given_free(modern: Modern, reconciler: Reconciler) -> None:
    """They carry no id that would stop a second booking."""
    assert await reconciler.settle(ACCESS, make_call(CORRECTIONS)) == Parked()


async def test_invoices_that_exist_are_the_calls_own(modern: Modern, reconciler: Reconciler) -> None:
    """All rows are there: accepted, with the ids the lists show."""
    modern.held = [(START + 5, invoice(0)), (START + 5, invoice(1))]
    finding = await reconciler.settle(ACCESS, make_call())
    assert isinstance(finding, Found)
    assert finding.missing == ()
    assert {outcome.verdict for outcome in finding.outcomes.values()} == {Verdict.ACCEPTED}
    assert finding.outcomes[Address("invoice", 1)].ids["invoiceId"] == "i1"


async def test_the_missing_rows_of_a_call_are_named(modern: Modern, reconciler: Reconciler) -> None:
    """Some invoices exist: only the others may be sent."""
    modern.held = [(START + 5, invoice(1))]
    finding = await reconciler.settle(ACCESS, make_call())
    assert isinstance(finding, Found)
    assert [row.address.objectindex for row in finding.missing] == [0]


@pytest.mark.parametrize("holder", [invoice(0, START - 86_400), invoice(0, number="other")])
async def test_an_invoice_of_somebody_else_refuses_the_row(
    modern: Modern, reconciler: Reconciler, holder: ModernInvoice
) -> None:
    """One older than the call, or of another number, was not made by it: the message names its case."""
    modern.held = [(START, holder)]
    finding = await reconciler.settle(ACCESS, make_call(count=1))
    assert isinstance(finding, Found)
    outcome = finding.outcomes[Address("invoice", 0)]
    assert outcome.verdict is Verdict.REFUSED
    assert "case c0" in outcome.message


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        ([], Verdict.ACCEPTED),
        ([Claim("org", "i0", batch_id="b")], Verdict.ACCEPTED),
        ([Claim("org", "i0")], Verdict.ACCEPTED),
        ([Claim("elsewhere", "i0", batch_id="a"), Claim("org", "i1", batch_id="a")], Verdict.ACCEPTED),
        ([Claim("org", "i0", batch_id="a")], Verdict.REFUSED),
    ],
    ids=["unknown", "learned by this batch", "from outside", "other claims", "learned by another batch"],
)
async def test_an_invoice_that_another_batch_made_is_not_this_calls_however_young(
    modern: Modern, reconciler: Reconciler, known: list[Claim], verdict: Verdict
) -> None:
    """Made a minute before the call, it might be ours by clocks that differ; the cross-reference knows better."""
    modern.held, modern.known = [(START, invoice(0, START - 60))], known
    modern.failures = [CannotTakeNow()]
    finding = await reconciler.settle(ACCESS, make_call(count=1))
    assert isinstance(finding, Found)
    assert finding.outcomes[Address("invoice", 0)].verdict is verdict


async def test_a_look_that_fails_says_nothing(time: Time, modern: Modern, reconciler: Reconciler) -> None:
    """It is made again, however long that takes, and only answers count as looks."""
    modern.failures = [ModernUnreachable(), ModernRefused(status=404)] * 20
    modern.listed = [(START, batch("m1"))]
    assert await reconciler.settle(ACCESS, make_call()) == Adopted("m1")
    assert modern.failures == []


async def test_a_conflict_is_explained_by_the_key_alone(modern: Modern, reconciler: Reconciler) -> None:
    """A batch that names the same payments was sent by somebody before: it is not adopted."""
    call = make_call(PAYMENTS, tried=False)
    modern.listed = [(START, batch("m1", START + 1, key="other", named=["u0", "u1"]))]
    assert await reconciler.explain_conflict(ACCESS, call) is None
    modern.listed = [(START, batch("m1"))]
    assert await reconciler.explain_conflict(ACCESS, call) == Adopted("m1")


async def test_a_conflict_over_an_invoice_names_its_holder(modern: Modern, reconciler: Reconciler) -> None:
    """A call that was never tried before cannot have made it, however young it is."""
    modern.held = [(START, invoice(0))]
    finding = await reconciler.explain_conflict(ACCESS, make_call(tried=False))
    assert isinstance(finding, Found)
    assert finding.outcomes[Address("invoice", 0)].verdict is Verdict.REFUSED
    assert len(finding.missing) == 1


async def test_duplicates_are_looked_out_for_until_the_lists_had_time(
    time: Time, modern: Modern, reconciler: Reconciler
) -> None:
    """What the modern system says it has may show up later; after a settle interval it is given up."""
    rows = make_call().rows
    modern.held = [(START, invoice(0)), (START + SETTLE / 2, invoice(1))]
    assert len(await reconciler.look_out_for(ACCESS, rows)) == 2
    assert time.now < START + SETTLE
    modern.held = []
    assert await reconciler.look_out_for(ACCESS, rows) == {}
    assert time.now < START + 3 * SETTLE


async def test_rows_that_cannot_be_looked_up_are_not_asked_for(reconciler: Reconciler) -> None:
    """Payments have no list; nor have rows without a unique id."""
    call = make_call()
    nameless = tuple(replace(row, unique_id="") for row in call.rows)
    assert await reconciler.look_up(ACCESS, [*make_call(PAYMENTS).rows, *nameless]) == {}
