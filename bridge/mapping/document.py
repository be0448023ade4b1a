"""What a profile's files may say, key by key; docs/mapping-language.md tells an operator the same in words.

Only the form of each file is judged here; whether its parts fit together is judged in `checks`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from bridge.shape import FieldType

Evidence = Literal["documented", "assumed"]
Text = Annotated[str, Field(min_length=1)]
Scalar = StrictBool | StrictInt | StrictStr | Decimal
Code = StrictBool | StrictInt | StrictStr


class Strict(BaseModel):
    """A table of a mapping file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- transforms ----------------------------------------------------------------------------------------------------


class Plain(Strict):
    """A transform without arguments."""

    name: Literal["absolute", "date", "date-time", "decimal", "digits", "first-of", "negate", "text", "trim", "upper"]


class Join(Strict):
    """Put several texts together, leaving absent ones out."""

    name: Literal["join"]
    separator: str = " "


class SplitName(Strict):
    """Take the first or the last part of a person's name."""

    name: Literal["split-name"]
    part: Literal["first", "last"]


class Phone(Strict):
    """Take one part of a phone number; `region` (ISO 3166 alpha-2) is where a number without country code belongs."""

    name: Literal["phone"]
    part: Literal["country-code", "e164", "national", "region"] = "e164"
    region: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "NO"
    unreadable: Literal["reject", "leave-out"] = "reject"


class Country(Strict):
    """Turn a country's code or English name into ISO 3166 alpha-2."""

    name: Literal["country"]
    unreadable: Literal["reject", "leave-out"] = "reject"


class LookUp(Strict):
    """Translate a code by a code table of the same file."""

    name: Literal["table"]
    table: Text


def spell_out(value: Any) -> Any:
    """Read the short form "upper" as {name = "upper"}, and one transform as a list of one."""
    listed = value if isinstance(value, list) else [value]
    return [{"name": entry} if isinstance(entry, str) else entry for entry in listed]


Transform = Annotated[Plain | Join | SplitName | Phone | Country | LookUp, Field(discriminator="name")]
Transforms = Annotated[tuple[Transform, ...], BeforeValidator(spell_out)]


# --- the parts of an object's mapping ------------------------------------------------------------------------------


class OperationPart(Strict):
    """`[[operation]]`: one kind of write; see `batch.Operation`."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    path: Annotated[str, Field(pattern=r"^(/([A-Za-z0-9_-]+|\{[A-Za-z]+\}))+$")]
    collection: str = ""
    unique_id: str = ""
    distinct: tuple[str, ...] = ()
    evidence: Evidence
    note: str = ""


class ChoosePart(Strict):
    """`[choose]`: the operation by a field's value; `absent` names the one for rows without it."""

    field: Text
    table: Text
    absent: str = ""


class ReferencePart(Strict):
    """`[reference]`: how a row names the claim it belongs to; see `batch.Reference`."""

    target: Literal["invoice", "case"]
    id: str = ""
    into: str = ""
    keys: dict[str, str] = {}
    evidence: Evidence
    note: str = ""


class RequirePart(Strict):
    """`[[require]]`: fields without which a row is refused."""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    evidence: Evidence
    note: str = ""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Sources = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class RulePart(Strict):
    """`[[rule]]`: from source field(s), or a constant, to one target."""

    source: Annotated[Sources, Field(alias="from")] = ()
    to: Text
    transform: Transforms = ()
    constant: Scalar | None = None
    default: Scalar | None = None
    required: bool = False
    only: tuple[str, ...] = ()
    evidence: Evidence
    note: str = ""

    @model_validator(mode="after")
    def _say_one_thing(self) -> RulePart:
        if (self.constant is None) == (not self.source):
            raise ValueError("give either from or constant")
        if self.constant is not None and (self.transform or self.default is not None or self.required):
            raise ValueError("a constant takes no transform, default or required")
        if self.default is not None and self.required:
            raise ValueError("a rule with a default is never missing: remove required or default")
        return self


class CarryPart(Strict):
    """`[[carry]]`: fields that keep their path, each a rule of its own."""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    transform: Transforms = ()
    only: tuple[str, ...] = ()
    evidence: Evidence
    note: str = ""


class DropPart(Strict):
    """`[[drop]]`: fields (or whole objects) not carried over, and why."""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    reason: Text
    only: tuple[str, ...] = ()
    evidence: Evidence


class CodeRow(Strict):
    """One row of a code table: the value a code becomes, or the words in which it is refused."""

    code: Code
    value: Scalar | None = None
    refused: str = ""
    evidence: Evidence
    note: str = ""

    @model_validator(mode="after")
    def _say_one_thing(self) -> CodeRow:
        if (self.value is None) == (not self.refused):
            raise ValueError("give either value or refused")
        return self


class Fallback(Strict):
    """The value of every code that has no row."""

    value: Scalar


class TablePart(Strict):
    """`[table.NAME]`: a code table; codes match in any letter case."""

    rows: Annotated[tuple[CodeRow, ...], Field(min_length=1)]
    unmapped: Literal["reject", "keep"] | Fallback = "reject"


def _flatten(value: Any) -> Any:
    """Join nested tables into dotted paths, so that `contact.email = "text"` needs no quotes."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for name, entry in value.items():
        if isinstance(entry, dict):
            flat.update({f"{name}.{rest}": kind for rest, kind in _flatten(entry).items()})
        else:
            flat[name] = entry
    return flat


FieldPaths = Annotated[dict[str, FieldType], BeforeValidator(_flatten), Field(min_length=1)]


class ObjectDocument(Strict):
    """`<objectname>.toml`: one kind of legacy row."""

    objectname: Text
    evidence: Evidence
    source: str = ""
    unknown: Literal["report", "reject"] = "report"
    creditor_field: str = ""
    reply_reference: tuple[str, ...] = ()
    fields: FieldPaths
    keys: dict[str, str] = {}
    reference: ReferencePart | None = None
    choose: ChoosePart | None = None
    operation: tuple[OperationPart, ...] = ()
    require: tuple[RequirePart, ...] = ()
    carry: tuple[CarryPart, ...] = ()
    rule: tuple[RulePart, ...] = ()
    drop: tuple[DropPart, ...] = ()
    table: dict[str, TablePart] = {}


# --- the other files of a profile ----------------------------------------------------------------------------------


class ProfileDocument(Strict):
    """`profile.toml`: what holds for the whole profile. An empty `time_zone`: a wall clock is sent with Z."""

    extends: Annotated[str, Field(pattern="^[A-Za-z0-9_-]*$")] = ""
    name: str = ""
    description: str = ""
    evidence: Evidence = "assumed"
    source: str = ""
    time_zone: str = ""
