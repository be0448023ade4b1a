"""The bytes of a reply."""

import json

from bridge.batch import Address, Entry, Verdict
from bridge.legacy.rendering import assemble, redact, render_entries, whole_batch_error

ENTRIES = [
    Entry(Address("creditor", 0), Verdict.ACCEPTED, "984842252"),
    Entry(Address("invoice", 0), Verdict.ACCEPTED, "erp-order-9981", "ignored"),
    Entry(Address("invoice", 1), Verdict.REFUSED, "erp-order-9982", "dueDate: not a valid date"),
    Entry(Address("action", 0), Verdict.PENDING),
]


def test_a_reply_has_exactly_the_documented_keys_in_order() -> None:
    """Refused rows stand in errors, all others in responses; nothing else is said."""
    assert assemble(1, *render_entries(ENTRIES)) == (
        b'{"statuscode":1,'
        b'"errors":[{"objectname":"invoice","objectindex":1,"message":"dueDate: not a valid date"}],'
        b'"responses":[{"objectname":"creditor","objectindex":0,"ledgerref":"984842252","status_statuscode":"OK"},'
        b'{"objectname":"invoice","objectindex":0,"ledgerref":"erp-order-9981","status_statuscode":"OK"},'
        b'{"objectname":"action","objectindex":0,"ledgerref":"","status_statuscode":"PENDING"}]}'
    )


def test_messages_about_some_rows_are_replaced_and_every_other_byte_stays() -> None:
    """A reply is given again after retention, without what was said about rows."""
    entries = [*ENTRIES, Entry(Address("payment", 1), Verdict.REFUSED, "", "Kari Nordmann – døde «i går»\u2028")]
    reply = assemble(1, *render_entries(entries))
    said = "Kari Nordmann – døde «i går»\u2028".encode()
    assert said in reply
    assert redact(reply, {Address("payment", 1), Address("invoice", 0)}, "erased") == reply.replace(said, b"erased")
    assert redact(reply, set(), "erased") == reply


def test_slices_make_the_same_reply() -> None:
    """Rendering in slices and joining gives the bytes of rendering at once."""
    errors, responses = [], []
    for entry in ENTRIES:
        some_errors, some_responses = render_entries([entry])
        errors += some_errors
        responses += some_responses
    assert assemble(1, errors, responses) == assemble(1, *render_entries(ENTRIES))


def test_status_words_come_from_the_profile() -> None:
    """A profile may call accepted and pending something else."""
    _, responses = render_entries(ENTRIES, "GODKJENT", "VENTER")
    words = [line["status_statuscode"] for line in json.loads(assemble(0, [], responses))["responses"]]
    assert words == ["GODKJENT", "GODKJENT", "VENTER"]


def test_an_empty_batch_has_two_empty_lists() -> None:
    """No rows, no lines."""
    assert assemble(0, *render_entries([])) == b'{"statuscode":0,"errors":[],"responses":[]}'


def test_a_whole_batch_is_refused_in_the_same_shape() -> None:
    """One entry under the name batch says what to do."""
    assert json.loads(whole_batch_error('not "JSON"')) == {
        "statuscode": 2,
        "errors": [{"objectname": "batch", "objectindex": 0, "message": 'not "JSON"'}],
        "responses": [],
    }


def test_a_text_that_is_not_unicode_does_not_cost_the_reply() -> None:
    """Half a surrogate pair in one message is replaced; every other line stays whole."""
    entries = [Entry(Address("invoice", 0), Verdict.REFUSED, message="odd \ud800"), ENTRIES[2]]
    errors, _ = render_entries(entries)
    messages = [line["message"] for line in json.loads(assemble(2, errors, []))["errors"]]
    assert messages == ["odd ?", "dueDate: not a valid date"]
