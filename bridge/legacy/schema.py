"""The one declaration of a legacy row: marshmallow coerces, decides and words errors; nothing else does.

Property names match case-insensitively at every depth and the last spelling wins; null is absent, and so is an empty
text. `fast` may answer for a row only where it would give the very same fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, missing, pre_load
from marshmallow.experimental.context import Context

from bridge.errors import MappingFault
from bridge.legacy.amounts import read_decimal, read_integer
from bridge.legacy.dates import NOT_A_DATE, read_date, read_datetime
from bridge.legacy.faults import name_safely
from bridge.legacy.properties import SpellingClash
from bridge.shape import Field, FieldType, Shape

MOST_UNKNOWN = 50
"""Paths of unknown fields kept per row; a row made of nothing else must not fill the books."""

_Unknown = Context[dict[str, None]]


class LegacyRow(Schema):
    """What all objects of legacy rows share: spelling, absence, and unknown fields."""

    declared: ClassVar[Mapping[str, str]] = {}
    """Lower-case name → declared name."""
    place: ClassVar[str] = ""
    """Where the object stands in its row: empty, `debtors[].` or `contact.`."""

    @pre_load
    def spell(self, data: Any, **_options: Any) -> Any:
        """Give every property its declared name; leave nulls out and note what nobody declared."""
        if not isinstance(data, dict):
            return data
        spelled: dict[str, tuple[str, Any]] = {}
        for name, value in data.items():
            lowered = name.lower()
            if lowered in spelled:
                raise SpellingClash
            spelled[lowered] = (self.declared.get(lowered, name), value)
            if lowered not in self.declared and value is not None:
                self._note(name)
        return {name: value for name, value in spelled.values() if value is not None}

    def _note(self, name: str) -> None:
        noted = _Unknown.get()
        if len(noted) < MOST_UNKNOWN:
            noted[self.place + name_safely(name)] = None


class Scalar(fields.Field[Any]):
    """One value; an empty text counts as absent."""

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **options: Any) -> Any:
        """Read the value, or report it absent."""
        if isinstance(value, str) and not value.strip():
            value = missing
        return super().deserialize(value, attr, data, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002  marshmallow's
        try:
            return self.read(value)
        except ValueError as fault:
            raise ValidationError(str(fault)) from None

    def read(self, value: Any) -> Any:
        """Return the typed value; ValueError says what was expected instead."""
        raise NotImplementedError


class Text(Scalar):
    """Trimmed text; numbers become their text."""

    def read(self, value: Any) -> str:
        """Return the trimmed text. NUL is refused: PostgreSQL could not store it."""
        if isinstance(value, str):
            if "\0" in value:
                raise ValueError("contains a NUL character")
            return value.strip()
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
            raise ValueError("not a text")
        return str(value)


class Amount(Scalar):
    """An exact decimal number."""

    def read(self, value: Any) -> Decimal:
        """Return the number as written."""
        return read_decimal(value)


class Integer(Scalar):
    """A whole number of at most 64 bits."""

    def read(self, value: Any) -> int:
        """Return the number."""
        return read_integer(value)


class Boolean(Scalar):
    """True or false, also as a text or as 1 and 0."""

    def read(self, value: Any) -> bool:
        """Return the truth."""
        word = value.strip().lower() if isinstance(value, str) else value
        if isinstance(word, str | int | Decimal):
            if word in ("true", "1", 1):
                return True
            if word in ("false", "0", 0):
                return False
        raise ValueError("not true or false")


class Date(Scalar):
    """A calendar date."""

    def read(self, value: Any) -> str:
        """Return YYYY-MM-DD."""
        if isinstance(value, str):
            return read_date(value.strip())
        raise ValueError(NOT_A_DATE)


class DateTime(Scalar):
    """An instant, or a wall clock."""

    def read(self, value: Any) -> str:
        """Return the text that `shape.FieldType.DATETIME` describes."""
        if isinstance(value, str):
            return read_datetime(value.strip())
        raise ValueError(NOT_A_DATE)


class Elements(fields.List[Any]):
    """An array; elements that are null or empty texts are absent, and so is a required array without elements."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        elements = super()._deserialize(value, attr, data, **options)
        present = [element for element in elements if element is not None and element is not missing]
        if self.required and not present:
            raise self.make_error("required")
        return present


_FIELD_WORDS = {"required": "required", "invalid": "not an array"}
_OBJECT_WORDS = {"type": "not an object", "unknown": "unknown field"}
_SCALARS: Mapping[FieldType, type[Scalar]] = {
    FieldType.TEXT: Text,
    FieldType.DECIMAL: Amount,
    FieldType.INTEGER: Integer,
    FieldType.BOOLEAN: Boolean,
    FieldType.DATE: Date,
    FieldType.DATETIME: DateTime,
}


def build_schema(shape: Shape) -> Schema:
    """Return the schema of a shape; MappingFault when two fields differ only in letter case."""
    return _object(shape, shape.fields, "")()


def load_row(schema: Schema, data: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the typed fields of one decoded row and the paths of its unknown fields.

    Raises ValidationError with the faults, SpellingClash when `data` must be decoded by `decode_last_spelling`.
    """
    noted: dict[str, None] = {}
    with _Unknown(noted):
        loaded: dict[str, Any] = schema.load(data)
    return loaded, tuple(noted)


def _object(shape: Shape, members: tuple[Field, ...], place: str) -> type[LegacyRow]:
    declared = {member.name.lower(): member.name for member in members}
    if len(declared) != len(members):
        raise MappingFault(f"{shape.objectname}: two fields of {place or 'the row'} differ only in letter case")
    attributes: dict[str, Any] = {
        f"f{number}": _field(shape, member, place)  # property names need not fit among a class's attributes
        for number, member in enumerate(members)
    }
    unknown = RAISE if shape.refuse_unknown else EXCLUDE
    attributes |= {
        "declared": declared,
        "place": place,
        "error_messages": _OBJECT_WORDS,
        "Meta": type("Meta", (), {"unknown": unknown}),
    }
    return type(f"{shape.objectname}:{place}", (LegacyRow,), attributes)


def _field(shape: Shape, member: Field, place: str) -> fields.Field[Any]:
    named: dict[str, Any] = {
        "data_key": member.name,
        "attribute": member.name,
        "required": member.required,
        "error_messages": _FIELD_WORDS,
    }
    alone: dict[str, Any] = {"allow_none": True} if member.many else named
    if member.type is None:
        inside = f"{place}{member.name}{'[]' if member.many else ''}."
        inner: fields.Field[Any] = fields.Nested(_object(shape, member.fields, inside), **alone)
    else:
        inner = _SCALARS[member.type](**alone)
    return Elements(inner, **named) if member.many else inner
