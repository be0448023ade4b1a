"""The script: how the stand-in behaves as a whole, and which faults it plays. Read from TOML or JSON, same shape.

    [behaviour]                  # everything here is optional
    finish_after_polls = 3

    [[fault]]                    # any number, tried in this order for every request
    operation = "invoices"       # or a list; see `operations`, or the groups "writes", "reads", "*"
    kind = "refuse"
    where = { invoiceNumber = "F-2024-*" }
    text = "debtor is under guardianship"
    times = 2

    [[fault]]
    operation = "cases"
    kind = "fail"
    page = 3                     # of lists only
    status = 500

Unknown keys and unknown words are refused: a misspelt fault that never strikes would prove nothing.
"""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from .operations import GROUPS, LISTS, operations_named

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=0)]
EventName = Literal["BATCH_COMPLETED", "SETTLEMENT_CREATED", "CASE", "CASE_UPDATED", "*"]


class ScriptFault(ValueError):
    """The script cannot be used; the message names file, key and what was expected."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LegacyBehaviour(_Strict):
    """How the stand-in for the legacy host behaves. Nobody outside the vendor knows the real one."""

    duplicates: Literal["refuse", "accept"] = "refuse"
    """What becomes of an invoice or payment whose unique id or number was accepted before."""
    resends: Literal["repeat", "work"] = "repeat"
    """A batch that comes again under its batchid is answered as before, or worked again."""
    accepted_text: str = "OK"
    """The status_statuscode of an accepted row."""
    extra_fields: tuple[Literal["caseNumber", "processedAt"], ...] = ()
    """Fields of a response beyond the documented ones: a number it makes up, and a time that never repeats."""


class Behaviour(_Strict):
    """How the stand-in behaves where the vendor's documentation is silent. The defaults are what we assume."""

    finish_after_polls: Count | None = None
    """A batch stays QUEUED for this many looks at it (one by id, or one at the list)."""
    finish_after_seconds: Seconds | None = None
    """A batch stays QUEUED this long. With both: whichever comes first. With neither: finished at once."""
    lists_lag_seconds: Seconds = 0.0
    """How long an accepted batch or invoice is missing from the lists."""
    duplicates: Literal["row", "call", "accept"] = "row"
    """A unique id seen before: fails the row, answers 409 to the call, or goes through (to prove that tests notice)."""
    idempotency: Literal["honour", "ignore"] = "honour"
    """`ignore`: the key is neither compared nor remembered, as on an API that does not know the header."""
    case_actions: Literal["batch", "no-content"] = "batch"
    """Case actions answer 202 with a batch, or 204 without a body."""
    failed_entry: Literal["message", "error", "reason", "description", "detail", "errors-text", "errors-object"] = (
        "message"
    )
    """Where an entry of failed[] says why."""
    entry_index: bool = True
    """Whether entries carry the zero-based position of their row (those of invoices that succeeded never do)."""
    echo_source_ids: bool = False
    """Whether entries repeat uniqueSourceInvoiceId (payments repeat uniqueSourcePaymentId in any case)."""
    error_body: Literal["rows", "silent"] = "rows"
    """Whether the body of a 4xx says which rows are at fault."""
    settle_payments: bool = True
    """Whether each payment is settled with the creditor; the settlement shows when the batch has finished."""
    events: tuple[EventName, ...] = ("BATCH_COMPLETED",)
    """Which events are told by webhook; `["*"]` for all."""
    legacy: LegacyBehaviour = LegacyBehaviour()
    case_event_comma: bool = True
    """`false`: CASE and CASE_UPDATED lack the comma after caseNumber, as both samples on the vendor's page do."""

    def tells(self, event: str) -> bool:
        """Whether this event is told by webhook."""
        return event in self.events or "*" in self.events


class _Fault(_Strict):
    """What all faults have in common: which requests they strike."""

    operation: Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]
    where: dict[str, str] = {}
    """Path within a row → glob, or `re:` and a regular expression. All must match. `*` as path: any value."""
    rows: tuple[Count, ...] = ()
    """Only these positions of the call."""
    page: Annotated[int, Field(ge=1)] | None = None
    """Only this page of a list, whoever asks for it and how often; 1 is the first."""
    skip: Count = 0
    """Lets this many matching requests pass first."""
    times: Annotated[int, Field(ge=1)] | None = None
    """Strikes this often; never stops when left out."""
    probability: Share = 1.0
    """Chance to strike, per matching request; from the seed."""

    @field_validator("operation")
    @classmethod
    def _check_operation(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        operations_named(names)
        return names

    @model_validator(mode="after")
    def _check_page(self) -> Self:
        if self.page is not None and not self.operations <= LISTS:
            raise ValueError(f"page: only lists have pages: {', '.join(sorted(LISTS))}")
        return self

    @field_validator("where")
    @classmethod
    def _check_where(cls, where: dict[str, str]) -> dict[str, str]:
        for pattern in where.values():
            try:
                re.compile(pattern.removeprefix("re:") if pattern.startswith("re:") else "")
            except re.error as fault:
                raise ValueError(f"not a regular expression: {fault}") from fault
        return where

    @cached_property
    def operations(self) -> frozenset[str]:
        """The operations it strikes, groups resolved."""
        return operations_named(self.operation)

    @property
    def is_conditional(self) -> bool:
        """Whether it looks at rows at all."""
        return bool(self.where or self.rows)


class _ModernFault(_Fault):
    """A fault that only the modern API can play."""

    @model_validator(mode="after")
    def _check_side(self) -> Self:
        if self.operations & GROUPS["legacy"]:
            raise ValueError("operation: the legacy host plays only refuse, fail, reset, slow and garbage")
        return self


class Refuse(_Fault):
    """Matching rows end in failed[]; the rest of the call goes through."""

    kind: Literal["refuse"]
    text: str = "refused by the fault script"
    field: str = ""
    code: str = "SCRIPTED"
    share: Share = 1.0
    """Chance of each matching row; from the seed."""


class Fail(_Fault):
    """The whole call gets an error status. With `where` or `rows`: when any row matches."""

    kind: Literal["fail"]
    status: Annotated[int, Field(ge=400, le=599)]
    text: str = "failed by the fault script"
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    tells_rows: bool = True
    """Whether the body names the matching rows."""
    when: Literal["before", "after"] = "before"
    """Instead of accepting the call, or although it was accepted."""


class Reset(_Fault):
    """The connection breaks without an answer."""

    kind: Literal["reset"]
    when: Literal["before", "after", "late"] = "before"
    """Before the call is accepted, after (the answer is lost), or now, and accepted `seconds` later."""
    seconds: Seconds = 1.0


class Slow(_Fault):
    """The answer takes its time."""

    kind: Literal["slow"]
    seconds: Seconds
    when: Literal["before", "after"] = "before"
    """Wait before the call is accepted, or between acceptance and answer."""


class Garbage(_Fault):
    """The answer is not what was agreed."""

    kind: Literal["garbage"]
    body: Literal["html", "text", "truncated", "empty"] = "html"
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    """Left out: the status the proper answer would have had; 502 when nothing was accepted."""
    when: Literal["before", "after"] = "after"
    """Instead of accepting the call, or after it."""


class Unmention(_ModernFault):
    """The batch's result does not mention matching rows, though they were processed."""

    kind: Literal["unmention"]
    share: Share = 1.0


class Reorder(_ModernFault):
    """The batch's result lists its rows in another order."""

    kind: Literal["reorder"]


class Finish(_ModernFault):
    """These batches finish at their own pace instead of the behaviour's."""

    kind: Literal["finish"]
    after_polls: Count | None = None
    after_seconds: Seconds | None = None


class Lag(_ModernFault):
    """What these calls bring appears in lists only later."""

    kind: Literal["lag"]
    seconds: Seconds


class Webhook(_ModernFault):
    """The webhooks of these batches are lost, late, or sent several times."""

    kind: Literal["webhook"]
    lost: bool = False
    delay_seconds: Seconds = 0.0
    copies: Annotated[int, Field(ge=1, le=100)] = 1


class Circle(_ModernFault):
    """A page of a list names itself as the next one, so that the list never ends."""

    kind: Literal["circle"]


Fault = Annotated[
    Refuse | Fail | Reset | Slow | Garbage | Unmention | Reorder | Finish | Lag | Webhook | Circle,
    Field(discriminator="kind"),
]


class Script(_Strict):
    """A whole script."""

    behaviour: Behaviour = Behaviour()
    fault: tuple[Fault, ...] = ()

    def extended_by(self, other: Script) -> Script:
        """Return this script with the other's faults behind its own, and the behaviour the other states."""
        own, stated = (script.behaviour.model_dump(exclude_unset=True) for script in (self, other))
        legacy = {"legacy": own.get("legacy", {}) | stated.get("legacy", {})}
        return Script(behaviour=Behaviour(**own | stated | legacy), fault=self.fault + other.fault)


def read_script(document: Any, *, source: str) -> Script:
    """Check a script that was read from `source`; raise ScriptFault."""
    try:
        return Script.model_validate(document)
    except ValidationError as refusal:
        lines = (f"{_key(detail['loc'])}: {detail['msg']}" for detail in refusal.errors())
        raise ScriptFault(f"{source}: " + "; ".join(lines)) from refusal


def load_script(path: Path) -> Script:
    """Read a script file (TOML); raise ScriptFault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ScriptFault(f"{path}: the script file cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise ScriptFault(f"{path}: the script file is not TOML: {fault}") from fault
    return read_script(document, source=str(path))


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location) or "script"
