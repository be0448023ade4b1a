"""The shapes of what is sent to the modern API, by the names on its pages. Nothing undocumented passes.

No row pays for these models: mapping files are checked against them when they are loaded, examples in the tests. The
pages do not say which fields are required, so only those are without which a claim or payment has no meaning.
"""
# ruff: noqa: N815 - field names are the wire's own, letter by letter

from __future__ import annotations

from collections.abc import Mapping
from datetime import date as Date  # noqa: N812 - PaymentItem and CorrectionItem have a field called `date`
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Strict

Amount = Annotated[Decimal, Strict()]
"""A JSON number, exact; text that looks like a number is not one."""

Flag = Annotated[bool, Strict()]
"""A JSON boolean."""


class WireModel(BaseModel):
    """Refuse every field that is not on the page."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Email(WireModel):
    """One e-mail address of a debtor (CreateInvoices)."""

    value: str | None = None


class Phone(WireModel):
    """One phone number of a debtor (CreateInvoices)."""

    countryCode: str | None = None
    originalValue: str | None = None
    value: str | None = None


class Address(WireModel):
    """One postal address of a debtor (CreateInvoices)."""

    street: str | None = None
    city: str | None = None
    zipCode: str | None = None
    countryCode: str | None = None


class Debtor(WireModel):
    """One debtor of an invoice (CreateInvoices); `firstname` and `lastname` are lower case on input."""

    type: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    name: str | None = None
    customerNumber: str | None = None
    identificationNumber: str | None = None
    organizationNumber: str | None = None
    dateOfBirth: Date | None = None
    emails: tuple[Email, ...] | None = None
    phoneNumbers: tuple[Phone, ...] | None = None
    addresses: tuple[Address, ...] | None = None


class Claim(WireModel):
    """One part of what is owed on an invoice (CreateInvoices)."""

    type: str | None = None
    remainingAmount: Amount | None = None
    description: str | None = None


class InvoiceItem(WireModel):
    """One element of `invoices` (CreateInvoices, POST /orgs/{organizationId}/invoices)."""

    type: str | None = None
    invoiceNumber: str
    vat: Flag | None = None
    fees: Flag | None = None
    originalInvoiceAmount: Amount
    currency: str | None = None
    invoiceDate: AwareDatetime | None = None
    dueDate: AwareDatetime
    collectionNoticeDate: AwareDatetime | None = None
    ocrReferenceNumber: str | None = None
    uniqueSourceInvoiceId: str | None = None
    description: str | None = None
    debtors: tuple[Debtor, ...] | None = None
    claims: tuple[Claim, ...] | None = None


class PaymentItem(WireModel):
    """One element of `payments` (CreatePayments, POST /orgs/{organizationId}/payments)."""

    invoiceId: str
    type: str | None = None
    amount: Amount
    currency: str | None = None
    date: AwareDatetime | None = None
    description: str | None = None
    uniqueSourcePaymentId: str | None = None


class CorrectionItem(WireModel):
    """One element of `corrections` (CreateCorrections, POST /orgs/{organizationId}/corrections)."""

    invoiceId: str
    amount: Amount
    currency: str | None = None
    date: AwareDatetime | None = None
    description: str | None = None


class PauseBody(WireModel):
    """The body of PauseCase (assumed; the page was never seen)."""

    until: AwareDatetime | None = None
    comment: str | None = None


class CommentBody(WireModel):
    """The body of WithdrawCase, ResumeCase and RejectDebtCollectionList (assumed)."""

    comment: str | None = None


class EmptyBody(WireModel):
    """The body of AcceptDebtCollectionList (assumed)."""


OPERATIONS_SCHEMAS: Mapping[str, type[BaseModel]] = {
    "create_invoices": InvoiceItem,
    "create_payments": PaymentItem,
    "create_corrections": CorrectionItem,
    "pause": PauseBody,
    "withdraw": CommentBody,
    "resume": CommentBody,
    "accept_collection_list": EmptyBody,
    "reject_collection_list": CommentBody,
}
"""What one item of each operation must look like; for a case action the item is the whole body."""
