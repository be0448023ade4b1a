"""Files of claims (CSV): one claim a line, read as a stream; every fault with its line and column.

The first line names the columns. Values are never repeated in a fault: a shifted column may hold anything.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path

from bridge.errors import OperatorError
from bridge.journal import Claim
from bridge.legacy.faults import name_safely

NAMING = ("invoiceId", "invoiceNumber", "uniqueSourceInvoiceId", "ledgerref")
"""The columns that say which claim it is; one of them at least."""
COLUMNS = ("organization", *NAMING, "caseNumber", "caseId")
"""Every column there is, in the order of a claim's fields."""
UUIDS = frozenset({"invoiceId", "caseId"})
LONGEST_VALUE = 200
LONGEST_LINE_BYTES = 64 * 1024
MARK = b"\xef\xbb\xbf"
MOST_FAULTS = 20
"""How many faults are told one by one."""

_is_uuid = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d+")

_Values = tuple[str, str, str, str, str, str, str]
"""In the order of COLUMNS."""
_ABSENT = -1
"""Where a column that the file does not have is found: the empty cell put behind each row."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one line; no column where it is about the line itself."""

    line: int
    column: str
    expected: str

    def __str__(self) -> str:
        return f"line {self.line}{', ' if self.column else ''}{self.column}: {self.expected}"


@dataclass(slots=True)
class Checked:
    """What a file holds."""

    rows: int = 0
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    """The first ones."""

    def note(self, fault: Fault) -> None:
        """Count a fault, and keep it while there are few."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose the claims may be: what organizations are called → id, and who owns a row that names none."""

    ids: Mapping[str, str]
    """Names casefolded."""
    usual: str = ""


class ClaimFile:
    """A CSV file of claims, in a character set that has one byte for each ASCII sign."""

    def __init__(self, path: Path, charset: str, owners: Owners) -> None:
        self._path = path
        self._charset = charset
        self._owners = owners

    def check(self, advance: Callable[[int], None], *, at_once: int = 1000) -> Checked:
        """Read the whole file; return how many rows it has, and its faults."""
        checked = Checked()
        for number, _ in enumerate(self._rows(checked.note), 1):
            checked.rows = number
            if not number % at_once:
                advance(at_once)
        return checked

    def claims(self) -> Generator[Claim, None, None]:
        """Yield the claims of a file that was found without fault; OperatorError when it has one now."""
        for organization, invoice_id, number, unique_id, ledgerref, case_number, case_id in self._rows(self._refuse):
            yield Claim(organization, invoice_id.lower(), number, unique_id, ledgerref, case_number, case_id.lower())

    def _refuse(self, fault: Fault) -> None:
        raise OperatorError(f"{self._path}: it was changed since it was checked; {fault}")

    def _rows(self, note: Callable[[Fault], None]) -> Iterator[_Values]:
        try:
            with self._path.open("rb") as file:
                lines = self._decode(iter(lambda: file.readline(LONGEST_LINE_BYTES), b""), note)
                yield from self._read(lines, note)
        except OSError as error:
            raise OperatorError(
                f"{self._path}: cannot be read ({error.strerror}); name a CSV file of claims"
            ) from error

    def _decode(self, lines: Iterator[bytes], note: Callable[[Fault], None]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                note(Fault(number, "", "is no line of a CSV file: it does not end"))
                return
            if number == 1:
                line = line.removeprefix(MARK)  # noqa: PLW2901 - the mark is none of the first column's name
            try:
                yield line.decode(self._charset)
            except UnicodeDecodeError as error:
                other = "; or add --charset iso-8859-1" if self._charset.startswith("utf") else ""
                note(Fault(number, "", f"byte {error.start + 1} is not {self._charset}: save the file as such{other}"))
                yield line.decode(self._charset, errors="replace")

    def _read(self, lines: Iterator[str], note: Callable[[Fault], None]) -> Iterator[_Values]:
        header = next(lines, "")
        reader = csv.reader(chain([header], lines), delimiter=";" if ";" in header else ",", strict=True)
        try:
            columns = read_header(next(reader, []), self._path)
        except csv.Error as error:
            raise OperatorError(f"{self._path}: line 1 is not CSV ({error})") from error
        judge = _Judge(columns, self._owners, note)
        while True:
            first = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                note(Fault(first, "", f"is not CSV ({error}): is a quote not closed, or a value too long?"))
            else:
                if (values := judge.read(first, row)) is not None:
                    yield values


def read_header(names: Sequence[str], path: Path) -> Sequence[str]:
    """Return the columns of a file in our spelling; OperatorError for a header that does not say what they hold."""
    known = {name.casefold(): name for name in COLUMNS}
    given = [name.strip() for name in names]
    columns = [known.get(name.casefold(), "") for name in given]
    hint = f"line 1 must name the columns, of {', '.join(COLUMNS)}"
    if strangers := [
        name_safely(name) or "(one without a name)" for name, found in zip(given, columns, strict=True) if not found
    ]:
        raise OperatorError(f"{path}: line 1: unknown columns: {', '.join(strangers)}; {hint}")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise OperatorError(f"{path}: line 1: {', '.join(twice)} stands there twice; {hint}")
    if not set(NAMING) & set(columns):
        raise OperatorError(
            f"{path}: line 1: no column says which claim it is; {hint}, one of {', '.join(NAMING)} at least"
        )
    return columns


class _Judge:
    """Read the rows of one file."""

    def __init__(self, columns: Sequence[str], owners: Owners, note: Callable[[Fault], None]) -> None:
        self._columns = columns
        self._owners = owners
        self._note = note
        places = [columns.index(name) if name in columns else _ABSENT for name in COLUMNS]
        self._pick: Callable[[list[str]], _Values] = itemgetter(*places)
        self._known: dict[str, str] = {}

    def read(self, line: int, row: list[str]) -> _Values | None:
        """Return the values of a row, its owner's id first; None when it is faulty, which is noted, or empty.

        Nearly every row is sound, and is seen to be by a few tests of the row as a whole; only others are examined.
        """
        cells = [cell.strip() for cell in row]
        together = "".join(cells)
        if not together:
            return None
        if len(cells) != len(self._columns):
            self._note(Fault(line, "", f"has {len(cells)} values where the header names {len(self._columns)} columns"))
            return None
        cells.append("")
        values = typed, invoice_id, number, unique_id, ledgerref, _, case_id = self._pick(cells)
        owner = self._known.get(typed) or self._find_owner(line, typed)
        is_sound = bool(
            (number or ledgerref or unique_id or invoice_id)
            and (not invoice_id or _is_uuid(invoice_id))
            and (not case_id or _is_uuid(case_id))
            and len(together) <= LONGEST_VALUE
            and "E+" not in together
            and together.isprintable()
        )
        is_sound = is_sound or self._examine(line, values[1:])
        return (owner, *values[1:]) if owner and is_sound else None

    def _find_owner(self, line: int, typed: str) -> str:
        """Return whose row it is; what was found once is known."""
        usual = self._owners.usual
        found = self._owners.ids.get(typed.casefold(), "") if typed else usual
        if not found:
            expected = "expected the id or name of a configured organization"
            self._note(Fault(line, "organization", expected if typed else "required without --organization"))
        elif usual and found != usual:
            self._note(Fault(line, "organization", "is another one than --organization says"))
            return ""
        else:
            self._known[typed] = found
        return found

    def _examine(self, line: int, names: Sequence[str]) -> bool:
        """Note what is wrong with the names of a row; tell whether nothing is."""
        faults = [
            Fault(line, column, expected)
            for column, value in zip(COLUMNS[1:], names, strict=True)
            if value and (expected := _find_fault(column, value))
        ]
        if not any(names[: len(NAMING)]):
            faults.append(Fault(line, "", f"names no claim: fill in one of {', '.join(NAMING)}"))
        for fault in faults:
            self._note(fault)
        return not faults


def _find_fault(column: str, value: str) -> str:
    """Return what was expected of a value, empty when it is as expected."""
    if column in UUIDS and not _is_uuid(value):
        return "expected an id of the modern system, such as 3fa85f64-5717-4562-b3fc-2c963f66afa6"
    if not value.isprintable():
        return "holds a sign that cannot be printed"
    if len(value) > LONGEST_VALUE:
        return f"expected {LONGEST_VALUE} signs at most"
    if _SHORTENED.fullmatch(value):
        return "is a number that a spreadsheet has shortened: format the column as text, and export it again"
    return ""
