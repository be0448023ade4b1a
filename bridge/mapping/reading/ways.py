"""The way of a value from its sources to a field: which JSON values are taken, and what is done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from functools import partial

from bridge.mapping.document import Join, LookUp, Plain, Scalar
from bridge.mapping.reading.document import LeaveOut, ReadDocument, ReadRulePart, ReadTransform, Whole, Words
from bridge.mapping.reading.values import (
    Change,
    calendar_date,
    leave_out,
    look_up,
    moment,
    read_amount,
    read_digits,
    read_plain_number,
    read_plain_whole,
    read_whole,
    write_text,
)
from bridge.mapping.rules import Misfit
from bridge.mapping.tables import CodeTable, fold_code, kind_of
from bridge.mapping.transforms import TAKES, Kind, absolute, negate, trim
from bridge.shape import FieldType

_TEXT = frozenset({str})
_NUMBER = frozenset({int, Decimal})
_NUMERAL = _TEXT | _NUMBER
_TYPES: Mapping[FieldType, frozenset[type]] = {
    FieldType.TEXT: _TEXT,
    FieldType.DECIMAL: _NUMERAL,
    FieldType.INTEGER: frozenset({str, int}),
    FieldType.BOOLEAN: frozenset({bool}),
    FieldType.DATE: _TEXT,
    FieldType.DATETIME: _TEXT,
}
"""The JSON values that a source may hold when its field is of this type, and no transform says otherwise."""
_TAKEN: Mapping[str, frozenset[type]] = {
    "absolute": _NUMERAL,
    "decimal": _NUMERAL,
    "digits": frozenset({str, int}),
    "integer": _NUMERAL,
    "join": _NUMERAL,
    "negate": _NUMERAL,
    "table": frozenset({str, int, bool}),
    "text": _NUMERAL,
}
"""The same by the first transform; those not named take texts."""
_ACCEPTS = TAKES | {
    "integer": TAKES["decimal"],
    "join": TAKES["text"],
    "leave-out": frozenset({Kind.TEXT}),
    "words": frozenset({Kind.TEXT}),
}
_FITS = {
    FieldType.TEXT: {Kind.TEXT, Kind.DATE, Kind.INSTANT},
    FieldType.DECIMAL: {Kind.DECIMAL, Kind.INTEGER},
    FieldType.INTEGER: {Kind.INTEGER},
    FieldType.BOOLEAN: {Kind.BOOLEAN},
    FieldType.DATE: {Kind.DATE},
    FieldType.DATETIME: {Kind.INSTANT},
}
_PLAIN: dict[str, tuple[Kind, Change]] = {
    "absolute": (Kind.DECIMAL, absolute),
    "decimal": (Kind.DECIMAL, read_amount),
    "digits": (Kind.TEXT, read_digits),
    "negate": (Kind.DECIMAL, negate),
    "text": (Kind.TEXT, write_text),
    "trim": (Kind.TEXT, trim),
    "upper": (Kind.TEXT, str.upper),
}
_PLAINLY: Mapping[FieldType, Change] = {FieldType.DECIMAL: read_plain_number, FieldType.INTEGER: read_plain_whole}
"""How a number is read that may be written as a text, by the type of its field."""
_TEMPORAL: dict[str, tuple[Kind, Callable[..., str | None]]] = {
    "date": (Kind.DATE, calendar_date),
    "date-time": (Kind.INSTANT, moment),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a value gets from its sources to its field."""

    types: frozenset[type] = frozenset()
    """The JSON values that are taken."""
    each: tuple[Change, ...] = ()
    """What is done to the value of every source."""
    separator: str | None = None
    """Between joined sources; None: the first source that something is left of."""
    whole: tuple[Change, ...] = ()
    """What is done to the value that the sources have together."""
    is_number: bool = False
    """Whether it ends in a number that was sent, so that somebody should hear of one that cannot be read."""


@dataclass(frozen=True, slots=True)
class ReadSurroundings:
    """What the rules of one file may refer to, in one language; `notice` is told which code rows and texts are used."""

    document: ReadDocument
    tables: Mapping[str, CodeTable]
    zone: tzinfo | None
    language: str
    notice: Callable[[str], None] | None = None


def follow(part: ReadRulePart, field: FieldType, surroundings: ReadSurroundings) -> Way:
    """Return the way that a rule's transforms describe; raise Misfit where there is none."""
    return _Guide(part, field, surroundings).follow()


def fits(value: Scalar, field: FieldType) -> bool:
    """Tell whether a constant can stand in a field; a date or an instant is written as a text in the file."""
    textual = field in {FieldType.DATE, FieldType.DATETIME}
    return kind_of(value) in ({Kind.TEXT} if textual else _FITS[field])


def text_table(group: str) -> str:
    """Name a group of texts, as a table of codes and words."""
    return f"texts.{group}"


class _Guide:
    """Follows a value from its source to the field, transform by transform."""

    def __init__(self, part: ReadRulePart, field: FieldType, surroundings: ReadSurroundings) -> None:
        self._part = part
        self._field = field
        self._around = surroundings
        self._kind: Kind | None = None
        """None: what the source holds has not been asked yet."""

    def follow(self) -> Way:
        """Return the way; raise Misfit where transforms cannot follow each other."""
        before, gatherer, after = self._split()
        each = tuple(self._step(transform) for transform in before)
        separator = gatherer.separator if isinstance(gatherer, Join) else None
        if separator is not None:
            self._accept("join")
            each = each if self._kind is Kind.TEXT else (*each, write_text)
            self._kind = Kind.TEXT
        whole = tuple(self._step(transform) for transform in after)
        last = self._read_moment()
        if self._kind is not None and self._kind not in _FITS[self._field]:
            raise Misfit(f"gives {self._kind}, but the field is {self._field}; change the transforms or the type")
        types = self._take()
        if self._first in {"absolute", "negate"}:
            each = (read_plain_number, *each)
        elif not self._first and self._field in _PLAINLY:
            each = (_PLAINLY[self._field],)
        if separator is None:  # the first source that something is left of, after everything
            return Way(types, (*each, *whole, *last), is_number=self._is_number)
        return Way(types, each, separator, (*whole, *last))

    def _split(self) -> tuple[tuple[ReadTransform, ...], ReadTransform | None, tuple[ReadTransform, ...]]:
        """Return the transforms of every source, the one that brings the sources together, and those after it."""
        transforms = self._part.transform
        places = [place for place, one in enumerate(transforms) if one.name in {"first-of", "join"}]
        if len(places) > 1:
            raise Misfit("first-of and join bring the sources together once; remove one of them")
        lists = [source for source in self._part.source if source.endswith("[]")]
        if len(self._part.source) == 1 and places and not lists:
            raise Misfit("first-of and join need several sources: make from a list, or remove it")
        if len(self._part.source) > 1 and not places:
            raise Misfit("several sources need first-of or join among the transforms")
        if not places:
            return transforms, None, ()
        return transforms[: places[0]], transforms[places[0]], transforms[places[0] + 1 :]

    @property
    def _is_number(self) -> bool:
        """Tell whether the field is a number that was sent, not one that stands for a code."""
        coded = any(isinstance(one, LookUp | Words) for one in self._part.transform)
        return self._field in {FieldType.DECIMAL, FieldType.INTEGER} and not coded

    @property
    def _first(self) -> str:
        """Return the name of the transform that a source's value meets first; empty if there is none."""
        return next((one.name for one in self._part.transform if one.name != "first-of"), "")

    def _take(self) -> frozenset[type]:
        if not self._first:
            return _TYPES[self._field]
        first = next(one for one in self._part.transform if one.name != "first-of")
        if isinstance(first, LookUp) and self._around.document.table[first.table].unmapped == "keep":
            return _TEXT
        return _TAKEN.get(self._first, _TEXT)

    def _read_moment(self) -> tuple[Change, ...]:
        """Return what a text needs to become the date or date-time that the field is."""
        if self._kind not in {None, Kind.TEXT} or self._field not in {FieldType.DATE, FieldType.DATETIME}:
            return ()
        return (self._change_plain("date" if self._field is FieldType.DATE else "date-time"),)

    def _accept(self, name: str) -> None:
        if self._kind is not None and self._kind not in _ACCEPTS[name]:
            raise Misfit(f"{name} cannot be applied to a {self._kind} value; remove it or put another before it")

    def _step(self, transform: ReadTransform) -> Change:
        self._accept(transform.name)
        match transform:
            case Plain():
                return self._change_plain(transform.name)
            case LookUp():
                return self._change_code(transform)
            case Whole():
                self._kind = Kind.INTEGER
                return read_whole
            case LeaveOut():
                self._kind = Kind.TEXT
                return partial(leave_out, transform.prefix)
            case Words():
                self._kind = Kind.TEXT
                return self._say(transform)
            case Join():  # pragma: no cover - `_split` has taken it
                raise Misfit("join brings sources together")

    def _change_plain(self, name: str) -> Change:
        if name in _TEMPORAL:
            self._kind, read = _TEMPORAL[name]
            return partial(read, self._around.zone)
        self._kind, change = _PLAIN[name]
        return change

    def _change_code(self, transform: LookUp) -> Change:
        table = self._around.tables.get(transform.table)
        if table is None:
            raise Misfit(f'there is no table "{transform.table}"; add [table.{transform.table}] or correct the name')
        part = self._around.document.table[transform.table]
        kinds = {kind_of(row.value) for row in part.rows}
        if not isinstance(part.unmapped, str):
            kinds.add(kind_of(part.unmapped.value))
        elif part.unmapped == "keep":
            kinds.add(Kind.TEXT)
        if len(kinds) > 1:
            found = " and ".join(sorted(kinds))
            raise Misfit(f'table "{transform.table}" must give values of one type here; it gives {found}')
        self._kind = kinds.pop()
        return self._look_up({row.code: row.value for row in part.rows if isinstance(row.code, str)}, table)

    def _say(self, transform: Words) -> Change:
        group = self._around.document.texts.get(self._around.language, {}).get(transform.of)
        if group is None:
            raise Misfit(f'there are no texts "{transform.of}"; add them to every [texts.LANGUAGE]')
        words: dict[str, Scalar] = {fold_code(code): text for code, text in group.items()}
        unmapped = "keep" if transform.unmapped == "keep" else "reject"
        return self._look_up(group, CodeTable(text_table(transform.of), words, {}, unmapped, self._around.notice))

    def _look_up(self, spelled: Mapping[str, Scalar], table: CodeTable) -> Change:
        # while examples are counted, every code has to pass the table, which tells of it
        return partial(look_up, spelled if self._around.notice is None else {}, table)
