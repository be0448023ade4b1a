"""The parameters of a call that reads back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UnreadableQuestion
from bridge.readback import Question, read_question

NAMES = tuple(asdict(Question()))


def test_every_parameter_is_read() -> None:
    """Names in any letter case; text is trimmed."""
    question = read_question(
        [
            ("CreditorId", " 984842252 "),
            ("customerref", "10234"),
            ("LEDGERREF", "erp-1"),
            ("includeClosed", "True"),
            ("lastSettlementId", "000000000012"),
            ("remittancedate", "2024-02-15T10:00:00+01:00"),
            ("languagecode", "nb-NO"),
            ("batchid", "b-1"),
            ("senderid", "ERP-1"),
        ]
    )

    assert question == Question("984842252", "10234", "erp-1", True, "000000000012", "2024-02-15", "nb-NO", "b-1")


def test_the_name_that_the_page_cuts_off_is_understood() -> None:
    """`languagecod` stands on the published page."""
    assert read_question([("languagecod", "en")]).languagecode == "en"


def test_the_last_of_several_counts_and_an_empty_one_is_absent() -> None:
    """As in the bodies of batches."""
    assert read_question([("ledgerref", "a"), ("LedgerRef", "b")]).ledgerref == "b"
    assert read_question([("ledgerref", "a"), ("ledgerref", " ")]) == Question()


def test_unknown_parameters_are_ignored() -> None:
    """Further ones may exist: the page is cut off."""
    assert read_question([("pagesize", "x"), ("", "y")]) == Question()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("includeclosed", "perhaps", "includeclosed: not true or false; send true or false"),
        ("remittancedate", "15.02.2024", "remittancedate: not a valid date; send a date such as 2024-02-15"),
        ("remittancedate", "2024-02-30", "remittancedate: not a valid date; send a date such as 2024-02-15"),
        ("ledgerref", "a\0b", "ledgerref: contains a NUL character"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(name: str, value: str, expected: str) -> None:
    """The message says what was expected, and repeats no value."""
    with pytest.raises(UnreadableQuestion) as refused:
        read_question([(name, value)])

    assert str(refused.value) == expected


def test_all_faults_are_told_at_once() -> None:
    """Nobody has to ask twice."""
    with pytest.raises(UnreadableQuestion, match=r"includeclosed: .*remittancedate: "):
        read_question([("remittancedate", "x"), ("includeclosed", "x")])


@given(st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), st.text(max_size=12)), max_size=8))
def test_any_query_is_read_or_refused(query: list[tuple[str, str]]) -> None:
    """Nothing a caller may send is a fault of the program."""
    with suppress(UnreadableQuestion):
        assert isinstance(read_question(query), Question)
