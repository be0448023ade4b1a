"""What the reads answer: filters, pages, and what is not visible yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar

from .answers import Refused
from .books import Account
from .claims import Invoice
from .lifecycle import Batch
from .paging import BadPageToken, cut_page
from .rendering import render_batch, render_case, render_invoice, render_invoice_summary, show
from .settlements import Settlement, render_settlement
from .stand_in import StandIn

LARGEST_PAGE = 500

_Row = TypeVar("_Row", Batch, Invoice, Settlement)

_PARAMETERS = {
    "batch": (),
    "batches": ("State", "Type", "SubjectId", "IdempotencyKey", "PageToken", "PageSize", "SortDirection"),
    "invoice": (),
    "invoice-list": (
        "Status", "Type", "InvoiceNumber", "UniqueSourceInvoiceId", "CustomerNumber", "From", "To", "PageToken",
    ),
    "cases": (
        "Status", "Type", "CaseNumber", "CustomerNumber", "UniqueSourceInvoiceId", "SearchTerm", "FromCreatedAt",
        "ToCreatedAt", "PageToken", "PageSize",
    ),
    "settlement": (),
    "settlements": ("fromDate", "toDate", "pageSize", "pageToken"),
}  # fmt: skip

Query = Mapping[str, str]
"""Documented parameter name → value; absent ones are missing."""


def read_query(operation: str, given: Sequence[tuple[str, str]]) -> Query:
    """Match parameter names without letter case; refuse unknown and repeated ones, which would filter nothing."""
    names = {name.lower(): name for name in _PARAMETERS[operation]}
    query: dict[str, str] = {}
    for name, value in given:
        known = names.get(name.lower())
        if known is None or known in query:
            reason = "unknown query parameter" if known is None else "given twice"
            raise Refused(400, [{"field": name, "message": reason}])
        query[known] = value
    return query


def answer_read(operation: str, stand_in: StandIn, account: Account, ident: str, query: Query) -> dict[str, Any]:
    """Return the body of a read; `ident` is the id in its path."""
    return _ANSWERS[operation](stand_in, account, ident, query)


def _get_batch(stand_in: StandIn, account: Account, ident: str, _query: Query) -> dict[str, Any]:
    batch = account.batch_by_id.get(ident.lower())
    if batch is None:
        raise Refused(404, "no batch with this batchId")
    stand_in.poll(batch)
    return {"summary": {"status": "SUCCESS"}, "data": render_batch(batch)}


def _get_invoice(stand_in: StandIn, account: Account, ident: str, _query: Query) -> dict[str, Any]:
    invoice = account.invoice_by_id.get(ident.lower())
    if invoice is not None:
        stand_in.tick(invoice.batch)
    if invoice is None or invoice.batch.finished_at is None:
        raise Refused(404, "no invoice with this invoiceId")
    return {"summary": {"status": "SUCCESS", "nextPageToken": None}, "data": render_invoice(invoice)}


def _list_batches(stand_in: StandIn, account: Account, _ident: str, query: Query) -> dict[str, Any]:
    stand_in.poll_queued(account)
    now = stand_in.now()
    rows = account.batches_by_key.get(query["IdempotencyKey"], []) if "IdempotencyKey" in query else account.batches

    def matches(batch: Batch) -> bool:
        return (
            batch.is_listed(now)
            and query.get("State", batch.status) == batch.status
            and query.get("Type", batch.type) == batch.type
            and ("SubjectId" not in query or query["SubjectId"].lower() in batch.subjects)
        )

    return _page(stand_in, rows, query, matches, render_batch, newest_first=_is_newest_first(query))


def _list_invoices(stand_in: StandIn, account: Account, _ident: str, query: Query) -> dict[str, Any]:
    filters = _ClaimFilters(stand_in, account, query, ("From", "To"))
    return _page(stand_in, filters.candidates(), query, filters.match, partial(show, render=render_invoice_summary))


def _list_cases(stand_in: StandIn, account: Account, _ident: str, query: Query) -> dict[str, Any]:
    filters = _ClaimFilters(stand_in, account, query, ("FromCreatedAt", "ToCreatedAt"))
    status = query.get("Status")

    def matches(invoice: Invoice) -> bool:
        return (
            (status is None or invoice.case.status == status)
            and query.get("CaseNumber", str(invoice.case.number)) == str(invoice.case.number)
            and filters.match(invoice, by_status=False)
            and _contains(invoice, query.get("SearchTerm", ""))
        )

    return _page(stand_in, filters.candidates(), query, matches, partial(show, render=render_case))


def _get_settlement(stand_in: StandIn, account: Account, ident: str, _query: Query) -> dict[str, Any]:
    settlement = account.settlement_by_id.get(ident.lower())
    if settlement is not None and settlement.batch is not None:
        stand_in.tick(settlement.batch)
    if settlement is None or not settlement.is_readable:
        raise Refused(404, "no settlement with this settlementId")
    return {"summary": {"status": "SUCCESS", "nextPageToken": None}, "data": render_settlement(settlement)}


def _list_settlements(stand_in: StandIn, account: Account, _ident: str, query: Query) -> dict[str, Any]:
    """Show settlements in the order they were made (assumed); both dates are inclusive (assumed)."""
    for batch in list(account.queued.values()):
        stand_in.tick(batch)
    now, first, last = stand_in.now(), _day(query, "fromDate", ""), _day(query, "toDate", "9999-12-31")

    def matches(settlement: Settlement) -> bool:
        return settlement.is_listed(now) and first <= settlement.settled_on <= last

    return _page(stand_in, account.settlements, query, matches, render_settlement, names=("pageSize", "pageToken"))


_ANSWERS: Mapping[str, Callable[[StandIn, Account, str, Query], dict[str, Any]]] = {
    "batch": _get_batch,
    "batches": _list_batches,
    "invoice": _get_invoice,
    "invoice-list": _list_invoices,
    "cases": _list_cases,
    "settlement": _get_settlement,
    "settlements": _list_settlements,
}


class _ClaimFilters:
    """The filters that invoices and cases have in common."""

    def __init__(self, stand_in: StandIn, account: Account, query: Query, period: tuple[str, str]) -> None:
        for batch in list(account.queued.values()):
            stand_in.tick(batch)
        self._account = account
        self._query = query
        self._now = stand_in.now()
        self._start = _instant(query, period[0], float("-inf"))
        self._end = _instant(query, period[1], float("inf"))

    def candidates(self) -> Sequence[Invoice]:
        """Return the rows worth looking at, by index where there is one."""
        if "UniqueSourceInvoiceId" in self._query:
            return self._account.invoices_by_unique_id.get(self._query["UniqueSourceInvoiceId"], [])
        if "InvoiceNumber" in self._query:
            return self._account.invoices_by_number.get(self._query["InvoiceNumber"], [])
        return self._account.invoices

    def match(self, invoice: Invoice, *, by_status: bool = True) -> bool:
        """Tell whether the list shows this invoice."""
        batch, query = invoice.batch, self._query
        return (
            batch.finished_at is not None
            and batch.is_listed(self._now)
            and self._start <= batch.created_at <= self._end
            and query.get("InvoiceNumber", invoice.number) == invoice.number
            and query.get("Type", invoice.type) == invoice.type
            and (not by_status or query.get("Status", invoice.status) == invoice.status)
            and ("CustomerNumber" not in query or _has_customer(invoice, query["CustomerNumber"]))
        )


def _has_customer(invoice: Invoice, number: str) -> bool:
    return any(debtor.get("customerNumber") == number for debtor in invoice.row.get("debtors", []))


def _contains(invoice: Invoice, term: str) -> bool:
    """Search case number, invoice number and debtor names, letter case aside (assumed)."""
    if not term:
        return True
    texts = [str(invoice.case.number), invoice.number]
    for debtor in invoice.row.get("debtors", []):
        texts += [debtor.get(name, "") for name in ("name", "firstname", "lastname")]
    return any(term.lower() in text.lower() for text in texts)


def _instant(query: Query, name: str, absent: float) -> float:
    """Read a date or date-time as Unix seconds; without offset it is UTC."""
    if name not in query:
        return absent
    try:
        moment = datetime.fromisoformat(query[name])
    except ValueError:
        raise Refused(400, [{"field": name, "message": "must be a date or an RFC 3339 date-time"}]) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _day(query: Query, name: str, absent: str) -> str:
    if name not in query:
        return absent
    try:
        return date.fromisoformat(query[name]).isoformat()
    except ValueError:
        raise Refused(400, [{"field": name, "message": "must be a date such as 2025-03-09"}]) from None


def _is_newest_first(query: Query) -> bool:
    direction = query.get("SortDirection", "desc").lower()
    if direction not in {"asc", "ascending", "desc", "descending"}:
        raise Refused(400, [{"field": "SortDirection", "message": "must be Asc or Desc"}])
    return direction.startswith("desc")


def _page(
    stand_in: StandIn,
    rows: Sequence[_Row],
    query: Query,
    matches: Callable[[_Row], bool],
    render: Callable[[_Row], Any],
    *,
    newest_first: bool = False,
    names: tuple[str, str] = ("PageSize", "PageToken"),
) -> dict[str, Any]:
    size_name, token_name = names
    size = _page_size(query, size_name, stand_in.options.page_size)
    token = query.get(token_name, "")
    try:
        page, following = cut_page(rows, token=token, size=size, newest_first=newest_first, matches=matches)
    except BadPageToken as fault:
        raise Refused(400, [{"field": token_name, "message": f"{token_name}: {fault}"}]) from fault
    return {"data": [render(row) for row in page], "summary": {"status": "SUCCESS", "nextPageToken": following}}


def _page_size(query: Query, name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise Refused(400, [{"field": name, "message": f"must be a number from 1 to {LARGEST_PAGE}"}])
    return int(text)
