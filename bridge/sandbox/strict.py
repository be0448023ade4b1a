"""What a write may carry: documented fields only, of the right type. One shape a write, checked by pydantic.

The API's own rules are not published: which fields are required is assumed, and kept to what a claim cannot do without.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOST_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a write; never holds the value itself."""

    path: str
    """From the top of the body, such as `invoices[1].debtors[0].city`."""
    message: str
    index: int | None = None
    """Zero-based position of the row within the call; None: not one row's fault."""
    field: str = ""
    """From the top of the row."""
    unknown: bool = False


def _check_date_time(value: str) -> str:
    if not _DATE_TIME.fullmatch(value) or not _is_on_calendar(value[:19]):
        raise PydanticCustomError("date_time", "must be an RFC 3339 date-time such as 2024-02-15T00:00:00Z")
    return value


def _check_date(value: str) -> str:
    if not _DATE.fullmatch(value) or not _is_on_calendar(value):
        raise PydanticCustomError("date", "must be a date such as 1980-12-31")
    return value


def _is_on_calendar(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_uuid(value: str) -> str:
    if not is_uuid(value):
        raise PydanticCustomError("uuid", "must be a UUID")
    return value


def is_uuid(text: str) -> bool:
    """Tell whether this is a UUID in its usual form with hyphens."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _check_amount(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PydanticCustomError("amount", "must be a number")
    # a limit of the stand-in: sums of what is let in here stay exact within `wire.EXACT`
    number = Decimal(value)
    if abs(number.adjusted()) > _MOST_DIGITS or len(number.as_tuple().digits) > _MOST_DIGITS:
        raise PydanticCustomError("amount", "must be a number of at most 60 digits")
    return value


Amount = Annotated[Any, PlainValidator(_check_amount)]
DateTime = Annotated[str, AfterValidator(_check_date_time)]
Date = Annotated[str, AfterValidator(_check_date)]
Uuid = Annotated[str, AfterValidator(_check_uuid)]
Filled = Annotated[str, Field(min_length=1)]


class _Closed(BaseModel):
    """An object that allows no other fields, and no value of another type. Field names travel in camel case."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _Email(_Closed):
    value: str = ""


class _PhoneNumber(_Closed):
    country_code: str = ""
    original_value: str = ""
    value: str = ""


class _Address(_Closed):
    street: str = ""
    city: str = ""
    zip_code: str = ""
    country_code: str = ""


class _Debtor(_Closed):
    type: str = ""
    firstname: str = ""
    lastname: str = ""
    name: str = ""
    customer_number: str = ""
    identification_number: str = ""
    organization_number: str = ""
    date_of_birth: Date = ""
    emails: list[_Email] = []
    phone_numbers: list[_PhoneNumber] = []
    addresses: list[_Address] = []


class _Claim(_Closed):
    type: str = ""
    remaining_amount: Amount = 0
    description: str = ""


class _Invoice(_Closed):
    type: str = ""
    invoice_number: Filled
    vat: bool = False
    fees: bool = False
    original_invoice_amount: Amount
    currency: str = ""
    invoice_date: DateTime = ""
    due_date: DateTime = ""
    collection_notice_date: DateTime = ""
    ocr_reference_number: str = ""
    unique_source_invoice_id: Filled = ""
    description: str = ""
    debtors: list[_Debtor] = []
    claims: list[_Claim] = []


class _Correction(_Closed):
    invoice_id: Uuid
    amount: Amount
    currency: str = ""
    date: DateTime = ""
    description: str = ""


class _Payment(_Correction):
    type: str = ""
    unique_source_payment_id: Filled = ""


class _Invoices(_Closed):
    invoices: Annotated[list[_Invoice], Field(min_length=1)]


class _Payments(_Closed):
    payments: Annotated[list[_Payment], Field(min_length=1)]


class _Corrections(_Closed):
    corrections: Annotated[list[_Correction], Field(min_length=1)]


class _Nothing(_Closed):
    """Accepting a collection list takes an empty object."""


class _Comment(_Closed):
    comment: str = ""


class _Pause(_Comment):
    until: DateTime = ""


_SHAPES: dict[str, type[BaseModel]] = {
    "invoices": _Invoices,
    "payments": _Payments,
    "corrections": _Corrections,
    "pause": _Pause,
    "resume": _Comment,
    "withdraw": _Comment,
    "collection-list/accept": _Nothing,
    "collection-list/reject": _Comment,
}

_MESSAGES = {
    "extra_forbidden": "unknown field",
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "too_short": "must not be empty",
    "model_type": "must be an object",
}


def find_violations(operation: str, document: Any) -> list[Violation]:
    """Return everything wrong with the body of a write, in the order of the body."""
    try:
        _SHAPES[operation].model_validate(document)
    except ValidationError as refusal:
        details = refusal.errors(include_url=False, include_context=False, include_input=False)
        return [_violation(detail) for detail in details]
    return []


def _violation(detail: ErrorDetails) -> Violation:
    location = detail["loc"]
    in_row = len(location) > 1 and isinstance(location[1], int)
    return Violation(
        path=_path(location),
        message=_MESSAGES.get(detail["type"], detail["msg"]),
        index=int(location[1]) if in_row else None,
        field=_path(location[2:] if in_row else location),
        unknown=detail["type"] == "extra_forbidden",
    )


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")
