"""What a file of a profile's `read/` folder may say, key by key; docs/mapping-language.md says it in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bridge.mapping.document import (
    Code,
    Evidence,
    Fallback,
    FieldPaths,
    Join,
    LookUp,
    Plain,
    Scalar,
    Sources,
    Strict,
    Text,
    spell_out,
)

SOURCES = {
    "creditor": frozenset({"creditor"}),
    "case": frozenset({"case", "invoice", "claim", "history", "creditor"}),
    "settlement": frozenset({"settlement", "number", "claim", "creditor"}),
}
"""What the rules of each kind of entry may read; the keys are the kinds, in the order of the answer."""

OBJECTS = frozenset({"case", "invoice", "settlement"})
"""Sources that are objects of the modern system, which may hold more than any page shows."""

Language = Annotated[str, Field(pattern="^[a-z]{2,3}$")]


class Whole(Strict):
    """Read a whole number that may be written as a text."""

    name: Literal["integer"]


class LeaveOut(Strict):
    """Take a text that begins with `prefix` for absent."""

    name: Literal["leave-out"]
    prefix: Text


class Words(Strict):
    """Say a code in the language asked for, by the texts of group `of`; `keep` leaves an unknown code as it is."""

    name: Literal["words"]
    of: Text
    unmapped: Literal["null", "keep"] = "null"


ReadTransform = Annotated[Plain | Join | LookUp | Whole | LeaveOut | Words, Field(discriminator="name")]
ReadTransforms = Annotated[tuple[ReadTransform, ...], BeforeValidator(spell_out)]


class ReadRulePart(Strict):
    """`[[rule]]`: from source(s), or a constant, to one declared field."""

    source: Annotated[Sources, Field(alias="from")] = ()
    to: Text
    transform: ReadTransforms = ()
    constant: Scalar | None = None
    default: Scalar | None = None
    evidence: Evidence
    note: str = ""

    @model_validator(mode="after")
    def _say_one_thing(self) -> ReadRulePart:
        if (self.constant is None) == (not self.source):
            raise ValueError("give either from or constant")
        if self.constant is not None and (self.transform or self.default is not None):
            raise ValueError("a constant takes no transform or default")
        return self


class ReadCarryPart(Strict):
    """`[[carry]]`: fields that keep the path they have within a source, each a rule of its own."""

    source: Annotated[Text, Field(alias="from")]
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    transform: ReadTransforms = ()
    evidence: Evidence
    note: str = ""


class NullPart(Strict):
    """`[[null]]`: fields (or whole objects) that are always null, and why."""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    reason: Text
    evidence: Evidence


class ReadCodeRow(Strict):
    """One row of a code table: what a code of the modern system becomes."""

    code: Code
    value: Scalar
    evidence: Evidence
    note: str = ""


class ReadTablePart(Strict):
    """`[table.NAME]`: a code table; codes match in any letter case."""

    rows: Annotated[tuple[ReadCodeRow, ...], Field(min_length=1)]
    unmapped: Literal["null", "keep"] | Fallback = "null"


class ClosedPart(Strict):
    """`[closed]`: which cases count as closed: by a code of `field`, or because `date` is not null."""

    field: Text
    values: Annotated[tuple[Text, ...], Field(min_length=1)]
    date: str = ""
    evidence: Evidence
    note: str = ""


class RestPart(Strict):
    """`[rest]`: whatever else the object of a source holds follows the declared fields as it is, save `but`."""

    source: Annotated[Text, Field(alias="from")]
    but: tuple[Text, ...] = ()
    evidence: Evidence
    note: str = ""


class ReadDocument(Strict):
    """`read/<objectname>.toml`: one kind of entry in the answer to a legacy read."""

    objectname: Text
    evidence: Evidence
    source: str = ""
    each: str = ""
    fields: FieldPaths
    carry: tuple[ReadCarryPart, ...] = ()
    rule: tuple[ReadRulePart, ...] = ()
    null: tuple[NullPart, ...] = ()
    table: dict[str, ReadTablePart] = Field(default_factory=dict)
    texts: dict[Language, dict[str, dict[str, Text]]] = Field(default_factory=dict)
    """Language → group → code → text."""
    aliases: dict[Language, str] = Field(default_factory=dict)
    """Other names of the languages there are texts in."""
    closed: ClosedPart | None = None
    rest: RestPart | None = None


def spell_out_read_rules(document: ReadDocument) -> Iterator[tuple[str, ReadRulePart]]:
    """Yield every rule with the name messages call it by; a `[[carry]]` gives one for each of its fields."""
    for carry in document.carry:
        shared: dict[str, Any] = {"transform": carry.transform, "evidence": carry.evidence, "note": carry.note}
        for field in carry.fields:
            source = (f"{carry.source}.{field}",)
            yield f'carry "{field}"', ReadRulePart.model_construct(**shared, source=source, to=field)
    for rule in document.rule:
        yield f'rule to "{rule.to}"', rule
