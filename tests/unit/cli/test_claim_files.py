"""Files of claims: what is read, and how faults are told."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.claim_files import LONGEST_LINE_BYTES, LONGEST_VALUE, MOST_FAULTS, Checked, ClaimFile, Owners
from bridge.errors import OperatorError
from bridge.journal import Claim

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
INVOICE = "11111111-2222-3333-4444-55555555555a"
OWNERS = Owners({"nordlys": ORG, "fjellheim": OTHER})
HEADER = b"ledgerref;invoiceNumber;invoiceId\n"

Write = Callable[..., ClaimFile]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and open it, as one of Nordlys' unless told otherwise."""

    def make(content: bytes, *, charset: str = "utf-8", usual: str = ORG) -> ClaimFile:
        path = tmp_path / "claims.csv"
        path.write_bytes(content)
        return ClaimFile(path, charset, Owners(OWNERS.ids, usual))

    return make


def check(file: ClaimFile) -> Checked:
    return file.check(lambda _: None)


def told(file: ClaimFile) -> list[str]:
    checked = check(file)
    assert checked.fault_count == len(checked.faults)
    return [str(fault) for fault in checked.faults]


def test_columns_come_in_any_order_and_spelling(write: Write) -> None:
    """Names go by their letters, whatever their case; values lose the blanks around them."""
    file = write(b" CASENUMBER ;LedgerRef;uniquesourceinvoiceid\r\n 77 ; L1;u-1\r\n")
    assert [*file.claims()] == [Claim(ORG, ledgerref="L1", case_number="77", unique_source_invoice_id="u-1")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("separator", [b";", b","])
def test_the_header_shows_the_separator(write: Write, mark: bytes, separator: bytes) -> None:
    """A semicolon in the first line decides; a byte order mark is none of it."""
    file = write(mark + separator.join([b"ledgerref", b"invoiceNumber"]) + b"\n" + b'"L;1,2"' + separator + b"1\n")
    assert [*file.claims()] == [Claim(ORG, ledgerref="L;1,2", invoice_number="1")]


def test_a_single_column_is_enough(write: Write) -> None:
    """A list of one name needs no separator."""
    assert [*write(b"ledgerref\nL1\n\nL2").claims()] == [Claim(ORG, ledgerref="L1"), Claim(ORG, ledgerref="L2")]


def test_ids_of_the_modern_system_are_written_small(write: Write) -> None:
    """Databases like to export them in capitals; the modern system compares letters."""
    assert [claim.invoice_id for claim in write(HEADER + f";;{INVOICE.upper()}\n".encode()).claims()] == [INVOICE]


def test_rows_of_several_organizations(write: Write) -> None:
    """A column names the owner by id or name; the option is for rows that do not."""
    content = f"organization,ledgerref\nNordlys,1\n{OTHER},2\n".encode()
    owners = Owners({"nordlys": ORG, OTHER: OTHER})
    file = write(content, usual="")
    file = ClaimFile(file._path, "utf-8", owners)
    assert [claim.organization for claim in file.claims()] == [ORG, OTHER]


def test_an_owner_must_be_certain(write: Write) -> None:
    """None, an unknown one, and another one than the option says are refused."""
    content = b"organization,ledgerref\nnordlys,1\nFjellheim,2\n,3\nnobody,4\n"
    assert told(write(content, usual="")) == [
        "line 4, organization: required without --organization",
        "line 5, organization: expected the id or name of a configured organization",
    ]
    assert told(write(content)) == [
        "line 3, organization: is another one than --organization says",
        "line 5, organization: expected the id or name of a configured organization",
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"ledgerref;colour;\n", "unknown columns: colour, (one without a name); line 1 must name the columns"),
        (b"ledgerref,LEDGERREF\n", "ledgerref stands there twice"),
        (b"caseNumber,organization\n", "no column says which claim it is"),
        (b"", "no column says which claim it is"),
        (b'ledgerref,"invoiceNumber\n', "line 1 is not CSV"),
        (b"ledgerref\rL1\rL2\r", "line 1 is not CSV"),
    ],
)
def test_a_header_that_does_not_say_what_follows_is_refused(write: Write, header: bytes, message: str) -> None:
    """Nothing is guessed; the message names what can be there."""
    with pytest.raises(OperatorError, match=re.escape(message)):
        check(write(header))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"L1;1", "line 2: has 2 values where the header names 3 columns"),
        (b"L1;1;2;3", "line 2: has 4 values where the header names 3 columns"),
        (b"L1;1;Kari", "line 2, invoiceId: expected an id of the modern system"),
        (b"L1;2,05E+11;", "line 2, invoiceNumber: is a number that a spreadsheet has shortened"),
        (b"L1\x00;1;", "line 2, ledgerref: holds a sign that cannot be printed"),
        (b'"L\n1";1;', "line 2, ledgerref: holds a sign that cannot be printed"),
        (b"L1;" + b"9" * (LONGEST_VALUE + 1) + b";", f"line 2, invoiceNumber: expected {LONGEST_VALUE} signs at most"),
        (b'L1;"1;', "line 2: is not CSV"),
        (b"L\xe6;1;", "line 2: byte 2 is not utf-8: save the file as such; or add --charset iso-8859-1"),
        (b"L" * LONGEST_LINE_BYTES, "line 2: is no line of a CSV file"),
    ],
)
def test_a_faulty_line_is_told_with_what_was_expected(write: Write, row: bytes, expected: str) -> None:
    """By its number and column; its values are not repeated."""
    (fault,) = told(write(HEADER + row))
    assert fault.startswith(expected)
    assert "Kari" not in fault


def test_a_row_that_names_no_claim_is_faulty(write: Write) -> None:
    """A case alone says nothing about which of its invoices is meant; an empty row says nothing at all."""
    assert told(write(b"ledgerref;caseNumber\n;\n ; \n;77\n")) == [
        "line 4: names no claim: fill in one of invoiceId, invoiceNumber, uniqueSourceInvoiceId, ledgerref"
    ]


def test_lines_are_counted_as_an_editor_does(write: Write) -> None:
    """Empty lines, values of two lines and faults before do not shift the numbers."""
    file = write(b'ledgerref;invoiceId\n\n"a\nb";\nL;x\n"a"b;\nL;y\n')
    assert [fault.line for fault in check(file).faults] == [3, 5, 6, 7]


def test_all_faults_are_counted_and_the_first_are_told(write: Write) -> None:
    """A file in the wrong format must not fill the screen."""
    checked = check(write(HEADER + b"L1;1;x\n" * 50 + b"L1;1;\n"))
    assert (checked.rows, checked.fault_count, len(checked.faults)) == (1, 50, MOST_FAULTS)


def test_other_character_sets_are_read_as_told(write: Write) -> None:
    """A file of an older system is not UTF-8."""
    assert [one.ledgerref for one in write(b"ledgerref\nB\xc5T\n", charset="iso8859-1").claims()] == ["BÅT"]


def test_a_file_that_changes_after_the_check_is_not_imported_further(write: Write) -> None:
    """What was checked is what is imported."""
    with pytest.raises(OperatorError, match="changed since it was checked; line 2, invoiceId"):
        [*write(HEADER + b"L1;1;x\n").claims()]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is the operator's to name another."""
    with pytest.raises(OperatorError, match="cannot be read"):
        check(ClaimFile(tmp_path / "none.csv", "utf-8", OWNERS))


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
def test_a_long_file_takes_no_more_memory_than_a_short_one(write: Write) -> None:
    """Rows are read one by one."""
    file = write(HEADER + b"L1;1;\n" * 100_000)
    tracemalloc.start()
    try:
        assert check(file).rows == 100_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "cp1252", "iso8859-1"]))
def test_whatever_is_in_a_file_there_is_an_answer(content: bytes, charset: str) -> None:
    """Any bytes give claims, faults or a refusal; and what has no fault is imported as it was checked."""
    file = ClaimFile(_Memory(content), charset, Owners({}, ORG))  # type: ignore[arg-type]  # it is only opened
    try:
        checked = check(file)
    except OperatorError:
        return
    if not checked.fault_count:
        assert len([*file.claims()]) == checked.rows


class _Memory:
    def __init__(self, content: bytes) -> None:
        self._content = b"ledgerref;invoiceNumber;caseId\n" + content

    def open(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)
